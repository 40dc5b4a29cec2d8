"""The data between the steps: raw batches, described rows, and the messages between the two agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.errors import WaybillError
from streams.flow import layout
from streams.flow.layout import MOVEMENT, SHIPMENT
from streams.flow.partitions import present
from streams.state.format import MESSAGES, MESSAGES_READ

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """Raw records of one (topic, partition), in the order of their offsets."""

    topic: str
    partition: int
    offsets: Sequence[int]
    values: Sequence[bytes | None]
    timestamps: Sequence[int]  # of the broker, epoch ms
    generation: int = 0  # of the assignment under which it was read
    keys: Sequence[bytes | None] = ()  # only of reference records
    plain: Plain | None = None  # what the native front end read of it ahead


class Sampled(NamedTuple):
    """An event that is traced for OpenTelemetry: its digest (see `streams.flow.sampling`), parcel and place.

    Times: Unix, nanoseconds; `recorded` by its message.
    """

    digest: bytes
    parcel: bytes
    topic: str
    partition: int
    offset: int
    recorded: int
    fetched: int
    read: int


@dataclass(frozen=True, slots=True)
class SampledBatch(Batch):
    """A batch with those of its events that are traced for OpenTelemetry."""

    sampled: Sequence[Sampled] = ()


@dataclass(frozen=True, slots=True)
class Uploads:
    """Described shipment records: for each, one SHIPMENT row and one tail (see `tail`)."""

    partitions: list[int]
    parcels: list[bytes]
    rows: Rows
    tails: list[bytes]

    @staticmethod
    def none() -> Uploads:
        return Uploads([], [], np.empty(0, dtype=SHIPMENT), [])

    @staticmethod
    def joined(parts: Sequence[Uploads]) -> Uploads:
        """Several joined into one."""
        parts = [part for part in parts if part.parcels] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return Uploads(
            [partition for part in parts for partition in part.partitions],
            [parcel for part in parts for parcel in part.parcels],
            layout.joined([part.rows for part in parts], SHIPMENT),
            [tail for part in parts for tail in part.tails],
        )

    def woven(self, more: Uploads, at: Ints) -> Uploads:
        """With `more` rows, each before the row that is at its place of `at` here."""
        return Uploads(
            _woven(self.partitions, more.partitions, at),
            _woven(self.parcels, more.parcels, at),
            layout.joined(_woven_rows(self.rows, more.rows, at), SHIPMENT),
            _woven(self.tails, more.tails, at),
        )


@dataclass(frozen=True, slots=True)
class Movements:
    """Scans and inspections as MOVEMENT rows."""

    partitions: list[int]
    parcels: list[bytes]
    rows: Rows
    names: dict[bytes, str]  # names of parcels whose reference is not their name

    @staticmethod
    def none() -> Movements:
        return Movements([], [], np.empty(0, dtype=MOVEMENT), {})

    @staticmethod
    def joined(parts: Sequence[Movements]) -> Movements:
        """Several joined into one."""
        parts = [part for part in parts if part.parcels] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return Movements(
            [partition for part in parts for partition in part.partitions],
            [parcel for part in parts for parcel in part.parcels],
            layout.joined([part.rows for part in parts], MOVEMENT),
            {reference: name for part in parts for reference, name in part.names.items()},
        )

    def woven(self, more: Movements, at: Ints) -> Movements:
        """With `more` rows, each before the row that is at its place of `at` here."""
        return Movements(
            _woven(self.partitions, more.partitions, at),
            _woven(self.parcels, more.parcels, at),
            layout.joined(_woven_rows(self.rows, more.rows, at), MOVEMENT),
            self.names | more.names,
        )


def _woven(values: list[T], more: list[T], at: Ints) -> list[T]:
    """As `woven`: what lies between two of `more` is copied in one piece."""
    out: list[T] = []
    start = 0
    for place, each in zip(at.tolist(), more, strict=True):
        out += values[start:place]
        out.append(each)
        start = place
    return out + values[start:]


def _woven_rows(rows: Rows, more: Rows, at: Ints) -> Iterator[Rows]:
    """The same of packed rows, in pieces."""
    start = 0
    for number, place in enumerate(at.tolist()):
        yield rows[start:place]
        yield more[number : number + 1]
        start = place
    yield rows[start:]


@dataclass(frozen=True, slots=True)
class Plain:
    """What the native front end made of a batch: the rows of its plain records. It leaves strange records to Python."""

    front: object  # the one that made them; after a change of rules there is another, with other rows
    rows: Uploads | Movements
    places: Ints  # of the rows in the batch
    strange: list[int]  # places of the other records


@dataclass(frozen=True, slots=True)
class Answers:
    """Facts from the histories as FACT rows, with the partition on which each came."""

    partitions: list[int]
    rows: Rows

    @staticmethod
    def none() -> Answers:
        return Answers([], np.empty(0, dtype=layout.FACT))


TAIL = ("event_id", "carrier_code", "waybill_no", "outlet_id", "courier_id")


def tail(event_id: str, carrier_code: str, waybill_no: str, outlet_id: str, courier_id: str) -> bytes:
    """The strings of an upload that only its alert shows, as bytes. None of them holds a control character."""
    return "\x1f".join((event_id, carrier_code, waybill_no, outlet_id, courier_id)).encode()


def untail(raw: bytes) -> list[str]:
    """event_id, carrier_code, waybill_no, outlet_id, courier_id."""
    return raw.decode().split("\x1f")


def pack(rows: Rows, partitions: NDArray[np.integer]) -> list[tuple[int, bytes]]:
    """Rows as messages of up to `_MESSAGE_ROWS` rows of one partition."""
    by = np.argsort(partitions, kind="stable")
    rows, partitions = rows.take(by), partitions[by]
    head = bytes([MESSAGES])
    out = []
    for partition in present(partitions):
        start, end = np.searchsorted(partitions, [partition, partition + 1])
        cuts = range(int(start), int(end), _MESSAGE_ROWS)
        out += [(partition, head + rows[cut : min(cut + _MESSAGE_ROWS, int(end))].tobytes()) for cut in cuts]
    return out


_MESSAGE_ROWS = 4_000  # of about 110 bytes at most: well below a broker's default limit of 1 MB for a message


def unpack(batches: Sequence[Batch], dtype: np.dtype[np.void]) -> tuple[Rows, list[int]]:
    """The rows of messages of `pack`, and the partition of each row. Raises FormatError."""
    parts, partitions = [], []
    for batch in batches:
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if not value or value[0] not in MESSAGES_READ or (len(value) - 1) % dtype.itemsize:
                raise FormatError(
                    f"{batch.topic}[{batch.partition}]@{offset}: not written by this version of the worker"
                )
            rows = np.frombuffer(value, dtype=dtype, offset=1)
            parts.append(rows)
            partitions += [batch.partition] * len(rows)
    return layout.joined(parts, dtype), partitions


class FormatError(WaybillError):
    """An internal message or stored value of another format version."""
