"""Quix Streams: `group_by` to a topic by sender, a state on RocksDB with changelog, transactions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from quixstreams import Application

from benchmarks import task


def main(servers: str, group: str, topic: str, alerts: str, folder: str, origins: str) -> None:
    """An application, for ever."""
    app = Application(
        broker_address=servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=0.1,  # by default 5 s, which an alert would wait for
        state_dir=Path(folder) / "state",
        loglevel="WARNING",
    )
    places = frozenset(origins.split(","))
    shipments = app.dataframe(app.topic(topic, key_deserializer="str", value_deserializer="json"))
    shipments = shipments.filter(task.counted).group_by(task.counted, name="sender")

    def judge(shipment: dict[str, Any], state: Any) -> list[dict[str, object]]:
        parcels = state.get("parcels", [])
        waits = task.candidate(shipment, places)
        found = task.add(parcels, shipment["picked_up_at"], task.parcel_of(shipment), waits)
        state.set("parcels", parcels)
        return [task.alert(*each) for each in found]

    found = shipments.apply(judge, stateful=True, expand=True)
    found.to_topic(app.topic(alerts, key_serializer="str", value_serializer="json"), key=lambda alert: alert["parcel"])
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
