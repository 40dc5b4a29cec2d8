"""No personal data in clear past decoding: not in state, messages, alerts, rejects, logs or metrics.

Records carry marker values where persons stand, and where they do not belong. Whatever the worker keeps or says is then
searched for them, in every form that a program might give them by accident; also for hashes that need no key, as a
phone or ID number is found again from such a hash by trying them all.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from schemas import topics
from schemas.records import Alert, Reject, Shipment
from streams.flow.batches import Batch
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT, wire
from tests.workbench import Workbench, workbench
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


def feed(bench: Workbench) -> None:
    """All of it, good and bad mixed, through both agents to the end."""
    values = [value for pair in zip(bad(), good() * 4, strict=False) for value in pair] + bad()
    rejected = [wire({**SCAN, "scan_type": SENDER}), wire({**INSPECTION, "result": SENDER_ID}), b"{" + SENDER.encode()]
    batches = [
        Batch(topics.SHIPMENTS, 1, range(len(values)), values, [START] * len(values)),
        Batch(topics.SCANS, 1, range(4), [*rejected, wire({**SCAN, "waybill_no": "000001"})], [START] * 4),
        Batch(topics.INSPECTIONS, 1, range(3), rejected, [START] * 3),
    ]
    asyncio.run(bench.settle(batches))


def test_persons_are_nowhere_past_decoding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with workbench(tmp_path) as bench:
        feed(bench)
        effects = bench.effects
        published = {topic: [value for name, _, _, value in effects.published if name == topic] for topic in _TOPICS}
        # There is something to search: alerts on these persons' tokens, rejects, facts, state.
        assert all(published.values())
        assert len(published[topics.REJECTS]) >= len(bad())
        alerts = [msgspec.json.decode(value, type=Alert) for value in published[topics.ALERTS]]
        assert any(alert.sender_token for alert in alerts)
        assert any(alert.recipient_token for alert in alerts)
        assert len(effects.changelog) > 20
        for topic, _, key, value in effects.published:
            assert not found_in((key or b"") + b"\n" + value), topic
        for key, kept in effects.changelog:
            assert not found_in(key + b"\n" + (kept or b""))
        assert not found_in(bench.worker.metrics.render())
    assert not found_in(caplog.text.encode())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert not found_in(path.read_bytes()), path


_TOPICS = (topics.ALERTS, topics.REJECTS, topics.OBSERVATIONS, topics.FACTS)


def test_the_search_finds_what_is_there() -> None:
    for marker in MARKERS:
        assert found_in(b"x" + marker.encode() + b"x")
        assert found_in(json.dumps({"name": marker}).encode())
        assert found_in(xxhash.xxh3_64_intdigest(marker.encode()).to_bytes(8, "little"))
        assert found_in(hashlib.sha256(marker.encode()).digest())


def test_a_record_in_a_message_of_an_error_names_nobody() -> None:
    shipment = msgspec.convert({**SHIPMENT, **PERSONS}, Shipment)
    for text in (repr(shipment), str(shipment), f"{shipment!r}", str([shipment]), str(ValueError(shipment))):
        assert not found_in(text.encode())


@pytest.mark.parametrize("value", [value for value in bad() if len(value) < 60_000])
def test_a_reject_says_where_and_what_was_expected_only(value: bytes, tmp_path: Path) -> None:
    with workbench(tmp_path, partitions=1) as bench:
        asyncio.run(bench.settle([Batch(topics.SHIPMENTS, 0, [7], [value], [START])]))
        (said,) = [value for topic, _, _, value in bench.effects.published if topic == topics.REJECTS]
    reject = msgspec.json.decode(said, type=Reject)
    assert (reject.offset, reject.raw) == (7, None)
    assert not found_in(said)
