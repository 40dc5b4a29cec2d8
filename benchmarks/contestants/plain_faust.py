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
from bisect import bisect_left, bisect_right, insort
from operator import itemgetter
from pathlib import Path
from typing import Any

import faust

from benchmarks.contract import FORMS, PARCELS_MIN, WINDOW_MS, Context, Kind, Result, from_priority_origin
from benchmarks.traffic import PARTITIONS, make_topic
from benchmarks.watch import newest, python, started, watch

NAME = "plain Faust"
DOC = "aiokafka, one event at a time: group_by (a repartition topic), RocksDB Table with changelog; no transactions"
TRAFFIC: Kind = "prefix"

KEPT_MS = 2 * WINDOW_MS  # a partition may be read so far ahead of another
TIME = itemgetter(0)


def run(context: Context) -> Result:
    """Once over the prefix."""
    loaded, alerts, by_sender = context.loaded, f"{context.run}.alerts", f"{context.run}.by-sender"
    make_topic(loaded.servers, alerts)
    make_topic(loaded.servers, by_sender)
    command = python(__name__, loaded.servers, context.run, loaded.topics[0], by_sender, alerts, str(context.scratch))
    measured = watch(context, command, internal=[by_sender], forwards=True)
    alerted = frozenset(newest(loaded.servers, alerts))
    return Result(loaded.events, measured.wall_s, measured.cpu_s, measured.rss_mb, alerted)


def main(servers: str, group: str, topic: str, by_sender: str, alerts: str, folder: str) -> None:
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
    repartitioned = app.topic(by_sender, key_serializer="raw", value_serializer="json", internal=True)
    alert_topic = app.topic(alerts, key_serializer="raw", value_serializer="json")
    parcels_of = app.Table("parcels", default=list, partitions=PARTITIONS)
    said = False

    def sender_of(shipment: dict[str, Any]) -> str:
        nonlocal said
        if not said:
            started()
            said = True
        return shipment.get("sender_id_no") or ""

    @app.agent(shipments)
    async def judge(stream: Any) -> None:
        async for shipment in stream.group_by(sender_of, name="sender", topic=repartitioned):
            sender = shipment.get("sender_id_no")
            if shipment["customer_type"] != "retail" or not sender:
                continue
            parcel = f"{shipment['carrier_code']}:{shipment['waybill_no']}"
            candidate = shipment.get("goods_form") in FORMS and from_priority_origin(shipment["pickup_adcode"])
            parcels = parcels_of[sender]
            found = add(parcels, shipment["picked_up_at"], parcel, candidate)
            for each, count in found:
                alert = {"parcel": each, "tier": "medium", "score": 50, "sender_parcels_24h": count}
                await alert_topic.send(key=each, value=alert)
            parcels_of[sender] = parcels

    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


def add(parcels: list[list[Any]], at: int, parcel: str, candidate: bool) -> list[tuple[str, int]]:
    """Count a parcel among those of its sender; returns those to alert now, with their counts.

    parcels: [event time, parcel, whether it would be alerted if its sender had posted more], by time; is changed.
    """
    if any(parcel == known for _, known, _ in parcels):
        return []
    insort(parcels, [at, parcel, candidate])
    del parcels[: bisect_right(parcels, at - KEPT_MS, key=TIME)]
    found = []
    for each in parcels[bisect_left(parcels, at, key=TIME) : bisect_left(parcels, at + WINDOW_MS, key=TIME)]:
        time, waiting, candidate = each
        if candidate:
            count = bisect_right(parcels, time, key=TIME) - bisect_right(parcels, time - WINDOW_MS, key=TIME)
            if count >= PARCELS_MIN:
                each[2] = False
                found.append((waiting, count))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
