"""Whether a broker answers, asked by a client of its own: what others are at work on may take its time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.topics import REFERENCE

_ANSWER_S = 5.0


class Broker:
    """The cluster as an administrator sees it. Connects when it is asked first."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = {**config, "log_level": 0}  # the worker's other clients report their troubles
        self._client: AdminClient | None = None

    async def answers(self) -> bool:
        """Whether any broker of the cluster answers within some seconds."""
        if self._client is None:
            self._client = AdminClient(cast("dict[str, Any]", self._config))
        # Not `describe_cluster`: where a broker that starts knows of no broker yet, librdkafka aborts the process.
        (asked,) = self._client.describe_topics(TopicCollection([REFERENCE]), request_timeout=_ANSWER_S).values()
        try:
            await asyncio.wrap_future(asked)
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART)
        return True
