"""What is on `waybill.rules`, and the newest set that can be used here.

A set that cannot be used never takes the place of one that can: the newest that loads under this deployment's overrides
is in force. That is so for a worker that runs and for one that starts, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from rules import Catalogue, RuleError, load_catalogue
from rules.engine.catalogue import load_files
from schemas import topics
from schemas.refusals import UNREADABLE
from schemas.rulesets import Held, RuleSet, set_number
from streams.flow.batches import Batch
from streams.settings import Settings

_decode = msgspec.json.Decoder(RuleSet).decode


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands. `newest`: number of the newest set, 0: there is none."""

    newest: int = 0
    in_force: int = 0
    """Number of the set that `catalogue` is of; 0: none, rules of files."""
    pushed: str = ""
    """The fingerprint that it had where it was pushed; empty for rules of files."""
    catalogue: Catalogue | None = None
    """None: there is no set, or none that can be used."""
    reason: str = ""
    """Why the newest set is not in force: the rule file and field."""


class Sets:
    """The sets on the topic, from its records in their order. Raises nothing for a record that makes no sense."""

    def __init__(self) -> None:
        self.kept: dict[int, RuleSet | str] = {}
        """By number; a text says why it cannot be read."""

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record."""
        number = set_number(key or b"")
        if number is None:
            return
        if value is None:
            self.kept.pop(number, None)
            return
        try:
            found = _decode(value)
            self.kept[number] = found if found.number == number else f"says that it is set {found.number}"
        except UNREADABLE as error:
            self.kept[number] = f"cannot be read: {error}"

    def newest(self) -> list[int]:
        """All numbers, the newest first."""
        return sorted(self.kept, reverse=True)


def standing(sets: Sets, settings: Settings) -> Standing:
    """How it stands with these sets, for those who ask once."""
    source = Source(settings)
    source.sets = sets
    return source.build()


class Source:
    """For a follower of the topic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sets = Sets()
        self._tried: dict[int, Catalogue | str] = {}

    def add(self, batch: Batch) -> None:
        """Take records, in their order, each with its key."""
        for key, value in zip(batch.keys or (), batch.values, strict=True):
            number = set_number(key or b"")
            if number is not None:
                self._tried.pop(number, None)
            self.sets.add(key, value)

    def build(self) -> Standing:
        """How it stands after all that were taken."""
        numbers = self.sets.newest()
        reason = ""
        for number in numbers:
            catalogue = self._try(number)
            if not isinstance(catalogue, str):
                pushed = self.sets.kept[number]
                assert isinstance(pushed, RuleSet)
                return Standing(numbers[0], number, pushed.fingerprint, catalogue, reason)
            reason = reason or catalogue
        return Standing(numbers[0], reason=reason) if numbers else Standing()

    def _try(self, number: int) -> Catalogue | str:
        if number not in self._tried:
            found = self.sets.kept[number]
            self._tried[number] = f"{place(number)}: {found}" if isinstance(found, str) else load(found, self._settings)
        return self._tried[number]


def load(pushed: RuleSet, settings: Settings) -> Catalogue | str:
    """The set's catalogue under these settings; a text says why there is none, with rule file and field."""
    try:
        if not pushed.files:
            return load_catalogue(settings.rules_dir, settings.rule_overrides)
        return load_files(contents(pushed.files), settings.rule_overrides, folder=place(pushed.number))
    except RuleError as error:
        return str(error).splitlines()[0]


def changes(before: RuleSet | None, after: RuleSet) -> dict[str, Sequence[str]]:
    """Rule ids that came, changed and went with a set."""
    old = before.files if before else {}
    return {
        "added": sorted(after.files.keys() - old.keys()),
        "changed": sorted(name for name in after.files.keys() & old.keys() if old[name] != after.files[name]),
        "removed": sorted(old.keys() - after.files.keys()),
    }


def flooding(held: Held) -> str:
    """A rule that a worker holds back, for people."""
    since = datetime.fromtimestamp(held.since / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    shares = f"{held.share:.1%} of verdicts, and its budget is {held.budget:.1%}"
    return f"{held.rule} opens too many alerts: {shares}; held back since {since}"


def contents(files: Mapping[str, str]) -> dict[str, bytes]:
    """Files as bytes, as they are read from a folder."""
    return {rule_id: text.encode() for rule_id, text in files.items()}


def place(number: int) -> Path:
    """What errors call the place of a set."""
    return Path(f"{topics.RULES} set {number}")
