"""Traffic for the demo: the last three days in fast motion.

Parcels accepted from three days ago until now, with what has happened to them since, in the order in which it reached
the topics. What is known of outlets and couriers goes first. Broken messages are mixed in, because producers send them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from heapq import merge
from itertools import chain, islice
from typing import Any

import msgspec

from schemas import topics
from schemas.inputs import INPUTS
from streams.generate import Chunk, generate
from streams.kafka.producer import Sender
from streams.ops import preflight
from streams.settings import Settings

ROUND_PARCELS = 20_000
DAYS = 3.0
DAY_MS = 86_400_000
CHUNK_PARCELS = 500
PLANTED_SHARE = 0.1  # ten times the generator's: who watches a demo wants to see every rule at work
BROKEN_EVERY = 1_500  # events
SEED = 4
"""Of the traffic that starts with a case which is an alert at once, without waiting for what might yet come."""

Event = tuple[str, bytes, bytes]  # topic, key, value

_encode = msgspec.json.Encoder().encode


class Source:
    """Endless traffic, round after round, or `parcels` of it. `published`: events of parcels."""

    def __init__(self, parcels: int | None = None, seed: int = SEED) -> None:
        self._parcels = parcels
        self._seed = seed
        self._events: Iterator[Event] = self._rounds()
        self.published = 0
        self.exhausted = False

    def prepare(self) -> list[Event]:
        """Make the first events, so that publishing starts at once; what is known of outlets and couriers comes back.

        It is to be published before `take` gives the rest.
        """
        known: list[Event] = []
        for event in self._events:
            if event[0] != topics.REFERENCE:
                self._events = chain([event], self._events)
                break
            known.append(event)
        return known

    def take(self, count: int) -> list[Event]:
        """The next `count` events; fewer when all have been taken."""
        taken = list(islice(self._events, count))
        self.exhausted = len(taken) < count
        self.published += sum(topic != topics.REFERENCE for topic, _, _ in taken)
        return taken

    def _rounds(self) -> Iterator[Event]:
        made = 0
        while self._parcels is None or made < self._parcels:
            parcels = ROUND_PARCELS if self._parcels is None else min(self._parcels - made, ROUND_PARCELS)
            yield from self._round(parcels)
            made += parcels
            self._seed += 1

    def _round(self, parcels: int) -> Iterator[Event]:
        now = time.time_ns() // 1_000_000
        traffic = generate(
            parcels, self._seed, start_at=now - round(DAYS * DAY_MS), days=DAYS, planted_share=PLANTED_SHARE,
            chunk_parcels=CHUNK_PARCELS,
        )  # fmt: skip
        for record in traffic.reference:
            yield topics.REFERENCE, f"{record['kind']}:{record['id']}".encode(), _encode(record)
        # What comes after the last acceptance is still to happen: these parcels are on their way.
        slices = -(-(parcels - len(traffic.truth)) // CHUNK_PARCELS)
        number = 0
        for _, chunk in zip(range(max(slices, 1)), traffic, strict=False):
            for event in _in_order(chunk):
                yield event
                number += 1
                if number % BROKEN_EVERY == BROKEN_EVERY // 3:
                    topic, key, value = event
                    yield topic, key, value[: len(value) // 2]


class Publisher:
    """Puts events on the topics, keyed by parcel."""

    def __init__(self, bootstrap_servers: str, settings: Settings) -> None:
        self._sender = Sender({**preflight.client(settings), "bootstrap.servers": bootstrap_servers})

    def __call__(self, events: list[Event]) -> None:
        for topic, key, value in events:
            self._sender.send(topic, key, value)

    def close(self) -> None:
        """Wait for what is on its way, but not long."""
        self._sender.flush(5.0)


class Pace:
    """How many events are due: `rate` a second, made up for after a pause of at most a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._at = time.monotonic()
        self._owed = 0.0

    def due(self) -> int:
        """Events due since the last call."""
        now = time.monotonic()
        self._owed += min(now - self._at, 1.0) * self._rate
        self._at = now
        count = int(self._owed)
        self._owed -= count
        return count


def _in_order(chunk: Chunk) -> Iterator[Event]:
    """The records of a chunk as messages, the three kinds merged by time; each comes in order of arrival."""
    kinds = [_timed(each.topic, chunk.rows(each.kind), each.sent_at) for each in INPUTS]
    for _, event in merge(*kinds, key=lambda pair: pair[0]):
        yield event


def _timed(topic: str, rows: list[dict[str, Any]], column: str) -> Iterator[tuple[int, Event]]:
    arrived = 0
    for row in rows:
        # A record that was uploaded late comes with those of its time of arrival.
        arrived = max(arrived, row.get("recorded_at") or row[column])
        key = f"{row['carrier_code']}:{row['waybill_no']}".encode()
        yield arrived, (topic, key, _encode(row))
