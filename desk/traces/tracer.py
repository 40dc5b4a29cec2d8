"""The tracer: reads the events behind each alert and order back by offset, and publishes them as a trace.

It is a consumer group of its own on `waybill.alerts` and `waybill.orders`. Traces go out in one transaction with the
offsets of what they are of, so each alert is traced once, whatever happens to a tracer. Events past retention are
listed as gaps.

A parcel has one trace. If it has an alert and an order, its trace is that of its order: that goes out with every event,
so it knows all that an alert knows. Both topics are read at their own pace, so the tracer must know which parcels have
an order before it meets it: it follows all orders beside the group.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from desk.log import Client
from desk.traces.build import events_of, traces_of
from schemas import topics
from schemas.desk import Order
from schemas.records import Alert, encode
from schemas.refusals import UNREADABLE
from streams.flow.decode import Limits
from streams.flow.describe.tokens import Tokeniser
from streams.kafka import naming
from streams.kafka.group_reader import GroupReader
from streams.kafka.log_reader import Entry, LogReader
from streams.kafka.offsets import OffsetReader
from streams.kafka.transactions import Outgoing, TransactionalWriter

log = logging.getLogger(__name__)

_ROWS: Final = 200  # alerts and orders of one transaction; each has up to some hundred sources
_alert = msgspec.json.Decoder(Alert).decode
_order = msgspec.json.Decoder(Order).decode


class Tracer:
    """One tracer on a broker; a context manager.

    group      a new group traces all alerts again.
    instance   tracers that run at the same time need different names.
    """

    def __init__(
        self,
        servers: str,
        client: Client,
        tokens: Tokeniser,
        limits: Limits,
        group: str = naming.of(naming.GROUP, "tracer"),
        instance: str = "0",
        told: Callable[[Iterable[str], float], None] | None = None,
    ) -> None:
        """told: takes the ids of the events whose traces were just written, and the seconds that it took."""
        self._tokens, self._limits, self._told = tokens, limits, told
        self._writer = TransactionalWriter(servers, f"{group}-{instance}", client)
        self._inputs = GroupReader(servers, [topics.ALERTS, topics.ORDERS], group, client)
        self._orders = LogReader(servers, [topics.ORDERS], client=client)
        self._ordered: set[bytes] = set()  # parcels with an order that stands
        self._events = OffsetReader(servers, client)

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *_: object) -> None:
        self._inputs.close()
        self._orders.close()
        self._events.close()

    @property
    def assigned(self) -> bool:
        """Whether it holds partitions now."""
        return self._inputs.assigned

    @property
    def exhausted(self) -> bool:
        """Whether all of the partitions that it holds was read."""
        return self._inputs.exhausted

    @property
    def alone(self) -> bool:
        """Whether it holds all partitions. Raises ClientError."""
        return self._inputs.alone

    def unread(self) -> dict[str, int]:
        """Records of each topic that were not read yet, as far as that is known without asking."""
        return self._inputs.unread()

    def step(self, timeout_s: float = 0.5) -> int:
        """Trace the alerts and orders that come within `timeout_s`. Returns how many. Raises ClientError."""
        entries = self._inputs.poll(_ROWS, timeout_s)
        if not entries:
            return 0
        begun = time.monotonic()
        for entry in self._orders.to_now():
            (self._ordered.add if entry.value else self._ordered.discard)(entry.key)
        newest = {entry.key: read for entry in entries if (read := self._read(entry)) is not None}
        places = {
            (source.topic, source.partition, source.offset) for each in newest.values() for source in each.sources
        }
        found = self._events.fetch(places)
        events = events_of({place: entry.value for place, entry in found.items()}, self._limits)
        traces = traces_of(list(newest.values()), events, self._tokens)
        self._writer.write([Outgoing(topics.TRACES, trace.key, encode(trace)) for trace in traces], self._inputs)
        if self._told is not None:
            self._told((each.event_id for each in events.values()), time.monotonic() - begun)
        return len(traces)

    def _read(self, entry: Entry) -> Alert | Order | None:
        """What to trace; None: nothing, or the parcel has an order and this is none, or it has none any more."""
        decode = _order if entry.topic == topics.ORDERS else _alert
        if not entry.value or (entry.topic == topics.ORDERS) != (entry.key in self._ordered):
            return None
        try:
            return decode(entry.value)
        except UNREADABLE:
            log.warning("%s is no message of this version; left out", entry.place)
            return None
