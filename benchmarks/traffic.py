"""The one generator: records that all contestants read, and their loading onto a broker.

shipments     valid retail shipments, as sparse as the schema allows, in the order of event time, keyed by parcel; one
              in a hundred comes once more, minutes later and the same to the byte, as a producer's retry does.
prefix        the first of the same, for contestants that are slow; uncompressed, because aiokafka reads no lz4 without
              a further package.
everything    shipments, scans and inspections as `waybill generate` makes them, planted cases included.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from numpy.typing import NDArray

from benchmarks.contract import BenchmarkError, Loaded, from_priority_origin
from benchmarks.task import FORMS, PARCELS_MIN, WINDOW_MS
from schemas import topics
from schemas.inputs import INPUT_TOPICS, INPUTS
from streams.generate import generate
from streams.generate.flow import START_AT
from streams.generate.people import People, choose
from streams.kafka import admin as broker_topics

SEED = 20_251_103
PARTITIONS = 4

SENDERS = 200_000  # who post now and then, all alike
# A few at a time post a great deal, so that alerts are spread over the stream and a prefix of it has its share.
FREQUENT_SHARE, FREQUENT_EACH, BLOCK = 0.06, 60, 2_000
STEP_MS = 173  # one million in 48 h
REPEATED_SHARE, REPEATED_WITHIN = 0.01, 5_000  # shipments later: a quarter of an hour at most
OUTLETS, COURIERS = 2_000, 8_000
PRIORITY_OUTLETS = 600
_PRIORITY = ("510104", "440106", "441302", "450202", "450102", "350802", "330602", "420106", "120111", "530502")
_OTHER = ("110105", "310115", "370102", "320106", "410105", "430102", "610113", "210102", "330106", "500103")
_GOODS = (
    ("衣服", "solid"),
    ("书籍", "solid"),
    ("玩具", "solid"),
    ("奶粉", "powder"),
    ("香水", "liquid"),
    ("鞋子", "solid"),
)

_RECORD = (
    '{"event_id":"s%d","schema_version":1,"carrier_code":"YT","waybill_no":"%d","picked_up_at":%d,'
    '"outlet_id":"O%d","courier_id":"C%d","pickup_adcode":"%s","pickup_place":"outlet","customer_type":"retail",'
    '"sender_id_type":"resident_id","sender_id_no":"%s","realname_method":"reader","realname_check":"pass",'
    '"agent_submitted":false,"dest_country":"CN","direction":"domestic","goods_name":"%s","goods_form":"%s",'
    '"weight_g":%d,"pieces":1}'
)
_NUMBER = 1_000_000_000_000
Record = tuple[str, str]  # key, value


@dataclass(frozen=True, slots=True)
class Shipments:
    """Columns of the sparse shipments, row by row in the order of event time, each once.

    repeated: after so many further shipments its record comes again; 0: never.
    """

    sender: NDArray[np.int64]
    outlet: NDArray[np.int64]
    courier: NDArray[np.int64]
    goods: NDArray[np.int64]
    weight_g: NDArray[np.int64]
    repeated: NDArray[np.int64]

    @classmethod
    def draw(cls, events: int, frequent_share: float = FREQUENT_SHARE) -> Shipments:
        """`events` shipments. Those of a larger number begin with those of a smaller one, up to whole blocks."""
        blocks = [cls._block(number, frequent_share) for number in range(-(-events // BLOCK))]
        return cls(*(np.concatenate(column)[:events] for column in zip(*blocks, strict=True)))

    @staticmethod
    def _block(number: int, frequent_share: float) -> tuple[NDArray[np.int64], ...]:
        rng = np.random.default_rng([SEED, number])
        frequent = round(BLOCK * frequent_share / FREQUENT_EACH)
        sender = np.where(
            rng.random(BLOCK) < frequent_share,
            SENDERS + number * frequent + rng.integers(0, frequent, BLOCK),
            rng.integers(0, SENDERS, BLOCK),
        )
        outlet = choose(sender, 1, OUTLETS)
        return (
            sender,
            outlet,
            outlet + OUTLETS * rng.integers(0, COURIERS // OUTLETS, BLOCK),
            rng.integers(0, len(_GOODS), BLOCK),
            rng.integers(50, 5_000, BLOCK),
            np.where(rng.random(BLOCK) < REPEATED_SHARE, rng.integers(1, REPEATED_WITHIN + 1, BLOCK), 0),
        )

    def __len__(self) -> int:
        return len(self.sender)

    def at(self) -> NDArray[np.int64]:
        """Event times, epoch ms, no two alike."""
        return START_AT + STEP_MS * np.arange(len(self), dtype=np.int64)

    def adcodes(self) -> NDArray[np.str_]:
        """Pickup places."""
        priority = np.array(_PRIORITY)[self.outlet % len(_PRIORITY)]
        return np.where(self.outlet < PRIORITY_OUTLETS, priority, np.array(_OTHER)[self.outlet % len(_OTHER)])

    def order(self) -> NDArray[np.int64]:
        """Rows in the order of their records: all of them, and again those whose repetition falls among them."""
        rows = np.arange(len(self))
        after = rows + self.repeated
        again = np.flatnonzero((self.repeated > 0) & (after < len(self)))
        return np.insert(rows, after[again] + 1, again)

    def records(self) -> Iterator[list[Record]]:
        """Keys and values, in chunks."""
        people = People(SEED)
        at, adcodes, order = self.at(), self.adcodes(), self.order()
        for first in range(0, len(order), _CHUNK):
            part = order[first : first + _CHUNK]
            columns = (part, at[part], self.outlet[part], self.courier[part], adcodes[part], self.goods[part])
            rows = zip(
                people.ids(self.sender[part]).to_list(), *(column.tolist() for column in columns),
                self.weight_g[part].tolist(), strict=True,
            )  # fmt: skip
            chunk = []
            for person, number, time, outlet, courier, adcode, item, grams in rows:
                waybill = _NUMBER + number
                name, form = _GOODS[item]
                value = _RECORD % (number, waybill, time, outlet, courier, adcode, person, name, form, grams)
                chunk.append((f"YT:{waybill}", value))
            yield chunk

    def expected(self) -> frozenset[str]:
        """The parcels to alert, from the task's definition: no contestant is asked."""
        by = np.argsort(self.sender, kind="stable")  # times rise already
        sender, at = self.sender[by], self.at()[by]
        # One axis of time per sender, further apart than any window.
        axis = sender * (int(at.max()) - START_AT + 2 * WINDOW_MS) + (at - START_AT)
        count = np.arange(len(by)) - np.searchsorted(axis, axis - WINDOW_MS, side="right") + 1
        priority = np.array([from_priority_origin(adcode) for adcode in self.adcodes()])
        form = np.array([form in FORMS for _, form in _GOODS])[self.goods]
        hit = by[(count >= PARCELS_MIN) & (priority & form)[by]]
        return frozenset(f"YT:{_NUMBER + number}" for number in hit.tolist())


def load_shipments(servers: str, events: int) -> Loaded:
    """Put so many sparse shipments, and those repeated, on `waybill.shipments`, which must be empty."""
    return _load_shipments(servers, events, "lz4")


def load_prefix(servers: str, events: int) -> Loaded:
    """The same, uncompressed."""
    return _load_shipments(servers, events, "none")


def load_nothing(servers: str) -> Loaded:
    """An empty `waybill.shipments`, whatever it held."""
    broker_topics.delete(servers, but=[topic.name for topic in topics.TOPICS if topic.name != topics.SHIPMENTS])
    make_topic(servers, topics.SHIPMENTS)
    return Loaded(servers, (topics.SHIPMENTS,), 0, 0.0, None)


def load_everything(servers: str, parcels: int) -> Loaded:
    """Put generated traffic on the three input topics, which must be empty."""
    counted = dict.fromkeys(INPUT_TOPICS, 0)

    def chunks() -> Iterator[tuple[str, Sequence[Record]]]:
        for chunk in generate(parcels, SEED):
            for source in INPUTS:
                frame = chunk.frame(source.kind)
                counted[source.topic] += len(frame)
                for part in frame.iter_slices(_CHUNK):
                    yield source.topic, lines(part)

    size = _load(servers, chunks(), None)
    events = sum(counted.values())
    return Loaded(servers, tuple(counted), events, size / events, None)


def make_topic(servers: str, name: str) -> None:
    """Create a topic of the benchmark's own."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)


def lines(frame: pl.DataFrame) -> list[Record]:
    """Keys and values of generated records."""
    keys = frame.select(pl.concat_str("carrier_code", pl.lit(":"), "waybill_no")).to_series().to_list()
    buffer = io.BytesIO()
    frame.write_ndjson(buffer)
    return list(zip(keys, buffer.getvalue().decode().splitlines(), strict=True))


def _load_shipments(servers: str, events: int, compression: str) -> Loaded:
    shipments = Shipments.draw(events)
    records = len(shipments.order())
    chunks = ((topics.SHIPMENTS, chunk) for chunk in shipments.records())
    size = _load(servers, chunks, records, compression=compression)
    return Loaded(servers, (topics.SHIPMENTS,), records, size / records, shipments.expected())


def _load(
    servers: str, chunks: Iterable[tuple[str, Sequence[Record]]], events: int | None, *, compression: str = "lz4"
) -> int:
    """Publish records; returns the bytes of their values. Raises BenchmarkError when one is not delivered."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "log_level": 3,  # that a fresh broker's coordinator still loads is no news
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": compression,
            "queue.buffering.max.messages": 4 * _CHUNK,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )
    size = sent = 0
    for topic, chunk in chunks:
        batch: list[dict[str, object]] = [{"key": key.encode(), "value": value.encode()} for key, value in chunk]
        size += sum(len(value) for _, value in chunk)
        sent += producer.produce_batch(topic, batch)
        if left := producer.flush(60):
            raise BenchmarkError(f"{topic}: {left} records not delivered")
    if events is not None and sent != events:
        raise BenchmarkError(f"{sent} of {events} records delivered")
    return size


_CHUNK = 50_000
