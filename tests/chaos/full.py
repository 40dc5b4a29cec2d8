"""At full load: a backlog that workers work off as fast as they can, while one after the other is killed."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from confluent_kafka import Consumer

from schemas.topics import INSPECTIONS, SCANS, SHIPMENTS
from tests.chaos.cluster import Cluster
from tests.chaos.logs import client, places
from tests.chaos.slot import GROUP
from tests.chaos.traffic import Player

INPUTS = (SHIPMENTS, SCANS, INSPECTIONS)
LAST = 0.9  # the last kill comes when so much of the backlog is done, at the latest
JITTER_S = 0.3
PUBLISHED_S = 600.0  # until the backlog is there, at most
STANDS_S = 120.0  # without any progress
_TIMEOUT_S = 30.0


def kills(cluster: Cluster, player: Player, count: int, seed: int, say: Callable[[str], None]) -> Counter[str]:
    """Publish everything, start the workers, and kill one (each third time all) `count` times before all is read.

    By progress rather than by time, so that there is load at each. What happened, by kind.
    """
    rng = random.Random(f"kills {seed}")
    player.start()
    player.join(PUBLISHED_S)
    cluster.begin()
    began = time.monotonic()
    done: Counter[str] = Counter()
    asker = client(cluster.servers, "read_committed", GROUP)
    try:
        backlog = _Backlog(asker, cluster.partitions)
        for number in range(count):
            share = backlog.until(LAST * (number + rng.uniform(0.2, 1.0)) / count, cluster.tend)
            time.sleep(rng.uniform(0, JITTER_S))
            chosen = cluster.slots if number % 3 == 2 else [rng.choice(cluster.slots)]
            for slot in chosen:
                slot.send(signal.SIGKILL)
            for slot in chosen:
                slot.end()
            names = ", ".join(slot.name for slot in chosen)
            say(f"{time.monotonic() - began:6.1f} s  kill -9 of {names}: {share:.0%} of {backlog.total:,} are done")
            done["kill all" if len(chosen) > 1 else "kill"] += 1
    finally:
        asker.close()
    return done


class _Backlog:
    """How much of the events the group has committed."""

    def __init__(self, asker: Consumer, partitions: int) -> None:
        self._asker = asker
        self._places = places(INPUTS, partitions)
        self.total = sum(asker.get_watermark_offsets(each, timeout=_TIMEOUT_S)[1] for each in self._places)

    def until(self, share: float, meanwhile: Callable[[], None]) -> float:
        """Wait until so much is done; how much it is. Raises TimeoutError where nothing moves any more."""
        found, moved_at = -1.0, time.monotonic()
        while found < share:
            meanwhile()
            committed = self._asker.committed(self._places, timeout=_TIMEOUT_S)
            now = sum(max(each.offset, 0) for each in committed) / self.total
            if now != found:
                found, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > STANDS_S:
                raise TimeoutError(f"{found:.0%} of {self.total:,} events were done for {STANDS_S:.0f} s")
            time.sleep(0.05)
        return found
