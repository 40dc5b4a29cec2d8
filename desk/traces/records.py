"""The shipment record of a parcel, for the tracer's door: only of a parcel with an alert, whoever asks."""

from __future__ import annotations

from typing import Final

import msgspec

from desk.log import Client
from desk.reveals import RevealError
from desk.traces.build import events_of
from schemas import topics
from schemas.records import Alert, Shipment
from streams.flow.decode import Limits
from streams.flow.partitions import partition_of
from streams.kafka.cluster import Cluster
from streams.kafka.offsets import OffsetReader
from streams.kafka.reader import Reader

_ROWS: Final = 5_000
_alert = msgspec.json.Decoder(Alert).decode


class ShipmentRecords:
    """Reads alerts and shipments; one thread at a time. Close it."""

    def __init__(self, servers: str, client: Client, limits: Limits) -> None:
        self._config = {**client, "bootstrap.servers": servers}
        self._limits = limits
        self._events = OffsetReader(servers, client)

    def close(self) -> None:
        """Give the connections back."""
        self._events.close()

    def of(self, parcel: str) -> Shipment | None:
        """The newest record among the sources of the parcel's alert; None: it is past retention.

        Raises RevealError if the parcel has no alert, ClientError.
        """
        alert = self._alert_of(parcel)
        if alert is None:
            raise RevealError(409, "this parcel has no alert")
        places = [(each.topic, each.partition, each.offset) for each in alert.sources if each.topic == topics.SHIPMENTS]
        found = self._events.fetch(places)
        events = events_of({place: entry.value for place, entry in found.items()}, self._limits)
        shipments = [event for event in events.values() if isinstance(event, Shipment) and event.parcel == parcel]
        return max(shipments, key=lambda each: each.recorded_at or each.picked_up_at, default=None)

    def _alert_of(self, parcel: str) -> Alert | None:
        """The newest alert of a parcel: it lies in the partition of its key, or was there before topics grew."""
        key = parcel.encode()
        partitions = Cluster(self._config).topic(topics.ALERTS).partitions
        home = int(partition_of([key], partitions)[0])
        with Reader(self._config) as reader:
            for number in (home, *(each for each in range(partitions) if each != home)):
                reader.assign({(topics.ALERTS, number): reader.bounds(topics.ALERTS, number)[0]})
                values = [
                    message.value() for piece in reader.to_end(rows_max=_ROWS) for message in piece.records
                    if message.key() == key
                ]  # fmt: skip
                if values and values[-1]:
                    return _alert(values[-1])
        return None
