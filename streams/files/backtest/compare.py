"""Comparing: both catalogues judge the same dossiers, and what they say differently is counted by its cause."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from rules import TIERS, YES, Catalogue
from streams.files.backtest.difference import CHANGES, Cause, Change, Counts, Parcel, Shift, Verdict
from streams.files.bulk import Steps, ended
from streams.files.shuffle import Cut, parcel_buckets
from streams.flow import layout
from streams.flow.batches import untail
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.reasons import read, reasons

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Key = tuple[Change, tuple[Shift, ...]]
_GAINED, _LOST, _RAISED, _LOWERED, _RESCORED = range(len(CHANGES))
_SAME = len(CHANGES)


@dataclass(slots=True)
class Group:
    """Parcels with one cause: how many, and the few examples with the smallest hashes."""

    parcels: int = 0
    examples: list[tuple[int, Parcel]] = field(default_factory=list)

    def add(self, other: Group, examples_max: int) -> None:
        self.parcels += other.parcels
        both = [*self.examples, *other.examples]
        self.examples = heapq.nsmallest(examples_max, both, key=lambda one: (one[0], one[1].parcel))


@dataclass(slots=True)
class Tally:
    """What was counted over some parcels; two of different parcels add up."""

    tiers: Ints = field(default_factory=lambda: np.zeros((len(TIERS), len(TIERS)), dtype=np.int64))
    answers: dict[str, Ints] = field(default_factory=dict)
    """By rule: yes, no and unknown under the old rules, the same under the new ones, yes added, yes removed."""
    groups: dict[Key, Group] = field(default_factory=dict)

    def add(self, other: Tally, examples_max: int) -> None:
        self.tiers += other.tiers
        for rule, counts in other.answers.items():
            self.answers[rule] = self.answers[rule] + counts if rule in self.answers else counts
        for key, group in other.groups.items():
            self.groups.setdefault(key, Group()).add(group, examples_max)

    def counts(self, old: Catalogue, new: Catalogue) -> dict[str, tuple[Counts | None, Counts | None, int, int]]:
        """What each rule answers; None under a catalogue that does not run it."""
        found = {}
        for rule in {*old.by_id, *new.by_id}:
            row = self.answers.get(rule, np.zeros(8, dtype=np.int64)).tolist()
            was = Counts(*row[:3]) if rule in old.by_id else None
            now = Counts(*row[3:6]) if rule in new.by_id else None
            found[rule] = was, now, row[6], row[7]
        return found

    def changes(self) -> dict[Change, int]:
        return {name: sum(group.parcels for key, group in self.groups.items() if key[0] == name) for name in CHANGES}

    def causes(self) -> Iterator[Cause]:
        """In the order of CHANGES, the most frequent first."""
        order = sorted(self.groups.items(), key=lambda one: (CHANGES.index(one[0][0]), -one[1].parcels, one[0][1]))
        for (change, shifts), group in order:
            yield Cause(change, shifts, group.parcels, tuple(parcel for _, parcel in group.examples))


class CompareSteps(Steps):
    """With a comparison at the end. The first catalogue is the old one, the second the new one."""

    def compare(
        self, uploads: Cut, movements: Cut, facts: Cut, emit_from: int, examples_max: int, every: bool
    ) -> tuple[int, tuple[Tally, bytes]]:
        """Parcels, what was counted, and, if `every`, each parcel that differs as lines of JSON, by bucket, parcel."""
        touched = self.fold(uploads, movements, facts)
        end = ended(touched)
        pair = _Pair(touched, *(_Judged(agent.catalogue, agent.judge(touched, end)) for agent in self.agents))
        change = pair.changes(emit_from)
        differing = np.flatnonzero(change != _SAME)
        groups = pair.groups(differing, change, examples_max)
        lines = b""
        if every:
            parcels = [pair.parcel(row, CHANGES[change[row]]) for row in pair.ordered(differing)]
            lines = b"".join(msgspec.json.encode(parcel) + b"\n" for parcel in parcels)
        return len(touched.parcels), (Tally(pair.tiers(), pair.answers(), groups), lines)


@dataclass(frozen=True, slots=True)
class _Judged:
    catalogue: Catalogue
    verdicts: Verdicts

    def yes(self, rule: str) -> Mask:
        return self._answer(rule).fill_null(False).to_numpy()

    def unknown(self, rule: str) -> Mask:
        return self._answer(rule).is_null().to_numpy()

    def points(self, rules: list[str], rows: Ints) -> NDArray[np.int16]:
        """What each of `rules` earns each of `rows`."""
        earned = dict(zip(self.catalogue.by_id, self.catalogue.points.tolist(), strict=True))
        out = np.zeros((len(rows), len(rules)), dtype=np.int16)
        for column, rule in enumerate(rules):
            if earned.get(rule):
                out[:, column] = self.yes(rule)[rows] * earned[rule]
        return out

    def verdict(self, row: int) -> Verdict:
        yes = (self.verdicts.said[row : row + 1] == YES) & self.catalogue.live
        (why,) = reasons(self.verdicts, np.array([row]), yes, self.catalogue.points[None])
        return Verdict(TIERS[self.verdicts.tier[row]], int(self.verdicts.score[row]), read(why))

    def _answer(self, rule: str) -> pl.Series:
        return self.verdicts.answers[rule]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both verdicts on the same parcels, row by row."""

    touched: Dossiers
    old: _Judged
    new: _Judged

    def changes(self, emit_from: int) -> NDArray[np.uint8]:
        """What each parcel's change is, as a position in CHANGES; _SAME if there is none."""
        before, after = self.old.verdicts.tier, self.new.verdicts.tier
        was, now = before >= emit_from, after >= emit_from
        same = np.full(len(before), _SAME, dtype=np.uint8)
        same[was & now & self._rescored()] = _RESCORED
        same[was & now & (after > before)] = _RAISED
        same[was & now & (after < before)] = _LOWERED
        same[was & ~now] = _LOST
        same[now & ~was] = _GAINED
        return same

    def tiers(self) -> Ints:
        out = np.zeros((len(TIERS), len(TIERS)), dtype=np.int64)
        np.add.at(out, (self.old.verdicts.tier, self.new.verdicts.tier), 1)
        return out

    def answers(self) -> dict[str, Ints]:
        """As Tally has them."""
        found = {}
        for rule in self._rules():
            yes, counts = [], []
            for side in (self.old, self.new):
                there = rule in side.catalogue.by_id
                yes.append(side.yes(rule) if there else np.zeros(len(side.verdicts.rows), dtype=np.bool_))
                unknown = int(side.unknown(rule).sum()) if there else 0
                counts += [int(yes[-1].sum()), len(yes[-1]) - int(yes[-1].sum()) - unknown, unknown]
            found[rule] = np.array([*counts, (yes[1] & ~yes[0]).sum(), (yes[0] & ~yes[1]).sum()], dtype=np.int64)
        return found

    def groups(self, rows: Ints, change: NDArray[np.uint8], examples_max: int) -> dict[Key, Group]:
        """The parcels of `rows` by what makes them differ."""
        if len(rows) == 0:
            return {}
        rules = self._rules()
        before, after = self.old.points(rules, rows), self.new.points(rules, rows)
        differ = before != after
        told = np.concatenate([change[rows, None].astype(np.int16), before * differ, after * differ], axis=1)
        causes, of_rows, counts = np.unique(told, axis=0, return_inverse=True, return_counts=True)
        by = np.split(rows[np.argsort(of_rows.reshape(-1), kind="stable")], np.cumsum(counts)[:-1])
        out = {}
        for cause, members in zip(causes.tolist(), by, strict=True):
            name, old, new = CHANGES[cause[0]], cause[1 : 1 + len(rules)], cause[1 + len(rules) :]
            shifts = tuple(Shift(*shift) for shift in zip(rules, old, new, strict=True) if shift[1] != shift[2])
            chosen = heapq.nsmallest(examples_max, ((self._hash(row), row) for row in members.tolist()))
            out[name, shifts] = Group(len(members), [(order, self.parcel(row, name)) for order, row in chosen])
        return out

    def ordered(self, rows: Ints) -> list[int]:
        """These rows by bucket and parcel, an order that no span of buckets and no batch has a part in."""
        parcels = np.array(self.touched.parcels, dtype=layout.PARCEL)[self.old.verdicts.rows[rows]]
        order: list[int] = rows[np.lexsort((parcels, parcel_buckets(parcels)))].tolist()
        return order

    def parcel(self, row: int, change: Change) -> Parcel:
        _, carrier, number, *_ = untail(self._tail(row))
        return Parcel(f"{carrier}:{number}", change, self.old.verdict(row), self.new.verdict(row))

    def _rules(self) -> list[str]:
        return sorted({*self.old.catalogue.by_id, *self.new.catalogue.by_id})

    def _rescored(self) -> Mask:
        """Another score, or other reasons."""
        different: Mask = self.old.verdicts.score != self.new.verdicts.score
        every = np.arange(len(different))
        rules = self._rules()
        different |= (self.old.points(rules, every) != self.new.points(rules, every)).any(axis=1)
        return different

    def _hash(self, row: int) -> int:
        _, carrier, number, *_ = untail(self._tail(row))
        return xxhash.xxh3_64_intdigest(f"{carrier}:{number}".encode())

    def _tail(self, row: int) -> bytes:
        return self.touched.tails[int(self.old.verdicts.rows[row])]


def named_tiers(tiers: Ints) -> Mapping[str, Mapping[str, int]]:
    """Parcels by old tier and, within it, by new tier."""
    rows: list[list[Any]] = tiers.tolist()
    return {old: dict(zip(TIERS, row, strict=True)) for old, row in zip(TIERS, rows, strict=True)}
