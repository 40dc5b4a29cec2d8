"""The tracer: reads the events behind each alert back by offset, and publishes them as a trace.

It is a consumer group of its own on `waybill.alerts`. Traces and the offsets of their alerts go out in one transaction,
so each alert is traced once, whatever happens to a tracer. Events past retention are listed as gaps.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from desk.log import Client
from desk.traces.build import events_of, traces_of
from schemas import topics
from schemas.records import Alert, encode
from streams.flow.decode import Limits
from streams.flow.describe.tokens import Tokeniser
from streams.kafka.group_reader import GroupReader
from streams.kafka.log_reader import Entry
from streams.kafka.offsets import OffsetReader
from streams.kafka.transactions import Outgoing, TransactionalWriter

log = logging.getLogger(__name__)

GROUP: Final = "waybill-tracer"
_ROWS: Final = 200  # alerts of one transaction; each has up to some hundred sources
_alert = msgspec.json.Decoder(Alert).decode


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
        group: str = GROUP,
        instance: str = "0",
    ) -> None:
        self._tokens, self._limits = tokens, limits
        self._writer = TransactionalWriter(servers, f"{group}-{instance}", client)
        self._alerts = GroupReader(servers, topics.ALERTS, group, client)
        self._events = OffsetReader(servers, client)

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *_: object) -> None:
        self._alerts.close()
        self._events.close()

    @property
    def assigned(self) -> bool:
        """Whether it holds partitions of the alert topic now."""
        return self._alerts.assigned

    @property
    def exhausted(self) -> bool:
        """Whether all alerts of the partitions that it holds were read."""
        return self._alerts.exhausted

    @property
    def alone(self) -> bool:
        """Whether it holds all partitions of the alert topic. Raises ClientError."""
        return self._alerts.alone

    def step(self, timeout_s: float = 0.5) -> int:
        """Trace the alerts that come within `timeout_s`. Returns how many. Raises ClientError."""
        entries = self._alerts.poll(_ROWS, timeout_s)
        if not entries:
            return 0
        newest = {alert.alert_id: alert for entry in entries if (alert := self._read(entry)) is not None}
        places = {
            (source.topic, source.partition, source.offset) for alert in newest.values() for source in alert.sources
        }
        found = self._events.fetch(places)
        events = events_of({place: entry.value for place, entry in found.items()}, self._limits)
        traces = traces_of(list(newest.values()), events, self._tokens)
        self._writer.write([Outgoing(topics.TRACES, trace.key, encode(trace)) for trace in traces], self._alerts)
        return len(traces)

    def _read(self, entry: Entry) -> Alert | None:
        if not entry.value:
            return None
        try:
            return _alert(entry.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("%s is no alert of this version; left out", entry.place)
            return None
