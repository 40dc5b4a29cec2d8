"""Quix Streams, the Python library for Kafka that gives most: one process, one event at a time."""

from __future__ import annotations

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Venv
from benchmarks.watch import judged

NAME = "Quix Streams"
DOC = "group_by (a repartition topic), state on RocksDB with changelog, exactly-once; one event at a time"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Venv("quixstreams")
TRAFFIC: Kind = "prefix"


def run(context: Context) -> Result:
    """Once over the prefix."""
    by_sender = f"repartition__{context.run}--{context.loaded.topics[0]}--sender"
    command = [ENVIRONMENT.python(), "-m", "benchmarks.peers.quix"]
    return judged(context, command, internal=[by_sender], announces=False)
