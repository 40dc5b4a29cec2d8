"""The rules read straight from their specification: slow, plain, and sharing nothing with the pipeline.

A rule that is added, or raised to another version, is not among those read here; `unknown` names such rules, and pytest
shows them at its start. Tests hold the pipeline against the rules that are `known`.

Records are taken as a set. For each parcel the newest upload stands; each rule is then asked in words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from csv import DictReader
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from math import asin, cos, inf, radians, sin, sqrt
from pathlib import Path

import opencc

from rules import Catalogue, Rule
from schemas.records import Inspection, Scan, Shipment
from schemas.reference import Courier, Enterprise, Machine, Outlet
from tests.worlds import HOME

Record = Shipment | Scan | Inspection | Enterprise | Outlet | Courier | Machine

MINUTE, HOUR = 60_000, 3_600_000
DAY = 24 * HOUR
ORIGINS = [
    "5101",
    "4401",
    "4413",
    "4502",
    "4501",
    "3508",
    "3306",
    "4201",
    "120111",
    "5305",
    "5331",
    "5301",
    "5309",
    "5326",
    "5308",
    "5328",
]
COUNTRIES = ["AU", "MX", "US", "CA", "NZ"]
# Of the word lists, what these worlds use: words that leave no doubt.
PLACEHOLDERS = {"张三", "李四", "先生", "女士", "老板", "客户", "匿名", "test", "隐藏"}
COURTESY = r"[王李张陈](先生|女士|总|某{1,3})|(mr|ms)\W*(wang|li)"
CONTROLLED = {"海洛因", "氯胺酮"}
VAGUE = {"样品", "其他", ""}
POWDER_OR_LIQUID = {"奶粉", "香水"}
with (Path(__file__).parents[1] / "streams/flow/describe/data/adcodes.csv").open(encoding="utf-8") as _file:
    _ROWS = list(DictReader(_file))
CENTROIDS = {row["adcode"]: (float(row["lon"]), float(row["lat"])) for row in _ROWS if row["lon"]}
ASSIGNED = {row["adcode"] for row in _ROWS}
PROVINCES = {code[:2] for code in ASSIGNED if code[0] != "9"}
PERMITS = {"810000", "820000", "830000"}

Answer = bool | None
# Rules that ask about the shipment or its history.
OF_SHIPMENT = (
    "route.priority_origin", "route.priority_lane", "goods.powder_or_liquid", "goods.on_priority_route",
    "goods.controlled_term", "goods.vague_name", "identity.missing", "identity.number_invalid",
    "identity.placeholder_name", "sender.agent_or_street", "sender.freight_exceeds_value", "identity.many_names",
    "identity.phone_many_ids", "identity.impossible_travel", "identity.three_provinces",
    "identity.sequential_numbers", "sender.velocity", "sender.first_seen", "recipient.fan_in", "courier.burst",
    "courier.cloned_entries", "courier.unregistered", "identity.staff_as_sender", "licence.invalid",
    "licence.out_of_area", "journey.second_xray_missing", "journey.weight_changed", "journey.ghost",
    "journey.too_fast",
)  # fmt: skip
VERSIONS = dict.fromkeys(
    (
        *OF_SHIPMENT, "journey.departed_uninspected", "journey.unresolved_departed", "journey.open_box_formality",
        "journey.unregistered",
    ), 1,
) | {"identity.number_invalid": 2, "identity.placeholder_name": 2}  # fmt: skip
"""The rules that are read here, each in the version in which the specification was read."""


def known(catalogue: Catalogue) -> frozenset[str]:
    """The live rules of a catalogue that this judge can answer: those in VERSIONS, in that version."""
    return frozenset(rule.id for rule in _live(catalogue) if VERSIONS.get(rule.id) == rule.version)


def unknown(catalogue: Catalogue) -> list[str]:
    """The live rules that it cannot answer, as `rule version`: nothing here proves them but their own cases."""
    return [f"{rule.id} {rule.version}" for rule in _live(catalogue) if rule.id not in known(catalogue)]


def _live(catalogue: Catalogue) -> list[Rule]:
    return [rule for rule in catalogue.rules if rule.mode == "live"]


@dataclass(frozen=True)
class Facts:
    """One standing upload with what its fields say by themselves."""

    shipment: Shipment
    person: str | None
    phone: str | None
    recipient: str | None
    name: str | None
    origin: bool

    @property
    def at(self) -> tuple[int, str]:
        return self.shipment.picked_up_at, self.shipment.parcel


def standing(records: Iterable[Record]) -> dict[str, Shipment]:
    """The newest upload of each parcel by (recorded_at, else picked_up_at; then event_id).

    Of equal ones that say something else the first: which of them stands is not said, only that it is one.
    """
    newest: dict[str, Shipment] = {}
    for record in records:
        if isinstance(record, Shipment):
            other = newest.get(record.parcel)
            if other is None or _version(record) > _version(other):
                newest[record.parcel] = record
    return newest


def _version(shipment: Shipment) -> tuple[int, str]:
    at = shipment.picked_up_at if shipment.recorded_at is None else shipment.recorded_at
    return at, shipment.event_id


def answers(
    records: Iterable[Record], event_time: float = inf, home: tuple[str, ...] = HOME
) -> dict[str, dict[str, Answer]]:
    """What each rule says about each parcel when event time has come so far (epoch ms).

    records: of reference data the newest comes last. home: prefixes of the home places. What is asked of a shipment has
    no answer (None) for a parcel without one.
    """
    records = list(records)
    register = Register(records)
    all_facts = [_facts(shipment) for shipment in standing(records).values()]
    all_facts.sort(key=lambda facts: facts.at)
    retail = [facts for facts in all_facts if facts.shipment.customer_type == "retail"]
    said: dict[str, dict[str, Answer]] = {}
    for facts in all_facts:
        before = [o for o in retail if o.at <= facts.at]
        said[facts.shipment.parcel] = {
            **_alone(facts), **_with_history(facts, before), **_by_register(facts, before, register),
        }  # fmt: skip
    events = [record for record in records if isinstance(record, Shipment | Scan | Inspection)]
    return {
        parcel: {**(said.get(parcel) or dict.fromkeys(OF_SHIPMENT)), **journey}
        for parcel, journey in journeys(events, event_time, home).items()
    }


def _facts(shipment: Shipment) -> Facts:
    return Facts(
        shipment=shipment,
        person=_number(shipment.sender_id_no, shipment.sender_id_type),
        phone=_mobile(shipment.sender_phone),
        recipient=_mobile(shipment.recipient_phone),
        name=_name(shipment.sender_name) if _placeholder(shipment.sender_name) is False else None,
        origin=shipment.pickup_adcode.startswith(tuple(ORIGINS)),
    )


# --- values -----------------------------------------------------------------------------------------------------------

# Default_Ignorable_Code_Point of Unicode 16, DerivedCoreProperties.txt.
_IGNORABLE = (
    "AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 "
    "1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
IGNORABLE = {
    chr(code)
    for first, last in ((part.split("-") * 2)[:2] for part in _IGNORABLE.split())
    for code in range(int(first, 16), int(last, 16) + 1)
}
STARS = "*●○×"


def invisible(char: str) -> bool:
    """Default-ignorable, format or variation characters, and controls that are no white space."""
    kind = unicodedata.category(char)
    return char in IGNORABLE or kind == "Cf" or (kind == "Cc" and not char.isspace())


def plain(text: str | None) -> str:
    """A text as it is compared: nothing that nobody sees, NFKC, single spaces, no quotes of a spreadsheet around it."""
    seen = "".join(char for char in text or "" if not invisible(char)).strip()
    if seen[:1] in ("'", "’", "="):
        seen = seen.lstrip("='’\"").rstrip("'’\"")
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def _repeats(text: str) -> set[str]:
    """The characters that stand twice in succession."""
    return {a for a, b in pairwise(text) if a == b}


def _name(given: str | None) -> str:
    name = re.sub(r"[\[(【]\d+[\])】]$", "", plain(given)).casefold()
    name = re.sub(r"\s*[·•・.]\s*", "·", "".join(name.split()))
    return "".join(_simple().convert(char) for char in name)


@cache
def _simple() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _placeholder(given: str | None) -> Answer:
    """Whether a name names nobody; None: there is none, or a part of it is hidden."""
    name = _name(given)
    if not name or any(star in name for star in STARS) or _repeats(name) & set("x#?_"):
        return None
    return name in PLACEHOLDERS or re.fullmatch(COURTESY, name) is not None


def _mobile(phone: str | None) -> str | None:
    text = plain(phone)
    hidden = any(star in text for star in STARS) or _repeats(text.upper()) & set("X#?_")
    digits = "".join(c for c in text if c.isdigit())
    if "+" in text and not digits.startswith("86"):
        return None
    digits = (
        digits.removeprefix("0086") if len(digits) == 15 else digits.removeprefix("86") if len(digits) == 13 else digits
    )
    usable = not hidden and len(digits) == 11 and digits[0] == "1" and digits[1] in "3456789"
    return digits if usable else None


def _number(given: str | None, kind: str | None) -> str | None:
    """An ID number that is given in full, in its normal form."""
    number = re.sub(r"[\s-]", "", plain(given)).upper()
    if len(number) == 18 and number[:17].isdigit() and number[17] == "×":
        return number[:17] + "X"
    repeated = {char for char in _repeats(number) if not char.isdigit()}
    if kind not in ("resident_id", "hmt_permit"):
        repeated -= set("ABCDEFGHIJKLMNOPQRSTUVWYZ")  # what a passport's number holds
    hidden = any(star in number for star in STARS) or repeated
    return number if number and not hidden else None


# --- rules on one parcel ----------------------------------------------------------------------------------------------


def _alone(facts: Facts) -> dict[str, Answer]:
    s = facts.shipment
    retail = s.customer_type == "retail"
    powder = s.goods_form in ("powder", "liquid")
    if s.goods_form in (None, "unknown"):
        powder = s.goods_name in POWDER_OR_LIQUID
    lane = s.direction == "export" and s.dest_country in COUNTRIES
    dear: Answer
    if s.declared_value_fen == 0:
        dear = False
    elif s.declared_value_fen is None or s.freight_fen is None:
        dear = None
    else:
        dear = s.freight_fen >= s.declared_value_fen
    named = _placeholder(s.sender_name)
    return {
        "route.priority_origin": facts.origin,
        "route.priority_lane": lane,
        "goods.powder_or_liquid": powder,
        "goods.on_priority_route": powder and (facts.origin or lane),
        "goods.controlled_term": s.goods_name in CONTROLLED,
        "goods.vague_name": s.goods_name in VAGUE,
        "identity.missing": retail
        and (not plain(s.sender_id_no).strip(" -") or s.realname_method == "none" or s.realname_check == "fail"),
        "identity.number_invalid": retail and _number_invalid(facts),
        "identity.placeholder_name": retail and (named if named is not None or not _name(s.sender_name) else False),
        "sender.agent_or_street": retail and (s.agent_submitted or s.pickup_place == "non_fixed"),
        "sender.freight_exceeds_value": dear,
    }


def _number_invalid(facts: Facts) -> Answer:
    """A number that is given in full and cannot exist; unknown where nobody says of what kind it is."""
    kind = facts.shipment.sender_id_type
    if facts.person is None or kind not in ("resident_id", "hmt_permit", None):
        return False
    if kind is None:
        return None
    exists = can_exist(facts.person, kind, facts.shipment.picked_up_at)
    return None if exists is None else not exists


def can_exist(number: str, kind: str, picked_up_at: int) -> Answer:
    """Whether there can be a document of this kind (resident_id, hmt_permit) with this number, as normalised.

    None: nothing is wrong with it, but nobody knows its region.
    """
    if re.fullmatch(r"[A-Z]{3}\d{12}", number, re.ASCII):  # the old card of foreign permanent residents
        return True
    if kind == "hmt_permit" and re.fullmatch(r"[HM]\d{8}(\d\d)?|\d{8}(\d\d)?", number, re.ASCII):
        return True
    if not re.fullmatch(r"\d{17}[\dX]", number, re.ASCII):
        return False
    # ISO 7064 MOD 11-2: digits weighted by powers of two, the check character included, are 1 modulo 11.
    digits = [10 if character == "X" else int(character) for character in number]
    if sum(digit * 2**power for power, digit in enumerate(reversed(digits))) % 11 != 1:
        return False
    region = number[:6]
    known = region in ASSIGNED | PERMITS or (region[0] == "9" and region[1:3] in PROVINCES)
    if not known and region[:2] not in PROVINCES:
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    today = datetime.fromtimestamp(picked_up_at / 1000, timezone(timedelta(hours=8))).date()
    aged = born <= today and (born.year + 110, born.month, born.day) >= (today.year, today.month, today.day)
    return aged and (known or None)


def _with_history(me: Facts, retail: list[Facts]) -> dict[str, Answer]:
    """`retail`: the retail parcels at or before this one, itself included, in order."""
    rules = (
        "identity.many_names", "identity.phone_many_ids", "identity.impossible_travel", "identity.three_provinces",
        "identity.sequential_numbers", "sender.velocity", "sender.first_seen", "recipient.fan_in", "courier.burst",
        "courier.cloned_entries",
    )  # fmt: skip
    s = me.shipment
    if s.customer_type != "retail":
        return dict.fromkeys(rules, False)

    def within(span: int, same: list[Facts]) -> list[Facts]:
        return [o for o in same if o.shipment.picked_up_at > s.picked_up_at - span]

    said: dict[str, Answer] = dict.fromkeys(rules)
    if me.person:
        mine = [o for o in retail if o.person == me.person]
        season, day = within(90 * DAY, mine), within(DAY, mine)
        said["identity.many_names"] = len({o.name for o in season if o.name}) >= 3
        said["identity.three_provinces"] = len({o.shipment.pickup_adcode[:2] for o in day}) >= 3
        said["sender.velocity"] = len(day) >= 20
        said["sender.first_seen"] = len(season) == 1
        said["identity.impossible_travel"] = _travel(season)
    if me.phone:
        people = {o.person for o in within(30 * DAY, [o for o in retail if o.phone == me.phone])}
        said["identity.phone_many_ids"] = len(people - {None}) >= 4
    prefix = _prefix(me)
    if prefix:
        co_located = within(DAY, [o for o in retail if _prefix(o) == prefix])
        said["identity.sequential_numbers"] = len({o.person for o in co_located}) >= 3
    if not me.origin:
        said["recipient.fan_in"] = False
    elif me.recipient:
        fans = within(14 * DAY, [o for o in retail if o.recipient == me.recipient and o.origin])
        said["recipient.fan_in"] = len({o.person for o in fans} - {None}) >= 5
    own = [o for o in retail if _courier_of(o.shipment) == _courier_of(s)]
    said["courier.burst"] = len({o.person for o in within(MINUTE, own)} - {None}) > 6
    clones = [o for o in within(HOUR, own) if _clone(o) == _clone(me)]
    said["courier.cloned_entries"] = len(clones) >= 10 and len({o.person for o in clones} - {None}) >= 8
    return said


def _courier_of(s: Shipment) -> tuple[str, str]:
    return plain(s.carrier_code), plain(s.courier_id)


def _prefix(facts: Facts) -> tuple[str, str, str] | None:
    s, person = facts.shipment, facts.person
    if s.sender_id_type != "resident_id" or person is None or not re.match("[0-9]{14}", person):
        return None
    return plain(s.carrier_code), plain(s.outlet_id), person[:14]


def _clone(facts: Facts) -> tuple[int, str, str]:
    s = facts.shipment
    return s.weight_g, s.goods_name, (s.dest_adcode or "")[:4]


def _travel(season: list[Facts]) -> Answer:
    if len(season) < 2:
        return False
    before, now = next(reversed(list(pairwise(season))))
    a, b = (_centroid(o.shipment.pickup_adcode) for o in (before, now))
    if a is None or b is None:
        return None
    km = _kilometres(*a, *b)
    hours = (now.shipment.picked_up_at - before.shipment.picked_up_at) / HOUR
    return km >= 200 and km > 900 * hours


def _centroid(adcode: str) -> tuple[float, float] | None:
    return CENTROIDS.get(adcode) or CENTROIDS.get(adcode[:4] + "00") or CENTROIDS.get(adcode[:2] + "0000")


def _kilometres(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    a = sin(radians(lat2 - lat1) / 2) ** 2
    a += cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(a))


# --- journeys ---------------------------------------------------------------------------------------------------------


def journeys(
    records: Iterable[Shipment | Scan | Inspection], event_time: float, home: tuple[str, ...]
) -> dict[str, dict[str, Answer]]:
    """What the rules on journeys say about each parcel."""
    records = list(records)
    uploads = standing(records)
    scans: dict[str, dict[str, Scan]] = {record.parcel: {} for record in records}
    checks: dict[str, dict[str, Inspection]] = {record.parcel: {} for record in records}
    for record in records:
        if isinstance(record, Scan):
            scans[record.parcel][record.event_id] = record
        elif isinstance(record, Inspection):
            checks[record.parcel][record.event_id] = record
    return {
        parcel: _journey(
            uploads.get(parcel), list(scans[parcel].values()), list(checks[parcel].values()), event_time, home
        )
        for parcel in scans
    }


def _journey(
    s: Shipment | None, scans: list[Scan], checks: list[Inspection], event_time: float, home: tuple[str, ...]
) -> dict[str, Answer]:
    def missing(absent: bool, deadline: int) -> Answer:
        """Something is not there: that counts when event time is past the deadline."""
        if not absent:
            return False
        return True if event_time > deadline else None

    departed = sorted(scan.scanned_at for scan in scans if scan.scan_type == "departed")
    said: dict[str, Answer] = {"journey.departed_uninspected": False}
    if departed:
        first = departed[0]
        looked = any(c.inspection_type in ("open_box", "xray") and c.started_at <= first for c in checks)
        said["journey.departed_uninspected"] = missing(not looked, first + 10 * MINUTE)

    doubts = [c.started_at for c in checks if c.result != "pass"]
    passes = [c.started_at for c in checks if c.result == "pass"]
    doubted = [
        left for at in doubts for left in departed if at <= left and not any(at < passed <= left for passed in passes)
    ]
    said["journey.unresolved_departed"] = missing(bool(doubted), min(doubted, default=0) + MINUTE)
    opened = [c.ended_at - c.started_at for c in checks if c.inspection_type == "open_box"]
    said["journey.open_box_formality"] = any(spent < 3_000 for spent in opened)

    first_scan = min((scan.scanned_at for scan in scans), default=None)
    said["journey.unregistered"] = False
    if first_scan is not None:
        said["journey.unregistered"] = missing(s is None, first_scan + 24 * HOUR)

    if s is None:
        return said

    out = [
        scan.scanned_at
        for scan in scans
        if scan.scan_type == "out_for_delivery" and any(scan.facility_adcode.startswith(place) for place in home)
    ]
    said["journey.second_xray_missing"] = False
    if s.pickup_adcode.startswith(tuple(ORIGINS)) and out:
        again = any(c.inspection_type == "second_xray" and c.started_at < min(out) for c in checks)
        said["journey.second_xray_missing"] = missing(not again, min(out) + 10 * MINUTE)

    weights = [scan.weight_g for scan in scans if scan.weight_g is not None]
    changed = any(abs(w - s.weight_g) > 50 and abs(w - s.weight_g) * 20 > s.weight_g for w in weights)
    said["journey.weight_changed"] = s.pieces == 1 and changed

    until = s.picked_up_at + 48 * HOUR
    seen = any(scan.scan_type != "picked_up" and scan.scanned_at <= until for scan in scans)
    said["journey.ghost"] = missing(not seen, until)

    said["journey.too_fast"] = any(
        scan.scan_type == "delivered"
        and scan.facility_adcode[:2] != s.pickup_adcode[:2]
        and scan.scanned_at - s.picked_up_at < 12 * HOUR
        for scan in scans
    )
    return said


# --- reference data ---------------------------------------------------------------------------------------------------


class Register:
    """What the reference records say, the last of them being the newest."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.outlets: dict[str, Outlet] = {}
        self.couriers: list[Courier] = []
        self.licences: list[Enterprise] = []
        said: dict[tuple[str, str], object] = {}
        for record in records:
            # To say once more what was said last of an id changes nothing, however often something else was said since.
            key, content = (type(record).__name__, getattr(record, "id", "")), _read(record)
            if said.get(key) == content:
                continue
            said[key] = content
            if isinstance(record, Enterprise):
                # Of one id and date the newer replaces the older; one without a date replaces all of its id.
                self.licences = [
                    old for old in self.licences
                    if old.id != record.id or record.licence_from not in (None, old.licence_from)
                ]  # fmt: skip
                self.licences.append(record)
            elif isinstance(record, Outlet):
                self.outlets = {id: outlet for id, outlet in self.outlets.items() if id != record.id}
                self.outlets[record.id] = record
            elif isinstance(record, Courier):
                self.couriers = [*(courier for courier in self.couriers if courier.id != record.id), record]

    def outlet(self, outlet_id: str) -> Outlet | None:
        found = [outlet for outlet in self.outlets.values() if plain(outlet.outlet_id) == plain(outlet_id)]
        return found[-1] if found else None

    def licence(self, outlet: Outlet, at: int) -> Enterprise | Answer:
        """None: the enterprise is not known; False: no licence in force."""
        all_times = [record for record in self.licences if plain(record.enterprise_id) == plain(outlet.enterprise_id)]
        begun = [record for record in all_times if record.licence_from is None or record.licence_from <= at]
        if not all_times:
            return None
        if not begun:
            return False
        latest = max(record.licence_from or 0 for record in begun)
        record = [record for record in begun if (record.licence_from or 0) == latest][-1]
        ends = record.licence_to
        if ends is not None:
            china = datetime.fromtimestamp(ends / 1000, timezone(timedelta(hours=8)))
            if (china.hour, china.minute, china.second, china.microsecond) == (0, 0, 0, 0):
                ends += DAY  # a day, to its end
        valid = plain(record.licence_no) and (ends is None or at < ends)
        return record if valid else False


def _read(record: Record) -> object:
    """What counts of an enterprise or outlet."""
    match record:
        case Enterprise():
            licensed = bool(plain(record.licence_no))
            places, scopes = frozenset(record.licence_adcodes), frozenset(record.licence_scopes)
            return plain(record.enterprise_id), licensed, record.licence_from, record.licence_to, places, scopes
        case Outlet():
            return plain(record.outlet_id), plain(record.enterprise_id), record.adcode
    return record


def _by_register(me: Facts, retail: list[Facts], register: Register) -> dict[str, Answer]:
    s = me.shipment
    said: dict[str, Answer] = {"licence.invalid": None, "licence.out_of_area": None}
    outlet = register.outlet(s.outlet_id)
    licence = register.licence(outlet, s.picked_up_at) if outlet else None
    if outlet and isinstance(licence, Enterprise):
        said["licence.invalid"] = False
        service = {"domestic": "domestic", "hmt": "hmt"}.get(s.direction, "international")
        here = any(outlet.adcode.startswith(prefix) for prefix in licence.licence_adcodes)
        said["licence.out_of_area"] = not here or service not in licence.licence_scopes
    elif licence is False:
        said["licence.invalid"] = True

    of_carrier = [courier for courier in register.couriers if plain(courier.carrier_code) == plain(s.carrier_code)]
    present = [courier for courier in register.couriers if courier.left_at is None or courier.left_at > s.picked_up_at]
    known = any((plain(c.carrier_code), plain(c.courier_id)) == _courier_of(s) for c in present)
    said["courier.unregistered"] = bool(of_carrier) and not known

    said["identity.staff_as_sender"] = False
    if s.customer_type == "retail":
        day = [o for o in retail if o.shipment.picked_up_at > s.picked_up_at - DAY]
        parts = (
            (me.person, {_number(c.id_no, None) for c in present}, [o for o in day if o.person == me.person]),
            (me.phone, {_mobile(c.phone) for c in present}, [o for o in day if o.phone == me.phone]),
        )
        parts_said: list[Answer] = []
        for mine, theirs, parcels in parts:
            if mine is None:
                parts_said.append(None)
            elif len(parcels) <= 2:
                parts_said.append(False)  # too few, whoever it is
            else:
                parts_said.append(mine in theirs if register.couriers else None)
        said["identity.staff_as_sender"] = True if True in parts_said else None if None in parts_said else False
    return said
