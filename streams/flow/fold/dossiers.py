"""Dossiers: all that is known about one parcel: its uploads, its movements, and the answers of histories.

A dossier is the set of its events. The newest upload by (version_at, event_id) is valid; superseded uploads are
remembered and taken back from the histories. Movements are a set by event id. Answers count ever more observations, so
of two answers about an event the one that counts more is newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.layout import HEAD, MOVEMENT, OBSERVATION, VERSION
from streams.flow.reference import Reference
from streams.state.format import FORMAT
from streams.state.store import Store

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = dict[tuple[int, bytes], int]  # the place of each (partition, parcel) among the dossiers

_EMPTY = np.zeros((), dtype=HEAD)
_EMPTY["format"] = FORMAT
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
    uploaded: Mask  # the valid upload is new
    changed: Mask
    fresh: Mask  # nothing was stored
    observed: list[Rows] = field(default_factory=list)  # OBSERVATION rows to send

    def extend(self, more: Dossiers) -> None:
        """Add dossiers that no event has touched yet."""
        for name in ("partitions", "parcels", "versions", "movements", "tails"):
            getattr(self, name).extend(getattr(more, name))
        for name in ("heads", "numbers", "judge", "moved", "uploaded", "changed", "fresh"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))

    def observations(self) -> Rows:
        return np.concatenate([np.empty(0, dtype=OBSERVATION), *self.observed])

    def decided(self, rows: Ints, at: Ints) -> None:
        """Note the event time by which absences of these dossiers are decided; it never falls."""
        news = at != self.heads["decided_at"][rows]
        self.heads["decided_at"][rows[news]] = at[news]
        self.changed[rows[news]] = True

    def touched(self, reference: Reference, rows: Ints) -> Ints:
        """The newest reference record that affects each dossier by any of its uploads; see `Reference.touched`."""
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


def load(store: Store, number: Numbers) -> Dossiers:
    """These dossiers from the store; empty ones for parcels that it does not have."""
    values = store.get([partition for partition, _ in number], [parcel for _, parcel in number])
    found = read(number, [value or _EMPTY_BYTES for value in values])
    found.fresh[:] = [value is None for value in values]
    return found


def read(number: Numbers, values: Sequence[bytes]) -> Dossiers:
    """Dossiers from stored values, one each. None is marked to be judged."""
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
        uploaded=np.zeros(n, dtype=np.bool_),
        changed=np.zeros(n, dtype=np.bool_),
        fresh=np.zeros(n, dtype=np.bool_),
    )
