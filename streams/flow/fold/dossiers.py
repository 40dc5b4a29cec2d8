"""Dossiers: what is known of one parcel, folded from its uploads, its movements and what history answered.

A dossier is the set of its events. The upload that stands is the newest by (version_at, event_id); the ones it
superseded are remembered, and taken back from the histories. Movements are a set by event id. Facts stand on ever more
observations, so of two answers about one event the one that stands on more is the newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.batches import Answers, Movements, Uploads, tail
from streams.flow.fold.uploads import fold_uploads
from streams.flow.layout import FACT_COLUMNS, HEAD, MOVEMENT, OBSERVATION, SENDER, VERSION
from streams.flow.reference import Reference
from streams.state.store import Store

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = dict[tuple[int, bytes], int]  # the place of each (partition, parcel) among the dossiers

MOVEMENTS_MAX = 256
_EMPTY = np.zeros((), dtype=HEAD)
_EMPTY["format"] = layout.FORMAT
_EMPTY["previous_km"], _EMPTY["previous_ms"] = np.nan, -1
_EMPTY_BYTES = _EMPTY.tobytes()


@dataclass(slots=True)
class Dossiers:
    """The dossiers that a batch touched, as columns, between `load` and `save`."""

    number: Numbers
    partitions: list[int]
    parcels: list[bytes]
    heads: Rows
    versions: list[bytes]
    movements: list[bytes]
    tails: list[bytes]
    numbers: NDArray[np.uint16]  # the partitions, as a column
    judge: Mask  # the verdict may have changed
    moved: Mask  # movements are new
    changed: Mask
    fresh: Mask  # nothing was kept
    observed: list[Rows] = field(default_factory=list)  # OBSERVATION rows to send

    def extend(self, more: Dossiers) -> None:
        """Take in dossiers that no event has touched yet."""
        for name in ("partitions", "parcels", "versions", "movements", "tails"):
            getattr(self, name).extend(getattr(more, name))
        for name in ("heads", "numbers", "judge", "moved", "changed", "fresh"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))

    def observations(self) -> Rows:
        return np.concatenate([np.empty(0, dtype=OBSERVATION), *self.observed])

    def revisions(self, rows: Ints, absent: Ints, changes: Ints) -> list[int]:
        """The revision of the verdict on each of these dossiers, of which so many absences are decided.

        changes: what reference data and rule sets add.

        It counts the facts that the dossier stands on: its events, and what its histories counted for each upload. An
        absence that is decided comes between two facts, and one that a late event takes back goes with a fact more.
        """
        heads = self.heads[rows]
        known = heads["known"].sum(axis=1, dtype=np.int64) + heads["present"] + heads["versions"] + heads["movements"]
        for position, row in enumerate(rows.tolist()):
            if self.versions[row]:
                known[position] += int(np.frombuffer(self.versions[row], dtype=VERSION)["known"].sum())
        return [int(count) for count in known * BETWEEN_FACTS + absent + changes]

    def decided(self, rows: Ints, at: Ints) -> None:
        """Note the event time by which absences of these dossiers are decided; it never falls."""
        news = at != self.heads["decided_at"][rows]
        self.heads["decided_at"][rows[news]] = at[news]
        self.changed[rows[news]] = True

    def touched(self, reference: Reference, rows: Ints) -> Ints:
        """How far reference data speak of each dossier, by any upload that it had; see `Reference.touched`."""
        if not reference.changed:
            return np.zeros(len(rows), dtype=np.int64)
        heads = self.heads[rows]
        found = reference.touched(heads, heads["entity"][:, layout.PHONE])
        for position in np.flatnonzero(heads["versions"]).tolist():
            past = np.frombuffer(self.versions[rows[position]], dtype=VERSION)
            found[position] = max(found[position], reference.touched(past, past["phone"]).max())
        return found

    def save(self, store: Store) -> None:
        rows = np.flatnonzero(self.changed).tolist()
        raw = self.heads.tobytes()
        size = HEAD.itemsize
        values = [
            b"".join((raw[row * size : row * size + size], self.versions[row], self.movements[row], self.tails[row]))
            for row in rows
        ]
        store.put([self.partitions[row] for row in rows], [self.parcels[row] for row in rows], values)


BETWEEN_FACTS = 8  # more than there are absences


def fold(
    store: Store,
    uploads: Uploads,
    movements: Movements,
    answers: Answers,
    due: Sequence[tuple[int, bytes]] = (),
) -> Dossiers:
    """Load the dossiers of these events and fold the events in.

    due: partition and parcel of dossiers that are to be judged anew though nothing may have come for them.
    """
    number: Numbers = {}
    of_upload = _number(number, uploads.partitions, uploads.parcels)
    of_movement = _number(number, movements.partitions, movements.parcels)
    of_answer = _number(number, answers.partitions, answers.rows["parcel"].tolist())
    of_due = _number(number, [partition for partition, _ in due], [parcel for _, parcel in due])
    dossiers = _load(store, number)
    _fold_movements(dossiers, of_movement, movements.rows)
    fold_uploads(dossiers, of_upload, uploads)
    _fold_answers(dossiers, of_answer, answers.rows)
    dossiers.judge[of_due] = True
    _name(dossiers, movements.names)
    return dossiers


def answer(dossiers: Dossiers, store: Store, answers: Answers) -> None:
    """Fold answers into these dossiers, and into others of the store, which then come along."""
    here = len(dossiers.number)
    of_answer = _number(dossiers.number, answers.partitions, answers.rows["parcel"].tolist())
    if len(dossiers.number) > here:
        dossiers.extend(_load(store, dict(islice(dossiers.number.items(), here, None))))
    _fold_answers(dossiers, of_answer, answers.rows)


def _name(dossiers: Dossiers, names: dict[bytes, str]) -> None:
    """Give dossiers that only movements have begun a tail of their own, for an alert has to name the parcel."""
    for i in np.flatnonzero(dossiers.moved & (dossiers.heads["present"] == 0)).tolist():
        if not dossiers.tails[i]:
            reference = dossiers.parcels[i]
            carrier_code, _, waybill_no = (names.get(reference) or reference.decode()).partition(":")
            dossiers.tails[i] = tail("", carrier_code, waybill_no, "", "")


def _number(number: Numbers, partitions: Sequence[int], parcels: Sequence[bytes]) -> Ints:
    """Number each (partition, parcel) in order of first sight."""
    return np.array(
        [number.setdefault(key, len(number)) for key in zip(partitions, parcels, strict=True)], dtype=np.int64
    )


def _load(store: Store, number: Numbers) -> Dossiers:
    values = store.get([partition for partition, _ in number], [parcel for _, parcel in number])
    found = read(number, [value or _EMPTY_BYTES for value in values])
    found.fresh[:] = [value is None for value in values]
    return found


def read(number: Numbers, values: Sequence[bytes]) -> Dossiers:
    """Dossiers as they were saved, one value each; none of them is to be judged."""
    partitions, parcels = [partition for partition, _ in number], [parcel for _, parcel in number]
    size = HEAD.itemsize
    heads = np.frombuffer(bytearray(b"".join([value[:size] for value in values])), dtype=HEAD)
    first = (size + heads["versions"].astype(np.int64) * VERSION.itemsize).tolist()
    second = (np.array(first, dtype=np.int64) + heads["movements"].astype(np.int64) * MOVEMENT.itemsize).tolist()
    n = len(values)
    return Dossiers(
        number=number,
        partitions=partitions,
        parcels=parcels,
        heads=heads,
        versions=[value[size:a] for value, a in zip(values, first, strict=True)],
        movements=[value[a:b] for value, a, b in zip(values, first, second, strict=True)],
        tails=[value[b:] for value, b in zip(values, second, strict=True)],
        numbers=np.array(partitions, dtype=np.uint16),
        judge=np.zeros(n, dtype=np.bool_),
        moved=np.zeros(n, dtype=np.bool_),
        changed=np.zeros(n, dtype=np.bool_),
        fresh=np.zeros(n, dtype=np.bool_),
    )


def _fold_movements(dossiers: Dossiers, owner: Ints, rows: Rows) -> None:
    """A movement newer than all that a dossier has is appended; a late or repeated one takes the careful way."""
    if len(rows) == 0:
        return
    by = np.lexsort((rows["at"], owner))
    rows, owner = rows[by], owner[by]
    raw, ids, times, size = rows.tobytes(), rows["id"].tobytes(), rows["at"].tolist(), MOVEMENT.itemsize
    movements, full, from_bytes = dossiers.movements, MOVEMENTS_MAX * size, int.from_bytes
    careful = set()
    for k, i in enumerate(owner.tolist()):
        kept = movements[i]
        # An id found across the border of two fields is no repetition; the careful way will see.
        if kept and (
            ids[8 * k : 8 * k + 8] in kept
            or times[k] <= from_bytes(kept[-size : 8 - size], "little")  # of the last one, whose time comes first
            or len(kept) >= full
        ):
            careful.add(i)
        elif i not in careful:
            movements[i] = kept + raw[size * k : size * k + size]
    touched = np.unique(owner)
    if careful:
        _merge_movements(dossiers, owner, rows, careful)
    sizes = np.array([len(movements[i]) // size for i in touched.tolist()])
    grown = touched[sizes > dossiers.heads["movements"][touched]]
    dossiers.heads["movements"][touched] = sizes
    dossiers.changed[grown] = dossiers.moved[grown] = True


def _merge_movements(dossiers: Dossiers, owner: Ints, rows: Rows, careful: set[int]) -> None:
    """Sort by time and id, one row per id, the earliest MOVEMENTS_MAX of each dossier."""
    touched = np.array(sorted(careful), dtype=np.int64)
    mine = np.isin(owner, touched)
    own = np.searchsorted(touched, owner[mine])
    kept = [dossiers.movements[i] for i in touched.tolist()]
    lengths = np.array([len(raw) for raw in kept], dtype=np.int64) // MOVEMENT.itemsize
    group = np.concatenate([np.repeat(np.arange(len(touched)), lengths), own])
    everything = np.concatenate([np.frombuffer(b"".join(kept), dtype=MOVEMENT), rows[mine]])
    by = np.lexsort((everything["at"], everything["id"], group))
    first = np.ones(len(by), dtype=np.bool_)
    first[1:] = (group[by][1:] != group[by][:-1]) | (everything["id"][by][1:] != everything["id"][by][:-1])
    by = by[first]
    by = by[np.lexsort((everything["id"][by], everything["at"][by], group[by]))]
    sizes = np.bincount(group[by], minlength=len(touched))
    if sizes.max() > MOVEMENTS_MAX:
        rank = np.arange(len(by)) - (np.cumsum(sizes) - sizes)[group[by]]
        by = by[rank < MOVEMENTS_MAX]
        sizes = np.minimum(sizes, MOVEMENTS_MAX)
    raw = everything[by].tobytes()
    start = 0
    for i, before, end in zip(touched.tolist(), kept, (np.cumsum(sizes) * MOVEMENT.itemsize).tolist(), strict=True):
        dossiers.movements[i] = raw[start:end]
        start = end
        if dossiers.movements[i] != before:
            dossiers.changed[i] = dossiers.moved[i] = True


def _fold_answers(dossiers: Dossiers, owner: Ints, rows: Rows) -> None:
    if len(rows) == 0:
        return
    heads = dossiers.heads
    by = np.argsort(rows["known"], kind="stable")
    rows, owner = rows[by], owner[by]
    current = (heads["present"][owner] == 1) & (heads["event"][owner] == rows["event"])
    for kind, columns in FACT_COLUMNS.items():
        news = np.flatnonzero(current & (rows["kind"] == kind) & (rows["known"] > heads["known"][owner, kind]))
        if len(news) == 0:
            continue
        into = owner[news]
        heads["known"][into, kind] = rows["known"][news]
        heads["saturated"][into] |= rows["saturated"][news]
        for position, column in enumerate(columns):
            heads[column][into] = rows["counts"][news, position]
        if kind == SENDER:
            heads["previous_km"][into] = rows["previous_km"][news]
            heads["previous_ms"][into] = rows["previous_ms"][news]
        dossiers.changed[into] = dossiers.judge[into] = True
    for row in np.flatnonzero(~current & (heads["versions"][owner] > 0)).tolist():
        _answer_superseded(dossiers, int(owner[row]), rows[row])


def _answer_superseded(dossiers: Dossiers, i: int, fact: np.void) -> None:
    versions = np.frombuffer(dossiers.versions[i], dtype=VERSION).copy()
    news = (versions["event"] == fact["event"]) & (versions["known"][:, fact["kind"]] < fact["known"])
    if news.any():
        versions["known"][news, fact["kind"]] = fact["known"]
        dossiers.versions[i] = versions.tobytes()
        dossiers.changed[i] = dossiers.judge[i] = True
