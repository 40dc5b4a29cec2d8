"""Messages as librdkafka hands them out, grouped into batches; what is no record, and what nobody can go on after."""

from __future__ import annotations

import logging
from array import array
from collections import defaultdict
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message

from schemas.errors import WaybillError
from streams.flow.batches import Batch
from streams.kafka.direct import Event, Fetched
from streams.kafka.errors import DENIED, said

Partition = tuple[str, int]
log = logging.getLogger(__name__)

# A batch is cut where it grows past this, so that one message of thousands of rows is not put with many like it.
BATCH_BYTES_MAX = 4_194_304


def batches(
    messages: Sequence[Message], generation: int, ends: dict[Partition, int], *, keyed: bool = False
) -> list[Batch]:
    """Messages in the order of arrival, grouped by (topic, partition); `ends` takes the ends of partitions reached.

    keyed: each with its key, which the flow does without.

    Raises FinalError for an error that librdkafka gives up on; others it retries by itself.
    """
    groups: defaultdict[Partition, list[Message]] = defaultdict(list)
    for message in messages:
        if (error := message.error()) is not None:
            place = (str(message.topic() or ""), int(message.partition() or 0))
            note(place, message.offset() or 0, error, ends)
            continue
        groups[message.topic(), message.partition()].append(message)  # type: ignore[index]
    out = []
    for (topic, partition), group in groups.items():
        values = [message.value() for message in group]
        start = size = 0
        for end, value in enumerate(values, 1):
            size += len(value) if value else 0
            if size >= BATCH_BYTES_MAX or end == len(values):
                part = group[start:end]
                out.append(
                    Batch(
                        topic,
                        partition,
                        [message.offset() or 0 for message in part],
                        values[start:end],
                        [message.timestamp()[1] for message in part],
                        generation,
                        [message.key() for message in part] if keyed else (),
                    )
                )
                start, size = end, 0
    return out


def fetched(
    found: Sequence[Fetched], events: Sequence[Event], generation: int, ends: dict[Partition, int]
) -> list[Batch]:
    """The same of what was fetched directly."""
    for topic, partition, offset, code, text in events:
        note((topic, partition), offset, KafkaError(code, text or None), ends)
    return [
        Batch(topic, partition, array("q", offsets), values, array("q", times), generation)
        for topic, partition, offsets, times, values in found
    ]


def note(place: Partition, offset: int, error: KafkaError, ends: dict[Partition, int]) -> None:
    """Heed what is said in the place of a record. Raises FinalError for what nobody can go on after."""
    if error.code() == KafkaError._PARTITION_EOF:
        ends[place] = offset
    elif error.fatal() or error.code() in _FINAL:
        raise FinalError(place, error)
    else:
        log.warning("kafka: %s", said(error))


class FinalError(WaybillError):
    """An event after which there is no point in going on; `place`: of which partition, if it is of one."""

    def __init__(self, place: Partition, error: KafkaError) -> None:
        super().__init__(f"{place[0]}[{place[1]}]: {said(error)}")
        self.place = place
        self.error = error


# `_FATAL` reports a fatal error without being one by its own flag: another member has taken this one's place, say.
_FINAL = {KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET, *DENIED}
