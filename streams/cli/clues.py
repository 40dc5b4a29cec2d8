"""`waybill clues`: the clues that alerts have opened, and what stations do about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from streams.cli import verbs
from streams.cli.account import SameAccountError, account_of, first_account
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of
from streams.cli.verbs import StationOption, UserOption, Wanted

if TYPE_CHECKING:
    from desk.clues.book import Taken
    from desk.clues.clue import State
    from desk.log import ClueLog
    from streams.settings import Settings

AsStationOption = Annotated[
    str | None,
    typer.Option("--station", metavar="ID", envvar="DESK_STATION", help="As this station sees it ($DESK_STATION)."),
]
LangOption = Annotated[Literal["zh", "en"] | None, typer.Option(help="Language of titles (default: the locale's).")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Answer clues: what stations do about alerts.", no_args_is_help=True)
    add(group, "list", list_)
    add(group, "show", show)
    add(group, "overdue", overdue)
    add(group, "report", report)
    for verb in verbs.ALL:
        add(group, verb.__name__, verbs.acting(verb, _act))
    app.add_typer(group, name="clues")


def list_(
    station: AsStationOption = None,
    tier: Annotated[Literal["low", "medium", "high", "extreme"], typer.Option(help="This tier and above.")] = "low",
    state: Annotated[str | None, typer.Option(help="States, by commas (default: all that are not closed).")] = None,
    adcode: Annotated[str, typer.Option(help="Places that begin with this code.")] = "",
    user: UserOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show clues, the most urgent first: by tier, then by the time that is left, then by score.

    With a station: its own, as it may see them; before its answer that is neither tier nor reasons.
    """
    from desk.queue import OPEN, Filter, queue
    from streams.cli.views import clues as views

    states = OPEN if state is None else _states(state)
    which = Filter(user or "", station, states, tier, adcode)
    with _reading(settings_of(config, assignments, bootstrap_servers=bootstrap_servers)) as (log, _):
        now = _now()
        views.Output(as_json, lang).clues(queue(log.book.clues.values(), which, now, station), now)


def show(
    clue: Wanted,
    user: UserOption = None,
    station: AsStationOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show one clue: its alert, who has it until when, and all that was done, refused acts too.

    With a station: as that station may see it; before its answer that is not why the parcel is checked.
    """
    from desk.blind import seen_by
    from desk.queue import find
    from streams.cli.views import clues as views

    with _reading(settings_of(config, assignments, bootstrap_servers=bootstrap_servers)) as (log, past):
        found = seen_by(station, find(log.book.clues, clue, user or ""))
        own = [taken for taken in past if taken.event.clue_id == found.clue_id and not taken.repeat]
        views.Output(as_json, lang).one(found, own, _now())


def overdue(
    user: UserOption = None,
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show what is overdue, the longest first: steps of stations, and holds. Exit code 1 if anything is."""
    from desk.queue import late
    from streams.cli.views import clues as views

    with _reading(settings_of(config, assignments, bootstrap_servers=bootstrap_servers)) as (log, _):
        now = _now()
        found = late(log.book.clues.values(), user or "", now)
        views.Output(as_json, None).overdue(found, now)
    if found:
        raise typer.Exit(1)


def report(
    parcel: Annotated[str, typer.Argument(metavar="CARRIER:NUMBER", help="The parcel.")],
    adcode: Annotated[str, typer.Option("--adcode", help="Where it is, GB/T 2260, six digits.")],
    note: Annotated[
        str, typer.Option("--note", help="What was reported; no personal data, of informants least of all.")
    ],
    tier: Annotated[verbs.Tier, typer.Option(help="Urgency.")] = "medium",
    user: UserOption = None,
    station: StationOption = None,
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Open a clue about a parcel that a courier or somebody else has reported. The dispatcher sends it to a station."""
    from desk.verbs import Report
    from desk.verbs import report as reported
    from streams.cli.views import clues as views

    name, now = _acting(user), _now()
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    made = reported(Report(parcel=parcel, adcode=adcode, note=note, tier=tier), now)
    with _writing(settings) as log:
        taken = log.act(made.event(None, name, station, now, account_of(settings)))
        views.Output(as_json, None).done(taken, station, _now())


def _acting(user: str | None) -> str:
    if not user:
        raise typer.BadParameter("who acts? give --as USER or set DESK_USER", param_hint="--as")
    return user


def _act(
    wanted: str,
    verb: Any,
    user: str | None,
    station: str | None,
    same_account: bool,
    as_json: bool,
    bootstrap_servers: str | None,
    config: Path | None,
    assignments: list[str] | None,
) -> None:
    """Do it, and say what became of it. Exit code 1 if somebody else came first."""
    from desk.queue import find
    from desk.verbs import act
    from streams.cli.views import clues as views

    user = _acting(user)
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    account = account_of(settings)
    with _writing(settings) as log:
        clue, now = find(log.book.clues, wanted, user), _now()
        if not same_account and first_account(verb, clue) == account:
            raise SameAccountError(
                "the first person acted under this account too: a second one needs an account of their own at the "
                "machine or the broker, or answers over HTTP; --same-account says that two people share this one"
            )
        taken = log.act(act(verb, clue, now, station).event(clue, user, station, now, account))
        views.Output(as_json, None).done(taken, station, _now())
    if taken.why is not None:
        raise typer.Exit(1)


@contextmanager
def _reading(settings: Settings) -> Iterator[tuple[ClueLog, list[Taken]]]:
    """The clue log, read to its end; and all events that were read."""
    from desk.log import ClueLog
    from streams.ops import preflight

    with ClueLog(preflight.reached(settings), preflight.client(settings)) as log:
        yield log, log.catch_up()


@contextmanager
def _writing(settings: Settings) -> Iterator[ClueLog]:
    """The clue log, read to its end, by somebody who may add to it."""
    from desk.log import ClueLog, new_name
    from streams.ops import preflight

    servers, client = preflight.permitted(settings, "clues"), preflight.client(settings)
    with ClueLog(servers, client, new_name("clues", settings.group)) as log:
        log.catch_up()
        yield log


def _states(text: str) -> frozenset[State]:
    from desk.clues.clue import State

    known: tuple[State, ...] = get_args(State)
    wanted = {part.strip() for part in text.split(",")}
    if strange := sorted(wanted - set(known)):
        raise typer.BadParameter(f"{strange[0]!r} is none of {', '.join(known)}", param_hint="--state")
    return frozenset(state for state in known if state in wanted)


def _now() -> int:
    return int(time.time() * 1_000)
