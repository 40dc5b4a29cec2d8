"""Small crowded worlds: few people, few places, much going on, so that every rule has something to say."""

from __future__ import annotations

import random

from schemas.records import Inspection, Scan, Shipment

Record = Shipment | Scan | Inspection

START = 1_764_000_000_000
PLACES = ("440111", "440306", "310115", "510107", "530102", "120111", "110105", "659999")
NAMES = ("王建国", "李秀英", "赵子轩", "王 建国", "张三", "王**", "", None, "先生", "test")
PHONES = ("16800000001", "+86 168-0000-0002", "15400000003", "131****1907", "02012345678", "16800000001-12", None)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(order: int, birth: str = "19800101", region: str = "440000") -> str:
    """A number that passes every check and belongs to no one: regions of provinces are not given to persons."""
    body = f"{region}{birth}{order:03d}"
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]


PEOPLE = (
    *(resident_id(order) for order in range(1, 13)),
    resident_id(1, "19900505"),
    " " + resident_id(1).lower() + " ",
    "440000198001010000",
    "440***********0013",
    "E12345678",
    "-",
    None,
)


def world(seed: int, parcels: int) -> list[Record]:
    """Records of about `parcels` parcels: uploads, some corrected, scans, inspections; in no order, some twice."""
    rng = random.Random(seed)
    at = START
    gaps = (0, 0, 1, 700, 9_000, 5 * MINUTE, 40 * MINUTE, 5 * HOUR, 30 * HOUR, 20 * DAY)[: rng.randint(3, 10)]
    records: list[Record] = []
    for number in range(parcels):
        at += rng.choice(gaps)
        uploads = [_shipment(rng, number, 0, at)]
        while rng.random() < 0.15:
            uploads.append(_shipment(rng, number, len(uploads), at + rng.choice((0, 0, MINUTE, HOUR))))
        records += uploads
        records += [_scan(rng, number, i, at + i * HOUR) for i in range(rng.randint(0, 3))]
        records += [_inspection(rng, number, i, at + i * HOUR) for i in range(rng.randint(0, 1))]
    records += rng.choices(records, k=len(records) // 8)
    rng.shuffle(records)
    return records


def _parcel(number: int) -> dict[str, str]:
    return {"carrier_code": ("SF", "ZTO")[number % 2], "waybill_no": f"{number * 7919 % 100_003:06d}"}


def _shipment(rng: random.Random, number: int, version: int, at: int) -> Shipment:
    id_type = rng.choice(("resident_id", "resident_id", "resident_id", "passport", None))
    return Shipment(
        event_id=f"u{rng.randrange(10**9)}-{number}-{version}",
        schema_version=1,
        **_parcel(number),
        picked_up_at=at,
        recorded_at=rng.choice((None, at + 1000, at + rng.randrange(HOUR))),
        outlet_id=rng.choice(("GZ1", "GZ2")),
        courier_id=rng.choice(("C1", "C2")),
        pickup_adcode=rng.choice(PLACES),
        pickup_place=rng.choice(("outlet", "door", "non_fixed")),
        customer_type=rng.choice(("retail", "retail", "retail", "retail", "agreement", "letter")),
        sender_name=rng.choice(NAMES),
        sender_phone=rng.choice(PHONES),
        sender_id_type=id_type,
        sender_id_no=rng.choice(PEOPLE),
        realname_method=rng.choice(("reader", "ocr", "none")),
        realname_check=rng.choice(("pass", "pass", "fail")),
        agent_submitted=rng.random() < 0.2,
        recipient_phone=rng.choice(PHONES),
        dest_country=rng.choice(("CN", "AU", "FR")),
        dest_adcode=rng.choice(("110105", "110106", None)),
        direction=rng.choice(("domestic", "export")),
        goods_name=rng.choice(("书", "衣服")),
        goods_form=rng.choice(("powder", "liquid", "solid", "mixed", None)),
        declared_value_fen=rng.choice((None, 0, 1000, 5000)),
        freight_fen=rng.choice((None, 1000, 2000)),
        weight_g=rng.choice((100, 200)),
        pieces=1,
    )


def _scan(rng: random.Random, number: int, i: int, at: int) -> Scan:
    return Scan(
        event_id=f"s{number}-{i}-{rng.randrange(10**9)}",
        schema_version=1,
        **_parcel(number),
        scan_type=rng.choice(("picked_up", "arrived", "departed", "delivered")),
        scanned_at=at,
        facility_id="F1",
        facility_adcode=rng.choice(PLACES),
        weight_g=rng.choice((None, 100, 300)),
    )


def _inspection(rng: random.Random, number: int, i: int, at: int) -> Inspection:
    return Inspection(
        event_id=f"i{number}-{i}-{rng.randrange(10**9)}",
        schema_version=1,
        **_parcel(number),
        inspection_type=rng.choice(("open_box", "xray")),
        stage="pickup",
        started_at=at,
        ended_at=at + 2000,
        inspector_id="I1",
        facility_id="F1",
        facility_adcode="440111",
        result=rng.choice(("pass", "suspicious")),
    )
