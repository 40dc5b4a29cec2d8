"""What is played: generated traffic with planted cases, a small crowded world, repetitions, and garbage; among them
what is known of outlets, licences and couriers, which changes meanwhile.

Playing is what any producer may do: idempotent, keyed by parcel, and unaware of whether the broker is there.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from schemas import topics
from schemas.records import Inspection, Scan, Shipment, encode
from schemas.reference import Courier, Enterprise, Outlet, Reference, ReferenceRecord
from streams.files import reading
from streams.files.driver import TOPIC_OF
from streams.generate import Traffic, generate
from tests.chaos import known
from tests.worlds import Record, events_of, world

Place = tuple[str, int, int]  # topic, partition, offset

EVENTS_PER_PARCEL = 8.2  # of generated traffic
WORLD_SHARE, REPEATED_SHARE, GARBAGE_SHARE = 0.02, 0.02, 0.005
WORLD_PARCELS_MAX = 250  # a crowd tells everyone about everyone, so its cost grows with the square
CHUNKS = 60
SLICES = 24  # of the time, each with a pace of its own
_TOPICS: dict[str, str] = {"shipment": topics.SHIPMENTS, "scan": topics.SCANS, "inspection": topics.INSPECTIONS}
_DELIVERY_S = 300
# Has a line, as what deletes a record has an offset, and changes nothing.
_GONE = b'{"kind":"holiday","id":"2026-01-01"}'


@dataclass(frozen=True, slots=True)
class Line:
    """One message to publish. `value` None: deletes a record. `readable`: a worker must not reject it."""

    topic: str
    key: bytes | None
    value: bytes | None
    readable: bool = True


def lines(seed: int, events: int) -> list[Line]:
    """About `events` messages in the order in which they are published, the same for the same seed."""
    rng = random.Random(f"traffic {seed}")
    parcels = max(int(events * (1 - WORLD_SHARE - REPEATED_SHARE - GARBAGE_SHARE) / EVENTS_PER_PARCEL), 600)
    traffic = generate(parcels, seed % 2**32, days=3.0, planted_share=0.3, chunk_parcels=max(parcels // CHUNKS, 10))
    found = _generated(rng, traffic)
    crowd = world(seed, min(max(int(events * WORLD_SHARE / 3), 40), WORLD_PARCELS_MAX))
    more = [Line(TOPIC_OF[type(each)], each.parcel.encode(), encode(each)) for each in events_of(crowd)]
    more += rng.sample(found, int(len(found) * REPEATED_SHARE))
    more += [_garbage(rng, rng.choice(found)) for _ in range(max(int(events * GARBAGE_SHARE), 20))]
    rng.shuffle(more)
    # Each of them at a place of its own among the generated ones, which keep their order.
    turns = [True] * len(more) + [False] * len(found)
    rng.shuffle(turns)
    from_more, from_found = iter(more), iter(found)
    return _with_known(
        [next(from_more if turn else from_found) for turn in turns],
        known.published(
            rng, traffic, [(each.key.encode(), encode(each)) for each in crowd if isinstance(each, ReferenceRecord)]
        ),
    )


def _with_known(events: list[Line], said: Iterable[tuple[float, known.Message]]) -> list[Line]:
    """Reference records put among the events; of these, more than of any event, the order counts."""
    out: list[Line] = []
    done = 0
    for at, (key, value, readable) in said:
        out += events[done : int(at * len(events))]
        done = max(done, int(at * len(events)))
        out.append(Line(topics.REFERENCE, key, value, readable))
    return out + events[done:]


def _generated(rng: random.Random, traffic: Traffic) -> list[Line]:
    out: list[Line] = []
    for chunk in traffic:
        part = [
            Line(topic, f"{row['carrier_code']}:{row['waybill_no']}".encode(), msgspec.json.encode(row))
            for kind, topic in _TOPICS.items()
            for row in chunk.rows(kind)
        ]
        rng.shuffle(part)  # topics are read each at its own pace; within a topic uploads are late as well
        out += part
    return out


def _garbage(rng: random.Random, co_located: Line) -> Line:
    """Something that no worker can read, often much like a record."""
    assert co_located.value is not None
    fields = json.loads(co_located.value)
    value = rng.choice(
        (
            co_located.value[: rng.randrange(1, len(co_located.value))],
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe\x00" + co_located.value,
            b"not json at all",
            b"[" * 5_000,
            json.dumps({**fields, "event_id": ""}).encode(),
            json.dumps({**fields, "carrier_code": "A:B"}).encode(),
            json.dumps({**fields, "schema_version": 99}).encode(),
            json.dumps({name: given for name, given in fields.items() if name != "waybill_no"}).encode(),
        )
    )
    return Line(co_located.topic, rng.choice((co_located.key, None, b"?")), value, readable=False)


def records(played: Iterable[Line]) -> list[Record]:
    """What can be read of them, as records; a record that is deleted is said anew at once."""
    read: dict[str, msgspec.json.Decoder[Any]] = {
        topics.SHIPMENTS: msgspec.json.Decoder(Shipment),
        topics.SCANS: msgspec.json.Decoder(Scan),
        topics.INSPECTIONS: msgspec.json.Decoder(Inspection),
        topics.REFERENCE: msgspec.json.Decoder(Reference),
    }
    given = (read[line.topic].decode(line.value) for line in played if line.readable and line.value is not None)
    return [each for each in given if isinstance(each, Shipment | Scan | Inspection | Enterprise | Outlet | Courier)]


def write(played: Iterable[Line], folder: Path) -> None:
    """The same lines as files, as `waybill judge` reads them."""
    folder.mkdir(parents=True)
    by_topic: defaultdict[str, list[bytes]] = defaultdict(list)
    for line in played:
        by_topic[line.topic].append((_GONE if line.value is None else line.value) + b"\n")
    for topic, name in reading.NAMES.items():
        with (folder / f"{name}.ndjson").open("wb") as file:
            file.writelines(by_topic[topic])


class Player(threading.Thread):
    """Publishes lines within `seconds`, now faster, now slower, whatever happens to the broker."""

    def __init__(self, servers: str, played: Sequence[Line], seconds: float, seed: int) -> None:
        super().__init__(name="player", daemon=True)
        self.sent = 0
        self.delivered = 0
        self.errors: Counter[str] = Counter()
        self.garbage: list[Place] = []  # where it went
        self._lines = played
        self._due = _due(len(played), seconds, seed)
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.timeout.ms": _DELIVERY_S * 1_000,
                "log_level": 0,
                "error_cb": lambda error: None,
            }
        )

    @property
    def done(self) -> bool:
        """Everything is on the broker, or was given up."""
        return self.delivered + self.errors.total() == len(self._lines)

    def run(self) -> None:
        """Publish, then wait until all of it is there."""
        began = time.monotonic()
        for line in self._lines:
            while (wait := self._due[self.sent] - (time.monotonic() - began)) > 0:
                self._producer.poll(min(wait, 0.1))
            self._send(line)
            self.sent += 1
        self._producer.flush(_DELIVERY_S)

    def _send(self, line: Line) -> None:
        report = self._took if line.readable else self._took_garbage
        while True:
            try:
                self._producer.produce(line.topic, value=line.value, key=line.key, on_delivery=report)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _took(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.errors[error.name()] += 1

    def _took_garbage(self, error: KafkaError | None, message: Message) -> None:
        self._took(error, message)
        if error is None:
            self.garbage.append((str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)))


def _due(count: int, seconds: float, seed: int) -> list[float]:
    """When each message is due, seconds after the start: slices of equal length, some empty, some with a burst."""
    rng = random.Random(f"pace {seed}")
    paces = [rng.choice((0.0, 0.5, 1.0, 1.0, 1.0, 3.0)) for _ in range(SLICES - 1)] + [1.0]
    length, total = seconds / SLICES, sum(paces)
    due: list[float] = []
    for number, pace in enumerate(paces):
        rows = round(count * sum(paces[: number + 1]) / total) - len(due)
        due += [length * (number + row / rows) for row in range(rows)] if pace else []
    return due
