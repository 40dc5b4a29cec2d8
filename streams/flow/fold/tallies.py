"""Tallies: what all parcels of an outlet and day count for, by partition, as absolute counts.

A count stands on two parts. Parcels that are kept have in their dossiers what they last counted for (`tallied`). The
sum of these is held in memory, and found again when a partition is opened, as timers are. Parcels that were forgotten
are in a *base*: a record of the store by outlet and day, written when they are forgotten, together with their deletion.
So an event costs no record of its own, and a count is exact whatever is read again.

A tally that has changed is published from time to time. Which have is held in memory, so a worker that takes a
partition over publishes all that have parcels, once. Where a correction takes a parcel elsewhere, its old tally may
have none left: that it is *owed* is kept until it is published.

Days end: bases are deleted when no parcel of theirs is kept any more, and from then on nothing counts for their days.
Nor does a parcel that may have been known, counted and forgotten.

**Keys and partitions.** A base belongs to the partition in which it is, not to what its key says. Readers add up
partitions, so bases stay where they are when a topic gets more partitions, and dossiers that move take their own part
along. What they leave behind is owed (`owe`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.desk import DutyCount, Tally
from schemas.records import encode
from streams.flow.batches import untail
from streams.flow.describe.text import code
from streams.flow.fold.counts import Counts, Place, add_bits
from streams.flow.fold.dossiers import Dossiers, stored
from streams.flow.fold.duties import ALERTED, BITS, COUNTED, DUTIES, KINDS, MARKS, Bits
from streams.flow.layout import DAY_MS, HOUR_MS, PARTLY_KNOWN
from streams.flow.partitions import present
from streams.state.format import FORMAT
from streams.state.store import END, Store

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.void]
Kept = Sequence[tuple[bytes, bytes]]

ROWS_MAX: Final = 2_000
"""Tallies that are published in one step: some ten milliseconds."""
BEHIND: Final = END + b"\xff" * 5
"""All parcels come before it, and what `ExpiryIndex` keeps."""
BASE: Final = BEHIND + b"\x01"
"""Keys of bases begin so."""
OWED: Final = BEHIND + b"\x02"
"""Keys of what is owed begin so."""
MARK: Final = b"\x00tallies"
"""The day up to which tallies of a partition are closed."""
_CHINA_MS: Final = 8 * HOUR_MS
_EPOCH: Final = date(1970, 1, 1)
_HEAD: Final = bytes([FORMAT])
_TEXT: Final = 1 + 4 * len(COUNTED)  # where the outlet's id begins in a base
_SCAN_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Published:
    """One message."""

    partition: int
    key: bytes
    value: bytes


class Tallies:
    """The tallies of the partitions in hand. One thread at a time."""

    def __init__(self, store: Store, *, every_ms: int, library: Any | None = None) -> None:
        """every_ms: a tally that has changed is published so often at most. library: the native one, or None."""
        self.begun: Callable[[Sequence[int], Sequence[bytes], Ints], None] = lambda partitions, keys, ends: None
        """Is told of new bases: partitions, keys, and when their days end, epoch ms."""
        self._store = store
        self._every_ms = every_ms
        self._library = library
        self.close()

    def close(self) -> None:
        """Partitions are gone, or opened anew."""
        self._counts = Counts(self._library)
        self._closed: dict[int, int] = {}
        self._owed: set[int] = set()
        self._due_at = 0
        self._queue: list[int] = []
        self._out: list[Published] = []

    # What parcels count for

    def count(
        self, dossiers: Dossiers, rows: Ints, bits: Bits, picked_up_at: Ints, outlets: NDArray[np.uint64]
    ) -> None:
        """Have the dossiers of these rows count for these bits, and no more for what they did before."""
        heads, numbers = dossiers.heads, dossiers.numbers[rows]
        days = (picked_up_at + _CHINA_MS) // DAY_MS
        before, day, outlet = (heads[name][rows] for name in ("tallied", "tallied_day", "tallied_outlet"))
        moved = (days != day) | (outlets != outlet)
        news = np.flatnonzero((bits != before) | (moved & (before != 0)))
        news = news[~self._settled(dossiers, rows[news], days[news])]
        if len(news) == 0:
            return
        rows, numbers, bits, before, moved = rows[news], numbers[news], bits[news], before[news], moved[news]
        days, outlets = days[news], outlets[news]
        gained, lost = np.where(moved, bits, bits & ~before), np.where(moved, before, before & ~bits)
        counts = self._counts
        here = counts.find(numbers, outlets, days, lambda i: dossiers.tails[rows[i]])
        counts.add(here, gained, 1)
        there, left = here, np.flatnonzero(moved & (lost != 0))
        if len(left):
            there = here.copy()
            there[left] = counts.find(numbers[left], outlet[news][left], day[news][left], _nobody)
            self._owe(np.unique(there[left]).tolist())
        counts.add(there, lost, -1)
        heads["tallied"][rows], heads["tallied_day"][rows], heads["tallied_outlet"][rows] = bits, days, outlets
        dossiers.changed[rows] = True

    def _settled(self, dossiers: Dossiers, rows: Ints, days: Ints) -> Mask:
        """Which of these stay as they are, whatever comes: their day is closed, or they may have counted before."""
        heads, numbers = dossiers.heads, dossiers.numbers[rows]
        closed = np.zeros(int(numbers.max(initial=0)) + 1, dtype=np.int64)
        for number in present(numbers):
            closed[number] = self.closed(number)
        until = closed[numbers]
        past = (heads["tallied"][rows] != 0) & (heads["tallied_day"][rows] <= until)
        settled: Mask = past | (days <= until) | (heads["decided_at"][rows] == PARTLY_KNOWN)
        return settled

    def restored(self, partition: int, pieces: Iterable[Kept]) -> Iterator[Kept]:
        """Take in what is kept of the parcels of a partition, on its way to others."""
        if self._store.get([partition], [MARK]) == [None]:
            self._recall(partition, BASE, _TEXT)
            self._close(partition, 0)
        self._owed.update(self._recall(partition, OWED, 1))
        for piece in pieces:
            kept = stored(partition, piece)
            some = np.flatnonzero(kept.heads["tallied"])
            heads = kept.heads.take(some)
            at = self._find(partition, heads, some, kept.tails)
            self._counts.add(at, heads["tallied"], 1)
            yield piece

    def _owe(self, rows: Iterable[int]) -> None:
        """Keep that these are to be published, whether or not a parcel counts for them."""
        for row in {*rows} - self._owed:
            place = self._counts.place(row)
            self._store.put([place.partition], [_key(OWED, place)], [_HEAD + place.outlet_id.encode()])
            self._owed.add(row)

    def _recall(self, partition: int, kind: bytes, text: int) -> list[int]:
        """Have every tally published of which a partition has a record of a kind. text: where its outlet is named."""
        rows, after = [], kind
        while found := self._store.scan(partition, after, _SCAN_ROWS, before=kind + b"\xff" * 13):
            for key, value in found:
                outlet, day = (int.from_bytes(part, "big") for part in (key[len(kind) : -4], key[-4:]))
                rows.append(self._counts.begin(Place(partition, outlet, day, value[text:].decode())))
            after = found[-1][0]
        self._counts.changed[rows] = True
        return rows

    def _find(self, partition: int, heads: Rows, at: Ints, tails: Sequence[bytes]) -> Ints:
        """The rows for which these dossiers count; at: where their tails are."""
        numbers = np.full(len(heads), partition, dtype=np.int64)
        return self._counts.find(numbers, heads["tallied_outlet"], heads["tallied_day"], lambda i: tails[at[i]])

    # What is forgotten

    def forget(self, partition: int, heads: Rows, tails: Sequence[bytes]) -> None:
        """Parcels are about to be deleted: what they count for goes over to bases.

        A tally that is still to be published is published now, see `take`: nobody would know later that it is.
        """
        some = np.flatnonzero(heads["tallied"])
        if len(some) == 0:
            return
        heads, counts = heads.take(some), self._counts
        found, where = np.unique(self._find(partition, heads, some, tails), return_inverse=True)
        gone = np.zeros((len(found), BITS), dtype=np.int64)
        add_bits(gone, where, heads["tallied"], 1)
        rows = found.tolist()
        bases, begun = self._bases(rows)
        self._put(rows, bases + gone, begun)
        counts.numbers[found] -= gone.astype(np.int32)
        self._out += self._messages([row for row in rows if counts.changed[row]])
        counts.tidy(rows)

    def close_days(self, partition: int, bases: Sequence[bytes], until: int) -> None:
        """Delete bases. Days that ended by `until`, epoch ms, are closed: nothing counts for them any more."""
        self._store.delete([partition] * len(bases), bases)
        day = (until + _CHINA_MS) // DAY_MS - 1
        if bases and day > self.closed(partition):
            self._close(partition, day)

    def closed(self, partition: int) -> int:
        """The day, from 1970, up to which tallies of a partition are closed; 0: none is."""
        if partition not in self._closed:
            (mark,) = self._store.get([partition], [MARK])
            self._closed[partition] = int.from_bytes(mark[1:], "little") if mark else 0
        return self._closed[partition]

    def _close(self, partition: int, day: int) -> None:
        self._closed[partition] = day
        self._store.put([partition], [MARK], [_HEAD + day.to_bytes(4, "little")])

    # What is published

    @property
    def more(self) -> bool:
        """There is more to publish at once."""
        return bool(self._queue)

    def publish(self, now_ms: int) -> list[Published]:
        """Some of the tallies that have changed, if it is time; to be called again while there are `more`."""
        if not self._queue and not self._due_at - self._every_ms <= now_ms < self._due_at:
            self._queue = np.flatnonzero(self._counts.changed).tolist()
            self._due_at = now_ms + self._every_ms if self._queue else 0
        some, self._queue = self._queue[:ROWS_MAX], self._queue[ROWS_MAX:]
        rows = [row for row in some if self._counts.changed[row]]
        self._out += self._messages(rows)
        self._counts.tidy(rows)
        return self.take()

    def flush(self) -> list[Published]:
        """All that have changed, at once."""
        self._queue = []
        rows = np.flatnonzero(self._counts.changed).tolist()
        self._out += self._messages(rows)
        self._counts.tidy(rows)
        return self.take()

    def take(self) -> list[Published]:
        """What had to be published at once, for the same epoch."""
        out, self._out = self._out, []
        return out

    def _messages(self, rows: list[int]) -> list[Published]:
        """Messages of these rows, of which nothing is to be said from then on. Each has a base at the latest now."""
        bases, begun = self._bases(rows)
        totals = bases + self._counts.numbers[rows]
        new = np.flatnonzero(begun & totals.any(axis=1)).tolist()
        self._put([rows[i] for i in new], bases[new], begun[new])
        self._counts.changed[rows] = False
        places = [self._counts.place(row) for row in rows]
        paid = [place for row, place in zip(rows, places, strict=True) if row in self._owed]
        self._store.delete([place.partition for place in paid], [_key(OWED, place) for place in paid])
        self._owed.difference_update(rows)
        return [
            _published(place, total)
            for place, total, first in zip(places, totals.tolist(), begun.tolist(), strict=True)
            if place.day > self.closed(place.partition) and (any(total) or not first)
        ]

    def _bases(self, rows: list[int]) -> tuple[Ints, Mask]:
        """The bases of these rows, 0 where there is none; and where there is none."""
        places = [self._counts.place(row) for row in rows]
        keys = [_key(BASE, place) for place in places]
        values = self._store.get([place.partition for place in places], keys, keep=False)
        out = np.zeros((len(rows), BITS), dtype=np.int64)
        for i, value in enumerate(values):
            if value is not None:
                out[i, : len(COUNTED)] = np.frombuffer(value, dtype="<u4", count=len(COUNTED), offset=1)
        return out, np.array([value is None for value in values], dtype=np.bool_)

    def _put(self, rows: list[int], numbers: Ints, begun: Mask) -> None:
        places = [self._counts.place(row) for row in rows]
        partitions, keys = [place.partition for place in places], [_key(BASE, place) for place in places]
        raw = numbers[:, : len(COUNTED)].astype("<u4")
        values = [_HEAD + part.tobytes() + place.outlet_id.encode() for part, place in zip(raw, places, strict=True)]
        self._store.put(partitions, keys, values)
        new = np.flatnonzero(begun).tolist()
        ends = np.array([(places[i].day + 1) * DAY_MS - _CHINA_MS for i in new], dtype=np.int64)
        self.begun([partitions[i] for i in new], [keys[i] for i in new], ends)


def owe(store: Store, partition: int, heads: Rows, tails: Sequence[bytes]) -> None:
    """Keep that a partition is to publish the tallies for which these dossiers count: they leave it."""
    counted = np.flatnonzero(heads["tallied"]).tolist()
    places = {
        Place(partition, int(heads["tallied_outlet"][i]), int(heads["tallied_day"][i]), code(untail(tails[i])[3]))
        for i in counted
    }
    found = sorted((_key(OWED, place), _HEAD + place.outlet_id.encode()) for place in places)
    store.put([partition] * len(found), [key for key, _ in found], [value for _, value in found])


def _nobody(i: int) -> bytes:
    raise AssertionError("a place for which a dossier counts has a row")


def _key(kind: bytes, place: Place) -> bytes:
    return kind + place.outlet.to_bytes(8, "big") + place.day.to_bytes(4, "big")


def _published(place: Place, total: Sequence[int]) -> Published:
    found = dict(zip(COUNTED, total, strict=False))
    marks: dict[str, Any] = {name: found[name] for name in MARKS}
    tally = Tally(
        outlet_id=place.outlet_id,
        day=(_EPOCH + timedelta(days=place.day)).isoformat(),
        partition=place.partition,
        parcels={kind: n for kind in KINDS if (n := found[f"parcels.{kind}"])},
        duties={
            duty: DutyCount(due=due, done=found[f"{duty}.done"]) for duty in DUTIES if (due := found[f"{duty}.due"])
        },
        alerts={tier: n for tier in ALERTED if (n := found[f"alerts.{tier}"])},
        **marks,
    )
    return Published(place.partition, tally.key.encode(), encode(tally))
