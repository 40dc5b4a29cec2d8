"""The log of a process on standard error: one line per event, as text or as JSON.

librdkafka has a log of its own, and each of a worker's clients writes to it: a broker that goes away makes some eight
lines at once, and twenty a second after that. `Folded` makes one line of them.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

import typer

from schemas.errors import WaybillError
from streams.explain import explain


def log_to_stderr(level: str, name: str, kind: Literal["text", "json"] = "text") -> None:
    """One line per event of ours. Of Faust and its kin only at debug: what they report we report in fewer words."""
    logging.basicConfig(
        stream=sys.stderr, format=f"%(asctime)s %(levelname)-7s {name}: %(message)s", level=level.upper(), force=True
    )
    if kind == "json":
        logging.root.handlers[0].setFormatter(Json(name))
    if level != "debug":
        logging.root.handlers[0].addFilter(Folded())
        for foreign in ("faust", "mode", "asyncio", "aiohttp"):
            logging.getLogger(foreign).setLevel(logging.CRITICAL + 1)


@contextmanager
def last_word(level: str, name: str, kind: Literal["text", "json"]) -> Iterator[None]:
    """Where the log is JSON, what a process ends of is a line of it, too; as text the command line says it."""
    try:
        yield
    except Exception as error:
        if kind == "text" or isinstance(error, typer.Exit | typer.Abort | typer.BadParameter):
            raise
        log_to_stderr(level, name, kind)
        logging.getLogger(__name__).critical(explain(error))
        raise typer.Exit(error.exit_code if isinstance(error, WaybillError) else 1) from error


class Json(logging.Formatter):
    """One JSON object a line: time (UTC, RFC 3339), level, process, logger, message."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": at, "level": record.levelname.lower(), "process": self._name, "logger": record.name}
        said["message"] = record.getMessage()
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class Folded(logging.Filter):
    """Says of librdkafka's lines what happened, once in `every_s` seconds, whichever clients and threads say it.

    A connection that is lost and cannot be had again is one event for each broker. A group's session that has run out
    is left to what we say of it ourselves.
    """

    def __init__(self, every_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._every_s = every_s
        self._seen: dict[str, tuple[float, int]] = {}  # by event: when it was last said, how often held back since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        line = _LINE.match(record.getMessage())
        if line is None:
            return True
        if line["kind"] in _OURS:
            return False
        event, text = self._event(line["text"])
        now = self._clock()
        at, held = self._seen.get(event, (-math.inf, 0))
        if now - at < self._every_s:
            self._seen[event] = at, held + 1
            return False
        if len(self._seen) >= _EVENTS_MAX:
            self._seen.clear()
        self._seen[event] = now, 0
        record.msg, record.args = f"{text} ({held:,} more like it held back)" if held else text, ()
        return True

    def _event(self, text: str) -> tuple[str, str]:
        """What makes a line the same event as another, and what it says in our words."""
        address = _ADDRESS.search(text)
        said = _BEFORE.sub("", _ASIDE.sub("", text), count=1)
        where = f"{_AT}{address[0]}" if address else "Kafka"
        if _DOWN.search(text) is None:
            return f"{where}: {re.sub(r'[0-9]+', '', said)}", f"{where}: {said}"
        if address is None:  # the coordinator's connection names no broker; it is that of one that was named
            where = next((event for event in reversed(self._seen) if event.startswith(_AT)), where)
        return where, f"{where}: {said}"


_EVENTS_MAX = 1_000
_AT = "Kafka at "
_OURS = ("SESSTMOUT",)
# Kind of line, name of the client after its client.id, thread, and what is said.
_LINE = re.compile(r"(?P<kind>[A-Z_]+) \[[^\]]*#(?:consumer|producer)-\d+\] (?:\[thrd:.*?\]: )?(?P<text>.*)", re.DOTALL)
_HOST = r"(?:\[[0-9a-fA-F:]+\]|[\w.-]*\w):\d+"
_ADDRESS = re.compile(_HOST)
_DOWN = re.compile(r"Disconnected|Connect to .* failed|brokers? (?:are|is) down|timed out|resolve")
_ASIDE = re.compile(r" ?\([^()]*(?:state|suppressed|after)[^()]*\)")
_BEFORE = re.compile(
    r"(?:[^ ]*#(?:consumer|producer)-\d+: )?(?:GroupCoordinator: )?"
    rf"(?:(?:\w+://)?{_HOST}(?:/\w+)?: )?(?:Connect to \S+ failed: |Disconnected: )?"
)
