"""Alerts: the verdicts that changed, as upserts by parcel.

The content of an alert is a function of the dossier, the catalogue and the settings. `detected_at` and `sources` also
depend on when and where the worker read, and tokens on the present keys. These do not count when an alert is compared
with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from typing import Any, get_args

import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from rules import UNKNOWN, YES, actions
from schemas.inputs import MOVEMENTS, SHIPMENTS
from schemas.records import Alert, Scan, Source
from schemas.terms import Tier
from streams.flow import layout
from streams.flow.batches import untail
from streams.flow.flood import Gate
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import MOVEMENT, OPEN, WITHDRAWN
from streams.flow.reasons import encode, reasons
from streams.flow.revision import revisions
from streams.flow.upsert import Upsert, news

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LEAVES = [layout.SCAN_TYPES.index(name) for name in ("departed", "forwarded")]
_GOODS_CLASSES, _DIRECTIONS = (*layout.GOODS_CLASSES, None), (*layout.DIRECTIONS, None)
_SHOWN_TIERS: tuple[Tier, ...] = get_args(Tier)
_TOPICS = [MOVEMENTS[kind // layout.KINDS_EACH].topic for kind in range(len(MOVEMENTS) * layout.KINDS_EACH)]  # by kind


def emit(
    dossiers: Dossiers,
    verdicts: Verdicts,
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
    if len(due) == 0:
        return []
    rows = verdicts.rows[due]
    shown = _shown_of(heads, rows)
    said = _said(dossiers, verdicts, due, shown, gate=gate, opens=opens)
    texts = [encode(Alert(**fields, detected_at=0, sources=())) for fields in said]
    new = news(dossiers, rows, texts, "content")
    heads["emitted"][rows[new]] = np.where(opens[due[new]], OPEN, WITHDRAWN)
    heads["sent"][rows[new]] = gate.score[due[new]]
    out = []
    for position, sources in zip(new, sources_of(dossiers, rows[new]), strict=True):
        fields, persons = said[position], _persons(shown[position], published)
        alert = Alert(**fields, **persons, detected_at=now_ms, sources=sources)
        out.append(Upsert.of(dossiers.partitions[rows[position]], alert))
    return out


def _said(
    dossiers: Dossiers,
    verdicts: Verdicts,
    due: Ints,
    shown: Sequence[Mapping[str, Any]],
    *,
    gate: Gate,
    opens: Mask,
) -> list[dict[str, Any]]:
    """The fields of the alerts about the verdicts at `due` that count when an alert is compared with the last one."""
    catalogue, rows = verdicts.catalogue, verdicts.rows[due]
    full = gate.score[due] == verdicts.score[due]
    yes = (verdicts.said[due] == YES) & catalogue.live
    unknown = (verdicts.said[due] == UNKNOWN) & catalogue.live
    points = gate.points(due, yes, full, catalogue)
    movements = [dossiers.movements[i] for i in rows.tolist()]
    tiers = [_SHOWN_TIERS[max(tier - 1, 0)] for tier in gate.tier[due].tolist()]
    names_of = cache(partial(named, [rule.id for rule in catalogue.rules]))
    asked = cache(lambda tier, which: actions(tier, names_of(which), catalogue))
    of = zip(
        shown,
        [untail(dossiers.tails[i]) for i in rows.tolist()],
        revisions(dossiers, rows, verdicts.absent[due], verdicts.touched[due], full),
        opens[due].tolist(),
        tiers,
        gate.score[due].tolist(),
        reasons(verdicts, due, yes, points),
        [names_of(which.tobytes()) for which in unknown],
        [asked(tier, which.tobytes()) for tier, which in zip(tiers, yes & (points > 0), strict=True)],
        jurisdictions(dossiers.heads.take(rows), movements),
        movements,
        strict=True,
    )
    out = []
    for head, (_, carrier_code, waybill_no, outlet_id, courier_id), *rest in of:
        revision, open_, tier, score, why, lacking, todo, place, moved = rest
        out.append(
            {
                "alert_id": alert_id(f"{carrier_code}:{waybill_no}"),
                "revision": revision,
                "status": "open" if open_ else "withdrawn",
                "tier": tier,
                "score": score,
                "reasons": Raw(why),
                "unknown": lacking,
                "actions": todo,
                "jurisdiction_adcode": str(place),
                "carrier_code": carrier_code,
                "waybill_no": waybill_no,
                "outlet_id": outlet_id,
                "courier_id": courier_id,
                "happened_at": max(head["picked_up_at"], _last_at(moved)),
                "catalogue": catalogue.fingerprint,
            }
            | _shipped(head)
        )
    return out


def named(names: Sequence[str], which: bytes) -> tuple[str, ...]:
    """Those that are marked with a byte other than 0."""
    return tuple(name for name, marked in zip(names, which, strict=True) if marked)


_SHOWN = (
    "present", "goods_class", "direction", "pickup_adcode", "dest_adcode", "dest_country", "picked_up_at", "sender",
    "recipient",
)  # fmt: skip


def _shown_of(heads: NDArray[np.void], rows: Ints) -> list[dict[str, Any]]:
    """What alerts show of these dossiers, as Python's own values: one field of a numpy row costs as much as a hash."""
    columns = [heads[name][rows].tolist() for name in _SHOWN]
    return [dict(zip(_SHOWN, values, strict=True)) for values in zip(*columns, strict=True)]


def alert_id(parcel: str) -> str:
    """A function of the parcel alone, so that every alert about it has the same id."""
    return "wa-" + sha256(parcel.encode()).hexdigest()[:24]


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


def jurisdictions(heads: NDArray[np.void], movements: Sequence[bytes]) -> list[int]:
    """Where each parcel can next be stopped: at its last scan, or at its destination if it has departed."""
    rows = np.frombuffer(b"".join(movements), dtype=MOVEMENT)  # each parcel's in order of time
    counts = np.array([len(each) // MOVEMENT.itemsize for each in movements], dtype=np.int64)
    ends = np.cumsum(counts)
    scans = np.flatnonzero(layout.kinds_of(Scan, rows["kind"]))
    before, after = np.searchsorted(scans, ends - counts), np.searchsorted(scans, ends)
    scanned = np.flatnonzero(after > before)
    last = scans[after[scanned] - 1]
    lacking = np.flatnonzero((heads["present"] == 0) & (after == before))
    found = heads["pickup_adcode"].astype(np.int64)
    found[lacking] = rows["adcode"][ends[lacking] - 1]
    found[scanned] = rows["adcode"][last]
    onward = scanned[np.isin(rows["kind"][last], _LEAVES) & (heads["dest_adcode"][scanned] != 0)]
    found[onward] = heads["dest_adcode"][onward]
    places: list[int] = found.tolist()
    return places


def _last_at(movements: bytes) -> int:
    """Time of the last of a parcel's movements, the first field of its row; 0 if there is none."""
    size = MOVEMENT.itemsize
    return int.from_bytes(movements[-size : 8 - size], "little")


def sources_of(dossiers: Dossiers, rows: Ints) -> list[tuple[Source, ...]]:
    """Where the events of each of these dossiers were read."""
    heads, numbers = dossiers.heads, rows.tolist()
    out = []
    for i, present, offset in zip(
        numbers, heads["present"][rows].tolist(), heads["offset"][rows].tolist(), strict=True
    ):
        moved = np.frombuffer(dossiers.movements[i], dtype=MOVEMENT)
        read = [(SHIPMENTS.topic, offset)] if present else []
        read += zip(map(_TOPICS.__getitem__, moved["kind"].tolist()), moved["offset"].tolist(), strict=True)
        places = [(topic, *layout.read_at(at, dossiers.partitions[i])) for topic, at in read]
        out.append(tuple(Source(topic=topic, partition=partition, offset=at) for topic, partition, at in places))
    return out
