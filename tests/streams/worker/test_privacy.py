"""No personal data in clear past decoding: not in state, messages, alerts, rejects, logs or metrics.

Records carry marker values where persons stand, and where they do not belong. Whatever the worker keeps or says is then
searched for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path

import msgspec
import pytest
import xxhash

from schemas import topics
from schemas.records import Alert, Reject, Shipment
from streams.flow.batches import Batch
from tests.persons import MARKERS, PERSONS, SENDER, SENDER_ID, bad, found_in, good
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT, wire
from tests.workbench import Workbench, workbench
from tests.worlds import START


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
