"""Shadow messages: rules that do not count into the verdict, in shadow or held back. Upserts by parcel, like alerts.

Which alerts are held back depends on what a worker has judged lately. Apart from that, the content is a function of the
dossier, the catalogue and the settings. `detected_at` does not count when a message is compared with the last one.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules import SCORE_MAX, TIERS, YES, tier_of
from schemas.apart import Shadow
from streams.flow.batches import untail
from streams.flow.emit import alert_id, named
from streams.flow.flood import Gate
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import HELD, OPEN, WITHDRAWN
from streams.flow.reasons import encode, reasons
from streams.flow.revision import revisions
from streams.flow.upsert import Upsert, news


def shadow(
    dossiers: Dossiers,
    verdicts: Verdicts,
    *,
    gate: Gate,
    emit_from: int,
    now_ms: int,
) -> list[Upsert[Shadow]]:
    """The messages whose content has changed; they are marked as sent in their dossiers.

    gate: which alerts wait, and for which rules. emit_from: index into TIERS. now_ms: wall clock.
    """
    sent, live = dossiers.heads["shadowed"], verdicts.catalogue.live
    holds = gate.deferred | (verdicts.said[:, ~live] == YES).any(axis=1)
    due = np.flatnonzero(holds | np.isin(sent[verdicts.rows], (OPEN, HELD)))
    if len(due) == 0:
        return []
    rows = verdicts.rows[due]
    messages = _messages(dossiers, verdicts, due, gate=gate, emit_from=emit_from)
    out = []
    texts = [encode(Shadow(**fields, detected_at=0)) for fields in messages]
    for position in news(dossiers, rows, texts, "shadow_content"):
        row, i, fields = due[position], rows[position], messages[position]
        sent[i] = HELD if gate.deferred[row] else OPEN if holds[row] else WITHDRAWN
        out.append(Upsert.of(dossiers.partitions[i], Shadow(**fields, detected_at=now_ms)))
    return out


def _messages(
    dossiers: Dossiers,
    verdicts: Verdicts,
    due: NDArray[np.int64],
    *,
    gate: Gate,
    emit_from: int,
) -> list[dict[str, Any]]:
    """The fields of the messages about the verdicts at `due`, but for `detected_at`."""
    catalogue = verdicts.catalogue
    ids = [rule.id for rule in catalogue.rules]
    names_of = cache(partial(named, ids))
    points = np.array([rule.points for rule in catalogue.rules], dtype=np.int64)
    waits, rows = gate.deferred[due, None], verdicts.rows[due]
    yes = verdicts.said[due] == YES
    held = yes & waits & np.isin(ids, sorted(gate.held))
    apart = held.copy()
    apart[:, ~catalogue.live] |= yes[:, ~catalogue.live]
    total = yes @ points
    of = zip(
        [untail(dossiers.tails[i]) for i in rows.tolist()],
        # Releasing a rule changes both messages without a new fact.
        revisions(dossiers, rows, verdicts.absent[due], verdicts.touched[due], ~gate.deferred[due]),
        np.minimum(total - apart @ points, SCORE_MAX).tolist(),
        np.minimum(total, SCORE_MAX).tolist(),
        reasons(verdicts, due, apart, np.broadcast_to(points, apart.shape)),
        [names_of(which.tobytes()) for which in held],
        apart.any(axis=1).tolist(),
        strict=True,
    )
    out = []
    for (_, carrier_code, waybill_no, *_), revision, score, score_with, why, back, open_ in of:
        before, after = tier_of(score), tier_of(score_with)
        out.append(
            {
                "alert_id": alert_id(f"{carrier_code}:{waybill_no}"),
                "revision": revision,
                "status": "open" if open_ else "withdrawn",
                "opens": before < emit_from <= after,
                "rises": before < after,
                "tier": TIERS[before],
                "score": score,
                "tier_with": TIERS[after],
                "score_with": score_with,
                "reasons": msgspec.Raw(why),
                "held": back,
                "carrier_code": carrier_code,
                "waybill_no": waybill_no,
                "catalogue": catalogue.fingerprint,
            }
        )
    return out
