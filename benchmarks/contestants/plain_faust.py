# mypy: disallow-untyped-decorators=False
"""Faust as its documentation has it: one event at a time, `group_by`, a Table on RocksDB, the aiokafka driver.

A Table's key must live in the partition of its event. Shipments are keyed by parcel, so each is forwarded to a topic
keyed by sender and read again; there, parcels of one sender come from all partitions, not in the order of event time.
So it keeps them in that order, each once, and looks again at those that a parcel read late may lift. Without
transactions, as Faust is by default: after a crash an alert may come twice, or never, if its parcel reached the
changelog before it. It is given a prefix of the stream, because it is slow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import faust

from benchmarks import task
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own
from benchmarks.traffic import PARTITIONS, make_topic
from benchmarks.watch import judged, python, started

NAME = "plain Faust"
DOC = "aiokafka, one event at a time: group_by (a repartition topic), RocksDB Table with changelog; no transactions"
GIVES = Gives("may be lost", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "prefix"


def run(context: Context) -> Result:
    """Once over the prefix."""
    by_sender = _by_sender(context.run)
    make_topic(context.loaded.servers, by_sender)
    announces = context.pace is None  # it does so at its first event
    return judged(context, python(__name__), internal=[by_sender], forwards=True, announces=announces)


def main(servers: str, group: str, topic: str, alerts: str, folder: str, origins: str) -> None:
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
    repartitioned = app.topic(_by_sender(group), key_serializer="raw", value_serializer="json", internal=True)
    alert_topic = app.topic(alerts, key_serializer="raw", value_serializer="json")
    parcels_of = app.Table("parcels", default=list, partitions=PARTITIONS)
    places, said = frozenset(origins.split(",")), False

    def sender_of(shipment: dict[str, Any]) -> str:
        nonlocal said
        if not said:
            started()
            said = True
        return task.counted(shipment)

    @app.agent(shipments)
    async def judge(stream: Any) -> None:
        async for shipment in stream.group_by(sender_of, name="sender", topic=repartitioned):
            if not (sender := task.counted(shipment)):
                continue
            parcels, waits = parcels_of[sender], task.candidate(shipment, places)
            for parcel, count in task.add(parcels, shipment["picked_up_at"], task.parcel_of(shipment), waits):
                await alert_topic.send(key=parcel, value=task.alert(parcel, count))
            parcels_of[sender] = parcels

    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


def _by_sender(group: str) -> str:
    return f"{group}.by-sender"


if __name__ == "__main__":
    main(*sys.argv[1:])
