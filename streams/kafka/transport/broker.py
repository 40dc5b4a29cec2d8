"""Whether a broker answers, and where topics end, asked by a client of its own: the others may be busy."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import wait
from typing import Any, cast

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import REFERENCE

_ANSWER_S = 5.0
_ENDS_S = 2.0


class Broker:
    """The cluster as an administrator sees it. Connects when it is asked first."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = {**config, "log_level": 0}  # the worker's other clients report their troubles
        self._client: AdminClient | None = None

    async def answers(self) -> bool:
        """Whether any broker of the cluster answers within some seconds."""
        # Not `describe_cluster`: where a broker that starts knows of no broker yet, librdkafka aborts the process.
        (asked,) = self._admin().describe_topics(TopicCollection([REFERENCE]), request_timeout=_ANSWER_S).values()
        try:
            await asyncio.wrap_future(asked)
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART)
        return True

    async def ends(self, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where these (topic, partition) end now: the offset of the next record, those of open transactions included.

        Without those whose leader does not answer within some seconds.
        """
        newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin().list_offsets(
            {TopicPartition(*place): newest for place in places},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ENDS_S,
        )
        await asyncio.to_thread(wait, asked.values())
        told = {place: answer.result() for place, answer in asked.items() if answer.exception() is None}
        return {(place.topic, place.partition): result.offset for place, result in told.items()}

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(cast("dict[str, Any]", self._config))
        return self._client
