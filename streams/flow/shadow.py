"""Shadow messages: rules that do not count into the verdict, in shadow or held back. Upserts by parcel, like alerts.

Which alerts are held back depends on what a worker has judged lately. Apart from that, the content is a function of the
dossier, the catalogue and the settings. `detected_at` does not count when a message is compared with the last one.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np
import polars as pl

from rules import SCORE_MAX, TIERS, Catalogue, tier_of
from schemas.apart import Shadow
from streams.flow.batches import untail
from streams.flow.emit import alert_id, reason
from streams.flow.flood import Gate
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import HELD, OPEN, WITHDRAWN
from streams.flow.upsert import Upsert, Verdict, news


def shadow(
    dossiers: Dossiers,
    verdicts: Verdicts,
    catalogue: Catalogue,
    *,
    gate: Gate,
    emit_from: int,
    now_ms: int,
) -> list[Upsert[Shadow]]:
    """The messages whose content has changed; they are marked as sent in their dossiers.

    gate: which alerts wait, and for which rules. emit_from: index into TIERS. now_ms: wall clock.
    """
    heads = dossiers.heads
    holds = gate.deferred.copy()
    if any(verdicts.answers[rule].any() for rule in catalogue.shadow):
        holds |= verdicts.answers.select(pl.any_horizontal(catalogue.shadow).fill_null(False)).to_series().to_numpy()
    due = np.flatnonzero(holds | np.isin(heads["shadowed"][verdicts.rows], (OPEN, HELD)))
    full = ~gate.deferred  # releasing a rule changes both messages without a new fact

    def message(verdict: Verdict) -> Shadow:
        held = gate.held if gate.deferred[verdict.row] else ()
        return _said(dossiers.tails[verdict.i], catalogue, verdict, held=held, emit_from=emit_from)

    out = []
    for verdict, said in news(dossiers, verdicts, due, message, content="shadow_content", full=full):
        waits, apart = gate.deferred[verdict.row], holds[verdict.row]
        heads["shadowed"][verdict.i] = HELD if waits else OPEN if apart else WITHDRAWN
        said = msgspec.structs.replace(said, detected_at=now_ms)
        out.append(Upsert.of(dossiers.partitions[verdict.i], said))
    return out


def _said(
    tail: bytes,
    catalogue: Catalogue,
    verdict: Verdict,
    *,
    held: Collection[str],
    emit_from: int,
) -> Shadow:
    _, carrier_code, waybill_no, *_ = untail(tail)
    yes = [rule for rule, answer in zip(catalogue.rules, verdict.answers, strict=True) if answer]
    apart = [rule for rule in yes if rule.mode == "shadow" or rule.id in held]
    total = sum(rule.points for rule in yes)
    score_with, score = (min(points, SCORE_MAX) for points in (total, total - sum(rule.points for rule in apart)))
    before, after = tier_of(score), tier_of(score_with)
    return Shadow(
        alert_id=alert_id(f"{carrier_code}:{waybill_no}"),
        revision=verdict.revision,
        status="open" if apart else "withdrawn",
        opens=before < emit_from <= after,
        rises=before < after,
        tier=TIERS[before],
        score=score,
        tier_with=TIERS[after],
        score_with=score_with,
        reasons=tuple(reason(rule, verdict.columns, rule.points) for rule in apart),
        held=tuple(rule.id for rule in apart if rule.id in held),
        carrier_code=carrier_code,
        waybill_no=waybill_no,
        detected_at=0,
        catalogue=catalogue.fingerprint,
    )
