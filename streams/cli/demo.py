"""`waybill demo`: all of it at once, to look at."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli import interrupts
from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.cli.views.demo import View
    from streams.demo.stage import Stage
    from streams.demo.traffic import Publisher, Source
    from streams.kafka.alerts import AlertReader
    from streams.settings import Settings

TICK_S = 0.05
FIGURES_S = 1.0
STATION = "PS330702"  # of the place with most parcels
SETTLED_S = 2.0  # nothing lags and nothing comes for so long: all has been judged


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "demo", demo)


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after so long (default: at Ctrl-C).")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=200_000, help="Events per second.")] = 1_000,
    parcels: Annotated[
        int | None, typer.Option(min=1, help="End when so many parcels are judged (default: parcels without end).")
    ] = None,
    lang: Annotated[
        Literal["zh", "en"] | None, typer.Option(help="Language of the titles (default: that of the locale).")
    ] = None,
    mix: Annotated[
        bool, typer.Option("--mix", help="Publish invented parcels also to topics that hold records already.")
    ] = False,
    desk: Annotated[
        bool, typer.Option("--desk/--no-desk", help="Open the desk with the first alert, and say its address.")
    ] = True,
    screenshot: Annotated[Path | None, typer.Option(hidden=True, help="Save the last view as SVG.")] = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Watch it work: a private Kafka, a worker, invented parcels, alerts as they come, and the desk that answers them.

    The traffic is three days in fast motion, with planted cases and some broken messages. All persons are invented.
    Nothing is left behind. Where KAFKA_BOOTSTRAP_SERVERS names a Kafka, that one is used instead of a private one. With
    --mix there is no desk, since a Kafka that is in use has a dispatcher.
    """
    began = time.monotonic()
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.cli.views.alert import language
    from streams.cli.views.demo import View

    view = View(lang or language(), began, pictures=screenshot is not None)
    try:
        with view:
            _run(view, settings, config, seconds=seconds, rate=rate, parcels=parcels, mix=mix, desk=desk)
    except KeyboardInterrupt:
        pass
    view.summary()
    if screenshot is not None:
        screenshot.write_text(view.picture, encoding="utf-8")


def _run(
    view: View, settings: Settings, config: Path | None, *, seconds: float | None, rate: float, parcels: int | None,
    mix: bool, desk: bool,
) -> None:  # fmt: skip
    from concurrent.futures import ThreadPoolExecutor

    from streams.demo.stage import Stage
    from streams.demo.traffic import Publisher, Source
    from streams.kafka.alerts import AlertReader
    from streams.ops import preflight

    until = view.began + seconds if seconds is not None else float("inf")
    source = Source(parcels)
    # Everything that takes seconds goes on at once: traffic is made while the broker starts, and what is known of
    # outlets and couriers is published while the worker starts.
    aside = ThreadPoolExecutor(1)
    known = aside.submit(source.prepare)
    with aside, Stage(settings, config, view.say, mix=mix) as stage:
        try:
            publisher = Publisher(stage.servers, settings)
            publisher(known.result())
            with AlertReader(stage.servers, client=preflight.client(settings), latest=True) as reader:
                stage.await_worker(view.refresh)
                view.say("running", f"{stage.url}/metrics")
                _play(view, stage, source, publisher, reader, rate, until, desk=desk and not mix)
            publisher.close()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
            view.say("ending")
    signal.signal(signal.SIGINT, interrupts.stop)


def _play(
    view: View, stage: Stage, source: Source, publisher: Publisher, reader: AlertReader, rate: float, until: float,
    *, desk: bool,
) -> None:  # fmt: skip
    """Publish at the rate and show what comes back, until the time is up or all of it is judged."""
    from streams.demo.traffic import Pace

    pace, figures_at, busy_at = Pace(rate), 0.0, time.monotonic()
    password = ""
    while (now := time.monotonic()) < until:
        publisher(source.take(pace.due()))
        changes = reader.poll(TICK_S)
        for change in changes:
            view.change(change)
        if now - figures_at > FIGURES_S:
            figures_at = now
            stage.check()
            view.figures.read(stage.page("/metrics"), now)
            view.take_picture()
            if desk and not stage.desk_url and view.first_alert_s is not None:
                password = _open_desk(stage)
            elif password and stage.desk_answers:
                view.say("desk", stage.desk_url, password)
                password = ""
        view.refresh()
        if changes or not source.exhausted or view.figures.lag or view.figures.events < source.published:
            busy_at = now
        elif now - busy_at > SETTLED_S:
            return


def _open_desk(stage: Stage) -> str:
    """Open the desk with two accounts. Returns their password."""
    import secrets

    from desk.web.users import Account, password_hash, write

    password, users = secrets.token_hex(6), stage.folder / "users"
    known = password_hash(password)
    write(
        users,
        [
            Account(user="analyst", roles=("supervisor",), password=known),
            Account(user="station", roles=("station",), station=STATION, password=known),
        ],
    )
    stage.open_desk(users)
    return password
