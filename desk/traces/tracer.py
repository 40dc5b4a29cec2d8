"""The tracer: for each alert, the events behind it are read back by offset and published as a trace.

It is a group of its own on `waybill.alerts`. Traces and the offsets of the alerts that they are of go out in one
transaction, so an alert is traced once whatever happens to a tracer. What is past retention is named as a gap.
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
_ROWS: Final = 200  # alerts of one transaction: each has up to some hundred sources
_alert = msgspec.json.Decoder(Alert).decode


class Tracer:
    """One tracer on a broker; a context manager.

    group      one that is new traces all alerts again.
    instance   of tracers at the same time, each has a name of its own.
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
        """Whether it has partitions of the alert topic now."""
        return self._alerts.assigned

    def turn(self, timeout_s: float = 0.5) -> int:
        """Trace the alerts that have come, at the latest after `timeout_s`; how many. Raises ClientError."""
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
