"""What stands for confluent_kafka's producer: the same calls, with an effect wherever a request goes to the broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from tests.simulator.broker import Broker, Place
from tests.simulator.clients import Message
from tests.simulator.group import Metadata, refusal
from tests.simulator.node import Node, here


class Producer:
    """A producer, transactional where it has an id."""

    def __init__(self, config: Mapping[str, Any], logger: object = None) -> None:
        self._node: Node = here()
        self._broker: Broker = self._node.broker
        self._name = str(config.get("transactional.id", ""))
        self._open_s = float(config.get("transaction.timeout.ms", 60_000)) / 1000
        self._epoch = 0
        self._state = "new"
        self._asked = False  # a commit was sent, and not answered
        self._queues: defaultdict[Place, list[tuple[bytes | None, bytes | None, Any]]] = defaultdict(list)
        self._failed: Any = None  # why the transaction can only be aborted

    def init_transactions(self, timeout: float) -> None:
        self._node.effect("init", faults=("late",))
        self._epoch = self._broker.begin_epoch(self._name)
        self._node.effect("init answered")
        if not self._settled(timeout):
            raise refusal(KafkaError._TIMED_OUT, "init timed out", retriable=True)
        self._state = "ready"

    def begin_transaction(self) -> None:
        self._node.effect("begin")
        if self._state != "ready":
            raise refusal(KafkaError._STATE, f"begin in state {self._state}")
        self._state, self._failed, self._asked = "open", None, False

    def produce(self, topic: str, value: bytes | None = None, key: bytes | None = None, partition: int = 0) -> None:
        """Without a transaction, and without an answer."""
        if not self._node.dead:
            self._broker.append((topic, partition), key, value)

    def produce_batch(self, topic: str, messages: Sequence[Mapping[str, Any]], partition: int) -> int:
        self._node.effect(f"produce {topic}[{partition}]")
        if self._state != "open":
            raise refusal(KafkaError._STATE, f"produce in state {self._state}")
        self._queues[topic, partition] += [
            (each.get("key"), each.get("value"), each.get("callback")) for each in messages
        ]
        return len(messages)

    def poll(self, timeout: float) -> int:
        if self._state == "open" and self._node.rng.random() < 0.3:
            self._send(self._node.rng.random())
        return 0

    def flush(self, timeout: float) -> int:
        """Deliver; the number of records that are still on their way."""
        fault = self._node.effect("flush", faults=("undelivered", "lost"))
        if fault == "undelivered":
            self._send(self._node.rng.random())
            self._node.world.wait(timeout)
        else:
            while self._queues and self._failed is None:
                self._send(1.0)
        if fault == "lost":
            self._failed = refusal(KafkaError._MSG_TIMED_OUT, "a record was not delivered")
        return sum(map(len, self._queues.values()))

    def _send(self, share: float) -> None:
        """Partitions one after the other, in any order; of each a part, or all."""
        places = sorted(self._queues)
        self._node.rng.shuffle(places)
        for place in places:
            queue = self._queues[place]
            size = max(int(len(queue) * share), 1) if share < 1 else len(queue)
            part, self._queues[place] = queue[:size], queue[size:]
            if not self._queues[place]:
                del self._queues[place]
            self._node.effect(f"deliver {place[0]}[{place[1]}]")
            if not self._settled(self._open_s):
                self._failed = refusal(KafkaError._MSG_TIMED_OUT, "the transaction before is not finished")
                return
            try:
                records = [(key, value) for key, value, _ in part]
                last = self._broker.transact(self._name, self._epoch, place, records, self._open_s)
            except Exception as error:
                self._fail(error)
                return
            for i, (_, _, callback) in enumerate(part):
                if callback is not None:
                    callback(None, Message(place, last - len(part) + 1 + i))

    def _fail(self, error: Any) -> None:
        self._failed = error
        if error.args[0].fatal():
            self._state = "fatal"
        self._queues.clear()

    def send_offsets_to_transaction(self, offsets: Sequence[TopicPartition], metadata: object, timeout: float) -> None:
        fault = self._node.effect("offsets", faults=("refused", "late", "hangs"))
        if fault == "hangs":  # librdkafka heeds no time-out here while the coordinator is away
            self._node.world.wait(self._node.rng.uniform(1, 6) * timeout)
        if self._failed is not None:
            raise self._failed
        if self._state != "open":
            raise refusal(KafkaError._STATE, f"offsets in state {self._state}")
        if fault == "refused" or not self._settled(timeout):
            raise refusal(KafkaError._TIMED_OUT, "offsets timed out")
        assert metadata is None or isinstance(metadata, Metadata)
        at = {(each.topic, each.partition): each.offset for each in offsets}
        try:
            self._broker.add_offsets(self._name, self._epoch, metadata, at, self._open_s)
        except Exception as error:
            self._fail(error)
            raise
        self._node.effect("offsets answered")

    def commit_transaction(self, timeout: float) -> None:
        if self._failed is not None:
            raise self._failed
        if self._state not in ("open", "committing"):
            raise refusal(KafkaError._STATE, f"commit in state {self._state}")
        while self._queues and self._failed is None:
            self._send(1.0)
        if self._failed is not None:
            raise self._failed
        self._state = "committing"
        fault = self._node.effect("commit", faults=("unsent", "unanswered", "refused", "late"))
        if fault == "refused" and not self._asked:
            self._state, self._failed = "open", refusal(KafkaError.COORDINATOR_NOT_AVAILABLE, "commit refused")
            raise self._failed
        if fault != "unsent":
            self._asked = True
            try:
                self._broker.end(self._name, self._epoch, True)
            except Exception as error:
                self._fail(error)
                raise
        if fault in ("unsent", "unanswered"):
            self._node.world.wait(timeout)
            raise refusal(KafkaError._TIMED_OUT, "commit timed out", retriable=True)
        self._node.effect("commit answered")
        self._state = "ready"

    def abort_transaction(self, timeout: float) -> None:
        fault = self._node.effect("abort", faults=("unanswered",))
        if self._state == "committing" or self._state not in ("open", "fatal"):
            raise refusal(KafkaError._STATE, f"abort in state {self._state}")
        if self._state == "fatal":
            raise self._failed or refusal(KafkaError._FATAL, "fatal", fatal=True)
        self._queues.clear()
        try:
            self._broker.end(self._name, self._epoch, False)
        except Exception as error:
            self._fail(error)
            raise
        if fault == "unanswered":
            raise refusal(KafkaError._TIMED_OUT, "abort timed out", retriable=True)
        self._node.effect("abort answered")
        self._state, self._failed = "ready", None

    def _settled(self, timeout: float) -> bool:
        """Wait until the transaction before this one is finished everywhere."""
        if self._broker.busy(self._name):
            self._node.world.wait(timeout, lambda: not self._broker.busy(self._name))
        return not self._broker.busy(self._name)
