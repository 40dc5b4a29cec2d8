"""Sweeps: judge stored dossiers again, a slice at a time, when reference data or rules have changed.

A dossier is judged when its events change. A change of reference data or rules brings no event, so a sweep goes through
all stored dossiers, slice by slice between other steps, and judges those that the change affects; after a change of
rules, all of them. The position of a sweep is stored with the dossiers of its partition, so a worker that takes over
the partition continues there. The verdict is the same whether the reference record or the shipment came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.records import Reject
from streams.flow.judge import joins
from streams.flow.judged import Judged
from streams.flow.pipeline import Parcels
from streams.state.format import FORMAT
from streams.state.store import FIRST

ROWS_MAX = 5_000
MARK = b"\x00reference"  # sorts before all parcels, since none begins with a control character
_OF_FILES = bytes(8)
_REJECTS_IN = 0  # rejects of reference records are published with this partition, once


@dataclass(slots=True)
class _Run:
    """A sweep of one partition: dossiers that reference records after `since` touch, judged by those up to `until`.

    rules: fingerprint of the catalogue. all: sweep all dossiers.
    """

    since: int
    until: int
    rules: bytes
    all: bool
    after: bytes = FIRST


@dataclass(frozen=True, slots=True)
class Swept:
    """One slice of a sweep. `done`: it was the last one of its partition."""

    partition: int
    rows: int
    judged: Judged
    done: bool


class Sweeper:
    """Sweeps the partitions that it is given. For the thread that steps."""

    def __init__(self, parcels: Parcels, *, rows_max: int = ROWS_MAX, rules: bool = True) -> None:
        """rules: sweep also when the rules have changed."""
        self.rejects: Sequence[Reject] = ()  # of reference records, in the order of their offsets
        self._parcels = parcels
        self._rows_max = rows_max
        self._waiting: dict[int, _Run | None] = {}
        self._rules = rules

    def begin(self, partitions: Iterable[int]) -> None:
        """Sweep these partitions and no others. A sweep that is under way continues, and another may follow it."""
        self._waiting = {partition: self._waiting.get(partition) for partition in partitions}

    def clear(self) -> None:
        """The partitions are gone."""
        self._waiting = {}

    def step(self, now_ms: int) -> Swept | None:
        """Judge the next slice; None: there is nothing left to sweep."""
        while self._waiting:
            partition = next(iter(self._waiting))
            run = self._waiting[partition] = self._waiting[partition] or self._run(partition)
            if run is not None:
                return self._slice(partition, run, now_ms)
            del self._waiting[partition]
        return None

    def _run(self, partition: int) -> _Run | None:
        """A new sweep, if there is anything to do."""
        reference = self._parcels.reference
        (mark,) = self._parcels.store.get([partition], [MARK])
        since = int.from_bytes(mark[1:9], "little") if mark else 0
        rules = self._fingerprint()
        other = self._rules and rules != ((mark or b"")[9:] or _OF_FILES)
        read = self._parcels.tallies is not None or joins(self._parcels.catalogue)
        changed = other or (reference.changed > since and read)
        rejected = partition == _REJECTS_IN and any(reject.offset >= since for reject in self.rejects)
        return _Run(since, reference.end, rules, other) if changed or rejected else None

    def _fingerprint(self) -> bytes:
        """Fingerprint of the rules in force. Rules of files change only with a restart, and start no sweep."""
        parcels = self._parcels
        return bytes.fromhex(parcels.catalogue.fingerprint) if parcels.rule_set else _OF_FILES

    def _slice(self, partition: int, run: _Run, now_ms: int) -> Swept:
        store = self._parcels.store
        kept = store.scan(partition, run.after, self._rows_max)
        judged = self._parcels.rejudge(partition, kept, now_ms, since=None if run.all else run.since)
        done = len(kept) < self._rows_max
        if done:
            mark = bytes([FORMAT]) + run.until.to_bytes(8, "little") + run.rules
            store.put([partition], [MARK], [mark])
            if partition == _REJECTS_IN:
                judged.rejects += [each for each in self.rejects if run.since <= each.offset < run.until]
            self._waiting[partition] = None
        else:
            run.after = kept[-1][0]
        return Swept(partition, len(kept), judged, done)
