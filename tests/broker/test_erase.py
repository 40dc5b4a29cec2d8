"""A person is erased from a deployment: nothing is left on any topic, and alerts of another go on as they were."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.traces.tracer import Tracer
from schemas import topics
from schemas.desk import Trace
from schemas.records import Alert, Scan, Shipment
from streams.cli import INTERRUPTED
from streams.flow.decode import Limits
from streams.flow.describe.tokens import tokeniser
from streams.flow.erasure import persons_of
from streams.kafka.cluster import Cluster
from streams.kafka.log_reader import LogReader
from streams.kafka.restore import restore
from streams.ops import keys
from streams.settings import Settings
from streams.worker.parts import stores_of
from tests.broker.test_nobody_named import GIVEN
from tests.command import Done, waybill
from tests.growing import growing
from tests.runs import comparable, difference, run
from tests.schemas.samples import SCAN, SHIPMENT
from tests.waiting import until
from tests.workers import SESSION_MS, Publisher, Reader, Worker
from tests.worlds import HOME, MINUTE, START, Record, resident_id

pytestmark = pytest.mark.broker
GROUP = "waybill-erase"
GONE, STAYS = ("15400000001", resident_id(1)), ("15400000003", resident_id(2))


def shipment(number: int, person: tuple[str, str], **more: Any) -> Shipment:
    """One with an alert; all go to one recipient, by one courier, so that these count both persons."""
    given = {
        **SHIPMENT, "waybill_no": f"{number:06d}", "event_id": f"e{number}", "goods_name": "海洛因",
        "sender_phone": person[0], "sender_id_no": person[1], "recipient_phone": "15400000005", "recorded_at": None,
        "pickup_adcode": "440306", "picked_up_at": START + number * MINUTE, **more,
    }  # fmt: skip
    return msgspec.convert(given, Shipment)


def scan(number: int) -> Scan:
    given = {**SCAN, "waybill_no": f"{number:06d}", "event_id": f"t{number}", "scanned_at": START + 60 * MINUTE}
    return msgspec.convert(given, Scan)


BEFORE: list[Record] = [shipment(number, GONE if number % 2 else STAYS) for number in range(12)]
BEFORE.append(shipment(12, STAYS, recipient_phone=GONE[0]))
AFTER: list[Record] = [scan(2), scan(3), *(shipment(number, STAYS) for number in (20, 21))]


def on_topics(servers: str) -> dict[str, bytes]:
    """By topic, but for those that carriers write, the newest values: what is left when the broker has compacted."""
    cluster = Cluster({"bootstrap.servers": servers})
    names = [name for name, facts in cluster.topics([each.name for each in topics.TOPICS]).items() if facts.partitions]
    newest: dict[tuple[str, int, bytes], bytes] = {}
    with LogReader(servers, names) as reader:
        for entry in reader.to_end():
            key = entry.key if entry.key else str(entry.offset).encode()
            newest[entry.topic, entry.partition, key] = entry.value or b""
    found = dict.fromkeys(set(names) - GIVEN, b"")
    for (topic, _, _), value in sorted(newest.items()):  # partitions are read in any order
        if topic in found:
            found[topic] += value + b"\n"
    return found


def in_state(settings: Settings, folder: Path) -> bytes:
    """All keys and values of a state folder that is built from the changelogs."""
    stores = stores_of(settings.model_copy(update={"state_dir": folder, "instance": "check"}))
    restore({"bootstrap.servers": settings.bootstrap_servers}, stores, set(range(4)), lambda: False)
    rows = [
        row
        for store in stores.values()
        for number in range(4)
        for row in store.scan(number, b"", 100_000, b"\xff" * 16)
    ]
    for store in stores.values():
        store.close_all()
    return b"\n".join(part for row in rows for part in row)


def theirs(alerts: dict[str, Alert]) -> dict[str, Alert]:
    """Those of the person who stays, tokens aside: the keys are others than those of a run without a broker."""
    numbers = {f"{number:06d}" for number in (*range(0, 12, 2), 20, 21)}
    bare = {"sender_token": None, "recipient_token": None, "earlier_sender_tokens": (), "earlier_recipient_tokens": ()}
    return {key: msgspec.structs.replace(alert, **bare) for key, alert in alerts.items() if alert.waybill_no in numbers}


def traced(settings: Settings, servers: str) -> list[Trace]:
    """What the tracer makes of the alerts that are there."""
    with Tracer(servers, {}, tokeniser(settings), Limits()) as tracer:
        until(lambda: (tracer.step() or True) and tracer.assigned and tracer.exhausted)
    with LogReader(servers, [topics.TRACES]) as reader:
        newest = {entry.key: msgspec.json.decode(entry.value or b"", type=Trace) for entry in reader.to_end()}
    return list(newest.values())


def judged(servers: str, folder: Path, more: list[Record], wanted: dict[str, Alert], **given: Any) -> Reader:
    """Have a worker judge these until the other person's alerts are those wanted."""
    Publisher(servers)(more)
    reader = Reader(servers)
    with Worker(servers, folder / "state", group=GROUP, **given) as worker:
        same = reader.until(lambda: theirs(reader.open()) == theirs(wanted))
        assert same, f"{difference(theirs(reader.open()), theirs(wanted))}\n\n{worker.told()}"
        assert worker.stop() == 0
    return reader


def erase(settings: Settings, who: Path, *more: str) -> Done:
    """`waybill erase`, in a folder of its own: the lock of another is held for as long as this process lives."""
    folder = who.parent / f"run-{next(_RUNS)}"
    given = [
        f"{name}={getattr(settings, name)}"
        for name in ("token_key_file", "token_state_key_file", "group", "session_timeout_ms")
        if getattr(settings, name) is not None
    ]
    return waybill(
        "erase", "--from", str(who), *more, *(part for each in given for part in ("--set", each)),
        "--set", f"state_dir={folder}", env={"KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers or ""},
    )  # fmt: skip


_RUNS = count()


@pytest.mark.chaos
def test_a_person_is_gone_and_another_goes_on(
    fresh_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, state = tmp_path / "publish", tmp_path / "key"
    keys.new(publish, state, "older")
    keys.rotate(publish, state, "newer")
    files: dict[str, Any] = {"token_key_file": publish, "token_state_key_file": state}
    settings = Settings(
        bootstrap_servers=fresh_kafka, group=GROUP, state_dir=tmp_path, session_timeout_ms=SESSION_MS, **files
    )
    before, after = (
        comparable(run(records, settings=Settings(home_adcodes=HOME), close=False).open_alerts())
        for records in (BEFORE, [*BEFORE, *AFTER])
    )
    judged(fresh_kafka, tmp_path / "first", BEFORE, before, **files).close()
    assert len(traced(settings, fresh_kafka)) == 13
    who = tmp_path / "who"
    who.write_text(f"id {GONE[1]}\nphone {GONE[0]}\n")
    persons = persons_of([("id", GONE[1]), ("phone", GONE[0])], tokeniser(settings))

    looked = erase(settings, who, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    for line in (f"{topics.SHIPMENTS}: 7 records", f"{topics.ALERTS}: 7 records", f"{topics.TRACES}: 7 records",
                 "7 parcels, of which 7 have an open alert; 14 alerts and traces", "nothing was changed"):  # fmt: skip
        assert line in looked.stdout, looked.stdout
    strange = erase(Settings(bootstrap_servers=fresh_kafka, group=GROUP), who, "--dry-run")
    assert "not the keys of the workers" in strange.stderr, "or they would be told that nobody was found"
    refused = erase(settings, who)
    assert (refused.returncode, "--delete-events" in refused.stderr) == (1, True), refused.stderr
    assert not [each for each in GONE for said in (looked, refused) if each in said.stdout + said.stderr]

    held = on_topics(fresh_kafka)
    killed = growing(fresh_kafka, tmp_path, GROUP, who, "erasing", "1", "before", **files)
    assert killed.returncode == -9, killed.stderr
    assert on_topics(fresh_kafka) == held, "nothing of a transaction that was not committed"
    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "delete_before", broken_off)
        assert erase(settings, who, "--delete-events").returncode == INTERRUPTED
    done = erase(settings, who, "--delete-events")
    assert done.returncode == 0, done.stderr
    assert "0 parcels, of which 0 have" in done.stdout
    again = erase(settings, who)
    assert "there is nothing to erase" in again.stdout, again.stdout

    left = {topic: [form for form in persons.forms() if form in data] for topic, data in on_topics(fresh_kafka).items()}
    assert {topic: forms for topic, forms in left.items() if forms} == {}
    assert not [form for form in persons.forms() if form in in_state(settings, tmp_path / "check")]

    reader = judged(fresh_kafka, tmp_path / "second", AFTER, after, **files)
    of_person = [alert for alert in reader.open().values() if alert.waybill_no == "000003"]
    assert [(alert.sender_token, alert.recipient_token is None) for alert in of_person] == [(None, False)]
    revisions: dict[str, list[int]] = {}
    for alert in (msgspec.json.decode(value, type=Alert) for value in reader.values):
        revisions.setdefault(alert.waybill_no, []).append(alert.revision)
    reader.close()
    assert all(each == sorted({*each}) for each in revisions.values()), "they rise"
    masked = {each.waybill_no: each.sender_masked for each in traced(settings, fresh_kafka)}
    assert (masked["000001"], masked["000021"]) == (None, "王*")


def broken_off(*_: object) -> None:
    raise KeyboardInterrupt
