"""Valid wire objects of every record, and the ways to spoil them. Persons and numbers are invented."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

SHIPMENT: dict[str, Any] = {
    "event_id": "SF-1000000000001-s1",
    "schema_version": 1,
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "picked_up_at": 1_760_000_000_000,
    "recorded_at": 1_760_000_003_000,
    "outlet_id": "OUT-44011-003",
    "courier_id": "C000123",
    "device_id": "DEV-0009",
    "pickup_adcode": "440111",
    "pickup_place": "outlet",
    "customer_type": "retail",
    "sender_name": "王建国",
    "sender_phone": "15400000001",
    "sender_id_type": "resident_id",
    "sender_id_no": "44000019900101001X",
    "realname_method": "reader",
    "realname_check": "pass",
    "agent_submitted": False,
    "agent_id_no": None,
    "recipient_name": "李*",
    "recipient_phone": "168****0001",
    "dest_country": "CN",
    "dest_adcode": "310115",
    "direction": "domestic",
    "goods_name": "衣服",
    "goods_form": "solid",
    "hs6": "610910",
    "declared_value_fen": 12_000,
    "freight_fen": 1_200,
    "weight_g": 850,
    "pieces": 1,
}
SCAN: dict[str, Any] = {
    "event_id": "SF-1000000000001-t1",
    "schema_version": 1,
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "scan_type": "departed",
    "scanned_at": 1_760_000_600_000,
    "recorded_at": 1_760_000_601_000,
    "facility_id": "HUB-020",
    "facility_adcode": "440111",
    "operator_id": "OP-7",
    "device_id": "PDA-7",
    "vehicle_no": "粤A00000",
    "next_facility_id": "HUB-021",
    "weight_g": 852,
    "seal_state": "ok",
}
INSPECTION: dict[str, Any] = {
    "event_id": "SF-1000000000001-i1",
    "schema_version": 1,
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "inspection_type": "xray",
    "stage": "hub",
    "started_at": 1_760_000_300_000,
    "ended_at": 1_760_000_304_000,
    "inspector_id": "INS-4",
    "machine_id": "X-2",
    "facility_id": "HUB-020",
    "facility_adcode": "440111",
    "result": "pass",
    "finding_code": "F0",
    "photo_hash": "0123456789abcdef",
    "declared_match": "yes",
}
EVENTS: dict[str, dict[str, Any]] = {"shipment": SHIPMENT, "scan": SCAN, "inspection": INSPECTION}

ALERT: dict[str, Any] = {
    "alert_id": "A-SF-1000000000001",
    "revision": 2,
    "status": "open",
    "tier": "medium",
    "score": 45,
    "reasons": [
        {
            "rule": "identity.many_names",
            "version": 1,
            "category": "suspicion",
            "points": 30,
            "title": {"zh": "同一证件多个姓名", "en": "One ID number, several names"},
            "evidence": {"sender_names_90d": 3, "sender_previous_km": 12.5, "retail": True, "dest_adcode": None},
        }
    ],
    "unknown": ["sender.velocity"],
    "actions": ["open_box"],
    "jurisdiction_adcode": "440111",
    "carrier_code": "SF",
    "waybill_no": "1000000000001",
    "outlet_id": "OUT-44011-003",
    "courier_id": "C000123",
    "sender_token": "dev:0123456789abcdef0123456789abcdef",
    "recipient_token": None,
    "earlier_sender_tokens": ["old:0123456789abcdef0123456789abcdef"],
    "goods_class": "powder",
    "direction": "export",
    "pickup_adcode": "440111",
    "dest_adcode": None,
    "dest_country": "AU",
    "happened_at": 1_760_000_000_000,
    "detected_at": 1_760_000_003_500,
    "catalogue": "0123456789abcdef",
    "sources": [{"topic": "waybill.shipments", "partition": 0, "offset": 41}],
}
REJECT: dict[str, Any] = {
    "topic": "waybill.scans",
    "partition": 3,
    "offset": 12,
    "reason": "wrong_type",
    "detail": "$.weight_g: expected `int`, got `str`",
    "received_at": 1_760_000_000_000,
}
FEEDBACK: dict[str, Any] = {
    "feedback_id": "FB-1",
    "alert_id": "A-SF-1000000000001",
    "revision": 2,
    "outcome": "no_finding",
    "rules": ["identity.many_names"],
    "to_adcode": None,
    "note": "",
    "found_g": 0,
    "at": 1_760_100_000_000,
    "by_station": "ST-440111-1",
    "clue_id": "wa-1",
    "arm": "random",
    "p": 0.0005,
    "unsure_rules": ["goods.powder"],
    "checked_at": 1_760_099_000_000,
    "check_kind": "open_box",
    "confirms": "FB-0",
    "corrects": "FB-0",
    "noise_reason": "data_error",
}
REFERENCE: tuple[dict[str, Any], ...] = (
    {
        "kind": "enterprise",
        "id": "E1",
        "enterprise_id": "E1",
        "name": "某快递",
        "uscc": "91440000000000000X",
        "licence_adcodes": ["44", "4501"],
        "licence_scopes": ["domestic"],
        "enterprise_kind": "branch",
        "video_online": True,
        "data_link": False,
    },
    {
        "kind": "outlet",
        "id": "O1",
        "outlet_id": "O1",
        "enterprise_id": "E1",
        "adcode": "440111",
        "lon": 113.27,
        "lat": 23.16,
        "fixed": True,
    },
    {
        "kind": "courier",
        "id": "SF:C1",
        "courier_id": "C1",
        "carrier_code": "SF",
        "enterprise_id": "E1",
        "outlet_id": "O1",
        "registered_at": 1_700_000_000_000,
    },
    {
        "kind": "machine",
        "id": "X-2",
        "machine_id": "X-2",
        "facility_id": "HUB-020",
        "machine_kind": "xray",
        "seen_at": 1_760_000_000_000,
    },
    {
        "kind": "facility",
        "id": "HUB-020",
        "facility_id": "HUB-020",
        "facility_kind": "hub",
        "adcode": "440111",
        "enterprise_id": "E1",
        "station_id": "ST-440111-1",
        "xray_units": 2,
        "cameras": 8,
    },
    {
        "kind": "station",
        "id": "ST-440111-1",
        "station_id": "ST-440111-1",
        "name": "某派出所",
        "station_kind": "police",
        "adcode": "440111",
        "capacity": 12,
        "closed_at": None,
    },
    {"kind": "holiday", "id": "2026-10-01", "name": "国庆节", "working": True},
)

# Values that fit hardly any field, or only just.
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1.0, 850.0, -0.0, 1.5, 1e3, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**63,
    2**64, 10**30,
    946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000, 4_102_444_799_999.0,
    "", " ", "1", "x" * 64, "x" * 65, "x" * 128, "x" * 129, "字" * 512, "字" * 513, "a\nb", "a\n", "\u0000", "a\u007f",
    "a\u0085b", "a\u00a0b", "a:b", "044011", "440111", "44011", "440111\n", "４４０１１１", "CN", "cn", "CHN",
    "C\u212a", "retail",
    "RETAIL", "pass", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcde\n", [], [1], {}, {"a": {"b": [None]}},
)  # fmt: skip


def wire(document: Any, *, escaped: bool = False) -> bytes:
    return json.dumps(document, ensure_ascii=escaped, separators=(",", ":")).encode()


def altered(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The object with one to three fields dropped, added, or given another value."""
    out = dict(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        field = chance.choice(list(document))
        match chance.randrange(8):
            case 0:
                out.pop(field, None)
            case 1:
                out[f"x_{field}"] = chance.choice(ODD_VALUES)
            case 2:
                out[field] = document[chance.choice(list(document))]
            case _:
                out[field] = chance.choice(ODD_VALUES)
    return out


def _any_bytes(good: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 2, 5, 40, 400)))


def _flipped(good: bytes, chance: random.Random) -> bytes:
    out = bytearray(good)
    for _ in range(chance.choice((1, 1, 2, 8))):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out)


def _cut(good: bytes, chance: random.Random) -> bytes:
    return good[: chance.randrange(len(good))]


def _spliced(good: bytes, chance: random.Random) -> bytes:
    start, end = sorted((chance.randrange(len(good)), chance.randrange(len(good))))
    return good[:start] + chance.choice(FRAGMENTS) + good[end if chance.random() < 0.5 else start :]


def _extended(good: bytes, chance: random.Random) -> bytes:
    return good[:-1] + b',"x":' + chance.choice(FRAGMENTS) + b"}"


def _framed(good: bytes, chance: random.Random) -> bytes:
    return b"\0" + chance.randbytes(4) + good[: chance.choice((0, 1, len(good), len(good)))]


def _restructured(good: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (b"[" + good + b"]", good + good, good + b"\n", b"\xef\xbb\xbf" + good, b'{"a":' + good + b"}")
    )


FRAGMENTS: tuple[bytes, ...] = (
    b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"1e999", b"-1e-999", b"1E400", b"01", b"-", b"+1",
    b".5", b"0x10",
    b"9" * 25, b"9" * 5_000, b"1.0", b"1e2", b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"',
    b'"\xed\xa0\x80"',
    b'"\xff"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\\u0000"', b'"\\n"', b'"\n"', b'"\\x"', b'"', b"\\",
    b"\0", b"\x7f",
    b"{}", b"[]", b"{", b"[", b"}", b"]", b"[" * 33 + b"]" * 33, b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 3_000,
    b"[" * 30 + b"]" * 30, b'"' + b"[{" * 60 + b'"', b'"\\"' + b"[" * 60 + b'"',
    b'"weight_g":"1","weight_g":1', b",,", b":",
    b'"' + b"x" * 600 + b'"', b'"pieces":1', b"/* */", "\u2028".encode(), "￥".encode(), b"",
)  # fmt: skip

SPOILERS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _any_bytes,
    _flipped,
    _cut,
    _spliced,
    _spliced,
    _extended,
    _framed,
    _restructured,
)


def spoiled(document: dict[str, Any], chance: random.Random) -> bytes:
    """Bytes near a valid message, or far from it; some are still valid."""
    if chance.random() < 0.4:
        return wire(altered(document, chance), escaped=chance.random() < 0.5)
    return chance.choice(SPOILERS)(wire(document, escaped=chance.random() < 0.3), chance)
