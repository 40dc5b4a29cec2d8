"""Messages of which the newest per parcel is valid. One goes out only if its content has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Self, TypeVar, cast

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.apart import Shadow
from schemas.records import Alert
from streams.flow.fold.dossiers import Dossiers
from streams.flow.reasons import encode, read

T = TypeVar("T", Alert, Shadow)


class Upsert(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One message to publish: the parcel's partition and key, the message as bytes, and the message itself.

    said: its reasons are still bytes, see `streams.flow.reasons`.
    """

    partition: int
    key: bytes
    value: bytes
    said: T

    @classmethod
    def of(cls, partition: int, said: T) -> Self:
        """The message that says this."""
        return cls(partition, f"{said.carrier_code}:{said.waybill_no}".encode(), encode(said), said)

    @property
    def record(self) -> T:
        """The message, with its reasons read."""
        return msgspec.structs.replace(self.said, reasons=read(cast("bytes", self.said.reasons)))


def news(dossiers: Dossiers, rows: NDArray[np.int64], texts: Sequence[bytes], content: str) -> list[int]:
    """Positions of the texts that differ from the last message about their dossier.

    rows: the dossier of each. texts: messages without what does not count as a change, such as `detected_at`. content:
    the column of the dossiers that keeps a hash of the last message; it is set here.
    """
    said = np.fromiter(map(xxhash.xxh3_64_intdigest, texts), dtype=np.uint64, count=len(texts))
    new = np.flatnonzero(said != dossiers.heads[content][rows])
    dossiers.heads[content][rows[new]] = said[new]
    dossiers.changed[rows[new]] = True
    positions: list[int] = new.tolist()
    return positions
