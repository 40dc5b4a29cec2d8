"""Warms up what the first event would wait for: word lists, tables of sounds and places, prepared queries."""

from __future__ import annotations

from typing import Final

from rules import Catalogue
from schemas import topics
from schemas.records import Shipment, encode
from streams.files.driver import Offline, raw
from streams.settings import Settings

# An invented parcel. Its goods name holds a term that its context excludes, so that all lists are loaded.
_SHIPMENT: Final = Shipment(
    event_id="warm",
    schema_version=1,
    carrier_code="WARM",
    waybill_no="0",
    picked_up_at=946_684_800_000,
    outlet_id="0",
    courier_id="0",
    pickup_adcode="440000",
    pickup_place="outlet",
    customer_type="retail",
    sender_name="某某",
    sender_phone="16800000000",
    sender_id_type="resident_id",
    sender_id_no="440000000000000000",
    realname_method="none",
    realname_check="not_done",
    agent_submitted=False,
    recipient_phone="16800000001",
    dest_country="CN",
    dest_adcode="440000",
    direction="domestic",
    goods_name="某种大麻烦 abc",
    weight_g=1,
    pieces=1,
)


def warm(settings: Settings, catalogue: Catalogue) -> Offline:
    """Judge an invented parcel, so that the next one is faster. It has no other effect."""
    judged = Offline(settings, catalogue, co_located=(0,))
    judged.feed([raw(topics.SHIPMENTS, 0, [encode(_SHIPMENT)])])
    return judged
