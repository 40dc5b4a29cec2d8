"""The front end: turns raw batches into described rows. The native library reads plain records.

`streams.flow.decode` and `streams.flow.describe` are the reference, and they read what the library leaves. So rows and
rejects, and their order, are the same with and without the library. A batch may be read ahead on another thread:
`Front.ahead` puts what the library read into the batch, and `Front.read` uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.inputs import INPUTS, MOVEMENTS, SHIPMENTS, Input
from schemas.records import Record
from streams import native
from streams.flow import layout
from streams.flow.batches import Batch, Movements, Plain, Rows, Uploads
from streams.flow.decode import Limits, Rejected, decode
from streams.flow.describe import goods
from streams.flow.describe.describer import Describer
from streams.flow.describe.documents import regions
from streams.flow.describe.movements import movements
from streams.flow.describe.people import courtesy, placeholders, simplified
from streams.flow.front.tables import fingerprint
from streams.flow.reference.table import DTYPES

Ints = NDArray[np.int64]
T = TypeVar("T", Uploads, Movements)
_BY_TOPIC: Final = {each.topic: each for each in INPUTS}


@dataclass(frozen=True, slots=True)
class Read:
    """The events of some batches. `strange`: records that the library left to Python."""

    uploads: Uploads
    movements: Movements
    rejected: list[tuple[Batch, Rejected]]
    strange: int


@dataclass(frozen=True, slots=True)
class Registered:
    """Rows of reference records by kind, and their places among the values."""

    rows: dict[str, tuple[list[int], Rows]]
    areas: list[list[str]]  # prefixes of the places that each enterprise may serve
    strange: Sequence[int]  # places of the values that the library left to Python


class Front:
    """Reads batches of events. Safe to share between threads."""

    def __init__(self, describer: Describer, limits: Limits) -> None:
        self.describer = describer
        self.limits = limits
        self.library = native.library(describer.native, fingerprint())
        self._describes = _describes(self.library, describer) if self.library else None

    @property
    def native(self) -> bool:
        """The library is in use."""
        return self.library is not None

    @property
    def state(self) -> str:
        """Whether it is in use, and why not, as text."""
        return native.state(self.describer.native, fingerprint())

    def ahead(self, batch: Batch) -> Batch:
        """The batch, read as far as the library can."""
        return replace(batch, plain=self._plain(batch)) if self.library and batch.topic in _BY_TOPIC else batch

    def lines(self, text: bytes) -> Sequence[bytes | None]:
        """The lines of a text, as values to read; as objects only without the library."""
        lines: Sequence[bytes | None] = self.library.Values.lines(text) if self.library else text.split(b"\n")
        return lines

    def read(self, batches: Sequence[Batch]) -> Read:
        """The events of these batches; rejects in the order of topics. Batches of other topics are left out."""
        gathered = {each: _Gathered() for each in INPUTS}
        for batch in batches:
            if (source := _BY_TOPIC.get(batch.topic)) is not None:
                self._gather(source, batch, gathered[source])
        return Read(
            _in_order(gathered[SHIPMENTS], Uploads, self.describer.uploads),
            Movements.joined([_in_order(gathered[each], Movements, partial(movements, each)) for each in MOVEMENTS]),
            [bad for found in gathered.values() for bad in found.rejected],
            sum(found.strange for found in gathered.values()),
        )

    def reference(self, values: Sequence[bytes | None]) -> Registered:
        """What the library read of reference records; without the library, all are left to Python."""
        if self._describes is None:
            return Registered({}, [], range(len(values)))
        enterprises, areas, outlets, couriers, strange = self._describes.reference(values, self.limits.bytes_max)
        found = {"enterprise": enterprises, "outlet": outlets, "courier": couriers}
        rows = {
            kind: (places, np.frombuffer(packed, dtype=DTYPES[kind]))
            for kind, (places, packed) in found.items()
            if places
        }
        return Registered(rows, areas, strange)

    def _gather(self, source: Input, batch: Batch, found: _Gathered) -> None:
        """Add a batch: plain records as the library read them; the others are decoded here."""
        values: Sequence[bytes | None] = batch.values
        of: Sequence[int] = range(len(values))
        if self.library is not None:
            plain = batch.plain if batch.plain and batch.plain.front is self else self._plain(batch)
            found.parts.append(plain.rows)
            found.places.append(found.count + plain.places)
            values, of = [values[place] for place in plain.strange], plain.strange
            found.strange += len(of)
        if len(values):
            decoded = decode(source.record, values, self.limits)
            found.records += decoded.rows
            found.here += [found.count + of[i] for i in decoded.indices]
            found.partitions += [batch.partition] * len(decoded.rows)
            found.offsets += [batch.offsets[of[i]] for i in decoded.indices]
            found.rejected += [(batch, replace(bad, index=of[bad.index])) for bad in decoded.rejected]
        found.count += len(batch.values)

    def _plain(self, batch: Batch) -> Plain:
        """What the library reads of a batch of events."""
        assert self.library is not None
        assert self._describes is not None
        limit = self.limits.bytes_max
        rows: Uploads | Movements
        if batch.topic == SHIPMENTS.topic:
            packed, parcels, tails, strange = self._describes.shipments(batch.values, limit)
            rows = Uploads([], parcels, np.frombuffer(packed, dtype=layout.SHIPMENT), tails)
        else:
            read = getattr(self.library, _BY_TOPIC[batch.topic].stem, _none)
            packed, parcels, cut, strange = read(batch.values, limit)
            names = {parcels[row]: name for row, name in cut}
            rows = Movements([], parcels, np.frombuffer(packed, dtype=layout.MOVEMENT), names)
        places = np.arange(len(batch.values))
        if strange:
            places = np.delete(places, strange)
        rows.partitions.extend([batch.partition] * len(places))
        rows.rows["offset"] = np.asarray(batch.offsets, dtype=np.int64)[places]
        return Plain(self, rows, places, strange)


@dataclass(slots=True)
class _Gathered:
    """What was read of one topic. Places are counted over all its batches."""

    records: list[Record] = field(default_factory=list)  # decoded here, with their partitions, offsets and places
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    here: list[int] = field(default_factory=list)
    parts: list[Uploads | Movements] = field(default_factory=list)  # what the library read, with the places of the rows
    places: list[Ints] = field(default_factory=list)
    rejected: list[tuple[Batch, Rejected]] = field(default_factory=list)
    strange: int = 0
    count: int = 0


def _in_order(found: _Gathered, form: type[T], describe: Callable[[list[Any], list[int], list[int]], T]) -> T:
    """All rows, in the order of their places."""
    rows = describe(found.records, found.partitions, found.offsets)
    if not found.parts:
        return rows
    plain = form.joined(found.parts)  # type: ignore[arg-type]
    return plain.woven(rows, np.searchsorted(np.concatenate(found.places), found.here)) if found.records else plain


def _describes(library: Any, describer: Describer) -> Any:
    """The describer of the library."""
    return library.Describer(
        token_key=describer.tokens.state_key,
        priority_origins=describer.priority_origins,
        priority_countries=describer.priority_countries,
        kinds=sorted(describer.kinds),
        joins=describer.joins,
        regions=regions().tobytes(),
        placeholders=sorted(placeholders()),
        traditional="".join(map(chr, simplified())),
        address=(courtesy().starts, courtesy().ends),
        read_goods=_said,
    )


def _none(values: Sequence[bytes | None], _: int) -> tuple[bytearray, list[bytes], list[tuple[int, str]], list[int]]:
    """For a topic that the library cannot read: all values are left to Python."""
    return bytearray(), [], [], list(range(len(values)))


def _said(names: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """For each goods name: its normal form, its class by words, its flags, its term, and how the term is written."""
    return [
        (said.norm, _CLASSES[said.by_words], _flags(said), said.term, said.trick) for said in map(goods.read, names)
    ]


def _flags(said: goods.Goods) -> int:
    return sum(_GOODS_FLAGS[flag] for flag in _GOODS_FLAGS if getattr(said, flag))


_CLASSES: Final = {name: code for code, name in enumerate(layout.GOODS_CLASSES)}
_GOODS_FLAGS: Final = {
    name.removeprefix("goods_"): int(bit) for name, bit in layout.FLAGS.items() if name.startswith("goods_")
}
