"""What does not count into the verdicts: rules in shadow, and rules that are held back. Upserts by parcel, as alerts.

Apart from alerts that are held back, which depends on what a worker has judged lately, the content is a function of
the dossier, the catalogue and the settings. `detected_at` takes no part in deciding whether a message is news.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
import xxhash

from rules import SCORE_MAX, TIERS, Catalogue, tier_of
from schemas.apart import Shadow
from streams.flow.batches import untail
from streams.flow.emit import alert_id, reason
from streams.flow.flood import Gate
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import HELD, OPEN, WITHDRAWN

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shadowed:
    """One message of the shadow topic: parcel key and message, as bytes, and the message itself."""

    partition: int
    key: bytes
    value: bytes
    shadow: Shadow


def shadow(
    dossiers: Dossiers,
    verdicts: Verdicts,
    catalogue: Catalogue,
    *,
    gate: Gate,
    emit_from: int,
    now_ms: int,
) -> list[Shadowed]:
    """The messages whose content is news, marked as sent in their dossiers.

    gate: which alerts wait, and for which rules. emit_from: index into TIERS. now_ms: wall clock.
    """
    heads = dossiers.heads
    holds = gate.deferred.copy()
    if catalogue.shadow:
        holds |= verdicts.answers.select(pl.any_horizontal(catalogue.shadow).fill_null(False)).to_series().to_numpy()
    due = np.flatnonzero(holds | np.isin(heads["shadowed"][verdicts.rows], (OPEN, HELD)))
    if len(due) == 0:
        return []
    evidence = verdicts.evidence(due)
    answers = verdicts.answers[due].rows()
    revisions = dossiers.revisions(verdicts.rows[due], verdicts.absent[due], verdicts.touched[due])
    out = []
    for position, row in enumerate(due.tolist()):
        i = int(verdicts.rows[row])
        waits = bool(gate.deferred[row])
        said = _said(
            dossiers.tails[i],
            catalogue,
            answers[position],
            evidence[position],
            held=gate.held if waits else (),
            # An alert that was held back comes out upon the same facts, and this message goes with it.
            revision=2 * revisions[position] + (not waits),
            emit_from=emit_from,
        )
        content = xxhash.xxh3_64_intdigest(_encode(said))
        if content == int(heads["shadow_content"][i]):
            continue
        heads["shadow_content"][i] = content
        heads["shadowed"][i] = HELD if waits else OPEN if holds[row] else WITHDRAWN
        dossiers.changed[i] = True
        said = msgspec.structs.replace(said, detected_at=now_ms)
        key = f"{said.carrier_code}:{said.waybill_no}".encode()
        out.append(Shadowed(dossiers.partitions[i], key, _encode(said), said))
    return out


def _said(
    tail: bytes,
    catalogue: Catalogue,
    answers: tuple[bool | None, ...],
    columns: dict[str, object],
    *,
    held: Collection[str],
    revision: int,
    emit_from: int,
) -> Shadow:
    _, carrier_code, waybill_no, *_ = untail(tail)
    yes = [rule for rule, answer in zip(catalogue.rules, answers, strict=True) if answer]
    apart = [rule for rule in yes if rule.mode == "shadow" or rule.id in held]
    total = sum(rule.points for rule in yes)
    score_with, score = (min(points, SCORE_MAX) for points in (total, total - sum(rule.points for rule in apart)))
    before, after = tier_of(score), tier_of(score_with)
    return Shadow(
        alert_id=alert_id(f"{carrier_code}:{waybill_no}"),
        revision=revision,
        status="open" if apart else "withdrawn",
        opens=before < emit_from <= after,
        rises=before < after,
        tier=TIERS[before],
        score=score,
        tier_with=TIERS[after],
        score_with=score_with,
        reasons=tuple(reason(rule, columns, rule.points) for rule in apart),
        held=tuple(rule.id for rule in apart if rule.id in held),
        carrier_code=carrier_code,
        waybill_no=waybill_no,
        detected_at=0,
        catalogue=catalogue.fingerprint,
    )
