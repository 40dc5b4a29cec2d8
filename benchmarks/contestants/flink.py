"""Flink SQL, on the JVM that the private Kafka uses; job manager, task manager and client are one process."""

from __future__ import annotations

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Java
from benchmarks.watch import judged

NAME = "Flink SQL"
DOC = "JVM; ROW_NUMBER, then COUNT OVER 24 h of event time; RocksDB, checkpoints each 200 ms, exactly-once sink"
GIVES = Gives("exactly once", durable=True)
# All by name: what the connector asks for is an earlier Flink's.
MODULES = (
    *("annotations", "clients", "connector-base", "connector-datagen", "core", "core-api", "datastream"),
    *("datastream-api", "file-sink-common", "hadoop-fs", "json", "metrics-core", "queryable-state-client-java"),
    *("rpc-akka-loader", "rpc-core", "runtime", "statebackend-rocksdb", "streaming-java", "table-api-bridge-base"),
    *("table-api-java", "table-api-java-bridge", "table-common", "table-planner-loader", "table-runtime"),
)
ENVIRONMENT = Java(
    "FlinkSql",
    (
        *(f"org.apache.flink:flink-{module}:2.2.1" for module in MODULES),
        "org.apache.flink:flink-connector-kafka:5.0.0-2.2",
        "org.slf4j:slf4j-simple:1.7.36",
    ),
)
TRAFFIC: Kind = "shipments"
OPENED = ("java.lang", "java.net", "java.nio", "java.time", "java.util", "java.util.concurrent", "sun.nio.ch")


def run(context: Context) -> Result:
    """Once over all shipments; with a pace it does not end where they ended at its start."""
    command = ENVIRONMENT.command(*(f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in OPENED))
    return judged(context, command, more=() if context.pace else ("bounded",), until="ends")
