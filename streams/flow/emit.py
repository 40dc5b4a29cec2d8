"""Alerts: the verdicts that changed, as upserts by parcel.

The content of an alert is a function of the dossier, the catalogue and the settings. `detected_at` and `sources` also
depend on when and where the worker read, and tokens on the present keys. These do not count when an alert is compared
with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules import Catalogue, Rule, actions
from schemas.inputs import MOVEMENTS, SHIPMENTS
from schemas.records import Alert, Reason, Scan, Source, Title
from schemas.terms import Status, Tier
from streams.flow import layout
from streams.flow.batches import untail
from streams.flow.flood import Gate
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import MOVEMENT, OPEN, WITHDRAWN
from streams.flow.upsert import Upsert, Verdict, news

_LEAVES = [layout.SCAN_TYPES.index(name) for name in ("departed", "forwarded")]
_GOODS_CLASSES, _DIRECTIONS = (*layout.GOODS_CLASSES, None), (*layout.DIRECTIONS, None)
_SHOWN_TIERS: tuple[Tier, ...] = get_args(Tier)


def emit(
    dossiers: Dossiers,
    verdicts: Verdicts,
    catalogue: Catalogue,
    *,
    gate: Gate,
    emit_from: int,
    published: Callable[[int], tuple[str, ...]],
    now_ms: int,
) -> list[Upsert[Alert]]:
    """The alerts whose content has changed; they are marked as emitted in their dossiers.

    An alert that is withdrawn is not sent again until it opens again.

    gate: which alerts must wait, and which scores go out, see `streams.flow.flood`. emit_from: index into TIERS.
    published: from a stored token to the tokens shown, the one of the present key first. now_ms: wall clock, for
    `detected_at`.
    """
    heads = dossiers.heads
    opens = gate.tier >= emit_from
    due = np.flatnonzero((opens | (heads["emitted"][verdicts.rows] == OPEN)) & ~gate.deferred)
    full = gate.score == verdicts.score
    shown = _shown_of(heads, verdicts.rows[due])

    def alert(verdict: Verdict) -> Alert:
        row = verdict.row
        held = {} if full[row] else gate.counted(row, _yes(catalogue, verdict.answers))
        reasons, unknown = explained(catalogue, verdict.answers, verdict.columns, held)
        return _alert(
            shown[verdict.i],
            dossiers,
            verdict.i,
            status="open" if opens[row] else "withdrawn",
            tier=_SHOWN_TIERS[max(int(gate.tier[row]) - 1, 0)],
            score=int(gate.score[row]),
            reasons=tuple(reasons),
            unknown=tuple(unknown),
            revision=verdict.revision,
            catalogue=catalogue,
        )

    out = []
    for verdict, said in news(dossiers, verdicts, due, alert, content="content", full=full):
        i = verdict.i
        heads["emitted"][i] = OPEN if opens[verdict.row] else WITHDRAWN
        heads["sent"][i] = said.score
        persons = _persons(shown[i], published)
        said = msgspec.structs.replace(said, detected_at=now_ms, sources=sources_of(dossiers, i), **persons)
        out.append(Upsert.of(dossiers.partitions[i], said))
    return out


_SHOWN = (
    "present", "goods_class", "direction", "pickup_adcode", "dest_adcode", "dest_country", "picked_up_at", "sender",
    "recipient",
)  # fmt: skip


def _shown_of(heads: NDArray[np.void], rows: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
    """What alerts show of these dossiers, as Python's own values: one field of a numpy row costs as much as a hash."""
    columns = [heads[name][rows].tolist() for name in _SHOWN]
    return {i: dict(zip(_SHOWN, values, strict=True)) for i, *values in zip(rows.tolist(), *columns, strict=True)}


def alert_id(parcel: str) -> str:
    """A function of the parcel alone, so that every alert about it has the same id."""
    return "wa-" + sha256(parcel.encode()).hexdigest()[:24]


def _yes(catalogue: Catalogue, answers: tuple[bool | None, ...]) -> Iterator[Rule]:
    """The live rules that say yes."""
    return (rule for rule, said in zip(catalogue.rules, answers, strict=True) if said and rule.mode == "live")


def explained(
    catalogue: Catalogue,
    answers: tuple[bool | None, ...],
    columns: dict[str, object],
    points: Mapping[str, int] = MappingProxyType({}),
) -> tuple[list[Reason], list[str]]:
    """The live rules that say yes, with their evidence, and those that say unknown.

    points: what held rules count for in place of their own points.
    """
    reasons, unknown = [], []
    for rule, answer in zip(catalogue.rules, answers, strict=True):
        if rule.mode != "live":
            continue
        if answer is None:
            unknown.append(rule.id)
        elif answer:
            reasons.append(reason(rule, columns, points.get(rule.id, rule.points)))
    return reasons, unknown


def reason(rule: Rule, columns: dict[str, object], points: int) -> Reason:
    """The reason for a rule that says yes: its points, and its evidence from these columns."""
    return Reason(
        rule=rule.id,
        version=rule.version,
        category=rule.category,
        points=points,
        title=Title(zh=rule.title["zh"], en=rule.title["en"]),
        evidence={name: _shown(columns[name]) for name in rule.evidence},
    )


def _shown(value: object) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 3)
    assert value is None or isinstance(value, str | int)
    return value


def _alert(
    head: Mapping[str, Any],
    dossiers: Dossiers,
    i: int,
    *,
    status: Status,
    tier: Tier,
    score: int,
    reasons: tuple[Reason, ...],
    unknown: tuple[str, ...],
    revision: int,
    catalogue: Catalogue,
) -> Alert:
    _, carrier_code, waybill_no, outlet_id, courier_id = untail(dossiers.tails[i])
    movements = np.frombuffer(dossiers.movements[i], dtype=MOVEMENT)
    return Alert(
        alert_id=alert_id(f"{carrier_code}:{waybill_no}"),
        revision=revision,
        status=status,
        tier=tier,
        score=score,
        reasons=reasons,
        unknown=unknown,
        actions=tuple(actions(tier, [reason.rule for reason in reasons if reason.points], catalogue)),
        jurisdiction_adcode=str(jurisdiction(head, movements)),
        carrier_code=carrier_code,
        waybill_no=waybill_no,
        outlet_id=outlet_id,
        courier_id=courier_id,
        **_shipped(head),
        happened_at=max(head["picked_up_at"], int(movements["at"].max()) if len(movements) else 0),
        detected_at=0,
        catalogue=catalogue.fingerprint,
        sources=(),
    )


def _persons(head: Mapping[str, Any], published: Callable[[int], tuple[str, ...]]) -> dict[str, Any]:
    """Sender and recipient as tokens under the present key, and under older keys that are still in the key file."""
    found: dict[str, Any] = {}
    for name in ("sender", "recipient"):
        current, *earlier = published(head[name]) or (None,)
        found |= {f"{name}_token": current, f"earlier_{name}_tokens": tuple(earlier)}
    return found


def _shipped(head: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the shipment; empty if there is no shipment record."""
    if not head["present"]:
        return {}
    return {
        "goods_class": _GOODS_CLASSES[head["goods_class"]],
        "direction": _DIRECTIONS[head["direction"]],
        "pickup_adcode": str(head["pickup_adcode"]),
        "dest_adcode": str(head["dest_adcode"]) if head["dest_adcode"] > 0 else None,
        "dest_country": head["dest_country"].decode("ascii"),
    }


def jurisdiction(head: Mapping[str, Any] | np.void, movements: NDArray[np.void]) -> int:
    """Where the parcel can next be stopped: at its last scan, or at its destination if it has departed."""
    scans = movements[layout.kinds_of(Scan, movements["kind"])] if len(movements) else movements
    if len(scans) == 0:
        return int(head["pickup_adcode"] if head["present"] else movements[-1]["adcode"])
    last = scans[-1]  # movements are kept in order of time
    if last["kind"] in _LEAVES and head["dest_adcode"]:
        return int(head["dest_adcode"])
    return int(last["adcode"])


def sources_of(dossiers: Dossiers, i: int) -> tuple[Source, ...]:
    """Where the events of a dossier were read."""
    head = dossiers.heads[i]
    read = [(SHIPMENTS.topic, int(head["offset"]))] if head["present"] else []
    read += [
        (MOVEMENTS[row["kind"] // layout.KINDS_EACH].topic, int(row["offset"]))
        for row in np.frombuffer(dossiers.movements[i], dtype=MOVEMENT)
    ]
    places = [(topic, *layout.read_at(offset, dossiers.partitions[i])) for topic, offset in read]
    return tuple(Source(topic=topic, partition=partition, offset=offset) for topic, partition, offset in places)
