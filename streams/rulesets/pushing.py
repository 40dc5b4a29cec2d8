"""Pushing a set that has passed its check, going back to an earlier one, and who has taken which."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.errors import WaybillError
from schemas.rulesets import Ack, RuleSet
from streams.files.checking import Checked
from streams.rulesets.board import Board
from streams.rulesets.reading import Sets

FILES = "files"
_ASK_S = 0.3


class PushError(WaybillError):
    """Nothing was pushed; says why."""


def push(board: Board, checked: Checked, note: str, by: str = "") -> RuleSet:
    """Publish a set that has passed; the one in force is left as it is if it has the same files. Raises ClientError."""

    def make(before: Sets) -> RuleSet:
        newest = current(before)
        if newest is not None and (newest.files, newest.fingerprint) == (checked.files, checked.fingerprint):
            return newest
        return RuleSet(
            number=_next(before),
            fingerprint=checked.fingerprint,
            at=_now(),
            note=note,
            by=by,
            files=dict(checked.files),
        )

    return board.publish(make)


def rollback(board: Board, to: str | None, note: str, by: str = "") -> RuleSet:
    """Bring back an earlier set as the newest one. to: its fingerprint, `files` for those of each worker, or None.

    Raises ClientError, or PushError when there is no such set.
    """

    def make(before: Sets) -> RuleSet:
        target = earlier(before, to)
        number, at = _next(before), _now()
        if target is None:
            return RuleSet(number=number, fingerprint="", at=at, note=note, by=by)
        origin = target.restores or target.number
        return RuleSet(
            number=number, fingerprint=target.fingerprint, at=at, note=note, by=by, restores=origin, files=target.files
        )

    return board.publish(make)


def earlier(sets: Sets, to: str | None) -> RuleSet | None:
    """The set to go back to; None: the files of each worker. Without `to`: what was in force before the newest.

    A set that was brought back stands where it stood, so going back twice goes back two sets. Raises PushError.
    """
    known = [found for number in sets.newest() if isinstance(found := sets.kept[number], RuleSet)]
    if not sets.kept:
        raise PushError("no set was pushed yet, so there is none to go back to")
    if to == FILES:
        return None
    if to is not None:
        matching = [each for each in known if each.files and each.fingerprint.startswith(to)]
        if len({each.fingerprint for each in matching}) == 1:
            return matching[0]
        several = "more than one set" if matching else "no set that is kept"
        raise PushError(f"{to}: {several} has this fingerprint; `waybill rules status` lists them")
    newest = sets.newest()[0]
    found = sets.kept[newest]
    place = (found.restores or newest) if isinstance(found, RuleSet) else newest
    if isinstance(found, RuleSet) and not found.files:
        raise PushError("the rules are those of files; name the set to go back to with --to")
    for each in known:
        if each.number < place:
            return each if each.files else None
    if min(sets.kept) > 1:
        raise PushError("the set before is not kept any more; push its files")
    return None  # before the first set there were files


def current(sets: Sets) -> RuleSet | None:
    """The newest set, if it can be read."""
    found = sets.kept[sets.newest()[0]] if sets.kept else None
    return found if isinstance(found, RuleSet) else None


@dataclass(slots=True)
class Taken:
    """Who has said what of set `number`. `missing`: members of the group that have said nothing of it."""

    number: int
    acks: dict[str, Ack] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    @property
    def refused(self) -> list[Ack]:
        """Those that judge by other rules: of a set before it, of files, or of one that was pushed meanwhile."""
        return [ack for ack in self.acks.values() if not ack.follows or ack.in_force != self.number]

    @property
    def overtaken(self) -> bool:
        """A worker judges by a set that was pushed after it."""
        return any(ack.follows and ack.in_force > self.number for ack in self.acks.values())

    @property
    def by_all(self) -> bool:
        """Every member judges by it."""
        return not self.missing and not self.refused


def wait(board: Board, number: int, timeout_s: float, told: Callable[[Ack], None]) -> Taken:
    """Wait until every member of the group has taken or refused the set. Raises ClientError.

    told: called once for each.

    Members that come meanwhile are waited for too, and those that go are not.
    """
    deadline = time.monotonic() + timeout_s
    said: dict[str, Ack] = {}
    while True:
        members, acks = board.members(), board.acks()
        for instance in sorted(members):
            ack = acks.get(instance)
            if ack is not None and (ack.newest >= number or not ack.follows) and instance not in said:
                said[instance] = ack
                told(ack)
        missing = members - said.keys()
        if not missing or time.monotonic() > deadline:
            return Taken(number, {name: ack for name, ack in said.items() if name in members}, missing)
        time.sleep(_ASK_S)


def _next(sets: Sets) -> int:
    return max(sets.kept, default=0) + 1


def _now() -> int:
    return int(time.time() * 1000)
