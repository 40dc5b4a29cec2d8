"""`waybill rules push`, `rollback` and `status`: the rules of workers that run."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.bars import ProgressOption, bar
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, settings_of
from streams.cli.output import json_line
from streams.cli.verbs import UserOption

if TYPE_CHECKING:
    from schemas.rulesets import Ack, RuleSet
    from streams.files.checking import Checked
    from streams.rulesets.board import Board
    from streams.rulesets.reading import Sets
    from streams.settings import Settings

NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="The reason, for people; no personal data.")]
TimeoutOption = Annotated[float, typer.Option(min=0, help="Longest wait for the workers (seconds); 0: no wait.")]


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of rule files, the whole set.")],
    note: NoteOption = "",
    user: UserOption = None,
    timeout: TimeoutOption = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check whether it could be pushed.")] = False,
    as_json: JsonOption = False,
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Put a set of rules in force on running workers, without a restart.

    The command lints the set, loads it with this deployment's rule_overrides and plays all its cases. If all is well,
    it publishes the whole set on waybill.rules. Each worker takes it between two batches, or keeps its rules and says
    why. The command waits for every worker of the group and shows what each judges by. The workers then judge again
    what they keep, and alerts go out with the fingerprint of the new rules.

    Exit code 0 if every worker judges by the set; 1 if it was not pushed, a worker refuses it, or one does not answer.
    `waybill rules rollback` goes back to the rules before.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.files.checking import check
    from streams.rulesets import pushing

    with bar(progress) as advance:
        checked = check(folder, settings, lambda part, n: advance("cases", part, n))
    _show_check(checked, folder, as_json)
    if not checked.passed:
        print(f"{folder}: not pushed; what is in force stays", file=sys.stderr)
        raise typer.Exit(1)
    if dry_run:
        return
    board = _board(settings)
    before = pushing.current(board.sets())
    _put(board, settings, before, pushing.push(board, checked, note, user or ""), timeout, as_json)


def rollback(
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FINGERPRINT", help="This set, or `files`: the rule files of each worker."),
    ] = None,
    note: NoteOption = "",
    user: UserOption = None,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Go back to the rules before the last push, or to those that --to names.

    They become the newest set, so the history shows it. Going back twice goes back two sets; before the first set there
    are each worker's own rule files. Waits for the workers and exits like `waybill rules push`.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.rulesets import pushing

    board = _board(settings)
    before = pushing.current(board.sets())
    _put(board, settings, before, pushing.rollback(board, to, note, user or ""), timeout, as_json)


def status(
    as_json: JsonOption = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show which rules are in force on which worker, which are held back, and the pushed sets, newest first.

    Exit code 1 if a worker of the group does not judge by the newest set.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    board = _board(settings)
    sets, acks, members = board.sets(), board.acks(), board.members()
    newest = max(sets.kept, default=0)
    late = False
    if not as_json:
        print(f"workers of group {settings.group}" if members else f"no worker of group {settings.group} runs")
    for instance in sorted(members):
        said = acks.get(instance)
        state = _state(said, newest)
        late = late or state in {"missing", "refused"}
        _worker(instance, said, state, as_json)
    _history(sets, [acks[instance] for instance in members if instance in acks], as_json)
    if late:
        raise typer.Exit(1)


def _board(settings: Settings) -> Board:
    from streams.ops.preflight import client, reached
    from streams.rulesets.board import Board

    return Board(reached(settings), client(settings), settings.group)


def _show_check(checked: Checked, folder: Path, as_json: bool) -> None:
    """What a set must pass, and where it does not."""
    from streams.cli.views import rules as view

    errors, failed = checked.report.count("error"), checked.failed
    if as_json:
        json_line({
            "step": "check", "passed": checked.passed, "rules": len(checked.files),
            "fingerprint": checked.fingerprint or None,
            "findings": [
                {"file": f.file, "field": f.field, "severity": f.severity, "message": f.message}
                for f in checked.report.findings
            ],
            "cases": len(checked.played), "failed": [view.outcome_record(outcome) for outcome in failed],
        })  # fmt: skip
        return
    if checked.report.findings:
        view.findings(checked.report)
    if errors:
        return
    if failed:
        from rules import load_catalogue

        view.outcomes(failed, load_catalogue(folder, with_off=True), evidence=False)
        return
    print(f"{folder}: {checked.rules} rules, {len(checked.played)} cases all well, catalogue {checked.fingerprint}")


def _put(
    board: Board, settings: Settings, before: RuleSet | None, pushed: RuleSet, timeout: float, as_json: bool
) -> None:
    """Show a set that was pushed, and wait for the workers."""
    from streams.rulesets import pushing
    from streams.rulesets.reading import changes

    fresh = before is None or before.number != pushed.number
    what = changes(before, pushed)
    if as_json:
        json_line({"step": "set", "fresh": fresh, **_summary(pushed), **what})
    else:
        print(f"{pushed.name} {'pushed' if fresh else 'is the newest already'}{_said(pushed)}")
        if before is not None and before.files and pushed.files:
            for word, names in what.items():
                if names:
                    print(f"  {word}: {', '.join(names)}")
    if timeout == 0:
        return
    taken = pushing.wait(
        board, pushed.number, timeout,
        lambda ack: _worker(ack.instance, ack, _state(ack, pushed.number), as_json),
    )  # fmt: skip
    for instance in sorted(taken.missing):
        _worker(instance, None, "missing", as_json)
    total = len(taken.acks) + len(taken.missing)
    if not as_json:
        if not total:
            print(f"no worker of group {settings.group} runs; those that start take it")
        elif taken.by_all:
            print(f"in force on all {total} workers" if total > 1 else "in force on the only worker")
        elif taken.overtaken:
            print(f"{pushed.name} is no longer the newest, because another was pushed meanwhile; "
                  "`waybill rules status` shows both")  # fmt: skip
        else:
            print(f"in force on {total - len(taken.missing) - len(taken.refused)} of {total} workers; "
                  "`waybill rules rollback` goes back to the rules before")  # fmt: skip
    if not taken.by_all:
        raise typer.Exit(1)


def _state(said: Ack | None, number: int) -> str:
    if said is None or (said.newest < number and said.follows):
        return "missing"
    if said.follows and said.in_force > number > 0:
        return "overtaken"
    return "applied" if said.applied or not number else "refused"


def _worker(instance: str, said: Ack | None, state: str, as_json: bool) -> None:
    """One worker's line."""
    import msgspec

    from streams.rulesets.reading import flooding

    if as_json:
        ack = None if said is None else {
            "set": said.in_force, "fingerprint": said.fingerprint, "rules": said.rules, "reason": said.reason,
            "follows": said.follows, "warnings": said.warnings, "held": msgspec.to_builtins(said.held), "at": said.at,
        }  # fmt: skip
        json_line({"worker": instance, "state": state, **(ack or {})})
        return
    if said is None:
        print(f"  {instance:12} missing   has not answered yet")
        return
    by = f"set {said.in_force}" if said.in_force else "its rule files"
    count = "" if said.rules is None else f", {said.rules} rules"
    print(f"  {instance:12} {state:9} judges by {by}{count}, catalogue {said.fingerprint}")
    for reason in [said.reason] if said.reason else [] if said.follows else ["its setting rules_from is files"]:
        print(f"  {'':12} because   {reason}")
    for warning in said.warnings:
        print(f"  {'':12} warning   {warning}")
    for held in said.held:
        print(f"  {'':12} held back {flooding(held)}")


def _history(sets: Sets, acks: list[Ack], as_json: bool) -> None:
    """Every set that is kept, the newest first. acks: of the workers that run, who know what their files hold."""
    from schemas.rulesets import RuleSet
    from streams.rulesets.reading import changes

    numbers = sets.newest()
    if not numbers and not as_json:
        print("no set was pushed: every worker judges by its own rule files")
    for number in numbers:
        found = sets.kept[number]
        if isinstance(found, str):
            if as_json:
                json_line({"set": number, "error": found})
            else:
                print(f"set {number}: {found}")
            continue
        before = sets.kept.get(number - 1)
        known = isinstance(before, RuleSet) and before.files and found.files
        counted = changes(before, found) if isinstance(before, RuleSet) and known else {}
        by_files = {ack.rules for ack in acks if ack.in_force == number and ack.rules is not None}
        count = len(found.files) or (by_files.pop() if len(by_files) == 1 else None)
        if as_json:
            json_line({**_summary(found), "rules": count, **counted})
            continue
        what = ", ".join(f"{len(names)} {word}" for word, names in counted.items() if names)
        restores = f"brings back set {found.restores}" if found.restores else what
        at = datetime.fromtimestamp(found.at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        fingerprint, by = found.fingerprint or "files", f"by {found.by}" if found.by else ""
        rules = f"{count} rules" if count is not None else "the rule files of each worker"
        print("  ".join(part for part in (f"set {number:<4}", f"{fingerprint:16}", at, by, rules,
                                         restores, found.note) if part))  # fmt: skip


def _summary(found: RuleSet) -> dict[str, Any]:
    return {
        "set": found.number, "fingerprint": found.fingerprint or None, "at": found.at, "by": found.by or None,
        "note": found.note,
        "restores": found.restores, "rules": len(found.files) or None,
    }  # fmt: skip


def _said(pushed: RuleSet) -> str:
    return f", brings back set {pushed.restores}" if pushed.restores else ""
