"""Messages of which the newest per parcel is valid. One goes out only if its content has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.apart import Shadow
from schemas.records import Alert
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.revision import revisions

T = TypeVar("T", Alert, Shadow)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Upsert(Generic[T]):
    """One message to publish: the parcel's partition and key, the message as bytes, and the message itself."""

    partition: int
    key: bytes
    value: bytes
    record: T

    @classmethod
    def of(cls, partition: int, record: T) -> Self:
        """The message that holds this record."""
        key = f"{record.carrier_code}:{record.waybill_no}".encode()
        return cls(partition, key, _encode(record), record)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict that a message may be about.

    row: its position among the verdicts. i: the position of its dossier. answers: by rule. columns: what rules read or
    show.
    """

    row: int
    i: int
    answers: tuple[bool | None, ...]
    columns: dict[str, object]
    revision: int


def news(
    dossiers: Dossiers,
    verdicts: Verdicts,
    due: NDArray[np.int64],
    make: Callable[[Verdict], T],
    *,
    content: str,
    full: NDArray[np.bool_],
) -> Iterator[tuple[Verdict, T]]:
    """The messages about the verdicts at `due` that differ from the last message about their parcel.

    make: the message about one verdict, without fields that do not count as a change (`detected_at`). content: the
    column of the dossiers that keeps a hash of the last message; it is set here. full: row by row with the verdicts,
    see `streams.flow.revision`.
    """
    if len(due) == 0:
        return
    rows, noted = verdicts.rows[due], dossiers.heads[content]
    of = zip(
        due.tolist(),
        rows.tolist(),
        verdicts.answers[due].rows(),
        verdicts.evidence(due),
        revisions(dossiers, rows, verdicts.absent[due], verdicts.touched[due], full[due]),
        strict=True,
    )
    for verdict in (Verdict(*each) for each in of):
        message = make(verdict)
        said = xxhash.xxh3_64_intdigest(_encode(message))
        if said != int(noted[verdict.i]):
            noted[verdict.i] = said
            dossiers.changed[verdict.i] = True
            yield verdict, message
