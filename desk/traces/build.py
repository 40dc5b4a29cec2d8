"""Builds traces from the events of parcels. Names, numbers and phones become tokens or masks here and go no further."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from schemas.desk import MOVEMENTS_MAX, Movement, Order, Trace
from schemas.inputs import INPUTS
from schemas.records import Alert, Inspection, ParcelEvent, Scan, Shipment, Source
from streams.flow.decode import Limits, decode
from streams.flow.describe.goods import describe_goods
from streams.flow.describe.identity import describe_ids
from streams.flow.describe.people import mobiles
from streams.flow.describe.terms import term_of
from streams.flow.describe.text import nfkc
from streams.flow.describe.tokens import Tokeniser

Place = tuple[str, int, int]

# Six or more digits, however they are separated, may be a person's number; text before a form of address, a name.
_DIGITS: Final = re.compile(r"[0-9](?:[\s\-_.·*]?[0-9Xx]){5,}")
_ADDRESSED: Final = re.compile(r"[\u4e00-\u9fff·]{1,4}(?=先生|女士|小姐|太太|老师|同志|师傅|经理|老板|收$|寄$|亲启)")
_TEXT_MAX: Final = 512
_MAIL: Final = re.compile(r"\S+@\S+")


def events_of(values: Mapping[Place, bytes | None], limits: Limits) -> dict[Place, ParcelEvent]:
    """The readable records at these places."""
    found: dict[Place, ParcelEvent] = {}
    for each in INPUTS:
        places = [place for place in values if place[0] == each.topic]
        decoded = decode(each.record, [values[place] for place in places], limits)
        found.update(zip((places[index] for index in decoded.indices), decoded.rows, strict=True))
    return found


def traces_of(wanted: Sequence[Alert | Order], events: Mapping[Place, ParcelEvent], tokens: Tokeniser) -> list[Trace]:
    """The trace of each alert or order, from the events at its sources."""
    found = [_gathered(each, events) for each in wanted]
    shipments = [shipment for shipment, _, _ in found]
    persons = _persons([shipment for shipment in shipments if shipment is not None], tokens)
    return [
        Trace(
            alert_id=each.alert_id if isinstance(each, Alert) else each.order_id,
            revision=each.revision,
            carrier_code=each.carrier_code,
            waybill_no=each.waybill_no,
            movements=tuple(moves[-MOVEMENTS_MAX:]),
            gaps=gaps,
            **({} if shipment is None else {**_plain(shipment), **next(persons)}),
        )
        for each, (shipment, moves, gaps) in zip(wanted, found, strict=True)
    ]


def _gathered(
    of: Alert | Order, events: Mapping[Place, ParcelEvent]
) -> tuple[Shipment | None, list[Movement], tuple[Source, ...]]:
    """The shipment record, the movements by time, and the sources that are gone or belong to another parcel."""
    parcel = f"{of.carrier_code}:{of.waybill_no}"
    shipment: Shipment | None = None
    moves: dict[str, Movement] = {}
    gaps = []
    for source in of.sources:
        event = events.get((source.topic, source.partition, source.offset))
        if event is None or event.parcel != parcel:
            gaps.append(source)
        elif isinstance(event, Shipment):
            shipment = event
        elif isinstance(event, Scan | Inspection):
            moves[event.event_id] = _movement(event)
    return shipment, sorted(moves.values(), key=lambda each: (each.at, each.event_id)), tuple(gaps)


def _movement(event: Scan | Inspection) -> Movement:
    if isinstance(event, Scan):
        return Movement(
            at=event.scanned_at, kind=event.scan_type, event_id=event.event_id, facility_id=event.facility_id,
            adcode=event.facility_adcode, operator_id=event.operator_id or None,
        )  # fmt: skip
    return Movement(
        at=event.started_at, kind=event.inspection_type, event_id=event.event_id, facility_id=event.facility_id,
        adcode=event.facility_adcode, operator_id=event.inspector_id, machine_id=event.machine_id or None,
        result=event.result, duration_ms=max(event.ended_at - event.started_at, 0),
    )  # fmt: skip


def _plain(shipment: Shipment) -> dict[str, Any]:
    """The fields of a shipment record that say nothing about persons."""
    return {
        "event_id": shipment.event_id,
        "pickup_adcode": shipment.pickup_adcode,
        "dest_adcode": shipment.dest_adcode or None,
        "pickup_place": shipment.pickup_place,
        "picked_up_at": shipment.picked_up_at,
        "direction": shipment.direction,
        "dest_country": shipment.dest_country,
        "goods_name": goods_shown(shipment.goods_name, (shipment.sender_name, shipment.recipient_name)) or None,
        "weight_g": shipment.weight_g,
        "customer_type": shipment.customer_type,
        "outlet_id": shipment.outlet_id,
        "sender_masked": masked(shipment.sender_name),
        "recipient_masked": masked(shipment.recipient_name),
    }


def _persons(shipments: Sequence[Shipment], tokens: Tokeniser) -> Any:
    """For each shipment: its class of goods, and its tokens under every key that is held."""

    def texts(name: str) -> pl.Series:
        return pl.Series([getattr(each, name) for each in shipments], dtype=pl.String)

    ids = describe_ids(
        texts("sender_id_no"),
        texts("sender_id_type"),
        pl.Series([each.picked_up_at for each in shipments], dtype=pl.Int64),
    )
    couriers = [f"{each.carrier_code}:{each.courier_id}" for each in shipments]
    # In the same domains as in state, so that the tokens equal those of alerts.
    columns = {
        "sender_tokens": tokens.tokens("id", ids["id_norm"].set(ids["id_masked"], None).to_list()),
        "sender_phone_tokens": tokens.tokens("phone", mobiles(texts("sender_phone")).to_list()),
        "recipient_tokens": tokens.tokens("phone", mobiles(texts("recipient_phone")).to_list()),
        "device_tokens": tokens.tokens("device", [each.device_id or None for each in shipments]),
        "courier_tokens": tokens.tokens("courier", couriers),
    }
    goods = describe_goods(texts("goods_name"), texts("goods_form"))
    for row, (goods_class, ref) in enumerate(goods.select("goods_class", "goods_term").iter_rows()):
        term = term_of(ref)
        yield {
            "goods_class": goods_class,
            "goods_term": None if term is None else term.name,
            **{name: tokens.published(int(column[row])) for name, column in columns.items()},
        }


def masked(name: str | None) -> str | None:
    """A name masked as in GB/T 41833: its first character and a star. None if there is no name."""
    plain = nfkc(name or "").strip()
    return f"{plain[0]}*" if plain and plain[0] != "*" else "*" if plain else None


def goods_shown(name: str, persons: Sequence[str | None]) -> str:
    """A goods name without possible personal data: long numbers, addresses, addressees, the parcel's own persons."""
    shown = nfkc(name)
    for person in sorted({nfkc(person or "").strip() for person in persons}, key=len, reverse=True):
        if len(person) >= 2:
            shown = shown.replace(person, "**")
    shown = _MAIL.sub("****", shown)
    shown = _DIGITS.sub("****", shown)
    return _ADDRESSED.sub("**", shown)[:_TEXT_MAX]
