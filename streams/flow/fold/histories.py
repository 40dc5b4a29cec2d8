"""Histories: observations by entity, and the facts that they answer about each parcel.

A history is the set of its observations: repeated, late or reordered observations give the same set. The facts about an
observation depend only on the observations at or before its time, so they are the same, too.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schemas.measures import MEASURES, Measure
from streams.flow import layout
from streams.flow.fold import windows
from streams.flow.fold.figures import Observed
from streams.flow.layout import FACT, FACT_COLUMNS, OBSERVED, SPAN_MS
from streams.state.format import FORMAT
from streams.state.store import Store

Rows = NDArray[np.void]
Ints = NDArray[np.int64]

KEY = np.dtype([("kind", "u1"), ("entity", ">u8"), ("bucket", ">u4")])
KEY_BYTES = KEY.itemsize
_FIELDS = list(OBSERVED.names or ())


class Facts:
    """Facts to send, with the partition of the parcel that each is about."""

    def __init__(self, rows: Rows, partitions: NDArray[np.uint16]) -> None:
        self.rows = rows
        self.partitions = partitions


Begun = Callable[[list[int], list[bytes], Ints, Ints], None]
"""Called with new buckets: partition, key, kind, and end of the time span of each, epoch ms."""


def fold(
    store: Store, observations: Rows, partitions: Ints, *, bucket_rows_max: int, begun: Begun | None = None
) -> Facts:
    """Merge observations into their histories and answer for every parcel whose facts may have changed.

    observations: OBSERVATION rows. partitions: the partition of the history of each row.
    """
    if len(observations) == 0:
        return Facts(np.empty(0, dtype=FACT), np.empty(0, dtype=np.uint16))
    history, bucket = _buckets(observations, partitions)
    values = store.get(bucket.partitions, bucket.keys)
    kept = np.frombuffer(b"".join([value[1:] for value in values if value]), dtype=OBSERVED)
    lengths = [(len(value) - 1) // OBSERVED.itemsize if value else 0 for value in values]
    old_bucket = np.repeat(np.arange(len(values)), lengths)

    rows = layout.joined([kept, observations[_FIELDS].astype(OBSERVED)], OBSERVED)
    group = np.concatenate([bucket.history[old_bucket], history])
    place = np.concatenate([old_bucket, bucket.of_rows])
    changed = np.zeros(len(rows), dtype=np.bool_)
    changed[len(old_bucket) :] = True

    rows, group, place, changed = _merge(rows, group, place, changed)
    full = _store(store, bucket, rows, place, changed, bucket_rows_max)
    if begun is not None:
        new = [i for i in np.unique(place[changed]).tolist() if values[i] is None]
        begun([bucket.partitions[i] for i in new], [bucket.keys[i] for i in new], bucket.kind[new], bucket.ends[new])
    stays = changed & ~_lost(place, bucket_rows_max)
    was_full = np.array(lengths) >= bucket_rows_max
    reached = bucket.reached(full)
    again = reached & ~bucket.reached(was_full)
    return _answer(rows, group, bucket.kind[place], changed, stays, reached[place], again[place])


def entity_of(key: bytes) -> int:
    """Whose history a bucket is of."""
    return int.from_bytes(key[1:9], "big")


def ends(keys: NDArray[np.void]) -> Ints:
    """When the time of these buckets is over, epoch ms."""
    kind = keys["kind"].astype(np.int64)
    later = keys["bucket"].astype(np.int64) + 1
    return later * SPAN_MS[kind] - layout.phase(kind, keys["entity"].astype(np.uint64))


class _Buckets:
    """The stored values that a batch needs: each row's own bucket and its neighbours."""

    def __init__(self, keys: NDArray[np.void], history: Ints, partitions: Ints, of_rows: Ints) -> None:
        self.keys: list[bytes] = keys.view(f"V{KEY.itemsize}").tolist()
        self.kind = keys["kind"].astype(np.int64)
        self.history = history
        self.partitions: list[int] = partitions.tolist()
        self.of_rows = of_rows
        number = keys["bucket"].astype(np.int64)
        self.ends = ends(keys)
        self._follows = np.zeros(len(keys), dtype=np.bool_)
        self._follows[1:] = (history[1:] == history[:-1]) & (number[1:] == number[:-1] + 1)

    def reached(self, full: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Buckets with windows that may reach rows which a full bucket has lost: the full bucket and the next one."""
        before = np.zeros_like(full)
        before[1:] = full[:-1]
        return full | (before & self._follows)


def _buckets(observations: Rows, partitions: Ints) -> tuple[Ints, _Buckets]:
    kind = observations["kind"].astype(np.int64)
    entity = observations["entity"]
    number = (observations["at"] + layout.phase(kind, entity)) // SPAN_MS[kind]
    by = np.lexsort((number, entity, kind, partitions))  # by partition, as stores like it
    new_history = np.ones(len(by), dtype=np.bool_)
    new_history[1:] = (
        (entity[by][1:] != entity[by][:-1])
        | (kind[by][1:] != kind[by][:-1])
        | (partitions[by][1:] != partitions[by][:-1])
    )
    history = np.empty(len(by), dtype=np.int64)
    history[by] = np.cumsum(new_history) - 1
    first = by[new_history]

    # The bucket of each row, with the buckets before and after it, without repetition.
    wanted = np.concatenate([history * 2**32 + number + step for step in (-1, 0, 1)])
    wanted, position = np.unique(wanted, return_inverse=True)
    of_history = wanted >> 32
    keys = np.empty(len(wanted), dtype=KEY)
    keys["kind"] = kind[first][of_history]
    keys["entity"] = entity[first][of_history]
    keys["bucket"] = wanted & (2**32 - 1)
    own = position[len(by) : 2 * len(by)].astype(np.int64)
    return history, _Buckets(keys, of_history, partitions[first][of_history], own)


def _merge(
    rows: Rows, group: Ints, place: Ints, changed: NDArray[np.bool_]
) -> tuple[Rows, Ints, Ints, NDArray[np.bool_]]:
    """Sort by (history, time, parcel), one row per event. A superseded event stays superseded."""
    by = windows.order(group, rows["at"], rows["parcel"], rows["event"], rows["live"], changed)
    rows, group, place, changed = rows.take(by), group[by], place[by], changed[by]
    same = np.zeros(len(rows), dtype=np.bool_)
    same[1:] = (
        (rows["event"][1:] == rows["event"][:-1])
        & (group[1:] == group[:-1])
        & (rows["at"][1:] == rows["at"][:-1])
        & (rows["parcel"][1:] == rows["parcel"][:-1])
    )
    if not same.any():
        return rows, group, place, changed
    # Of equal events the first row stays: superseded before live, stored before new. A stored one is no change.
    return rows[~same], group[~same], place[~same], changed[~same]


def _store(
    store: Store, bucket: _Buckets, rows: Rows, place: Ints, changed: NDArray[np.bool_], rows_max: int
) -> NDArray[np.bool_]:
    """Store the newest `rows_max` rows of each changed bucket. Returns which buckets are full."""
    sizes = np.bincount(place, minlength=len(bucket.keys))
    full = sizes >= rows_max
    touched = np.zeros(len(sizes), dtype=np.bool_)
    touched[place[changed]] = True
    mine = np.flatnonzero(touched[place])
    mine = mine[np.argsort(place[mine], kind="stable")]
    ends = np.cumsum(np.where(touched, sizes, 0))
    mine = mine[ends[place[mine]] - np.arange(len(mine)) <= rows_max]
    raw = rows[mine].tobytes()
    ends = np.cumsum(np.where(touched, np.minimum(sizes, rows_max), 0))[touched] * OBSERVED.itemsize
    head = bytes([FORMAT])
    values = [head + raw[start:end] for start, end in pairwise([0, *ends.tolist()])]
    numbers = np.flatnonzero(touched).tolist()
    store.put([bucket.partitions[i] for i in numbers], [bucket.keys[i] for i in numbers], values)
    return full


def _lost(place: Ints, rows_max: int) -> NDArray[np.bool_]:
    """Rows that do not fit into their bucket: all but the newest. Rows of a bucket lie together, in order."""
    sizes = np.bincount(place)
    last = np.maximum.reduceat(np.arange(len(place)), np.flatnonzero(np.diff(place, prepend=-1)))
    ends = np.zeros(len(sizes), dtype=np.int64)
    ends[place[last]] = last
    return np.asarray(ends[place] - np.arange(len(place)) >= rows_max)


def _answer(
    rows: Rows,
    group: Ints,
    kind: Ints,
    changed: NDArray[np.bool_],
    stays: NDArray[np.bool_],
    full: NDArray[np.bool_],
    again: NDArray[np.bool_],
) -> Facts:
    """The facts of every row that has changed, and of every row whose window holds a stored change.

    A row that does not fit into a full bucket is answered, and changes no other answer. Otherwise each late observation
    of a very large entity would answer all its rows again. When a bucket becomes full, all its rows are answered once
    more (`again`), because from then on their counts are lower bounds.
    """
    at = rows["at"]
    live = rows["live"].astype(np.bool_)
    facts = np.zeros(len(rows), dtype=FACT)
    facts["parcel"], facts["event"], facts["kind"], facts["saturated"] = rows["parcel"], rows["event"], kind, full
    facts["previous_km"], facts["previous_ms"] = np.nan, -1
    send = np.zeros(len(rows), dtype=np.bool_)
    for each in np.unique(kind).tolist():
        mine = np.flatnonzero(kind == each)
        part, part_group = rows[mine], group[mine]
        lo = windows.starts(part_group, at[mine], int(SPAN_MS[each]))
        everything = np.ones(len(mine), dtype=np.bool_)
        facts["known"][mine] = windows.count(lo, everything) + windows.count(lo, ~live[mine]) + full[mine]
        send[mine] = changed[mine] | again[mine] | (windows.count(lo, stays[mine]) > 0)
        observed = Observed(layout.KINDS[each], part, part_group)
        for measure in MEASURES:
            if measure.entity == observed.entity:
                _put(facts, mine, measure, observed.figures(measure))
    return Facts(facts[send], rows["partition"][send])


def _put(facts: Rows, into: Ints, measure: Measure, found: NDArray[np.generic]) -> None:
    """The figures of a measure, where a fact has them."""
    place = place_of(measure)
    if place is None:
        facts[measure.name][into] = found
    else:
        facts["counts"][into, place] = found


def place_of(measure: Measure) -> int | None:
    """The place of a figure among the counts of a fact; None: it has a field of its own."""
    counts = FACT_COLUMNS[layout.KINDS.index(measure.entity)]
    return counts.index(measure.name) if measure.name in counts else None
