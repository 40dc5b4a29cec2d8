"""`waybill worker`: the pipeline itself."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from streams.cli.logs import last_word, log_to_stderr
from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.settings import Settings

StateDirOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of local state (default: setting state_dir).")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "worker", worker)


def worker(
    processes: Annotated[int, typer.Option(min=1, max=256, help="Workers to run, each a process of its own.")] = 1,
    bootstrap_servers: BootstrapOption = None,
    state_dir: StateDirOption = None,
    instance: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of this worker (default: setting instance).")
    ] = None,
    web_port: Annotated[
        int | None, typer.Option(help="Port of /metrics, /live and /ready (default: setting web_port).")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error (default: setting log_level).")
    ] = None,
    accept_lost_state: Annotated[
        bool, typer.Option("--accept-lost-state", help="Start although a changelog is empty that should not be.")
    ] = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Run a worker: events in, alerts out, until Ctrl-C or SIGTERM.

    It then commits what is in hand, leaves the group and exits with 0; after a crash it exits with 1 and says why.
    Without a broker given it looks for one at 127.0.0.1:9092, where `waybill broker run` listens.

    With --processes N, N workers run as instances 0 to N-1 (NAME-0 … with --instance NAME; those that are free with
    auto), with pages on web_port + n; one that dies is started anew, until that has not helped for give_up_after_ms.
    Partitions are shared among all workers of a group, wherever they run.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped_early)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _stopped_early)
    settings = settings_of(
        config, assignments, bootstrap_servers=bootstrap_servers, state_dir=state_dir, instance=instance,
        web_port=web_port, log_level=log_level, accept_lost_state=accept_lost_state or None,
    )  # fmt: skip

    with last_word(settings.log_level, f"worker {settings.instance}", settings.log_format):
        _work(settings, processes, config, assignments or [])


def _work(settings: Settings, processes: int, config: Path | None, assignments: list[str]) -> None:
    # Frames here are small, and the other cores are for other workers: polars' threads would only wait for each other.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from streams.ops.preflight import checked

    settings = checked(settings)
    if processes > 1:
        raise typer.Exit(_supervise(processes, settings, config, assignments))

    from streams.worker.instance import claimed

    settings = claimed(settings)
    log_to_stderr(settings.log_level, f"worker {settings.instance}", settings.log_format)
    # rocksdict and Faust take half a second to import; everything that can fail early is behind us.
    from streams.app import build, run

    app = build(settings)
    _collect_less()
    try:
        run(app)
    finally:
        _leave_within(_LEAVE_S)


def _collect_less() -> None:
    """Look for garbage seldom, and not among what is there for good.

    A step makes many objects and few cycles: to look for those after every 700 objects took a tenth of a worker's CPU.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _leave_within(seconds: float) -> None:
    """End the process by then, though a call into librdkafka never returns: the interpreter would wait for its thread.

    `send_offsets_to_transaction` heeds no time-out while the group's coordinator is away (librdkafka#5456). Nothing is
    lost with it: what was not committed is read again.
    """

    def leave() -> None:
        time.sleep(seconds)
        logging.getLogger(__name__).error("a call to Kafka does not return; leaving without it")
        sys.stderr.flush()
        os._exit(1)

    threading.Thread(target=leave, name="leave", daemon=True).start()


_LEAVE_S = 15.0  # a call on a busy machine takes some; whoever stops a worker gives it a minute


def _supervise(count: int, settings: Settings, config: Path | None, assignments: list[str]) -> int:
    from streams.ops.supervisor import STABLE_S, WAYBILL, Child, supervise
    from streams.settings_shown import variables
    from streams.worker.instance import open_ended

    log_to_stderr(settings.log_level, "supervisor", settings.log_format)
    shared = ["--config", str(config)] if config is not None else []
    shared += ["--accept-lost-state"] if settings.accept_lost_state else []
    env = variables(settings, assignments)
    children = []
    for number in range(count):
        name = str(number) if settings.instance == "0" else f"{settings.instance}-{number}"
        instance = settings.instance if open_ended(settings.instance) else name
        port = settings.web_port + number if settings.web_port else 0
        own = ["--bootstrap-servers", str(settings.bootstrap_servers), "--state-dir", str(settings.state_dir),
               "--instance", instance, "--web-port", str(port), "--log-level", settings.log_level]  # fmt: skip
        children.append(Child(name, [*WAYBILL, "worker", *shared, *own], env))
    # Longer than the longest that a worker may live to no purpose: waiting for a changelog that does not come.
    stable_s = STABLE_S + 3 * settings.transaction_timeout_ms / 1000
    # Longer than a worker takes, which exits by itself and says where it hung; a kill would say nothing.
    stop_s = settings.stop_s + 2 * _LEAVE_S
    return supervise(children, give_up_after_s=settings.give_up_after_ms / 1000, stable_s=stable_s, stop_s=stop_s)


def _stopped_early(number: int, frame: object) -> NoReturn:
    """Asked to stop before Faust listens for signals: nothing is in hand yet, so that is a clean end."""
    sys.stderr.flush()
    os._exit(0)
