"""The front end: raw batches to described rows, natively where a record is plain.

`streams.flow.decode` and `streams.flow.describe` are the reference, and they do whatever the native library hands back.
So the same rows and rejects come out, in the same order, with it and without it. A batch may be read ahead on another
thread: `Front.ahead` keeps in it what the library made of it until it is its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from schemas import topics
from schemas.records import Record
from streams import native
from streams.flow import layout
from streams.flow.batches import Batch, Movements, Plain, Rows, Uploads
from streams.flow.decode import Limits, Rejected, decode
from streams.flow.describe import goods
from streams.flow.describe.describer import Describer
from streams.flow.describe.documents import regions
from streams.flow.describe.people import courtesy, placeholders, simplified
from streams.flow.front.tables import fingerprint
from streams.flow.reference.table import DTYPES
from streams.flow.sources import SOURCES, Source

Ints = NDArray[np.int64]
T = TypeVar("T", Uploads, Movements)

_BY_TOPIC: Final = {source.topic: source for source in SOURCES}
_UPLOADS: Final = _BY_TOPIC[topics.SHIPMENTS]


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What some batches hold. `strange`: records that the library left to Python."""

    rows: T
    rejected: list[tuple[Batch, Rejected]]
    strange: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """Rows of reference records by kind, and their places among the values."""

    rows: dict[str, tuple[list[int], Rows]]
    areas: list[list[str]]  # of each enterprise, the prefixes of the places that it may serve
    strange: Sequence[int]  # places of the values that are left to Python


class Front:
    """Reads batches of events. Safe to share between threads."""

    def __init__(self, describer: Describer, limits: Limits) -> None:
        self.describer = describer
        self.limits = limits
        self._library = native.library(describer.native, fingerprint())
        self._describes = _describes(self._library, describer) if self._library else None

    @property
    def native(self) -> bool:
        """The library is in use."""
        return self._library is not None

    @property
    def state(self) -> str:
        """The same, and why not, for people."""
        return native.state(self.describer.native, fingerprint())

    def ahead(self, batch: Batch) -> Batch:
        """The batch, read as far as the library can."""
        return replace(batch, plain=self._plain(batch)) if self._library and batch.topic in _BY_TOPIC else batch

    def uploads(self, batches: Sequence[Batch]) -> Read[Uploads]:
        """The shipments of these batches."""
        return self._read(_UPLOADS, batches, Uploads, self.describer.uploads)

    def movements(self, batches: Sequence[Batch]) -> Read[Movements]:
        """The scans and inspections of these batches."""
        parts = [self._read(each, batches, Movements, each.movements) for each in SOURCES if each.movements]
        return Read(
            Movements.joined([part.rows for part in parts]),
            [bad for part in parts for bad in part.rejected],
            sum(part.strange for part in parts),
        )

    def reference(self, values: Sequence[bytes | None]) -> Registered:
        """What the library makes of reference records; without it, all are left to Python."""
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

    def _read(
        self,
        source: Source,
        batches: Sequence[Batch],
        form: type[T],
        described: Callable[[list[Any], list[int], list[int]], T],
    ) -> Read[T]:
        """Plain records as the library has them, the others decoded and described here, in their order."""
        records: list[Record] = []
        partitions: list[int] = []
        offsets: list[int] = []
        rejected: list[tuple[Batch, Rejected]] = []
        parts: list[T] = []
        places: list[Ints] = []  # of the rows of each part, counted over all batches
        here: list[int] = []  # the same of `records`
        start = strange = 0
        for batch in batches:
            if batch.topic != source.topic:
                continue
            values: Sequence[bytes | None] = batch.values
            of: Sequence[int] = range(len(values))
            if self._library is not None:
                plain = batch.plain if batch.plain and batch.plain.front is self else self._plain(batch)
                parts.append(cast("T", plain.rows))
                places.append(start + plain.places)
                values, of = [values[place] for place in plain.strange], plain.strange
                strange += len(of)
            if len(values):
                decoded = decode(source.kind, values, self.limits)
                records += decoded.rows
                here += [start + of[i] for i in decoded.indices]
                partitions += [batch.partition] * len(decoded.rows)
                offsets += [batch.offsets[of[i]] for i in decoded.indices]
                rejected += [(batch, replace(bad, index=of[bad.index])) for bad in decoded.rejected]
            start += len(batch.values)
        rows = described(records, partitions, offsets)
        if parts:
            rows = form.joined([*parts, rows])  # type: ignore[list-item]
            if records:
                rows = rows.taken(np.argsort(np.concatenate([*places, np.array(here)]), kind="stable"))
        return Read(rows, rejected, strange)

    def _plain(self, batch: Batch) -> Plain:
        """What the library makes of a batch of events."""
        assert self._library is not None
        assert self._describes is not None
        limit = self.limits.bytes_max
        rows: Uploads | Movements
        if batch.topic == topics.SHIPMENTS:
            packed, parcels, tails, strange = self._describes.shipments(batch.values, limit)
            rows = Uploads([], parcels, np.frombuffer(packed, dtype=layout.SHIPMENT), tails)
        else:
            read = getattr(self._library, _BY_TOPIC[batch.topic].stem)
            packed, parcels, cut, strange = read(batch.values, limit)
            names = {parcels[row]: name for row, name in cut}
            rows = Movements([], parcels, np.frombuffer(packed, dtype=layout.MOVEMENT), names)
        places = np.delete(np.arange(len(batch.values)), strange)
        rows.partitions.extend([batch.partition] * len(places))
        rows.rows["offset"] = np.asarray(batch.offsets, dtype=np.int64)[places]
        return Plain(self, rows, places, strange)


def _describes(library: Any, describer: Describer) -> Any:
    """The library's own describer."""
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


def _said(names: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """Of each goods name its normal form, its class by words, its flags, its term and how that is written."""
    return [
        (said.norm, _CLASSES[said.by_words], _flags(said), said.term, said.trick) for said in map(goods.read, names)
    ]


def _flags(said: goods.Goods) -> int:
    return sum(_GOODS_FLAGS[flag] for flag in _GOODS_FLAGS if getattr(said, flag))


_CLASSES: Final = {name: code for code, name in enumerate(layout.GOODS_CLASSES)}
_GOODS_FLAGS: Final = {
    name.removeprefix("goods_"): int(bit) for name, bit in layout.FLAGS.items() if name.startswith("goods_")
}
