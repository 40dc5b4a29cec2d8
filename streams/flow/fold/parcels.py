"""Folds events into the dossiers of their parcels.

A dossier is the set of its events, so the order of events does not matter. Movements are a set by event id. Answers
count ever more observations: of two answers about one event, the one that counts more is newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.batches import Answers, Movements, Uploads
from streams.flow.fold.dossiers import Dossiers, Places, load, places_of
from streams.flow.fold.movements import fold_movements
from streams.flow.fold.uploads import fold_uploads
from streams.flow.layout import FACT_COLUMNS, HEAD, SENDER, VERSION
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
    places = places_of(library)
    of_upload = _find(places, uploads.partitions, uploads.parcels)
    of_movement = _find(places, movements.partitions, movements.parcels)
    of_answer = _find(places, answers.partitions, answers.rows["parcel"].tolist())
    of_due = _find(places, [partition for partition, _ in due], [parcel for _, parcel in due])
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
    of_answer = _find(places, answers.partitions, answers.rows["parcel"].tolist())
    if len(places.parcels) > here:
        dossiers.extend(load(store, places.partitions[here:], places.parcels[here:], dossiers.library))
    _fold_answers(dossiers, of_answer, answers.rows)


def _find(places: Places, partitions: list[int], parcels: list[bytes]) -> Ints:
    return np.frombuffer(places.find(partitions, parcels), dtype=np.int64)


def _name(dossiers: Dossiers, names: dict[bytes, str]) -> None:
    """Give dossiers without a shipment record a tail, because an alert must name the parcel."""
    tails = dossiers.tails
    rows = np.flatnonzero(dossiers.moved & (dossiers.heads["present"] == 0)).tolist()
    for i in [row for row in rows if not tails[row]]:
        reference = dossiers.parcels[i]
        carrier_code, _, waybill_no = (names[reference].encode() if reference in names else reference).partition(b":")
        tails[i] = b"\x1f%b\x1f%b\x1f\x1f" % (carrier_code, waybill_no)  # as `tail` does; they are many


def _fold_answers(dossiers: Dossiers, owner: Ints, rows: Rows) -> None:
    if len(rows) == 0:
        return
    if (library := dossiers.library) is not None:
        changed, superseded = library.fold_answers(dossiers.raw, owner.tobytes(), rows.tobytes(), _COUNTS)
        into = np.frombuffer(changed, dtype=np.int64)
        dossiers.changed[into] = dossiers.judge[into] = True
    else:
        rows, owner, superseded = _fold_current(dossiers, owner, rows)
    for row in superseded:
        _answer_superseded(dossiers, int(owner[row]), rows[row])


_COUNTS = [(layout.place_in(HEAD, columns[0]), len(columns)) for columns in FACT_COLUMNS.values()]
"""Where the counts of each kind of history begin in a HEAD, and how many there are."""


def _fold_current(dossiers: Dossiers, owner: Ints, rows: Rows) -> tuple[Rows, Ints, list[int]]:
    """Fold answers about valid uploads. Returns all in order, and which of them are about superseded ones."""
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
    return rows, owner, np.flatnonzero(~current & (heads["versions"][owner] > 0)).tolist()


def _answer_superseded(dossiers: Dossiers, i: int, fact: np.void) -> None:
    versions = np.frombuffer(dossiers.versions[i], dtype=VERSION).copy()
    news = (versions["event"] == fact["event"]) & (versions["known"][:, fact["kind"]] < fact["known"])
    if news.any():
        versions["known"][news, fact["kind"]] = fact["known"]
        dossiers.versions[i] = versions.tobytes()
        dossiers.changed[i] = dossiers.judge[i] = True
