# mypy: disallow-untyped-decorators=False
"""Faust as its documentation has it: one event at a time, a Table on RocksDB, the aiokafka driver.

It reads shipments keyed by sender, and so is spared the `group_by` that the parcel's key would need: a Table's key must
live in the partition of its event. It is given a prefix of the stream, because it is slow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import faust

from benchmarks.contract import FORMS, PARCELS_MIN, WINDOW_MS, Context, Kind, Result, from_priority_origin
from benchmarks.traffic import PARTITIONS, make_topic
from benchmarks.watch import newest, python, started, watch

NAME = "plain Faust"
DOC = "one event at a time, aiokafka, Table on RocksDB with changelog; shipments keyed by sender for it"
TRAFFIC: Kind = "by_sender"


def run(context: Context) -> Result:
    """Once over all shipments."""
    loaded, alerts = context.loaded, f"{context.run}.alerts"
    make_topic(loaded.servers, alerts)
    command = python(__name__, loaded.servers, context.run, loaded.topics[0], alerts, str(context.scratch))
    measured = watch(context, command)
    alerted = frozenset(newest(loaded.servers, alerts))
    return Result(loaded.events, measured.wall_s, measured.cpu_s, measured.rss_mb, alerted)


def main(servers: str, group: str, topic: str, alerts: str, folder: str) -> None:
    """A Faust worker."""
    app = faust.App(
        group,
        broker=f"kafka://{servers}",
        store="rocksdb://",
        datadir=str(Path(folder) / "faust"),
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        producer_linger=0.02,  # by default 0: a request for almost every record
        broker_commit_interval=0.5,  # by default 2.8 s, which would count as time to the last commit
        web_enabled=False,
    )
    shipments = app.topic(topic, key_serializer="raw", value_serializer="json")
    alert_topic = app.topic(alerts, key_serializer="raw", value_serializer="json")
    times_of = app.Table("times", default=list, partitions=PARTITIONS)
    said = False

    @app.agent(shipments)
    async def judge(stream: Any) -> None:
        nonlocal said
        async for shipment in stream:
            if not said:
                started()
                said = True
            sender = shipment["sender_id_no"]
            if shipment["customer_type"] != "retail" or not sender:
                continue
            at = shipment["picked_up_at"]
            times = [time for time in times_of[sender] if time > at - WINDOW_MS]
            times.append(at)
            times_of[sender] = times
            if (
                len(times) >= PARCELS_MIN
                and shipment.get("goods_form") in FORMS
                and from_priority_origin(shipment["pickup_adcode"])
            ):
                parcel = f"{shipment['carrier_code']}:{shipment['waybill_no']}"
                alert = {"parcel": parcel, "tier": "medium", "score": 50, "sender_parcels_24h": len(times)}
                await alert_topic.send(key=parcel, value=alert)

    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:])
