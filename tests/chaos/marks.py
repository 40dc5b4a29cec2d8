"""A broker alone, killed under transactions: does it finish each in all partitions? `python -m tests.chaos.marks`.

No code of ours takes part but that which starts the broker. Three producers write transactions over twelve partitions,
one of them leaves its own open; the broker is killed and comes back when the open one is past its time-out.
"""

from __future__ import annotations

import argparse
import logging
import random
import threading
import time
from collections import Counter

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.ops.broker.private import PrivateKafka

PARTITIONS = 12
TIMEOUT_MS = 3_000
AWAY_S = (3.2, 3.8)
SETTLE_S = 25.0
PLACES = [TopicPartition("marks", number) for number in range(PARTITIONS)]


def main() -> None:
    """Play some rounds; exit code 1 where one went wrong."""
    parser = argparse.ArgumentParser(prog="marks", description="Kill a broker under transactions; see what it kept.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    logging.basicConfig(level=logging.CRITICAL)
    faults = sum(bool(said := played(seed)) and not print(f"round {seed}: {said}") for seed in range(rounds))
    print(f"{faults} of {rounds} rounds went wrong")
    raise SystemExit(faults > 0)


def played(seed: int) -> str:
    """What was wrong after one kill; empty if nothing was."""
    rng = random.Random(seed)
    with PrivateKafka(heap_mb=300) as kafka:
        servers = kafka.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        admin.create_topics([NewTopic("marks", PARTITIONS, 1)])["marks"].result()
        stop = threading.Event()
        writers = [threading.Thread(target=write, args=(servers, name, stop), daemon=True) for name in range(3)]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.7, 2.0))
        kafka.kill()
        stop.set()
        time.sleep(rng.uniform(*AWAY_S))
        kafka.restart()
        deadline = time.monotonic() + SETTLE_S
        while (behind := unfinished(servers)) and time.monotonic() < deadline:
            time.sleep(0.3)
        torn = sum(count != PARTITIONS for count in visible(servers).values())
        return "" if not behind and not torn else f"{behind} records behind an open transaction, {torn} torn apart"


def write(servers: str, name: int, stop: threading.Event) -> None:
    """One transaction after the other, a record in each partition; number 0 leaves its first one open."""
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": f"marks-{name}", "transaction.timeout.ms": TIMEOUT_MS,
         "linger.ms": 1, "log_level": 0}
    )  # fmt: skip
    number = 0
    try:
        producer.init_transactions(10)
        while not stop.is_set():
            producer.begin_transaction()
            for place in PLACES:
                producer.produce("marks", b"%d-%d" % (name, number), partition=place.partition)
            producer.flush(5)
            if name == 0:
                return
            producer.commit_transaction(5)
            number += 1
    except KafkaException:
        return  # the broker is gone


def unfinished(servers: str) -> int:
    """How many records a reader of what is committed cannot pass."""
    ends = []
    for level in ("read_uncommitted", "read_committed"):
        client = Consumer({"bootstrap.servers": servers, "group.id": "marks", "isolation.level": level, "log_level": 0})
        try:
            ends.append(sum(client.get_watermark_offsets(place, timeout=10)[1] for place in PLACES))
        except KafkaException:
            return -1  # not all partitions are there yet
        finally:
            client.close()
    return ends[0] - ends[1]


def visible(servers: str) -> Counter[bytes]:
    """In how many partitions each transaction is seen by a reader of what is committed."""
    client = Consumer(
        {"bootstrap.servers": servers, "group.id": "marks", "isolation.level": "read_committed",
         "enable.partition.eof": True, "log_level": 0}
    )  # fmt: skip
    client.assign([TopicPartition(place.topic, place.partition, 0) for place in PLACES])
    seen: Counter[bytes] = Counter()
    ended, deadline = 0, time.monotonic() + 10
    while ended < PARTITIONS and time.monotonic() < deadline:
        for message in client.consume(1_000, 0.5):
            if message.error():
                ended += 1
            else:
                seen[message.value() or b""] += 1
    client.close()
    return seen


if __name__ == "__main__":
    main()
