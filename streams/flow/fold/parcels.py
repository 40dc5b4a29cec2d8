"""Folds events into the dossiers of their parcels.

A dossier is the set of its events, so the order of events does not matter. Movements are a set by event id. Answers
count ever more observations: of two answers about one event, the one that counts more is newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.flow.batches import Answers, Movements, Uploads, tail
from streams.flow.fold.dossiers import Dossiers, Places, load
from streams.flow.fold.movements import fold_movements
from streams.flow.fold.uploads import fold_uploads
from streams.flow.layout import FACT_COLUMNS, SENDER, VERSION
from streams.state.store import Store

Rows = NDArray[np.void]
Ints = NDArray[np.int64]


def fold(
    store: Store,
    uploads: Uploads,
    movements: Movements,
    answers: Answers,
    due: Sequence[tuple[int, bytes]] = (),
    library: Any | None = None,
) -> Dossiers:
    """Load the dossiers of these events and fold the events in.

    due: partition and parcel of dossiers to judge again, also without a new event. library: the native one, or None.
    """
    places = Places()
    of_upload = places.find(uploads.partitions, uploads.parcels)
    of_movement = places.find(movements.partitions, movements.parcels)
    of_answer = places.find(answers.partitions, answers.rows["parcel"].tolist())
    of_due = places.find([partition for partition, _ in due], [parcel for _, parcel in due])
    dossiers = load(store, places.partitions, places.parcels, library)
    dossiers.places = places
    fold_movements(dossiers, of_movement, movements.rows)
    fold_uploads(dossiers, of_upload, uploads)
    _fold_answers(dossiers, of_answer, answers.rows)
    dossiers.judge[of_due] = True
    _name(dossiers, movements.names)
    return dossiers


def answer(dossiers: Dossiers, store: Store, answers: Answers) -> None:
    """Fold answers into these dossiers; dossiers that are not among them are loaded and added."""
    places, here = dossiers.places, len(dossiers.parcels)
    of_answer = places.find(answers.partitions, answers.rows["parcel"].tolist())
    if len(places.parcels) > here:
        dossiers.extend(load(store, places.partitions[here:], places.parcels[here:], dossiers.library))
    _fold_answers(dossiers, of_answer, answers.rows)


def _name(dossiers: Dossiers, names: dict[bytes, str]) -> None:
    """Give dossiers without a shipment record a tail, because an alert must name the parcel."""
    for i in np.flatnonzero(dossiers.moved & (dossiers.heads["present"] == 0)).tolist():
        if not dossiers.tails[i]:
            reference = dossiers.parcels[i]
            carrier_code, _, waybill_no = (names.get(reference) or reference.decode()).partition(":")
            dossiers.tails[i] = tail("", carrier_code, waybill_no, "", "")


def _fold_answers(dossiers: Dossiers, owner: Ints, rows: Rows) -> None:
    if len(rows) == 0:
        return
    heads = dossiers.heads
    by = np.lexsort((rows["known"], rows["kind"]))
    rows, owner = rows.take(by), owner[by]
    current = (heads["present"][owner] == 1) & (heads["event"][owner] == rows["event"])
    known, kinds = np.ascontiguousarray(rows["known"]), np.ascontiguousarray(rows["kind"])
    for kind, columns in FACT_COLUMNS.items():
        start, end = np.searchsorted(kinds, [kind, kind + 1])
        here = owner[start:end]
        news = start + np.flatnonzero(current[start:end] & (known[start:end] > heads["known"][here, kind]))
        if len(news) == 0:
            continue
        into = owner[news]
        heads["known"][into, kind] = known[news]
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
