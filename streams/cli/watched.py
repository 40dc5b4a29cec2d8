"""What `waybill dispatcher`, `waybill tracer` and `waybill desk serve` tell Prometheus."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import WaybillError

if TYPE_CHECKING:
    from streams.metrics import Page

MetricsPortOption = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, metavar="PORT", help="Serve /metrics at `web_host` and this port; 0 = any free."),
]
_LOOK_S = 5.0


class MetricsPortError(WaybillError):
    """The page of metrics cannot be served. The message names the port."""


def served(metrics: Page, host: str, port: int | None, look: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """Serve the page if a port is given. Returns what to call after each step: it looks every few seconds."""
    if port is None:
        return lambda: None
    try:
        bound = metrics.serve(host, port)
    except OSError as error:
        raise MetricsPortError(f"--metrics-port: {port} on {host} cannot be had ({error.strerror})") from None
    print(f"metrics: http://{host}:{bound}/metrics", file=sys.stderr, flush=True)
    looked: float | None = None

    def stepped() -> None:
        nonlocal looked
        if looked is None or time.monotonic() > looked + _LOOK_S:
            looked = time.monotonic()
            look()

    return stepped
