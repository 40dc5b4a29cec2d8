"""Small crowded worlds: few people, few places, much going on, so that every rule has something to say.

`world(seed, parcels)` gives the records of about so many parcels, in no order, some of them twice, and among them those
of reference data, in the order in which they are published. How crowded a world is differs from seed to seed: each
draws its people, phones, places and goods from the lists below.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from schemas.records import Inspection, Scan, Shipment
from schemas.reference import Courier, Enterprise, Outlet, ReferenceRecord

Event = Shipment | Scan | Inspection
Known = Enterprise | Outlet | Courier
Record = Event | Known
T = TypeVar("T")

# 2015-11-25 00:00 in China, the first instant of a day there; so long ago that no world reaches the present, where a
# worker waits for what is missing and `judge` does not.
START = 1_448_380_800_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

# The last is nowhere on the map, the one before it is not assigned, but its province is.
PLACES = ("440111", "440306", "310115", "510107", "530102", "120111", "110105", "659999", "990101")
NAMES = (
    *("王建国", "李秀英", "赵子轩", "王 建国", "王\u200b建国", "王建国[7839]", "阿依·古丽", "阿依•古丽", "阿依．古丽"),
    *("张三", "張三", "王先生", "李某某", "Mr Wang", "王**", "王XX", "王##", "", "\u200b", None, "先生", "test"),
)
PHONES = (
    *("16800000001", "+86 168-0000-0002", "\u202d16800000001\u202c", "15400000003", "131****1907", "154XXXX0003"),
    *("154XXXX0003转1234", "+1 680-000-0001", "0016800000001", "02012345678", "16800000001-12", "", None),
)
GOODS = ("书", "衣服", "奶粉", "香水", "样品", "其他", "", "海洛因", "氯胺酮")
GAPS_MS = (0, 0, 1, 700, 9_000, 5 * MINUTE, 40 * MINUTE, 5 * HOUR, 30 * HOUR, 20 * DAY)
# When a parcel is seen, since its acceptance: in one moment with something else, at a deadline, or beside one.
STEPS_MS = (
    *(-HOUR, 0, 1, 10 * MINUTE, 10 * MINUTE + 1, HOUR, HOUR, HOUR + 1, HOUR + 10 * MINUTE, 5 * HOUR, 12 * HOUR - 1),
    *(12 * HOUR, 24 * HOUR, 25 * HOUR, 48 * HOUR, 48 * HOUR + 1, 60 * HOUR),
)
HOME = ("110105", "3101", "44")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(order: int, birth: str = "19800101", region: str = "440000") -> str:
    """A number that passes every check and belongs to no one: regions of provinces are not given to persons."""
    body = f"{region}{birth}{order:03d}"
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]


PEOPLE = (
    *(resident_id(order) for order in range(1, 13)),
    resident_id(1, "19900505"),
    " " + resident_id(1).lower() + " ",
    resident_id(2)[:6] + "-" + resident_id(2)[6:],
    "440000198001010000",  # wrong check digit
    "44000019800101001",  # too short
    "44000019800101A011",  # a letter within
    resident_id(1, "19800230"),  # no such day
    resident_id(1, region="100000"),  # never assigned
    resident_id(1, region="911840"),  # permanent residence card
    resident_id(1, region="990840"),  # one of a province that is none
    resident_id(1, region="830000"),  # residence permit
    # 110 years and more, and born on and after the first day of these worlds.
    *(resident_id(1, birth) for birth in ("19051124", "19051125", "20151125", "20151126", "20151201")),
    "\u202a" + resident_id(1) + "\u202c",
    "'" + resident_id(2),
    f'="{resident_id(3)}"',
    next(number for order in range(99) if (number := resident_id(order))[-1] == "X"),
    next(number for order in range(99) if (number := resident_id(order))[-1] == "X")[:-1] + "×",
    resident_id(1, region="449999"),  # of a province, and of no list
    resident_id(1, region="430419"),
    "440***********0013",
    "440XXXXXXXXXXX0013",
    "440###########0013",
    "USA110012345678",
    "E12345678",
    "H12345678",
    "-",
    "\u200b",
    None,
)


def world(seed: int, parcels: int) -> list[Record]:
    """Records of about `parcels` parcels: uploads, some corrected, scans, inspections; in no order, some twice."""
    rng = random.Random(seed)
    crowd = Crowd(rng)
    at = START
    gaps = GAPS_MS[: rng.randint(3, 10)]
    records: list[Event] = []
    for number in range(parcels):
        at += rng.choice(gaps)
        uploads = [crowd.shipment(number, 0, at)]
        while rng.random() < 0.15:
            uploads.append(crowd.correction(uploads[-1], len(uploads), at))
        scans = [crowd.scan(number, i, at + rng.choice(STEPS_MS)) for i in range(rng.randint(0, 4))]
        if rng.random() < 0.9 or not scans:  # the others are seen, and never registered
            records += uploads
        records += scans
        records += [crowd.inspection(number, i, at + rng.choice(STEPS_MS)) for i in range(rng.randint(0, 3))]
    records += rng.choices(records, k=len(records) // 8)
    return shuffled([*records, *register(seed, at)], rng)


def events_of(records: Iterable[Record]) -> list[Event]:
    """The records of parcels among them."""
    return [record for record in records if not isinstance(record, ReferenceRecord)]


def shuffled(records: Iterable[Record], rng: random.Random) -> list[Record]:
    """The records in another order, but for reference records among themselves: of these the newest holds."""
    given = list(records)
    mixed: list[Record] = list(events_of(given))
    rng.shuffle(mixed)
    known = [record for record in given if isinstance(record, ReferenceRecord)]
    places = sorted(rng.randint(0, len(mixed)) for _ in known)
    for place, record in reversed(list(zip(places, known, strict=True))):
        mixed.insert(place, record)
    return mixed


def register(seed: int, until: int) -> list[Known]:
    """What reference data say of a world that ends at `until`: in some worlds nothing, and much of it changes."""
    rng = random.Random(f"reference {seed}")
    if rng.random() < 0.15:
        return []
    known: list[Known] = []
    for enterprise in rng.sample(("E1", "E2", "E3"), rng.randint(1, 3)):
        known += [_enterprise(rng, enterprise, until) for _ in range(rng.randint(1, 4))]
    known += [_outlet(rng, outlet) for outlet in rng.sample(("GZ1", "GZ2", "GZ1", "GZ2"), rng.choice((1, 2, 4)))]
    known += [_courier(rng, until) for _ in range(rng.randint(0, 8))]
    rng.shuffle(known)
    return known + rng.choices(known, k=len(known) // 4)


def _moment(rng: random.Random, until: int) -> int:
    return rng.choice((START - DAY, START, until, until + DAY, rng.randint(START, max(until, START + 1))))


def _enterprise(rng: random.Random, enterprise_id: str, until: int) -> Enterprise:
    choice = rng.choice
    return _checked(
        Enterprise,
        id=choice((enterprise_id, enterprise_id, f"{enterprise_id}-old")),
        enterprise_id=enterprise_id,
        name="示例快递企业",
        uscc="91000000SYNTH00001",
        licence_no=choice(("L1", "L1", "L1", "L2", " ", "\u200b", None)),
        licence_from=choice((None, START - 9 * DAY, START, _moment(rng, until))),
        licence_to=choice((None, None, START + DAY, _moment(rng, until))),
        licence_adcodes=rng.sample(("44", "4401", "440111", "31", "5"), choice((0, 2, 5))),
        licence_scopes=rng.sample(("domestic", "international", "hmt"), choice((0, 1, 3, 3))),
        enterprise_kind="express",
        video_online=choice((True, False)),
        data_link=True,
    )


def _outlet(rng: random.Random, outlet_id: str) -> Outlet:
    return _checked(
        Outlet,
        id=rng.choice((outlet_id, f"{outlet_id}-2")),
        outlet_id=outlet_id,
        enterprise_id=rng.choice(("E1", "E2", "E3")),
        adcode=rng.choice(PLACES[:4]),
        lon=113.2,
        lat=23.1,
        fixed=True,
    )


def _courier(rng: random.Random, until: int) -> Courier:
    courier_id = rng.choice(("C1", "C2", "C3"))
    return _checked(
        Courier,
        id=rng.choice((courier_id, f"{courier_id}-2")),
        courier_id=rng.choice((courier_id, courier_id + "\u200b")),
        carrier_code=rng.choice(("SF", "SF", "ZTO", "YTO")),
        enterprise_id="E1",
        outlet_id="GZ1",
        id_no=rng.choice((*PEOPLE[:8], *PEOPLE[13:16], "440***********0013", None)),
        phone=rng.choice(PHONES),
        registered_at=START - 9 * DAY,
        left_at=rng.choice((None, None, START, _moment(rng, until))),
    )


def parcel_of(number: int) -> dict[str, Any]:
    """Carrier and waybill number of the parcel with this number."""
    return {"carrier_code": ("SF", "ZTO")[number % 2], "waybill_no": f"{number * 7919 % 100_003:06d}"}


class Crowd:
    """Who and what there is in one world; makes its records."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._people = self._some(PEOPLE, 2)[:24]  # few enough for some to come up twenty times in a day
        self._phones = self._some(PHONES)
        self._recipients = self._some(PHONES)
        self._places = self._some(PLACES)
        self._names = self._some(NAMES)
        self._goods = self._some(GOODS)
        self._weights = self._some((100, 200, 2_000))
        self._destinations = self._some(("110105", "110106", "310115", None))
        self._couriers = self._some(("C1", "C2"))
        self._outlets = self._some(("GZ1", "GZ2"))
        self._types = self._some(("resident_id", "passport", "hmt_permit", None))

    def _some(self, values: tuple[T, ...], least: int = 1) -> list[T]:
        return self._rng.sample(values, self._rng.randint(least, len(values)))

    def shipment(self, number: int, version: int, at: int) -> Shipment:
        """An upload of the parcel `number`."""
        choice, chance = self._rng.choice, self._rng.random
        return _checked(
            Shipment,
            event_id=f"u{self._rng.randrange(10**9)}-{number}-{version}",
            **parcel_of(number),
            picked_up_at=at,
            recorded_at=choice((None, at + 1000, at + self._rng.randrange(HOUR))),
            outlet_id=choice(("", "", "'")) + choice(self._outlets),
            courier_id=choice(self._couriers) + choice(("", "", "\u200b ")),
            pickup_adcode=choice(self._places),
            pickup_place=choice(("outlet", "door", "non_fixed")),
            customer_type="retail" if chance() < 0.8 else choice(("agreement", "letter")),
            sender_name=choice(self._names),
            sender_phone=choice(self._phones),
            sender_id_type="resident_id" if chance() < 0.6 else choice(self._types),
            sender_id_no=choice(self._people),
            realname_method=choice(("reader", "ocr", "none")),
            realname_check=choice(("pass", "pass", "fail")),
            agent_submitted=chance() < 0.2,
            recipient_phone=choice(self._recipients),
            dest_country=choice(("CN", "AU", "FR")),
            dest_adcode=choice(self._destinations),
            direction=choice(("domestic", "export")),
            goods_name=choice(self._goods),
            goods_form=choice(("powder", "liquid", "solid", "mixed", "unknown", None)),
            declared_value_fen=choice((None, 0, 1000, 5000)),
            freight_fen=choice((None, 1000, 2000)),
            weight_g=choice(self._weights),
            pieces=1 if chance() < 0.9 else 2,
        )

    def correction(self, before: Shipment, version: int, at: int) -> Shipment:
        """A later upload of the same parcel: another one altogether, or the same with one thing changed."""
        other = self.shipment(0, version, at + self._rng.choice((0, 0, MINUTE, HOUR)))
        if self._rng.random() < 0.5:
            changed = self._rng.choice(("sender_id_no", "sender_phone", "recipient_phone", "customer_type", "weight_g"))
            names = ("event_id", "picked_up_at", "recorded_at", changed)
            return msgspec.structs.replace(before, **{name: getattr(other, name) for name in names})
        return msgspec.structs.replace(other, carrier_code=before.carrier_code, waybill_no=before.waybill_no)

    def scan(self, number: int, i: int, at: int) -> Scan:
        """A scan of the parcel `number`."""
        choice = self._rng.choice
        return _checked(
            Scan,
            event_id=f"s{number}-{i}-{self._rng.randrange(10**9)}",
            **parcel_of(number),
            scan_type=choice(
                ("picked_up", "arrived", "departed", "departed", "forwarded", "out_for_delivery", "delivered")
            ),
            scanned_at=at,
            facility_id="F1",
            facility_adcode=choice(PLACES),
            weight_g=choice((None, None, 100, 150, 151, 1_950, 1_949, 2_100, 2_101)),
        )

    def inspection(self, number: int, i: int, at: int) -> Inspection:
        """An inspection of the parcel `number`."""
        choice = self._rng.choice
        return _checked(
            Inspection,
            event_id=f"i{number}-{i}-{self._rng.randrange(10**9)}",
            **parcel_of(number),
            inspection_type=choice(("open_box", "xray", "second_xray", "identity_check")),
            stage="pickup",
            started_at=at,
            ended_at=at + choice((1_000, 2_999, 3_000, 20_000)),
            inspector_id="I1",
            facility_id="F1",
            facility_adcode="440111",
            result=choice(("pass", "pass", "suspicious", "reject", "inconclusive")),
        )


def _checked(kind: type[T], **values: Any) -> T:
    """A record as its definition has it: one that no decoder would take stops here."""
    more = {"kind": kind.__name__.lower()} if issubclass(kind, ReferenceRecord) else {"schema_version": 1}
    return msgspec.convert({**more, **values}, kind)
