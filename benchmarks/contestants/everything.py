"""The worker as it is run, on all three topics, with the whole catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from benchmarks.contract import Context, Gives, Kind, Measured, Result
from benchmarks.peers.environments import Own
from benchmarks.traffic import PARTITIONS
from benchmarks.watch import newest, python, watch
from schemas import topics
from schemas.records import Alert
from streams.kafka import admin as broker_topics

NAME = "waybill worker, all topics"
DOC = "shipments, scans, inspections; whole catalogue; transactions, changelog, RocksDB"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "everything"

INPUTS = (topics.SHIPMENTS, topics.SCANS, topics.INSPECTIONS)
READ_BACK = (topics.OBSERVATIONS, topics.FACTS)
ANSWERS = (topics.ALERTS, topics.SHADOW, topics.NOTICES, topics.REJECTS)
SETTLES_S = 5.0  # more than the setting `settle_s`, and a commit
WRITTEN = (*ANSWERS, *READ_BACK, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)


def run(context: Context) -> Result:
    """Once over all three topics."""
    return worker(context, {})


def worker(context: Context, settings: Mapping[str, str], *, processes: int = 1) -> Result:
    """Run workers with empty state and empty outputs over what lies on the input topics."""
    _empty_outputs(context.loaded.servers)
    measured = resumed(context, settings, processes=processes)
    return Result(context.loaded.events, measured, None if context.pace else _open_alerts(context.loaded.servers))


def resumed(context: Context, settings: Mapping[str, str], *, processes: int = 1) -> Measured:
    """Run workers over what lies on the input topics, with the state that the changelogs hold."""
    loaded = context.loaded
    env = {name: "" for name in os.environ if name.startswith("WAYBILL_")} | {
        "KAFKA_BOOTSTRAP_SERVERS": loaded.servers,
        "WAYBILL_GROUP": context.run,
        "WAYBILL_STATE_DIR": str(context.scratch / "state"),
        "WAYBILL_PARTITIONS": str(PARTITIONS),
        **settings,
    }
    command = python(
        "streams.cli", "worker", "--processes", str(processes), "--web-port", "0", "--log-level", "warning"
    )
    return watch(
        context, command, env=env, internal=READ_BACK, announces=False, settles_s=SETTLES_S, alerts=topics.ALERTS
    )


def _open_alerts(servers: str) -> frozenset[str]:
    decoder = msgspec.json.Decoder(Alert)
    alerts = newest(servers, topics.ALERTS)
    return frozenset(parcel for parcel, value in alerts.items() if decoder.decode(value).status == "open")


def _empty_outputs(servers: str) -> None:
    """Delete what an earlier run wrote, and make the topics anew."""
    broker_topics.delete(servers, but=[topic.name for topic in topics.TOPICS if topic.name not in WRITTEN])
    broker_topics.create(servers, PARTITIONS)
