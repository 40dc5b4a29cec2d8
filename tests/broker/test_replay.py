"""Replaying files onto a real Kafka: every line, its key and partition, order, pace, clean ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from schemas import topics
from streams.cli import run
from streams.files.opening import FilesError
from streams.files.reading import NAMES
from streams.generate import generate, write
from streams.kafka import admin
from streams.kafka.replay import NO_TIME, Order, Replay, ReplayError, opened
from streams.ops.broker import PrivateKafka
from tests.packing import pack
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("clean")

ROOT = Path(__file__).parents[2]
START = 1_764_000_000_000
INPUTS = list(NAMES)
Row = tuple[str, bytes | None, bytes | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traffic")
    write(generate(1_500, 3, late_share=0.1, chunk_parcels=400), folder, force=True)
    return folder


def scan(number: int, at: int, **more: object) -> bytes:
    return json.dumps({"carrier_code": "SF", "waybill_no": f"{number}", "scanned_at": at, **more}).encode()


def put_scans(folder: Path, lines: list[bytes]) -> Path:
    folder.mkdir()
    (folder / "scans.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return folder


def rows_of(folder: Path, order: Order = "time") -> list[Row]:
    with opened(folder, order, lambda *_: None) as index:
        return list(index.rows(0, len(index)))


def consumed(servers: str) -> dict[str, list[Message]]:
    """All records of the input topics, by topic, in order within each partition."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reads", "enable.auto.commit": False})
    found: dict[str, list[Message]] = {topic: [] for topic in INPUTS}
    try:
        there = consumer.list_topics(timeout=PATIENCE_S).topics
        ends = {
            (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE_S)[1]
            for topic in INPUTS
            for number in there[topic].partitions
        }
        consumer.assign([TopicPartition(topic, number, 0) for (topic, number), end in ends.items() if end])
        while sum(map(len, found.values())) < sum(ends.values()):
            for message in consumer.consume(1_000, 0.2):
                assert message.error() is None
                found[str(message.topic())].append(message)
    finally:
        consumer.close()
    return found


def lines_of(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    for topic, name in NAMES.items():
        path = folder / f"{name}.ndjson"
        yield topic, path.read_bytes().splitlines() if path.exists() else []


def time_of(line: bytes) -> int:
    record = json.loads(line)
    for name in ("picked_up_at", "scanned_at", "started_at"):
        if name in record:
            return int(record[name])
    return NO_TIME


def test_rows_are_in_order_of_time_across_all_files(folder: Path) -> None:
    rows = rows_of(folder)
    times = [time_of(line) for _, _, line in rows if line is not None]
    assert len(times) == len(rows) == sum(len(lines) for _, lines in lines_of(folder))
    assert times == sorted(times)
    assert len({topic for topic, *_ in rows[len(rows) // 2 : len(rows) // 2 + 100]}) == 3
    for topic, lines in lines_of(folder):  # of equal times, the earlier line first
        assert [line for each, _, line in rows if each == topic] == sorted(lines, key=time_of)


def test_rows_in_order_of_the_files_are_the_files(folder: Path) -> None:
    wanted = [(topic, line) for topic, lines in lines_of(folder) for line in lines]
    assert [(topic, line) for topic, _, line in rows_of(folder, "file")] == wanted


def test_parquet_gives_the_same_rows(folder: Path, tmp_path: Path) -> None:
    write(generate(1_500, 3, late_share=0.1, chunk_parcels=400), tmp_path / "p", form="parquet")
    ours, theirs = rows_of(folder), rows_of(tmp_path / "p")
    assert [row for row in theirs if row[0] != topics.REFERENCE] == [row for row in ours if row[0] != topics.REFERENCE]
    # Reference records of several kinds share a table, so each has the fields of all kinds, most of them null.
    assert [row[:2] for row in theirs] == [row[:2] for row in ours]


@pytest.mark.parametrize("form", ["jsonl", "ndjson.gz", "jsonl.zst"])
def test_packed_files_give_the_same_rows(folder: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "packed").mkdir()
    for name in NAMES.values():
        pack(tmp_path / "packed" / f"{name}.{form}", (folder / f"{name}.ndjson").read_bytes())
    assert rows_of(tmp_path / "packed") == rows_of(folder)


def test_a_packed_file_that_is_cut_off_is_named(folder: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "scans.ndjson.zst", (folder / "scans.ndjson").read_bytes())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FilesError, match=r"scans\.ndjson\.zst"):
        rows_of(tmp_path)


def test_what_has_no_time_goes_first_and_no_line_is_lost(tmp_path: Path) -> None:
    late, early = scan(1, START + 5), scan(2, START)
    odd = [b"", b"{", b"\xff", b"[" * 5_000, scan(3, -1), b'{"scanned_at": 1e400}', b'{"scanned_at": null}']
    floating = b'{"scanned_at": 1764000000001.0}'
    put_scans(tmp_path / "some", [late, *odd, early, floating])
    (tmp_path / "some" / "shipments.ndjson").write_bytes(b"\xef\xbb\xbf\r\nx" + b"y" * 20_000_000 + b"\n{}\r")
    (tmp_path / "some" / "inspections.ndjson").touch()
    rows = rows_of(tmp_path / "some")
    assert [line for topic, _, line in rows if topic == topics.SHIPMENTS] == [b"", None, b"{}"]
    assert [line for topic, _, line in rows if topic == topics.SCANS] == [*odd, early, floating, late]
    assert [key for topic, key, _ in rows if topic == topics.SCANS] == [
        *[None] * 4,
        b"SF:3",
        None,
        None,
        b"SF:2",
        None,
        b"SF:1",
    ]
    assert [topic for topic, *_ in rows[:3]] == [topics.SHIPMENTS] * 3


@pytest.mark.broker
def test_every_line_arrives_with_its_key_in_its_partition(folder: Path, fresh_kafka: str) -> None:
    assert run(["replay", str(folder), "--bootstrap-servers", fresh_kafka]) == 0
    found = consumed(fresh_kafka)
    homes: defaultdict[bytes, set[int]] = defaultdict(set)
    for topic, lines in lines_of(folder):
        assert Counter(message.value() for message in found[topic]) == Counter(lines)
        for number in range(4):
            times = [time_of(message.value() or b"") for message in found[topic] if message.partition() == number]
            assert times == sorted(times)
        for message in found[topic]:
            record = json.loads(message.value() or b"")
            names = ("kind", "id") if topic == topics.REFERENCE else ("carrier_code", "waybill_no")
            key = ":".join(record[name] for name in names).encode()
            assert message.key() == key
            if topic != topics.REFERENCE:
                homes[key].add(int(message.partition() or 0))
    assert {len(partitions) for partitions in homes.values()} == {1}
    assert {number for partitions in homes.values() for number in partitions} == {0, 1, 2, 3}
    # The partition is that of Java's murmur2, where any other producer of these topics puts the parcel.
    assert {number for key, numbers in homes.items() for number in numbers if number != murmur2(key) % 4} == set()


def murmur2(key: bytes) -> int:
    """As in Kafka's own client, org.apache.kafka.common.utils.Utils, with the sign cut off."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


@pytest.mark.broker
def test_malformed_lines_go_out_and_those_that_cannot_are_counted(
    tmp_path: Path, fresh_kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [scan(1, START), b"", b"{", b"\xff\x00", scan(2, START, filler="x" * 2_000_000), scan(3, START + 1)]
    put_scans(tmp_path / "bad", lines)
    (tmp_path / "bad" / "reference.ndjson").write_bytes(b'{"kind": "outlet", "id": "O1"}\n{}\n')
    arguments = ["replay", "bad", "--order", "file", "--bootstrap-servers", fresh_kafka]
    assert run(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("bad: 6 lines delivered in ")
    assert captured.err == "waybill: error: not delivered: 1 no key, 1 MSG_SIZE_TOO_LARGE\n"
    found = consumed(fresh_kafka)
    sent = sorted((message.value(), message.key()) for message in found[topics.SCANS] if message.key())
    assert sent == [(lines[0], b"SF:1"), (lines[5], b"SF:3")]
    assert {message.value() for message in found[topics.SCANS] if not message.key()} == {b"", b"{", b"\xff\x00"}
    assert [message.key() for message in found[topics.REFERENCE]] == [b"outlet:O1"]


class Clock:
    """Stands for the module `time`: only sleeping makes time pass."""

    def __init__(self) -> None:
        self.now = 5_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.mark.broker
@pytest.mark.parametrize(("speed", "seconds"), [("1", 1.2), ("10", 0.12), ("max", 0.0)])
def test_it_keeps_the_pace(
    speed: str, seconds: float, tmp_path: Path, fresh_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which nothing takes time but waiting: no line goes out before it is due, or later than a nap."""
    lines = [b"{", *(scan(i, START + 60 * i) for i in range(21))]
    put_scans(tmp_path / "paced", random.Random(1).sample(lines, len(lines)))
    clock, sent = Clock(), list[tuple[float, bytes]]()
    send = Replay._send

    def noted(self: Replay, topic: str, key: bytes | None, line: bytes | None) -> None:
        sent.append((clock.now - 5_000, line or b""))
        send(self, topic, key, line)

    monkeypatch.setattr("streams.kafka.replay.time", clock)
    monkeypatch.setattr(Replay, "_send", noted)
    assert run(["replay", "paced", "--speed", speed, "--bootstrap-servers", fresh_kafka]) == 0
    assert len(sent) == len(lines)
    assert sent[0] == (0.0, b"{")
    assert [time_of(line) for _, line in sent[1:]] == [START + 60 * i for i in range(21)]
    late = [at - seconds * i / 20 for i, (at, _) in enumerate(sent[1:])]
    assert min(late) > -0.001
    assert max(late) < 0.01
    assert len([message for message in consumed(fresh_kafka)[topics.SCANS] if message.key()]) == 21


@pytest.mark.broker
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_half_way_it_says_where(number: signal.Signals, code: int, tmp_path: Path, fresh_kafka: str) -> None:
    put_scans(tmp_path / "long", [scan(i, START + 50 * i) for i in range(10_000)])
    child = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "replay", "long", "--speed", "1", "--bootstrap-servers", fresh_kafka],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while not sum(map(len, consumed(fresh_kafka).values())):
        assert time.monotonic() < deadline
        assert child.poll() is None
    child.send_signal(number)
    out, error = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, out) == (code, "")
    there = len(consumed(fresh_kafka)[topics.SCANS])
    assert error.startswith(f"stopped at line {there:,} of 10,000, event time 2025-11-24T16:00:")
    assert error.endswith(f"Z; {there:,} line{'' if there == 1 else 's'} delivered\n")


@pytest.mark.broker
def test_a_broker_that_goes_away_ends_it(tmp_path: Path) -> None:
    put_scans(tmp_path / "long", [scan(i, START + 5 * i) for i in range(10_000)])
    with PrivateKafka() as kafka, opened(tmp_path / "long", "time", lambda *_: None) as index:
        admin.create(kafka.bootstrap_servers, 1)
        replay = Replay(index, kafka.bootstrap_servers, {"message.timeout.ms": 8_000})

        def leave(step: str, share: float, rows: int) -> None:
            if rows > 200 and replay.delivered and kafka.running:
                kafka.stop()

        with pytest.raises(ReplayError, match=r"does not take records any more \(MSG_TIMED_OUT\)$"):
            replay.run(1.0, leave)
    assert 0 < replay.delivered < replay.sent < 10_000
    assert replay.failed.total() == replay.failed["MSG_TIMED_OUT"]


@pytest.mark.broker
def test_what_is_not_there_is_said(tmp_path: Path, fresh_kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_scans(tmp_path / "some", [scan(1, START)])
    admin.delete(fresh_kafka)
    assert run(["replay", "some", "--bootstrap-servers", fresh_kafka]) == 1
    where = f"at {fresh_kafka}: `waybill topics create` makes them"
    assert capsys.readouterr().err == f"waybill: error: no topics waybill.scans {where}\n"


def test_a_kafka_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_scans(tmp_path / "some", [scan(1, START)])
    monkeypatch.setattr("streams.kafka.replay.ANSWER_S", 0.2)
    monkeypatch.setattr("streams.ops.preflight.DEFAULT_SERVERS", "127.0.0.1:9")  # discard: nobody listens there
    assert run(["replay", "some"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("waybill: error: no Kafka answers at 127.0.0.1:9 (")
    assert "start one with `waybill broker run`, or name yours by --bootstrap-servers" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--speed", "fast"], "'fast' is neither a number above 0 nor max"),
        (["--speed", "0"], "'0' is neither a number above 0 nor max"),
        (["--speed", "nan"], "'nan' is neither a number above 0 nor max"),
        (["--speed", "10", "--order", "file"], "the order of the files has no time to keep"),
        (["--order", "size"], "Invalid value for '--order'"),
    ],
)
def test_a_wrong_option_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "some", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(tmp_path)]) == 1
    assert "no shipments, scans, inspections, reference here" in capsys.readouterr().err
