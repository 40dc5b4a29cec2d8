"""The next deadline of each parcel that has one, and which comes first. Python's is the reference of the native one."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from streams.flow.fold.journey import NEVER

Ints = NDArray[np.int64]
Waiting = list[tuple[int, bytes]]
"""Deadline, epoch ms, and parcel. What is held is only for `release`: the native one is no list."""
_SLACK: Final = 4
_SLACK_ROWS: Final = 10_000
"""How much longer a queue may be than its parcels."""


class Deadlines:
    """Those of one partition."""

    def __init__(self) -> None:
        self._at: dict[bytes, int] = {}
        # An entry stays when its deadline moves or goes; it is skipped when it comes up.
        self._queue: Waiting = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, parcels: Sequence[bytes], due_at: bytes, passed: int, late: Collection[bytes] = ()) -> Waiting:
        """Note the next deadline of each parcel, packed; `NEVER`: it has none.

        Returns those that must not fire yet, which `release` does later: new deadlines up to `passed`, and those of
        parcels that are `late`.
        """
        held: Waiting = []
        for parcel, at in zip(parcels, np.frombuffer(due_at, dtype=np.int64).tolist(), strict=True):
            if at == NEVER:
                self._at.pop(parcel, None)
            elif self._at.get(parcel) != at:
                self._at[parcel] = at
                if at <= passed or parcel in late:
                    held.append((at, parcel))
                else:
                    heapq.heappush(self._queue, (at, parcel))
        if len(self._queue) > _SLACK * len(self._at) + _SLACK_ROWS:
            self._queue = [(at, parcel) for at, parcel in set(self._queue) if self._at.get(parcel) == at]
            heapq.heapify(self._queue)
        return held

    def hold(self, passed: int) -> Waiting:
        """Take out the deadlines up to `passed`, which must not fire yet; their parcels still have them."""
        held: Waiting = []
        while self._queue and self._queue[0][0] <= passed:
            held.append(heapq.heappop(self._queue))
        return held

    def release(self, held: Waiting) -> None:
        """Let these fire, where they are still the deadlines of their parcels."""
        for at, parcel in held:
            if self._at.get(parcel) == at:
                heapq.heappush(self._queue, (at, parcel))

    def behind(self, event_time: int) -> bool:
        """Whether one of them may have passed."""
        return bool(self._queue) and self._queue[0][0] < event_time

    def due(self, event_time: int, most: int) -> list[bytes]:
        """Take out the parcels whose deadlines have passed, earliest first, `most` at most."""
        out: list[bytes] = []
        while self.behind(event_time) and len(out) < most:
            at, parcel = heapq.heappop(self._queue)
            if self._at.get(parcel) == at:
                del self._at[parcel]
                out.append(parcel)
        return out

    def waits(self, parcels: Sequence[bytes]) -> list[bool]:
        """Which of these parcels have one."""
        return [parcel in self._at for parcel in parcels]


def deadlines(library: Any | None) -> Deadlines:
    """None yet. library: the native one, or None."""
    return Deadlines() if library is None else cast(Deadlines, library.Deadlines())
