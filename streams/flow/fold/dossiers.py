"""Dossiers: all that is known about one parcel: its uploads, its movements, and the answers of histories.

A dossier is the set of its events. The newest upload by (version_at, event_id) is valid; superseded uploads are
remembered and taken back from the histories. Movements are a set by event id. Answers count ever more observations, so
of two answers about an event the one that counts more is newer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.layout import HEAD, MOVEMENT, OBSERVATION, VERSION
from streams.flow.reference import Reference
from streams.state.format import FORMAT
from streams.state.store import Store, runs

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_EMPTY = np.zeros((), dtype=HEAD)
_EMPTY["format"] = FORMAT
_EMPTY["previous_km"], _EMPTY["previous_ms"] = np.nan, -1
_EMPTY_BYTES = _EMPTY.tobytes()


class Places:
    """The place of each parcel among the dossiers, in the order in which parcels are first asked for."""

    def __init__(self) -> None:
        self.partitions: list[int] = []
        self.parcels: list[bytes] = []
        self._of: defaultdict[int, dict[bytes, int]] = defaultdict(dict)

    def find(self, partitions: Sequence[int], parcels: Sequence[bytes]) -> bytes:
        """The places of these parcels, packed; a new one for each that has none."""
        found: list[int] = []
        for partition, at in runs(partitions):
            of, asked = self._of[partition], parcels[at]
            begun = len(self.parcels)
            self.parcels += [parcel for parcel in dict.fromkeys(asked) if parcel not in of]
            self.partitions += [partition] * (len(self.parcels) - begun)
            of.update(zip(self.parcels[begun:], range(begun, len(self.parcels)), strict=True))
            found += map(of.__getitem__, asked)
        return np.array(found, dtype=np.int64).tobytes()


def places_of(library: Any | None) -> Places:
    """None yet. library: the native one, or None."""
    return Places() if library is None else cast(Places, library.Places())


@dataclass(slots=True)
class Dossiers:
    """The dossiers that a batch touched, as columns, between `load` and `save`."""

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
    places: Places = field(default_factory=Places)  # by which more events are folded into them
    library: Any | None = None  # the native one, which does what it can, with the same bytes

    @property
    def raw(self) -> NDArray[np.uint8]:
        """The bytes of the heads, which may be written."""
        return self.heads.view(np.uint8)

    def extend(self, more: Dossiers) -> None:
        """Add dossiers that no event has touched yet."""
        for name in ("partitions", "parcels", "versions", "movements", "tails"):
            getattr(self, name).extend(getattr(more, name))
        self.heads = layout.joined((self.heads, more.heads), HEAD)
        for name in ("numbers", "judge", "moved", "uploaded", "changed", "fresh"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(more, name)]))

    def observations(self) -> Rows:
        return layout.joined(self.observed, OBSERVATION)

    def decided(self, rows: Ints, at: Ints) -> None:
        """Note the event time by which absences of these dossiers are decided; it never falls."""
        news = at != self.heads["decided_at"][rows]
        self.heads["decided_at"][rows[news]] = at[news]
        self.changed[rows[news]] = True

    def touched(self, reference: Reference, rows: Ints) -> Ints:
        """The newest reference record that affects each dossier by any of its uploads; see `Reference.touched`."""
        if not reference.changed:
            return np.zeros(len(rows), dtype=np.int64)
        heads = self.heads.take(rows)
        found = reference.touched(heads, heads["entity"][:, layout.PHONE])
        for position in np.flatnonzero(heads["versions"]).tolist():
            past = np.frombuffer(self.versions[rows[position]], dtype=VERSION)
            found[position] = max(found[position], reference.touched(past, past["phone"]).max())
        return found

    def save(self, store: Store) -> None:
        rows = np.flatnonzero(self.changed).tolist()
        store.put([self.partitions[row] for row in rows], [self.parcels[row] for row in rows], self._joined(rows))

    def _joined(self, rows: list[int]) -> Sequence[bytes]:
        """The values to store."""
        raw = self.heads.tobytes()
        if self.library is not None:
            joined: Sequence[bytes] = self.library.join_dossiers(rows, raw, self.versions, self.movements, self.tails)
            return joined
        size = HEAD.itemsize
        return [
            b"".join((raw[row * size : row * size + size], self.versions[row], self.movements[row], self.tails[row]))
            for row in rows
        ]


def load(store: Store, partitions: Sequence[int], parcels: Sequence[bytes], library: Any | None = None) -> Dossiers:
    """These dossiers from the store; empty ones for parcels that it does not have. library: the native one."""
    return read(partitions, parcels, store.load(partitions, parcels), library)


def stored(partition: int, kept: Iterable[tuple[bytes, bytes]]) -> Dossiers:
    """Dossiers of one partition, from parcels and values as stored. None is marked to be judged."""
    pairs = list(kept)
    return read([partition] * len(pairs), [parcel for parcel, _ in pairs], [value for _, value in pairs])


def read(
    partitions: Sequence[int], parcels: Sequence[bytes], values: Sequence[bytes | None], library: Any | None = None
) -> Dossiers:
    """Dossiers from stored values, one each; empty ones for None. None is marked to be judged."""
    cut = _cut(values) if library is None else library.cut_dossiers(values, _EMPTY_BYTES)
    heads, versions, movements, tails, fresh = cut
    n = len(values)
    return Dossiers(
        partitions=list(partitions),
        parcels=list(parcels),
        heads=np.frombuffer(heads, dtype=HEAD),
        versions=versions,
        movements=movements,
        tails=tails,
        numbers=np.array(partitions, dtype=np.uint16),
        judge=np.zeros(n, dtype=np.bool_),
        moved=np.zeros(n, dtype=np.bool_),
        uploaded=np.zeros(n, dtype=np.bool_),
        changed=np.zeros(n, dtype=np.bool_),
        fresh=np.frombuffer(fresh, dtype=np.bool_),
        library=library,
    )


def _cut(values: Sequence[bytes | None]) -> tuple[bytearray, list[bytes], list[bytes], list[bytes], bytearray]:
    """The parts of stored values: heads, past uploads, movements, tails; and whether each is not stored."""
    size, there = HEAD.itemsize, [value or _EMPTY_BYTES for value in values]
    raw = bytearray(b"".join([value[:size] for value in there]))
    heads = np.frombuffer(raw, dtype=HEAD)
    first = size + heads["versions"].astype(np.int64) * VERSION.itemsize
    second = (first + heads["movements"].astype(np.int64) * MOVEMENT.itemsize).tolist()
    cuts = list(zip(there, first.tolist(), second, strict=True))
    return (
        raw,
        [value[size:a] for value, a, _ in cuts],
        [value[a:b] for value, a, b in cuts],
        [value[b:] for value, _, b in cuts],
        bytearray(value is None for value in values),
    )
