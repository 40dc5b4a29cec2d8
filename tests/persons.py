"""Persons who do not exist, records that name them, and a search for them in every form that a program might give them.

Also for hashes that need no key, as a phone or ID number is found again from such a hash by trying them all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import xxhash

from tests.schemas.samples import SHIPMENT, wire
from tests.worlds import START, resident_id

# Persons who do not exist; numbers that belong to no one.
SENDER, RECIPIENT, STREET = "甄隐匿", "Quillfeather Ｘ", "无名路三千弄九号"
SENDER_PHONE, RECIPIENT_PHONE = "15498765431", "+86 168-1234-9876"
SENDER_ID, AGENT_ID = resident_id(777, "19870306"), resident_id(778, "19850911")
MARKERS = (SENDER, RECIPIENT, STREET, SENDER_PHONE, RECIPIENT_PHONE, SENDER_ID, AGENT_ID)

PERSONS: dict[str, Any] = {
    "sender_name": SENDER,
    "sender_phone": SENDER_PHONE,
    "sender_id_no": SENDER_ID,
    "sender_id_type": "resident_id",
    "agent_id_no": AGENT_ID,
    "recipient_name": RECIPIENT,
    "recipient_phone": RECIPIENT_PHONE,
    "sender_address": STREET,  # no field of ours: ignored
}


def good() -> list[bytes]:
    """Shipments of these persons that lead to alerts, some corrected."""
    records = []
    for number in range(30):
        given = {**SHIPMENT, **PERSONS, "waybill_no": f"{number % 25:06d}", "event_id": f"e{number}"}
        given |= {"goods_name": "海洛因", "picked_up_at": START + number, "recorded_at": None}
        if number % 3 == 0:
            given |= {"sender_id_no": None, "customer_type": "agreement"}
        if number % 4 == 0:
            given |= {"sender_name": f"{SENDER}*", "sender_phone": SENDER_PHONE + "-1234"}
        records.append(wire(given))
    return records


def bad() -> list[bytes]:
    """What no decoder takes, with persons in every place."""
    text = json.dumps({**SHIPMENT, **PERSONS}, ensure_ascii=False)
    fields = (
        "event_id",
        "carrier_code",
        "direction",
        "picked_up_at",
        "agent_submitted",
        "hs6",
        "dest_adcode",
        "weight_g",
    )
    return [
        *(wire({**SHIPMENT, **PERSONS, field: [marker]}) for field in fields for marker in MARKERS),
        *(wire({**SHIPMENT, **PERSONS, "direction": marker}) for marker in MARKERS),
        *(wire({**SHIPMENT, "waybill_no": marker + "\n"}) for marker in MARKERS),
        *(json.dumps(marker).encode() for marker in MARKERS),
        *(wire({**SHIPMENT, "sender_name": {marker: marker}}) for marker in MARKERS),
        *(f'{{"{marker}": '.encode() for marker in MARKERS),
        *(marker.encode("utf-16") for marker in MARKERS),
        *(marker.encode("gb18030") for marker in MARKERS),
        text.encode()[:-1],
        text.encode() + b"x" * 70_000,
        text.replace('"衣服"', "NaN").encode(),
        text.encode().replace(b"\xe8", b"\xff"),
    ]


def forms() -> Iterator[bytes]:
    """The markers in every form to look for."""
    for marker in MARKERS:
        digits = "".join(c for c in marker if c.isdigit())
        texts = {marker, marker.casefold(), marker.upper(), marker.replace(" ", ""), marker.replace("Ｘ", "x")}
        if len(digits) >= 11:
            texts |= {digits, digits.removeprefix("86"), marker[-8:], digits[-8:]}
        for text in texts:
            yield text.encode()
            yield text.encode("utf-16-le")
            yield json.dumps(text)[1:-1].encode()
            yield text.encode().hex().encode()
            yield base64.b64encode(text.encode()).rstrip(b"=")[:-1]
            for salted in (text, f"id{text}", f"phone{text}", f"name{text}", f"id\x1f{text}", f"phone\x1f{text}"):
                yield from _hashes(salted.encode())


def _hashes(data: bytes) -> Iterator[bytes]:
    number = xxhash.xxh3_64_intdigest(data)
    yield number.to_bytes(8, "little")
    yield number.to_bytes(8, "big")
    for name in ("sha256", "md5", "sha1"):
        digest = hashlib.new(name, data).digest()
        yield digest[:8]
        yield digest[:8].hex().encode()


FORMS = tuple(forms())


def found_in(data: bytes) -> list[bytes]:
    return [form for form in FORMS if form in data]
