"""The steps of judging in bulk, each for some of the rows, in whichever process; `streams.bulk` puts them in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rules import Catalogue
from schemas.records import Reject
from streams import layout
from streams.dealt import Cut, Ints, Piece, deal, hash_slots, parcel_slots
from streams.describe import Describer
from streams.fold import dossiers, histories
from streams.fold.journey import END
from streams.frames import Answers, Batch, Movements, Uploads
from streams.pipeline import Judged, Parcels
from streams.settings import Settings
from streams.state.store import MemoryStore

PARTITION = 0  # where all rows count as read
_PARCEL = np.dtype(layout.PARCEL)
UPLOADS, MOVEMENTS, NAMES = (layout.SHIPMENT, _PARCEL, "S1"), (layout.MOVEMENT, _PARCEL), (_PARCEL, "S1")
"""What the columns of these pieces hold; texts are as wide as the longest of a piece."""
OBSERVATIONS, FACTS = (layout.OBSERVATION,), (layout.FACT,)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading some lines."""

    uploads: Piece
    movements: Piece
    names: Piece
    events: Counter[str]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of some parcels."""

    uploads: Cut
    movements: Cut
    names: Cut  # of parcels whose reference is not their name
    facts: Cut


class Steps:
    """The steps on the way, each for some of the rows: a function of its arguments, in whichever process."""

    def __init__(self, settings: Settings, catalogues: Sequence[Catalogue], spill: Path | None) -> None:
        """spill: where rows lie between the steps; None: in memory."""
        describer = Describer.of(settings, frozenset().union(*(catalogue.columns for catalogue in catalogues)))
        self.agents = [
            Parcels(
                MemoryStore(),
                catalogue,
                describer,
                partitions=1,
                emit_from=settings.emit_from,
                event_bytes_max=settings.event_bytes_max,
            )
            for catalogue in catalogues
        ]
        self._bucket_rows_max = settings.observations_per_bucket_max
        self._spill = spill

    def read(self, batches: Sequence[Batch]) -> Read:
        """Decode and describe lines."""
        out = Judged()
        uploads, movements = zip(*(self.agents[0].read([batch], out) for batch in batches), strict=True)
        parcels = _parcels(uploads)
        tails = np.array([tail for part in uploads for tail in part.tails], dtype=np.bytes_)
        rows = np.concatenate([part.rows for part in uploads])
        moved = _parcels(movements)
        moves = np.concatenate([part.rows for part in movements])
        names = {reference: name.encode() for part in movements for reference, name in part.names.items()}
        named = np.array(list(names), dtype=_PARCEL)
        return Read(
            deal(parcel_slots(parcels), [rows, parcels, tails], self._spill),
            deal(parcel_slots(moved), [moves, moved], self._spill),
            deal(parcel_slots(named), [named, np.array(list(names.values()), dtype=np.bytes_)], self._spill),
            out.events,
            out.rejects,
        )

    def observe(self, uploads: Cut) -> Piece:
        """What these uploads are observations of, by entity."""
        folded = dossiers.fold(MemoryStore(), _uploads(uploads), Movements.none(), Answers.none())
        rows = folded.observations()
        return deal(hash_slots(rows["entity"]), [rows], self._spill)

    def answer(self, observed: Cut) -> Piece:
        """What the histories of these observations answer, by parcel."""
        (rows,) = observed.columns()
        partitions = np.full(len(rows), PARTITION, dtype=np.int64)
        found = histories.fold(MemoryStore(), rows, partitions, bucket_rows_max=self._bucket_rows_max).rows
        return deal(parcel_slots(found["parcel"]), [found], self._spill)

    def fold(self, known: Known) -> dossiers.Dossiers:
        """The dossiers of these parcels."""
        rows, parcels = known.movements.columns()
        references, names = known.names.columns()
        (answers,) = known.facts.columns()
        named = {short: name.decode() for short, name in zip(references.tolist(), names.tolist(), strict=True)}
        return dossiers.fold(
            MemoryStore(),
            _uploads(known.uploads),
            Movements([PARTITION] * len(rows), parcels.tolist(), rows, named),
            Answers([PARTITION] * len(answers), answers),
        )

    def ended(self, touched: dossiers.Dossiers) -> Ints:
        """Event time of each: the end closes every deadline, since what has not come by now does not come."""
        return np.full(len(touched.parcels), END)


def _parcels(parts: Sequence[Uploads | Movements]) -> NDArray[np.bytes_]:
    return np.array([parcel for part in parts for parcel in part.parcels], dtype=_PARCEL)


def _uploads(cut: Cut) -> Uploads:
    rows, parcels, tails = cut.columns()
    # A repetition changes nothing; taken out here, it does not make its parcel a case for the careful way.
    _, once = np.unique(rows["event"], return_index=True)
    return Uploads([PARTITION] * len(once), parcels[once].tolist(), rows[once], tails[once].tolist())
