"""Valid wire objects of the desk's records. Persons and numbers are invented."""

from __future__ import annotations

from typing import Any

from tests.schemas.samples import ALERT

_TOKEN = "dev:0123456789abcdef0123456789abcdef"
_AT = 1_760_000_010_000

TRACE: dict[str, Any] = {
    "alert_id": "A-SF-1000000000001",
    "revision": 2,
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "pickup_adcode": "440111",
    "dest_adcode": "310115",
    "pickup_place": "outlet",
    "picked_up_at": 1_760_000_000_000,
    "direction": "domestic",
    "dest_country": "CN",
    "goods_class": "powder",
    "goods_name": "样品****",
    "goods_term": "氯胺酮",
    "weight_g": 850,
    "customer_type": "retail",
    "outlet_id": "OUT-44011-003",
    "sender_tokens": [_TOKEN],
    "sender_phone_tokens": [_TOKEN],
    "recipient_tokens": [_TOKEN],
    "device_tokens": [_TOKEN],
    "courier_tokens": [_TOKEN],
    "sender_masked": "张*",
    "recipient_masked": "李*",
    "movements": [
        {
            "at": 1_760_000_300_000,
            "kind": "xray",
            "event_id": "SF-1000000000001-i1",
            "facility_id": "HUB-020",
            "adcode": "440111",
            "operator_id": "INS-4",
            "machine_id": "X-2",
            "result": "pass",
            "duration_ms": 4_000,
        }
    ],
    "gaps": [{"topic": "waybill.scans", "partition": 0, "offset": 7}],
}
TALLY: dict[str, Any] = {
    "outlet_id": "OUT-44011-003",
    "day": "2025-10-09",
    "partition": 3,
    "parcels": {"retail": 120, "agreement": 4},
    "duties": {"realname": {"due": 118, "done": 117}},
    "formal_open_box": 1,
    "powder_liquid": 6,
    "priority_lane": 2,
    "ghost": 1,
    "too_fast": 1,
    "late_upload": 3,
    "alerts": {"medium": 1},
}
ORDER: dict[str, Any] = {
    "order_id": "wa-1",
    "revision": 33,
    "arm": "random",
    "p": 0.0005,
    "day": "2025-10-09",
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "adcode": "440111",
    "outlet_id": "OUT-44011-003",
    "at": _AT,
    "sources": [{"topic": "waybill.scans", "partition": 3, "offset": 18}],
}
HOLD: dict[str, Any] = {
    "hold_id": "h-1",
    "clue_id": "wa-1",
    "action": "extend",
    "parcel": "SF:1000000000001",
    "reason": "样品待检",
    "basis": "快递暂行条例 33",
    "until": 1_760_086_400_000,
    "by": "u-1",
    "second_by": "u-2",
    "station": "ST-440111-1",
    "at": _AT,
}
ENFORCEMENT: dict[str, Any] = {
    "event_id": "0199c0de-0000-7000-8000-000000000001",
    "enterprise_id": "E1",
    "action": "fine",
    "at": _AT,
    "by": "u-1",
    "second_by": "u-2",
    "station": "ST-440111-1",
    "outlet_id": "O1",
    "clue_id": "wa-1",
    "due": 1_760_600_000_000,
    "fine_fen": 1_000_000,
    "reward_fen": 0,
    "reward_level": "second",
    "informant_no": "R-7",
    "persons": 2,
    "organiser": "joint",
    "document_no": "D-1",
    "basis": "反恐法 85",
    "checks": {"video": "pass", "fire": "fail"},
    "corrects": "0199c0de-0000-7000-8000-000000000000",
    "note": "",
}
ENTRY: dict[str, Any] = {
    "entry": "ten_day:2025-09-21:440111:cases",
    "entry_kind": "cell",
    "value": 3,
    "by": "u-1",
    "at": _AT,
}
ACCESS: dict[str, Any] = {
    "event_id": "0199c0de-0000-7000-8000-000000000002",
    "writer": "desk-0",
    "prev": "0" * 64,
    "user": "u-1",
    "what": ["wa-1"],
    "fields": ["sender_masked"],
    "why": "clue",
    "ok": True,
    "at": _AT,
}
GRADE: dict[str, Any] = {
    "enterprise_id": "E1",
    "day": "2025-10-09",
    "colour": "yellow",
    "exposed": False,
    "compliance": "unknown",
    "stars": 3,
    "catalogue": "0123456789abcdef",
    "inputs": {"realname": 0.997, "coverage": None},
}
LINK: dict[str, Any] = {"clue_id": "wa-1", "clues": ["wa-1", "wa-2"], "weight": 8.5, "at": _AT}

DESK: tuple[tuple[str, dict[str, Any]], ...] = (
    ("trace", TRACE),
    ("tally", TALLY),
    ("order", ORDER),
    ("hold", HOLD),
    ("enforcement", ENFORCEMENT),
    ("entry", ENTRY),
    ("access", ACCESS),
    ("grade", GRADE),
    ("link", LINK),
)


def _clue(kind: str, **fields: Any) -> dict[str, Any]:
    head = {
        "kind": kind,
        "event_id": "0199c0de-0000-7000-8000-000000000003",
        "clue_id": "wa-1",
        "at": _AT,
        "by": "u-1",
        "station": "ST-440111-1",
        "expects": 1,
    }
    return {**head, **fields}


CLUES: tuple[dict[str, Any], ...] = (
    _clue(
        "opened",
        origin="alert",
        parcel="SF:1000000000001",
        tier="medium",
        adcode="440111",
        alert={name: value for name, value in ALERT.items() if value is not None},
        limit=40,
        arm="random",
        p=0.5,
        revision=2,
        outlet_id="OUT-44011-003",
        note="",
    ),
    _clue(
        "joined",
        origin="order",
        revision=33,
        adcode="440111",
        alert={name: value for name, value in ALERT.items() if value is not None},
        limit=40,
        p=0.0005,
    ),
    _clue("standing", origin="order", revision=3, status="withdrawn", tier="medium", adcode="310115", p=0.5),
    _clue("graded", tier="high", why="同一地址第三件"),
    _clue("claimed"),
    _clue(
        "dispatched",
        to="ST-440111-1",
        facility="HUB-020",
        adcode="440111",
        accept_by=_AT,
        check_by=_AT,
        answer_by=_AT,
        missed=True,
    ),
    _clue("accepted"),
    _clue("refused", why="不在辖区"),
    _clue("transferred", to_adcode="310115", why="已发往上海"),
    _clue("checked", check_kind="xray", checked_at=_AT, inspection="SF-1000000000001-i1"),
    _clue(
        "answered",
        feedback_id="FB-1",
        outcome="seizure",
        rules=["identity.many_names"],
        unsure_rules=["goods.powder"],
        check_kind="open_box",
        checked_at=_AT,
        found_g=12,
        noise_reason="other",
        note="",
    ),
    _clue("judged", feedback_id="FB-2", rules=["identity.many_names"], unsure_rules=["goods.powder"]),
    _clue("confirmed", note=""),
    _clue("disputed", outcome="no_finding", why="重量不符"),
    _clue("reopened", why="新线索"),
    _clue("closed", reason="too_late"),
    _clue("escalated", level=1, adcode="440100", step="accept"),
    _clue("monitor", on=True, users=["u-7"], why="指令 7"),
    _clue("held", action="request", reason="样品待检", basis="快递暂行条例 33", until=_AT),
    _clue("due_moved", step="answer", due=_AT, why="节假日"),
    _clue("noted", note="已联系网点"),
    _clue("kept", until=_AT, why="诉讼"),
)
