"""Bytewax: a keyed stream with a state for each sender, snapshots in its recovery store each second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks import task

State = list[list[Any]] | None


def main(servers: str, _group: str, topic: str, alerts: str, folder: str, origins: str) -> None:
    """A dataflow, for ever."""
    places = frozenset(origins.split(","))

    def read(message: KafkaSourceMessage) -> Iterator[tuple[str, tuple[int, str, bool]]]:
        shipment = orjson.loads(message.value)
        if sender := task.counted(shipment):
            waits = task.candidate(shipment, places)
            yield sender, (shipment["picked_up_at"], task.parcel_of(shipment), waits)

    def judge(parcels: State, parcel: tuple[int, str, bool]) -> tuple[State, list[tuple[str, int]]]:
        parcels = parcels or []
        return parcels, task.add(parcels, *parcel)

    def say(keyed: tuple[str, tuple[str, int]]) -> KafkaSinkMessage:
        _, found = keyed
        return KafkaSinkMessage(found[0].encode(), orjson.dumps(task.alert(*found)))

    flow = Dataflow("parcels")
    shipments = op.input("shipments", flow, KafkaSource([servers], [topic], batch_size=5_000))
    found = op.stateful_flat_map("judge", op.flat_map("read", shipments, read), judge)
    op.output("alerts", op.map("say", found, say), KafkaSink([servers], alerts))

    recovery = Path(folder) / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    print("contestant started", flush=True)
    cli_main(flow, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(recovery))


if __name__ == "__main__":
    main(*sys.argv[1:])
