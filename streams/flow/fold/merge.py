"""Two dossiers of one parcel as one.

They come of events that went to two partitions, as for the moments in which some producers knew of more partitions than
the worker. A dossier is the set of its events, so the one is the union of both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.movements import fold_movements
from streams.flow.fold.uploads import bounded, observe, rank
from streams.flow.layout import FACT_COLUMNS, MOVEMENT, OPEN, SENDER, SHIPMENT, VERSION

Rows = NDArray[np.void]
_NAMES = list(SHIPMENT.names or ())
_FACTS = {kind: (*columns, *(("previous_km", "previous_ms") if kind == SENDER else ()))
          for kind, columns in FACT_COLUMNS.items()}  # fmt: skip


def merge(dossiers: Dossiers, into: int, other: int) -> None:
    """Take the dossier `other` into `into`, which is then to be judged; an upload that does not stand any more is
    observed as superseded."""
    heads = dossiers.heads
    before = dossiers.versions[into], dossiers.movements[into], int(heads["event"][into]), int(heads["present"][into])
    rows = np.frombuffer(dossiers.movements[other], dtype=MOVEMENT)
    fold_movements(dossiers, np.full(len(rows), into, dtype=np.int64), rows)
    if heads["present"][other]:
        _merge_uploads(dossiers, into, other)
    elif not dossiers.tails[into]:
        dossiers.tails[into] = dossiers.tails[other]
    after = dossiers.versions[into], dossiers.movements[into], int(heads["event"][into]), int(heads["present"][into])
    _merge_said(heads, into, other, same=before == after)
    dossiers.changed[into] = dossiers.judge[into] = True


def _merge_uploads(dossiers: Dossiers, into: int, other: int) -> None:
    heads = dossiers.heads
    past = [np.frombuffer(dossiers.versions[row], dtype=VERSION) for row in (into, other)]
    if not heads["present"][into]:
        _stand(dossiers, into, other)
    elif heads["event"][into] == heads["event"][other]:
        _newest_facts(heads, into, other)
    else:
        ranks = [rank(heads[row], dossiers.tails[row]) for row in (into, other)]
        loser = into if ranks[1] > ranks[0] else other
        lost = layout.version_of(heads[loser : loser + 1])
        lost["known"] = heads["known"][loser]
        past.append(lost)
        parcel = np.array([dossiers.parcels[into]], dtype=layout.PARCEL)
        gone = heads[loser : loser + 1][_NAMES].astype(SHIPMENT)
        dossiers.observed.append(observe(gone, dossiers.numbers[[into]], parcel, live=False))
        if loser == into:
            _stand(dossiers, into, other)
    versions = _united(np.concatenate(past), int(heads["event"][into]))
    heads["versions"][into] = len(versions)
    dossiers.versions[into] = versions.tobytes()


def _stand(dossiers: Dossiers, into: int, other: int) -> None:
    """Let the upload of `other` stand, with what histories counted for it."""
    heads = dossiers.heads
    for name in (*_NAMES, "present", "saturated", "known", *(name for names in _FACTS.values() for name in names)):
        heads[name][into] = heads[name][other]
    dossiers.tails[into] = dossiers.tails[other]


def _newest_facts(heads: Rows, into: int, other: int) -> None:
    """Of two answers about one upload the one that stands on more."""
    for kind, names in _FACTS.items():
        if heads["known"][other, kind] > heads["known"][into, kind]:
            heads["known"][into, kind] = heads["known"][other, kind]
            for name in names:
                heads[name][into] = heads[name][other]
    heads["saturated"][into] |= heads["saturated"][other]


def _united(versions: Rows, stands: int) -> Rows:
    """Each past upload once, with the most that is known of it, in the order in which they are kept."""
    versions = versions[versions["event"] != stands]
    _, first, of = np.unique(versions["event"], return_index=True, return_inverse=True)
    united = versions[first].copy()
    known = np.zeros_like(united["known"])
    np.maximum.at(known, of, versions["known"])
    united["known"] = known
    united = bounded(united)
    return united[np.argsort(united["event"])]


def _merge_said(heads: Rows, into: int, other: int, *, same: bool) -> None:
    """What was said of either. same: `into` knew all that `other` knows, so what it said last still holds."""
    for said, content in (("emitted", "content"), ("shadowed", "shadow_content")):
        if same and not (heads[said][other] == OPEN and heads[said][into] != OPEN):
            continue
        mine, theirs = int(heads[said][into]), int(heads[said][other])
        if theirs:
            heads[content][into] = 0
        heads[said][into] = OPEN if OPEN in (mine, theirs) else max(mine, theirs)
    heads["sent"][into] = max(heads["sent"][into], heads["sent"][other])
    heads["decided_at"][into] = max(heads["decided_at"][into], heads["decided_at"][other])
