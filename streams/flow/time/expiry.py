"""Expiry of state: by event time, as `Watermarks` have it, and never while it may still count.

A parcel expires some days after its newest event, later if it is under way or has an alert. An observation expires when
no window reaches it any more. Expired keys are deleted from the state and, in the same transaction, from the changelog.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.records import Scan
from streams.flow import layout
from streams.flow.fold.dossiers import Dossiers, stored
from streams.flow.fold.tallies import BASE, Tallies
from streams.flow.layout import DAY_MS, MOVEMENT, SPAN_MS
from streams.flow.partitions import present
from streams.flow.time.expiry_index import ExpiryIndex
from streams.flow.time.timers import AHEAD_MS_MAX, TimerService
from streams.flow.time.watermarks import Watermarks
from streams.settings import Settings
from streams.state.format import FORMAT
from streams.state.store import Store

Ints = NDArray[np.int64]

ROWS_MAX: Final = 5_000
"""About so many keys are looked at in one step."""
TALLIES_OPEN_MS: Final = 30 * DAY_MS
"""How long after the parcels of a day have expired a late upload still counts for that day."""
_LAST = [layout.SCAN_TYPES.index(name) for name in ("delivered", "returned")]
MARK = b"\x00forgotten"  # the key under which a partition keeps the time up to which parcels expired


@dataclass(frozen=True, slots=True)
class Retention:
    """How long state is kept, ms of event time."""

    parcels: int
    under_way: int
    alerted: int
    observations: int

    @property
    def tallies(self) -> int:
        """How long after its day a tally stays open: longer than any parcel is kept."""
        return max(self.parcels, self.under_way, self.alerted) + TALLIES_OPEN_MS

    @staticmethod
    def of(settings: Settings) -> Retention:
        days = (
            settings.kept_parcels_d,
            settings.kept_under_way_d,
            settings.kept_alerted_d,
            settings.kept_observations_d,
        )
        return Retention(*(each * DAY_MS for each in days))


class Expiry:
    """Expires parcels and observations. For the thread that steps."""

    def __init__(
        self,
        parcels: Store,
        histories: Store,
        retention: Retention,
        timers: TimerService,
        tallies: Tallies | None = None,
        library: Any | None = None,
    ) -> None:
        """library: the native one, or None."""
        self.watermarks = Watermarks()
        self._parcels, self._histories = parcels, histories
        self._retention = retention
        self._timers = timers
        self._tallies = tallies
        if tallies is not None:
            tallies.begun = self.tallied
        self._parcel_index = ExpiryIndex(parcels, library=library)
        self._bucket_index = ExpiryIndex(histories, DAY_MS, library)
        self._expired: dict[int, int] = {}
        self._now_ms = 0

    def read(self, topic: str, partitions: Ints, at: Ints, now_ms: int) -> None:
        """Events of a topic have come. now_ms: the wall clock; event times later than that are not believed."""
        self._now_ms = now_ms + AHEAD_MS_MAX
        self.watermarks.hear(topic, partitions, at)

    # New state

    def begin(self, touched: Dossiers) -> None:
        """Note dossiers that are new.

        A dossier whose first events are old may be one that expired before. It is marked as partly known: no absence is
        decided for it.
        """
        rows = np.flatnonzero(touched.fresh & touched.changed)
        if len(rows) == 0:
            return
        newest = _newest(touched, rows, np.iinfo(np.int64).max)
        numbers = touched.numbers[rows]
        for number in present(numbers):
            until = self.expired_until(number)
            if until:
                late = rows[(numbers == number) & (newest < until - self._retention.parcels)]
                touched.heads["decided_at"][late] = layout.PARTLY_KNOWN
        due = np.maximum(self.watermarks.newest, np.minimum(newest, self._now_ms)) + self._retention.parcels
        self._parcel_index.note(numbers.tolist(), [touched.parcels[row] for row in rows.tolist()], due)

    def observed(self, partitions: Sequence[int], keys: Sequence[bytes], kinds: Ints, ends: Ints) -> None:
        """Note buckets of observations that are new. ends: where their time spans end, epoch ms."""
        newest, span = self.watermarks.newest, SPAN_MS[kinds]
        ends = np.minimum(ends, max(self._now_ms, newest) + span) if newest or self._now_ms else ends
        self._bucket_index.note(
            partitions, keys, np.maximum(ends, newest) + np.maximum(span, self._retention.observations)
        )

    def tallied(self, partitions: Sequence[int], keys: Sequence[bytes], ends: Ints) -> None:
        """Note bases of tallies that are new. ends: where their days end, epoch ms."""
        newest = self.watermarks.newest
        ends = np.minimum(ends, max(self._now_ms, newest) + DAY_MS) if newest or self._now_ms else ends
        self._parcel_index.note(partitions, keys, ends + self._retention.tallies)

    # Expired state

    def expire_parcels(self, partitions: Iterable[int], until: int) -> int:
        """Look at some parcels of one partition that may expire; how many were looked at, 0: there are no more.

        until: event time that has passed everywhere, see `Watermarks.low`; 0: not known.
        """
        for partition in partitions if until else ():
            if keys := self._parcel_index.take(partition, until, ROWS_MAX):
                bases = [key for key in keys if key.startswith(BASE)]
                if self._tallies is not None:
                    self._tallies.close_days(partition, bases, until - self._retention.tallies)
                self._expire(partition, [key for key in keys if not key.startswith(BASE)], until)
                return len(keys)
        return 0

    def expire_observations(self, partitions: Iterable[int], until: int) -> int:
        """The same for buckets of observations."""
        for partition in partitions if until else ():
            if keys := self._bucket_index.take(partition, until, ROWS_MAX):
                self._histories.delete([partition] * len(keys), keys)
                return len(keys)
        return 0

    def _expire(self, partition: int, keys: list[bytes], until: int) -> None:
        values = self._parcels.get([partition] * len(keys), keys, keep=False)
        found = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        if not found:
            return
        dossiers = stored(partition, found.items())
        keys = dossiers.parcels
        heads = dossiers.heads
        alerted = (heads["emitted"] != 0) | (heads["shadowed"] == layout.HELD)
        long = np.where(under_way(heads, dossiers.movements), self._retention.under_way, self._retention.parcels)
        long = np.where(alerted, np.maximum(long, self._retention.alerted), long)
        # An event that is dated later than the watermark is not believed.
        due = _newest(dossiers, np.arange(len(keys)), self.watermarks.newest) + long
        waits = self._timers.waits(partition, keys)
        due = np.where(waits, np.maximum(due, until + DAY_MS), due)
        gone = np.flatnonzero(due <= until).tolist()
        stay = np.flatnonzero(due > until)
        if self._tallies is not None:
            self._tallies.forget(partition, heads[gone], [dossiers.tails[row] for row in gone])
        self._parcels.delete([partition] * len(gone), [keys[row] for row in gone])
        self._parcel_index.note([partition] * len(stay), [keys[row] for row in stay.tolist()], due[stay])
        if gone and until > self.expired_until(partition):
            self._expired[partition] = until
            mark = bytes([FORMAT]) + until.to_bytes(8, "little")
            self._parcels.put([partition], [MARK], [mark])

    def expired_until(self, partition: int) -> int:
        """Event time up to which parcels of a partition have expired, epoch ms; 0: none has."""
        if partition not in self._expired:
            (mark,) = self._parcels.get([partition], [MARK])
            self._expired[partition] = int.from_bytes(mark[1:], "little") if mark else 0
        return self._expired[partition]

    def close(self) -> None:
        """Partitions are gone, or opened anew."""
        self.watermarks.close()
        self._parcel_index.close()
        self._bucket_index.close()
        self._expired.clear()


def _newest(dossiers: Dossiers, rows: Ints, most: int) -> Ints:
    """Time of the newest event of each of these dossiers that is at most `most`, epoch ms; 0: there is none."""
    movements = [dossiers.movements[row] for row in rows.tolist()]
    at = np.frombuffer(b"".join(movements), dtype=MOVEMENT)["at"]
    picked_up_at = dossiers.heads["picked_up_at"][rows]
    newest = np.where(picked_up_at <= most, picked_up_at, 0)
    of = np.repeat(np.arange(len(rows)), [len(each) // MOVEMENT.itemsize for each in movements])
    believed = at <= most
    np.maximum.at(newest, of[believed], at[believed])
    return newest


def under_way(heads: NDArray[np.void], movements: Sequence[bytes]) -> NDArray[np.bool_]:
    """Which parcels have been scanned, and not yet at their end."""
    rows = np.frombuffer(b"".join(movements), dtype=MOVEMENT)
    of = np.repeat(np.arange(len(heads)), heads["movements"])
    scanned = np.bincount(of[layout.kinds_of(Scan, rows["kind"])], minlength=len(heads)) > 0
    ended = np.bincount(of[np.isin(rows["kind"], _LAST)], minlength=len(heads)) > 0
    return np.asarray(scanned & ~ended)
