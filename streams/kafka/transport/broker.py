"""What a broker says to a worker, asked by a client of its own: others may be at work on what takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from schemas.inputs import CONSUMED_TOPICS
from schemas.topics import HISTORIES_CHANGELOG, PARCELS_CHANGELOG, REFERENCE, RULES, TOPICS
from streams.kafka.admin import grow_advice
from streams.kafka.cluster import Cluster, Place
from streams.kafka.errors import ClientError

_ANSWER_S = 5.0
_ENDS_S = 2.0
_KEPT = frozenset((*CONSUMED_TOPICS, PARCELS_CHANGELOG, HISTORIES_CHANGELOG, REFERENCE, RULES))
_SINGLE = frozenset(topic.name for topic in TOPICS if topic.single)


class Broker:
    """The cluster as an administrator sees it. Connects when it is asked first.

    topics      that the worker reads and writes
    partitions  of each, apart from those of one partition, when the worker started
    fault       what of them is not as it was then; empty while all is well
    """

    def __init__(self, config: Mapping[str, object], topics: Sequence[str] = (), partitions: int = 0) -> None:
        self._config = config  # the worker's other clients report their troubles
        self._topics = [*topics]
        self._partitions = partitions
        self._ids: dict[str, str] = {}  # as answered first
        self._cluster: Cluster | None = None
        self.fault = ""

    async def answers(self) -> bool:
        """Whether any broker of the cluster answers within some seconds; `fault` is by its answer."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._ask)
        except ClientError:
            return False
        return True

    async def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """Where these (topic, partition) end now, without those whose leader does not answer; see `Cluster.ends`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(None, self._ends, places)
        except ClientError:
            return {}

    def _ends(self, places: Collection[Place]) -> dict[Place, int]:
        return self._asked().ends(places, _ENDS_S)

    def _asked(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._config, timeout_s=_ANSWER_S)
        return self._cluster

    def _ask(self) -> None:
        # Not `describe_cluster`: where a broker that starts knows of no broker yet, librdkafka aborts the process.
        found = self._asked().topics(self._topics)
        counts = {name: facts.partitions for name, facts in found.items() if name not in _SINGLE}
        # 0: missing, for a moment or for good
        grown = [f"{name} {count}" for name, count in counts.items() if count not in (0, self._partitions)]
        self._ids = {name: facts.id for name, facts in found.items() if facts.id and name in _KEPT} | self._ids
        anew = [name for name, known in self._ids.items() if found[name].id not in ("", known)]
        if anew:
            self.fault = (
                f"{', '.join(anew)}: deleted and made anew while this worker was at work; start it again, and it reads "
                "from the beginning what is there now"
            )
            return
        most = max(counts.values(), default=0)
        self.fault = (
            f"partition counts have changed from {self._partitions} ({', '.join(grown)}), so a parcel's events do not "
            f"meet any more; {grow_advice(most)}"
            if grown
            else ""
        )
