"""What may be done about a clue at the command line: each function turns options into a verb of the desk.

`acting` gives each the options that all of them share, and does it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, get_type_hints

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption

Wanted = Annotated[str, typer.Argument(metavar="CLUE", help="Id, its beginning, or CARRIER:NUMBER of the parcel.")]
UserOption = Annotated[
    str | None, typer.Option("--as", metavar="USER", envvar="DESK_USER", help="Who acts (default: $DESK_USER).")
]
StationOption = Annotated[
    str | None,
    typer.Option("--station", metavar="ID", envvar="DESK_STATION", help="For which station (default: $DESK_STATION)."),
]
WhyOption = Annotated[str, typer.Option("--why", help="Reason; no personal data.")]
SameAccountOption = Annotated[
    bool,
    typer.Option(
        "--same-account", help="You are another person, who shares the account of the first; the log says so."
    ),
]
MomentOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Such as 2026-11-30T14:05 in China, or epoch ms.")
]
CheckKind = Literal["open_box", "xray", "second_xray", "canine", "trace_swab", "identity_check", "visit", "documents"]
Found = Literal["seizure", "violation", "no_finding", "wrong_alert"]
Step = Literal["accept", "check", "answer"]
Tier = Literal["low", "medium", "high", "extreme"]
Needless = Literal["duplicate", "out_of_reach"]
_HOUR_MS = 3_600_000


def acting(make: Callable[..., Any], do: Callable[..., None]) -> Callable[..., None]:
    """The command of a verb: `make` gives it from its own options, `do` does it with those that all share."""

    def command(
        clue: Wanted,
        user: UserOption = None,
        station: StationOption = None,
        as_json: JsonOption = False,
        bootstrap_servers: BootstrapOption = None,
        config: ConfigOption = None,
        assignments: SetOption = None,
        **own: Any,
    ) -> None:
        same = bool(own.get("same_account", False))
        do(clue, make(**own), user, station, same, as_json, bootstrap_servers, config, assignments)

    shared, mine = (_parameters(function) for function in (command, make))
    first, *rest = (each for each in shared if each.kind is not inspect.Parameter.VAR_KEYWORD)
    ordered = [first, *mine, *rest]
    # Not positional: options with and without a default may then stand in any order.
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in ordered]
    made: Any = command
    made.__signature__ = inspect.Signature(named)
    made.__annotations__ = {each.name: each.annotation for each in named}
    command.__name__, command.__doc__ = make.__name__, make.__doc__
    return command


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters.values()
    return [each.replace(annotation=hints.get(each.name, Any)) for each in found]


def accept() -> Any:
    """Take a clue on, for the station that it was sent to. Of two at a time, one wins and the other is told so."""
    from desk import verbs

    return verbs.Accept()


def refuse(why: WhyOption) -> Any:
    """Say that your station cannot take a clue on; it goes to another."""
    from desk import verbs

    return verbs.Refuse(why=why)


def transfer(
    to: Annotated[str, typer.Option("--to", metavar="ADCODE", help="Where the parcel is, GB/T 2260, six digits.")],
    why: WhyOption,
) -> Any:
    """Hand a clue over to another place; its station gets it next. The time for an answer goes on."""
    from desk import verbs

    return verbs.Transfer(to_adcode=to, why=why)


def check(
    kind: Annotated[CheckKind, typer.Option("--check", help="How it was looked at.")] = "open_box",
    at: MomentOption = None,
) -> Any:
    """Say that someone looked at the parcel."""
    from desk import verbs

    return verbs.Check(check_kind=kind, checked_at=moment(at))


def answer(
    outcome: Annotated[Found, typer.Argument(help="What was found.")],
    right: Annotated[list[str] | None, typer.Option("--right", help="A rule that was right; repeatable.")] = None,
    unsure: Annotated[list[str] | None, typer.Option("--unsure", help="A rule that nobody can judge.")] = None,
    found_g: Annotated[int | None, typer.Option("--grams", min=0, help="Weight of what was seized, grams.")] = None,
    kind: Annotated[CheckKind | None, typer.Option("--check", help="How it was looked at.")] = None,
    at: MomentOption = None,
    noise: Annotated[
        Literal["data_error", "known_sender", "rule_too_wide", "duplicate", "other"] | None,
        typer.Option(help="Why the alert was wrong."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Remark; no personal data.")] = None,
) -> Any:
    """Say what was found. The answer and its feedback go out in one transaction.

    If nothing was found, all rules of the clue count as wrong. Of a find, `judge` says afterwards which rules were
    right: before its answer a station does not see them. Only when it answers again may it name them here.
    """
    from desk import verbs

    return verbs.Answer(
        outcome=outcome,
        rules=tuple(right) if right else None,
        unsure_rules=tuple(unsure or ()),
        found_g=found_g,
        check_kind=kind,
        checked_at=moment(at),
        noise_reason=noise,
        note=note,
    )


def judge(
    right: Annotated[list[str] | None, typer.Option("--right", help="A rule that was right; repeatable.")] = None,
    unsure: Annotated[list[str] | None, typer.Option("--unsure", help="A rule that nobody can judge.")] = None,
) -> Any:
    """Say after your answer which rules were right; all others of the clue count as wrong.

    The feedback of the answer is replaced in the same transaction.
    """
    from desk import verbs

    return verbs.Judge(rules=tuple(right or ()), unsure_rules=tuple(unsure or ()))


def confirm(same_account: SameAccountOption = False) -> Any:
    """Agree with an answer, as a second person. Nobody confirms his own, nor one given under the same account."""
    from desk import verbs

    return verbs.Confirm()


def dispute(
    why: WhyOption,
    outcome: Annotated[Found | None, typer.Option(help="What you found instead.")] = None,
    same_account: SameAccountOption = False,
) -> Any:
    """Disagree with an answer, as a second person; the station has to answer again."""
    from desk import verbs

    return verbs.Dispute(why=why, outcome=outcome)


def reopen(why: WhyOption) -> Any:
    """Work on a closed clue again."""
    from desk import verbs

    return verbs.Reopen(why=why)


def hold(
    reason: Annotated[str, typer.Option(help="Why the parcel is stopped; no personal data.")] = "",
    basis: Annotated[str, typer.Option(help="Legal basis.")] = "",
    hours: Annotated[float, typer.Option(min=0.1, help="For how long from now; a first request 24 at most.")] = 24,
    extend: Annotated[bool, typer.Option("--extend", help="Ask for longer; a second person has to agree.")] = False,
    second: Annotated[bool, typer.Option("--second", help="Agree to an extension, as a second person.")] = False,
    same_account: SameAccountOption = False,
) -> Any:
    """Ask the carrier to stop the parcel; what it has to do goes to `waybill.holds` in the same transaction."""
    from desk import verbs

    if second:
        return verbs.Second()
    until = int(time.time() * 1_000) + int(hours * _HOUR_MS)
    return (verbs.Extend if extend else verbs.Hold)(reason=reason, basis=basis, until=until)


def release(reason: Annotated[str, typer.Option(help="Why it may go on; no personal data.")]) -> Any:
    """Let the parcel go on."""
    from desk import verbs

    return verbs.Release(reason=reason)


def monitor(
    why: WhyOption,
    users: Annotated[list[str] | None, typer.Option("--user", help="Who sees the clue; repeatable.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
) -> Any:
    """Controlled delivery: the parcel goes on, no station is told, and only the users named see the clue."""
    from desk import verbs

    return verbs.Monitor(on=not off, users=tuple(users or ()), why=why)


def grade(tier: Annotated[Tier, typer.Argument(help="From now on.")], why: WhyOption) -> Any:
    """Change the urgency of a clue. One that nobody has accepted gets new deadlines."""
    from desk import verbs

    return verbs.Grade(tier=tier, why=why)


def close(reason: Annotated[Needless, typer.Argument(help="Why nobody has to look, or can.")]) -> Any:
    """End a clue that nobody has accepted. No feedback goes out, since nobody looked."""
    from desk import verbs

    return verbs.Close(reason=reason)


def escalate(step: Annotated[Step, typer.Argument(help="The step that is overdue.")] = "answer") -> Any:
    """Tell the prefecture that a step is overdue, and the next time the province. The dispatcher does so by itself."""
    from desk import verbs

    return verbs.Escalate(step=step)


def due(
    step: Annotated[Step, typer.Argument(help="Which deadline.")],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="Such as 2026-11-30T14:05 in China, or epoch ms.")],
    why: WhyOption,
) -> Any:
    """Move a deadline. The log keeps who did it and why."""
    from desk import verbs

    return verbs.MoveDue(step=step, due=moment(to) or 0, why=why)


def note(text: Annotated[str, typer.Argument(help="The remark; no personal data.")]) -> Any:
    """Add a remark to a clue."""
    from desk import verbs

    return verbs.Note(note=text)


def claim() -> Any:
    """Reserve a clue for yourself, for 15 minutes; then others may."""
    from desk import verbs

    return verbs.Claim()


def keep(
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Such as 2030-01-31 in China, or epoch ms.")],
    why: Annotated[str, typer.Option("--why", help="Legal reason; no personal data.")],
) -> Any:
    """Keep a clue beyond the retention of the log. The dispatcher then writes its events again each month."""
    from desk import verbs

    return verbs.Keep(until=moment(until) or 0, why=why)


def moment(text: str | None) -> int | None:
    """A time as typed, epoch ms; without a zone it is China's. Raises typer.BadParameter."""
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-30T14:05") from None
    if at.tzinfo is None:
        from streams.values import CHINA

        at = at.replace(tzinfo=CHINA)
    return int(at.timestamp() * 1_000)


ALL = (
    claim, accept, refuse, transfer, check, answer, judge, confirm, dispute, reopen, close, hold, release, monitor,
    grade, escalate, due, note, keep,
)  # fmt: skip
