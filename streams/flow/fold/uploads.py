"""Folds uploads into dossiers: the valid one and those that it superseded; and the observations for the histories."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.batches import Uploads, untail
from streams.flow.fold.dossiers import Dossiers
from streams.flow.layout import FACT_COLUMNS, HEAD, KINDS, OBSERVATION, SENDER, SHIPMENT, VERSION

Rows = NDArray[np.void]
Ints = NDArray[np.int64]

VERSIONS_MAX = 64
_SHIPMENT_NAMES = list(SHIPMENT.names or ())
_SHIPMENT_AT = HEAD.itemsize - SHIPMENT.itemsize  # a HEAD ends with the fields of the valid upload


def fold_uploads(dossiers: Dossiers, owner: Ints, uploads: Uploads) -> None:
    """Fold first uploads of parcels in columns, drop repetitions, and fold all others one by one."""
    if len(owner) == 0:
        return
    careful = _fold_first(dossiers, owner, uploads) if dossiers.library is None else _natively(dossiers, owner, uploads)
    again: defaultdict[int, list[int]] = defaultdict(list)
    for row in careful:
        again[int(owner[row])].append(row)
    for i, candidates in again.items():
        _fold_again(dossiers, i, uploads, candidates)


def _fold_first(dossiers: Dossiers, owner: Ints, uploads: Uploads) -> list[int]:
    """Fold first uploads of parcels; returns the rows that must be compared with others."""
    heads = dossiers.heads
    present = heads["present"][owner] == 1
    repeated = present & (heads["event"][owner] == uploads.rows["event"])
    first = np.zeros(len(owner), dtype=np.bool_)
    once = uploads.rows["event"] ^ (owner.astype(np.uint64) << np.uint64(40))  # event and parcel in one
    first[np.unique(once, return_index=True)[1]] = True
    fresh = first & ~repeated
    careful = fresh & (present | (np.bincount(owner[fresh], minlength=len(heads))[owner] > 1))
    plain = np.flatnonzero(fresh & ~careful)
    _stand(dossiers, owner[plain], uploads, plain)
    return np.flatnonzero(careful).tolist()


def _natively(dossiers: Dossiers, owner: Ints, uploads: Uploads) -> list[int]:
    """The same."""
    assert dossiers.library is not None
    careful: list[int]
    found, observed, careful = dossiers.library.fold_uploads(
        dossiers.raw, dossiers.tails, partitions=dossiers.partitions, parcels=dossiers.parcels,
        owners=owner.tobytes(), rows=uploads.rows.tobytes(), tails_of=uploads.tails,
    )  # fmt: skip
    into = np.frombuffer(found, dtype=np.int64)
    dossiers.changed[into] = dossiers.judge[into] = dossiers.uploaded[into] = True
    dossiers.observed.append(np.frombuffer(observed, dtype=OBSERVATION))
    return careful


def _stand(dossiers: Dossiers, into: Ints, uploads: Uploads, rows: Ints) -> None:
    """Make the uploads of `rows` the valid ones of the dossiers `into`, and observe them for the histories."""
    heads = dossiers.heads
    _raw(heads)[into, _SHIPMENT_AT:] = _raw(uploads.rows)[rows]
    tails = map(uploads.tails.__getitem__, rows.tolist())
    deque(map(dossiers.tails.__setitem__, into.tolist(), tails), maxlen=0)  # in C, since they are many
    heads["present"][into] = 1
    dossiers.changed[into] = dossiers.judge[into] = dossiers.uploaded[into] = True
    dossiers.observed.append(
        observe(uploads.rows.take(rows), dossiers.numbers[into], _parcels(dossiers, into), live=True)
    )


def _raw(rows: Rows) -> NDArray[np.uint8]:
    """The bytes of packed rows, one row each."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def _fold_again(dossiers: Dossiers, i: int, uploads: Uploads, candidates: list[int]) -> None:
    """Fold several uploads of one parcel, or one into a stored parcel; drop repetitions."""
    head = dossiers.heads[i]
    versions = np.frombuffer(dossiers.versions[i], dtype=VERSION)
    seen = set(versions["event"].tolist())
    if head["present"]:
        seen.add(int(head["event"]))
    fresh = {int(uploads.rows["event"][row]): row for row in reversed(candidates)}
    rows = [row for event, row in fresh.items() if event not in seen]
    if not rows:
        return
    newest = max(rows, key=lambda row: rank(uploads.rows[row], uploads.tails[row]))
    stands = not head["present"] or rank(uploads.rows[newest], uploads.tails[newest]) > rank(head, dossiers.tails[i])
    gone = [uploads.rows[row : row + 1] for row in rows if not (stands and row == newest)]
    past = [layout.version_of(row) for row in gone]
    if stands and head["present"]:
        gone.append(dossiers.heads[i : i + 1][_SHIPMENT_NAMES].astype(SHIPMENT))
        old = layout.version_of(dossiers.heads[i : i + 1])
        old["known"] = head["known"]
        past.append(old)
        for name in ("known", "saturated", *_COUNT_NAMES):
            head[name] = 0
        head["previous_km"], head["previous_ms"] = np.nan, -1
    versions = bounded(layout.joined((versions, *past), VERSION))
    dossiers.versions[i] = versions[np.argsort(versions["event"])].tobytes()
    head["versions"] = len(versions)
    dossiers.changed[i] = dossiers.judge[i] = True
    if gone:
        lost = layout.joined(gone, SHIPMENT)
        here = np.full(len(lost), i)
        dossiers.observed.append(observe(lost, dossiers.numbers[here], _parcels(dossiers, here), live=False))
    if stands:
        _stand(dossiers, np.array([i]), uploads, np.array([newest]))


def bounded(versions: Rows) -> Rows:
    """At most VERSIONS_MAX of them; the last one also counts for those dropped, so that the revision never falls."""
    kept, lost = versions[:VERSIONS_MAX], versions[VERSIONS_MAX:]
    if len(lost):
        kept["known"][-1, 0] += lost["known"].sum() + len(lost)
    return kept


_APART = np.uint64(0x9E3779B97F4A7C15)
_COUNT_NAMES = [name for columns in FACT_COLUMNS.values() for name in columns]


def rank(row: Any, raw_tail: bytes) -> tuple[int, str, int]:
    """The order of uploads, the valid one last: by time of the record, event id, then all other content."""
    return int(row["version_at"]), untail(raw_tail)[0], int(row["event"])


def _parcels(dossiers: Dossiers, rows: Ints) -> NDArray[np.bytes_]:
    return np.array([dossiers.parcels[row] for row in rows.tolist()], dtype=layout.PARCEL)


def observe(rows: Rows, partitions: NDArray[np.uint16], parcels: NDArray[np.bytes_], *, live: bool) -> Rows:
    """OBSERVATION rows: one for each entity of an upload. live=False: the upload is superseded."""
    found = []
    for kind in range(len(KINDS)):
        has = np.flatnonzero(rows["entity"][:, kind] != 0)
        out = np.zeros(len(has), dtype=OBSERVATION)
        out["kind"], out["live"] = kind, live
        out["entity"], out["event"], out["at"] = (
            rows["entity"][has, kind],
            rows["event"][has],
            rows["picked_up_at"][has],
        )
        out["partition"], out["parcel"] = partitions[has], parcels[has]
        if live:
            out["a"] = rows["name" if kind == SENDER else "person"][has]
            if kind == layout.RECIPIENT:
                out["a"] *= (rows["flags"][has] & layout.FLAGS["priority_origin"]) != 0
            if kind == SENDER:
                out["b"] = rows["outlet"][has] ^ (rows["carrier"][has] * _APART)  # per carrier
            elif kind == layout.COURIER:
                out["b"] = rows["clone"][has]
            out["place"] = rows["pickup_adcode"][has]
        found.append(out)
    return layout.joined(found, OBSERVATION)
