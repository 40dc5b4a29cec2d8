"""Where a group stands: the offsets from which assigned partitions are read."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from streams.kafka.cluster import STARTING_S
from streams.kafka.errors import COORDINATOR_MOVES, LEADERLESS, MISSING, ClientError, cause, said
from streams.kafka.transport.grouping import Partition

log = logging.getLogger(__name__)

_COMMITTED_S = 30.0
_ANSWER_S = 10.0
_ID = re.compile("[A-Za-z0-9+/_-]{22}")  # of a topic, as librdkafka writes it; other tools write other notes


def committed(
    client: Client, partitions: list[TopicPartition], resumed: dict[Partition, int], topic_ids: Mapping[str, str]
) -> list[TopicPartition]:
    """Where to begin: at the committed offset, noted in `resumed`, or at the beginning of a partition without one.

    An offset may outlive its topic, where it was committed while that was deleted; in the new one it means nothing.
    """
    if not partitions:
        return []
    began = time.monotonic()
    while True:
        try:
            at = client.committed(partitions, timeout=max(began + _COMMITTED_S - time.monotonic(), 1.0))
            for each in at:
                if each.error is not None:
                    raise KafkaException(each.error)
                place = (each.topic, each.partition)
                if _ID.fullmatch(each.metadata or "") and each.metadata != topic_ids.get(each.topic, each.metadata):
                    log.warning("%s[%d]: the topic was made anew, and is read from its beginning", *place)
                    each.offset = -1
                if each.offset >= 0:
                    resumed[place] = each.offset
                if each.offset < 0:  # the offset itself, for it may be committed before anything is read
                    each.offset, _ = client.get_watermark_offsets(each, timeout=_ANSWER_S)
            return at
        except KafkaException as error:
            code = cause(error).code()
            waits = STARTING_S if code in MISSING else _COMMITTED_S
            if code not in COORDINATOR_MOVES | LEADERLESS | MISSING or time.monotonic() > began + waits:
                names = ", ".join(sorted({each.topic for each in partitions}))
                raise ClientError(f"{names}: committed offsets cannot be had: {said(error)}") from error
            time.sleep(0.1)
