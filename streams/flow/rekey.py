"""State and messages for more partitions: where each record goes when topics have grown.

A parcel lies in the partition of its name, an entity's history in that of its number, both modulo the count. So with
another count most records move. Here is what becomes of each kind of record; `streams.worker.grow` reads, writes and
commits. All of it may be done again: a record that is where it belongs stays as it is.

| store     | record                 | goes where                     | and changes                               |
|-----------|------------------------|--------------------------------|-------------------------------------------|
| parcels   | dossier                | `Homes.of` its parcel          | offsets name their partition, see `merge` |
| parcels   | record of expiry index | parted by the parcels it lists |                                           |
| parcels   | base of a tally        | nowhere                        | what leaves its partition is owed         |
| parcels   | notes                  | every partition                | see `share_notes`                         |
| histories | bucket                 | its entity modulo the count    | partitions of parcels, where facts go     |
| histories | record of expiry index | parted by the buckets it lists |                                           |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import topics
from schemas.errors import WaybillError
from streams.flow import layout
from streams.flow.batches import Batch, pack, unpack, untail
from streams.flow.fold import dossiers, histories, tallies
from streams.flow.fold.merge import merge
from streams.flow.layout import MOVEMENT, OBSERVED, PARCEL_BYTES
from streams.flow.partitions import partition_of
from streams.flow.rejudge import MARK as SWEPT
from streams.flow.time import expiry_index
from streams.flow.time.expiry import MARK as FORGOTTEN
from streams.state.format import FORMAT, UPGRADED
from streams.state.parted import MARK as PARTED
from streams.state.store import END, FIRST, Store

Ints = NDArray[np.int64]
Rows = NDArray[np.void]
Message = tuple[int, bytes]
"""Partition and value."""

_LAST = END * 16  # behind all keys
_UNKNOWN = -1
# Behind the expiry index, where no store keeps anything but bases of tallies and what is owed.
_GAPS = ((tallies.BEHIND, tallies.BASE), (tallies.BASE + END * 13, tallies.OWED), (tallies.OWED + END * 13, _LAST))
_OTHER_RULES = b"\x00grown\x00\x00"  # fingerprint of no catalogue: all is swept
_SWEPT_NOTHING = bytes([FORMAT]) + bytes(8)
NOTES: Final = {
    topics.PARCELS_CHANGELOG: {PARTED, UPGRADED, FORGOTTEN, SWEPT, tallies.MARK},
    topics.HISTORIES_CHANGELOG: {PARTED, UPGRADED},
}
"""What a store says of a partition as a whole."""


class RekeyError(WaybillError):
    """State that cannot be brought to another count of partitions; the message says which and why."""


class Homes:
    """The partition of each parcel, where topics have so many."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._long: dict[bytes, int] = {}  # of parcels whose reference is not their name
        self.owed: list[Rows] = []  # observations that the histories are still to be told

    def note(self, references: Sequence[bytes], names: Sequence[bytes]) -> None:
        """Take note of kept parcels: a long name can be had from its dossier alone."""
        for reference, name in zip(references, names, strict=True):
            if len(reference) >= PARCEL_BYTES:
                self._long[reference] = int(partition_of([name], self.partitions)[0])

    def of(self, references: Sequence[bytes]) -> Ints:
        """Where these parcels are at home; -1: nothing is kept of a parcel whose name is long."""
        homes = partition_of(references, self.partitions)
        for row, reference in enumerate(references):
            if len(reference) >= PARCEL_BYTES:
                homes[row] = self._long.get(reference, _UNKNOWN)
        return homes

    def of_entity(self, entities: NDArray[np.uint64]) -> Ints:
        """Where these histories are at home."""
        return (entities % np.uint64(self.partitions)).astype(np.int64)


# State


def survey(store: Store, partition: int, homes: Homes, rows_max: int) -> Iterator[tuple[list[bytes], Ints]]:
    """Names of all parcels that are kept in a partition, some at a time, with their homes; `homes` takes note."""
    for rows in _ranged(store, partition, FIRST, END, rows_max):
        kept = dossiers.stored(partition, rows)
        names = [_name(reference, tail) for reference, tail in zip(kept.parcels, kept.tails, strict=True)]
        homes.note(kept.parcels, names)
        yield names, homes.of(kept.parcels)


def _name(reference: bytes, tail: bytes) -> bytes:
    if len(reference) < PARCEL_BYTES:
        return reference
    _, carrier_code, waybill_no, *_ = untail(tail)
    return f"{carrier_code}:{waybill_no}".encode()


def strange_notes(store: Store, changelog: str, partition: int, known: Mapping[str, set[bytes]] = NOTES) -> list[bytes]:
    """Notes of a partition that nobody here knows: what becomes of them nobody knows either."""
    of_buckets = changelog == topics.HISTORIES_CHANGELOG
    notes = [key for rows in _ranged(store, partition, b"", FIRST, 1_000) for key, _ in rows
             if not (of_buckets and len(key) == histories.KEY_BYTES)]  # fmt: skip
    notes += [key for after, before in _GAPS for key, _ in store.scan(partition, after, 1, before)]
    return [key for key in notes if key not in known[changelog]]


def move_parcels(store: Store, partition: int, homes: Homes, rows_max: int) -> Iterator[int]:
    """Bring the parcels of a partition to their homes, and what its expiry index lists; bytes written, step by step."""
    for rows in _ranged(store, partition, FIRST, END, rows_max):
        kept = dossiers.stored(partition, rows)
        to = homes.of(kept.parcels)
        away = np.flatnonzero(to != partition)
        kept.heads["offset"][away] = _from(kept.heads["offset"][away], partition)
        for row in away.tolist():
            moved = np.frombuffer(kept.movements[row], dtype=MOVEMENT).copy()
            moved["offset"] = _from(moved["offset"], partition)
            kept.movements[row] = moved.tobytes()
        tallies.owe(store, partition, kept.heads[away], [kept.tails[row] for row in away.tolist()])
        kept.partitions[:] = to.tolist()
        kept.changed[away] = True
        there = store.get(to[away].tolist(), [kept.parcels[row] for row in away.tolist()], keep=False)
        for row, value in zip(away.tolist(), there, strict=True):
            if value is not None:
                homes.owed += _meet(store, partition, kept, row, value)
        store.delete([partition] * len(away), [kept.parcels[row] for row in away.tolist()])
        kept.save(store)
        yield sum(len(rows[row][1]) for row in away.tolist())
    yield from _split_index(store, partition, partial(_homes_of_listed, partition, homes))


def _meet(store: Store, partition: int, kept: dossiers.Dossiers, row: int, there: bytes) -> list[Rows]:
    """Make one of a dossier and what its home has of the same parcel; what the histories are to be told."""
    home, key = kept.partitions[row], kept.parcels[row]
    moved = kept.heads[row].tobytes() + kept.versions[row] + kept.movements[row] + kept.tails[row]
    pair = dossiers.read([home, partition], [key, key], [there, moved])
    merge(pair, 0, 1)
    pair.save(store)
    kept.changed[row] = False
    (mark,) = store.get([home], [SWEPT])  # what is new to the parcel is judged at once
    store.put([home], [SWEPT], [(mark or _SWEPT_NOTHING)[:9] + _OTHER_RULES])
    return pair.observed


def owed(homes: Homes) -> list[Message]:
    """The observations that the histories are to be told, taken out."""
    rows, homes.owed = np.concatenate([np.empty(0, dtype=layout.OBSERVATION), *homes.owed]), []
    return pack(rows, homes.of_entity(rows["entity"]))


def move_histories(store: Store, partition: int, homes: Homes, rows_max: int) -> Iterator[int]:
    """The same of histories. Every observation says where its parcel is, so those that stay are written, too."""
    for rows in _ranged(store, partition, b"", END, rows_max):
        found = [(key, value) for key, value in rows if len(key) == histories.KEY_BYTES]
        keys, values = [key for key, _ in found], [value for _, value in found]
        observed = np.frombuffer(b"".join([value[1:] for value in values]), dtype=OBSERVED).copy()
        _send_facts_home(observed, homes)
        raw, head = observed.tobytes(), bytes([FORMAT])
        ends = accumulate((len(value) - 1 for value in values), initial=0)
        news = [head + raw[start:end] for start, end in pairwise(ends)]
        to = _homes_of_buckets(keys, homes)
        put = [i for i, (old, new) in enumerate(zip(values, news, strict=True)) if to[i] != partition or old != new]
        away = [i for i in put if to[i] != partition]
        if any(
            value is not None for value in store.get([int(to[i]) for i in away], [keys[i] for i in away], keep=False)
        ):
            raise RekeyError(f"{topics.HISTORIES_CHANGELOG}[{partition}]: a history has state in two partitions")
        store.put([int(to[i]) for i in put], [keys[i] for i in put], [news[i] for i in put])
        store.delete([partition] * len(away), [keys[i] for i in away])
        yield sum(len(news[i]) for i in put)
    yield from _split_index(store, partition, lambda keys: _homes_of_buckets(keys, homes))


MOVES: Final[Mapping[str, Callable[[Store, int, Homes, int], Iterator[int]]]] = {
    topics.PARCELS_CHANGELOG: move_parcels,
    topics.HISTORIES_CHANGELOG: move_histories,
}
"""By changelog: how the records of a partition are moved."""


def share_notes(store: Store, partitions: int) -> None:
    """What the store of parcels says of whole partitions, said of them all: each may hold parcels of any other.

    Parcels count as forgotten up to the latest time of any, and tallies as closed where there were none. A sweep that
    was not over everywhere begins again.
    """
    numbers = list(range(partitions))
    forgotten = [value for value in store.get(numbers, [FORGOTTEN] * partitions) if value]
    if forgotten:
        newest = max(forgotten, key=lambda value: int.from_bytes(value[1:], "little"))
        store.put(numbers, [FORGOTTEN] * partitions, [newest] * partitions)
    new = {number for number in numbers if not store.scan(number, FIRST, 1)}
    closed = store.get(numbers, [tallies.MARK] * partitions)
    if any(closed):
        latest = max((value for value in closed if value), key=lambda value: int.from_bytes(value[1:], "little"))
        begun = [number for number in new if closed[number] is None]
        store.put(begun, [tallies.MARK] * len(begun), [latest] * len(begun))
    # Partitions that held something: one that is new has nothing that was not swept.
    swept = store.get(numbers, [SWEPT] * partitions)
    known = [value for number, value in enumerate(swept) if value or number not in new]
    if len(set(known)) == 1 and known[0] is not None:
        store.put(numbers, [SWEPT] * partitions, [known[0]] * partitions)
    elif any(known):
        since = min(int.from_bytes(value[1:9], "little") if value else 0 for value in known)
        # The first publishes the rejects of reference records, once, and so its own place stays.
        places = [swept[0][1:9] if swept[0] else bytes(8), *[since.to_bytes(8, "little")] * (partitions - 1)]
        store.put(numbers, [SWEPT] * partitions, [bytes([FORMAT]) + place + _OTHER_RULES for place in places])


# Messages between the agents


def observations(batch: Batch, homes: Homes) -> tuple[list[bool], list[list[Message]]]:
    """Of each message of a batch of observations: whether it is as it must be, and the messages in its place."""
    out = []
    for value in batch.values:
        rows, _ = unpack([_one(batch, value)], layout.OBSERVATION)
        rows = rows.copy()
        _send_facts_home(rows, homes)
        out.append(pack(rows, homes.of_entity(rows["entity"])))
    return [said == [(batch.partition, value)] for said, value in zip(out, batch.values, strict=True)], out


def facts(batch: Batch, homes: Homes) -> tuple[list[bool], list[list[Message]]]:
    """The same of facts."""
    out = []
    for value in batch.values:
        rows, _ = unpack([_one(batch, value)], layout.FACT)
        to = homes.of(rows["parcel"].tolist())
        out.append(pack(rows, np.where(to < 0, batch.partition, to)))
    return [said == [(batch.partition, value)] for said, value in zip(out, batch.values, strict=True)], out


def events(batch: Batch, partitions: int) -> Ints:
    """Where each event of a batch belongs: by its key, as its producer would put it; without one, where it is."""
    keyed = [key or b"" for key in batch.keys]
    return np.where([bool(key) for key in keyed], partition_of(keyed, partitions), batch.partition)


def _one(batch: Batch, value: bytes | None) -> Batch:
    return Batch(batch.topic, batch.partition, batch.offsets[:1], [value], batch.timestamps[:1])


def _send_facts_home(rows: Rows, homes: Homes) -> None:
    """Have these observations say where their parcels are now. Of one that is kept nowhere it does not matter."""
    to = homes.of(rows["parcel"].tolist())
    rows["partition"] = np.where(to < 0, rows["partition"], to)


def _homes_of_listed(partition: int, homes: Homes, keys: Sequence[bytes]) -> Ints:
    """Of what the index of parcels lists: bases of tallies stay."""
    return np.where([key.startswith(tallies.BASE) for key in keys], partition, homes.of(keys))


def _homes_of_buckets(keys: Sequence[bytes], homes: Homes) -> Ints:
    return homes.of_entity(np.array([histories.entity_of(key) for key in keys], dtype=np.uint64))


def _split_index(store: Store, partition: int, homes_of: Callable[[Sequence[bytes]], Ints]) -> Iterator[int]:
    for rows in _ranged(store, partition, END, tallies.BEHIND, 64):
        written = 0
        for key, value in rows:
            to = homes_of(expiry_index.listed_keys(value))
            if (to == partition).all():
                continue
            store.delete([partition], [key])
            for number, new, part in expiry_index.split(key, value, to.tolist()):
                store.put([number], [new], [part])
                written += len(part)
        yield written


def _ranged(
    store: Store, partition: int, after: bytes, before: bytes, rows_max: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    while rows := store.scan(partition, after, rows_max, before):
        yield rows
        after = rows[-1][0]


def _from(offsets: Ints, partition: int) -> Ints:
    return layout.moved_from(offsets, np.full(len(offsets), partition))
