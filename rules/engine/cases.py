"""Turns the cases of a rule into events, and says what its answers should be.

A case is a list of events. Each event states only what differs from a valid and quiet default: a retail parcel of
books from Jinan to Beijing, with a sender and a recipient of its own. Events are sent in the order in which they are
written, whatever their times; to make an event late, write it late.

- `after`, and any `*_at` field: time since the first event written, `2 d`, `90 s`, `-1 h`.
- Parcels are numbered W0001, W0002, ... as they appear, unless `waybill_no` is given. A scan or inspection without
  `waybill_no` belongs to the last shipment before it.
- At the end of a case every deadline has passed, so what has not come is missing. `until: 5 min` asks earlier: 5 min of
  event time after the first event.
- The home places of the deployment (setting home_adcodes) are those of `HOME_ADCODES`.
- `sender_id: A` (or `sender_id_no: A`) is a valid resident ID number, the same for the same letter. It is nobody's: its
  region code names a whole province, and no card has such a code. `A1`, `A2`, ... share their first 14 digits.
- `sender_phone: A` and `recipient_phone: A` are mobile numbers from a range that no operator was given.
- `reference` is a record of reference data, known from its place in the list on. `{kind: enterprise}`, `{kind: outlet}`
  and `{kind: courier}` without more fit the default parcel. `id_no: A` and `phone: A` of a courier equal those of a
  sender with the same letter. `*_at`, `licence_from` and `licence_to` are times since the first event, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from rules.engine.contract import RuleError
from schemas.records import ParcelEvent, encode
from schemas.reference import Courier, Enterprise, Machine, Outlet, ReferenceRecord
from schemas.rulefile import EVENT_RECORDS, Answer, Case, Event, Rule

Fact = ParcelEvent | Enterprise | Outlet | Courier | Machine

FIRST_MS: Final = 1_741_140_000_000
"""When a case begins: 2025-03-05 10:00 in China, a working day long enough ago for every deadline to have passed."""

HOME_ADCODES: Final = ("4304",)
"""Hengyang, for rules about parcels that arrive in a home place."""


@dataclass(frozen=True)
class Timeline:
    """One case as events, in order of arrival, with the answer expected for each parcel (None is unknown)."""

    rule: str
    name: str
    events: tuple[Fact, ...]
    expected: Mapping[str, bool | None]
    until: int | None = None
    """Event time at the end of the case, epoch ms; None: after every deadline."""

    def wire(self) -> list[tuple[str, bytes]]:
        """The same events as they go on the wire: kind (shipment, scan, inspection, reference) and JSON."""
        return [
            ("reference" if isinstance(event, ReferenceRecord) else type(event).__name__.lower(), encode(event))
            for event in self.events
        ]


def timelines(rule: Rule) -> tuple[Timeline, ...]:
    """The cases of a rule. Raises RuleError, naming the rule and the field, for one that cannot be played."""
    return tuple(_timeline(rule, case, f"cases[{i}]") for i, case in enumerate(rule.cases))


_ANSWERS: Final[dict[Answer, bool | None]] = {"yes": True, "no": False, "unknown": None}


def _timeline(rule: Rule, case: Case, field: str) -> Timeline:
    player = _Player(rule.id)
    events = tuple(fact for i, event in enumerate(case.events) for fact in player.play(event, f"{field}.events[{i}]"))
    until = FIRST_MS + player.span(case.until, f"{field}.until") if case.until else None
    return Timeline(rule.id, case.name, events, _expected(rule, case, list(player.parcels.values()), field), until)


def _expected(rule: Rule, case: Case, parcels: list[str], field: str) -> dict[str, bool | None]:
    if isinstance(case.expect, str):
        return dict.fromkeys(parcels, _ANSWERS[case.expect])
    if not parcels:
        raise RuleError(rule.id, f"{field}.expect", "names parcels, but the case has none")
    by_number = {parcel.partition(":")[2]: parcel for parcel in parcels}
    names = {**by_number, "first": parcels[0], "last": parcels[-1]}
    named: dict[str, Answer] = {}
    for name, answer in case.expect.items():
        if name == "others":
            continue
        if name not in names or names[name] in named:
            raise RuleError(rule.id, f"{field}.expect.{name}", "no such parcel, or the same one twice")
        named[names[name]] = answer
    rest = [parcel for parcel in parcels if parcel not in named]
    if bool(rest) != ("others" in case.expect):
        raise RuleError(rule.id, f"{field}.expect.others", "is for the parcels not named" if not rest else "missing")
    return {parcel: _ANSWERS[named[parcel] if parcel in named else case.expect["others"]] for parcel in parcels}


class _Player:
    """Makes the events of one case, counting its parcels."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.parcels: dict[str, str] = {}  # waybill number -> CARRIER:NUMBER, in order of appearance
        self.numbers: dict[str, int] = {}  # the number of each, from 1
        self.latest: str | None = None  # waybill of the shipment written last
        self.count = 0

    def play(self, event: Event, field: str) -> Iterator[Fact]:
        given = [kind for kind in (*EVENT_RECORDS, "reference") if getattr(event, kind) is not None]
        if len(given) != 1:
            raise RuleError(self.rule, field, f"an event is one {', '.join(EVENT_RECORDS)} or reference record")
        kind = given[0]
        make = self.reference if kind == "reference" else partial(self.fact, kind)
        start, step = self.span(event.after, f"{field}.after"), self.span(event.every, f"{field}.every")
        for i in range(event.repeat):
            yield make(getattr(event, kind), FIRST_MS + start + i * step, f"{field}.{kind}")

    def reference(self, overrides: dict[str, Any], at: int, field: str) -> Fact:
        """A reference record. `at`, the time from which it is known, goes into no field."""
        kind = overrides.get("kind")
        if not isinstance(kind, str) or kind not in _REFERENCE:
            raise RuleError(self.rule, f"{field}.kind", f"is one of {', '.join(_REFERENCE)}")
        record, defaults = _REFERENCE[kind]
        given = {name: value for name, value in overrides.items() if name != "kind"}
        for name in given:
            if name not in record.__struct_fields__:
                raise RuleError(self.rule, f"{field}.{name}", f"a record of this kind ({kind}) has no such field")
        values = {**defaults, **self.spelled_out(given, field)}
        try:
            made: Fact = msgspec.convert({"id": values[f"{kind}_id"], **values, "kind": kind}, record)
            return made
        except msgspec.ValidationError as error:
            raise RuleError(self.rule, field, str(error)) from None

    def fact(self, kind: str, overrides: dict[str, Any], at: int, field: str) -> Fact:
        record = EVENT_RECORDS[kind]
        known = {*record.__struct_fields__, *(["sender_id"] if kind == "shipment" else [])}
        for name in overrides:
            if name not in known:
                raise RuleError(self.rule, f"{field}.{name}", f"a {kind} has no such field")
        if not isinstance(overrides.get("waybill_no", ""), str):
            raise RuleError(self.rule, f"{field}.waybill_no", "is a text: put a number in quotes")
        waybill = overrides.get("waybill_no") or (kind != "shipment" and self.latest) or f"W{len(self.parcels) + 1:04d}"
        if waybill not in self.parcels:
            self.numbers[waybill] = len(self.numbers) + 1
            self.parcels[waybill] = f"{overrides.get('carrier_code', _CARRIER)}:{waybill}"
        if kind == "shipment":
            self.latest = waybill
        self.count += 1
        values = {**_COMMON, **_DEFAULTS[kind](self.numbers[waybill], at), **self.spelled_out(overrides, field)}
        values |= {"event_id": overrides.get("event_id", f"e{self.count:05d}"), "waybill_no": waybill}
        try:
            return msgspec.convert(values, record)
        except msgspec.ValidationError as error:
            raise RuleError(self.rule, field, str(error)) from None

    def spelled_out(self, overrides: dict[str, Any], field: str) -> dict[str, Any]:
        """Overrides with letters written out as ID and phone numbers, and spans as times."""
        out: dict[str, Any] = {}
        for name, value in overrides.items():
            if name in {"sender_id", "sender_id_no", "agent_id_no", "id_no"} and _is_letter(value):
                out["sender_id_no" if name == "sender_id" else name] = _lettered_id(value)
            elif name == "sender_id":
                raise RuleError(self.rule, f"{field}.sender_id", "a letter, with a number if you like: A, B, A2")
            elif name in {"sender_phone", "recipient_phone", "phone"} and _is_letter(value):
                out[name] = f"154{_letter_index(value):08d}"
            elif name.endswith(("_at", "licence_from", "_to")) and isinstance(value, str):
                out[name] = FIRST_MS + self.span(value, f"{field}.{name}")
            else:
                out[name] = value
        return out

    def span(self, text: str, field: str) -> int:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise RuleError(self.rule, field, "a time is a number and ms, s, min, h or d, like `90 s`")
        return round(float(match[1]) * _UNITS_MS[match[2]])


_CARRIER: Final = "DEMO"
_DAY_MS: Final = 86_400_000
# By kind: the record, and defaults that give the default parcel an outlet and a courier of a licensed enterprise.
_REFERENCE: Final[dict[Any, tuple[Any, dict[str, Any]]]] = {
    "enterprise": (
        Enterprise,
        {
            "enterprise_id": "E-1",
            "name": "示例快递企业",
            "uscc": "91000000SYNTH00001",
            "licence_no": "L-1",
            "licence_from": FIRST_MS - 700 * _DAY_MS,
            "licence_to": FIRST_MS + 700 * _DAY_MS,
            "licence_adcodes": ["37"],
            "licence_scopes": ["domestic", "international", "hmt"],
            "enterprise_kind": "express",
            "video_online": True,
            "data_link": True,
        },
    ),
    "outlet": (
        Outlet,
        {"outlet_id": "O-1", "enterprise_id": "E-1", "adcode": "370102", "lon": 117.1, "lat": 36.7, "fixed": True},
    ),
    "courier": (
        Courier,
        {
            "courier_id": "C-1",
            "carrier_code": _CARRIER,
            "enterprise_id": "E-1",
            "outlet_id": "O-1",
            "registered_at": FIRST_MS - 200 * _DAY_MS,
        },
    ),
    "machine": (
        Machine,
        {"machine_id": "X-1", "facility_id": "F-1", "machine_kind": "xray", "seen_at": FIRST_MS},
    ),
}
_SPAN: Final = re.compile(r"(-?\d{1,12}(?:\.\d{1,12})?) ?(ms|s|min|h|d)", re.ASCII)
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _shipment(number: int, at: int) -> dict[str, Any]:
    """A valid and quiet shipment record of parcel `number`, accepted at the time `at`."""
    return {
        "picked_up_at": at,
        "outlet_id": "O-1",
        "courier_id": "C-1",
        "pickup_adcode": "370102",
        "pickup_place": "outlet",
        "customer_type": "retail",
        "sender_name": "周明远",
        "sender_phone": f"1541{number:07d}",
        "sender_id_type": "resident_id",
        "sender_id_no": _resident_id(date(1960, 1, 1) + timedelta(days=number), 1),
        "realname_method": "reader",
        "realname_check": "pass",
        "agent_submitted": False,
        "recipient_name": "林若溪",
        "recipient_phone": f"1681{number:07d}",
        "dest_country": "CN",
        "dest_adcode": "110105",
        "direction": "domestic",
        "goods_name": "图书",
        "goods_form": "solid",
        "declared_value_fen": 10_000,
        "freight_fen": 1_200,
        "weight_g": 640,
        "pieces": 1,
    }


_COMMON: Final = {"schema_version": 1, "carrier_code": _CARRIER}
_FACILITY: Final = {"facility_id": "F-1", "facility_adcode": "370102"}
# By kind, a valid and quiet event of a parcel (by its number) at a time.
_DEFAULTS: Final[dict[str, Callable[[int, int], dict[str, Any]]]] = {
    "shipment": _shipment,
    "scan": lambda _, at: {**_FACILITY, "scan_type": "picked_up", "scanned_at": at},
    "inspection": lambda _, at: {
        **_FACILITY,
        "inspection_type": "open_box",
        "stage": "pickup",
        "started_at": at,
        "ended_at": at + 20_000,
        "inspector_id": "I-1",
        "result": "pass",
    },
}


# --- numbers that cannot belong to anyone ---------------------------------------------------------------------------

_LETTER: Final = re.compile(r"([A-Z])([1-9][0-9]{0,2})?", re.ASCII)
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # ISO 7064 MOD 11-2, as GB 11643 has it


def _is_letter(value: object) -> bool:
    return isinstance(value, str) and _LETTER.fullmatch(value) is not None


def _letter_parts(value: str) -> tuple[int, int]:
    match = _LETTER.fullmatch(value)
    assert match is not None
    return ord(match[1]) - ord("A"), int(match[2] or 1)


def _letter_index(value: str) -> int:
    letter, number = _letter_parts(value)
    return letter * 1_000 + number


def _lettered_id(value: str) -> str:
    letter, number = _letter_parts(value)
    return _resident_id(date(1980, 1, 1) + timedelta(days=letter), number)


def _resident_id(born: date, order: int) -> str:
    """A number with a valid check digit and the region code 440000: a whole province, which no card has."""
    body = f"440000{born:%Y%m%d}{order:03d}"
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]
