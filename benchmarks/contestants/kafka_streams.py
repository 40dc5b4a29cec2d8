"""Kafka Streams, the peer with equal guarantees, on the JVM that the private Kafka uses."""

from __future__ import annotations

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Java
from benchmarks.watch import judged

NAME = "Kafka Streams"
DOC = "JVM; exactly-once v2: a repartition topic by sender, a processor on RocksDB with changelog, two threads"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Java(
    "KafkaStreams",
    (
        "org.apache.kafka:kafka-streams:4.1.1",
        "com.fasterxml.jackson.core:jackson-core:2.19.0",
        "org.slf4j:slf4j-simple:1.7.36",
    ),
)
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    by_sender = f"{context.run}-sender-repartition"
    return judged(context, ENVIRONMENT.command(), internal=[by_sender], announces=False)
