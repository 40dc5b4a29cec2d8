"""Restoring: bring a partition's state to the end of its changelog."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.state.format import FORMAT
from streams.state.rocks import RocksStore

log = logging.getLogger(__name__)
_ROWS = 50_000
_Place = tuple[str, int]
_Values = defaultdict[_Place, dict[bytes, bytes | None]]
_FORMAT = bytes([FORMAT])


class RestoreError(RuntimeError):
    """State that cannot be brought up to date."""


def restore(
    config: Mapping[str, object],
    stores: Mapping[str, RocksStore],
    partitions: set[int],
    *,
    cancelled: Callable[[], bool],
    timeout_s: float = 120.0,
) -> int:
    """Open `partitions` of every store (by changelog topic) and read what they lack; the number of records read.

    The end is the end of the log when the reading starts. An unfinished transaction before it is waited for, for until
    it is committed or aborted nobody knows whether its records count. That ends with its time-out, unless the broker
    has forgotten it: RestoreError, when nothing has come for `patience_s`.
    """
    at = [
        TopicPartition(topic, number, stores[topic].open(number)) for topic in stores for number in sorted(partitions)
    ]
    _check_origin(config, stores, at)
    wanted, ends = _lacking(config, at)
    if not wanted:
        return 0
    reader = _client(
        config,
        {
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 65_536,
        },
    )
    try:
        for topic, number in ends:
            stores[topic].bulk(number, True)
        reader.assign(wanted)
        return _read(reader, stores, dict(ends), cancelled, timeout_s)
    finally:
        reader.close()
        for topic, number in ends:
            stores[topic].bulk(number, False)


def _lacking(
    config: Mapping[str, object], at: list[TopicPartition]
) -> tuple[list[TopicPartition], dict[tuple[str, int], int]]:
    """Where to begin reading, of the partitions that lack something, and where each of them ends.

    The ends are asked for without regard to transactions. To a client that reads what is committed the log ends before
    the first open transaction, and a commit whose offsets count already may not have reached this partition yet.
    """
    asker = _client(config, {"isolation.level": "read_uncommitted"})
    try:
        marks = [asker.get_watermark_offsets(each, timeout=30.0) for each in at]
    finally:
        asker.close()
    wanted, ends = [], {}
    for each, (low, high) in zip(at, marks, strict=True):
        if each.offset > high:
            raise _made_anew(each, f"state stands for offset {each.offset}, the log ends at {high}")
        if each.offset < high:
            ends[each.topic, each.partition] = high
            wanted.append(TopicPartition(each.topic, each.partition, max(each.offset, low)))
    return wanted, ends


def _check_origin(config: Mapping[str, object], stores: Mapping[str, RocksStore], at: list[TopicPartition]) -> None:
    """State must be that of these very topics: one that was made anew may well reach past the offset it stands for."""
    admin = AdminClient(cast("dict[str, Any]", {**config, "log_level": 0}))
    asked = admin.describe_topics(TopicCollection([*stores]), request_timeout=30.0)
    ids = {topic: str(future.result().topic_id).encode() for topic, future in asked.items()}
    for each in at:
        if not stores[each.topic].origin(each.partition, ids[each.topic]):
            raise _made_anew(each, "state came from an earlier topic of this name")


def _made_anew(place: TopicPartition, why: str) -> RestoreError:
    # Not removed here: should the topic have been deleted by mistake, the folder is all that is left.
    return RestoreError(f"{place.topic}[{place.partition}]: {why}: the topic was made anew; remove the state folder")


def _client(config: Mapping[str, object], more: Mapping[str, object]) -> Consumer:
    """A consumer that never joins its group: partitions are assigned by hand."""
    return Consumer({**config, "group.id": "waybill-restore", "enable.auto.commit": False, **more}, logger=log)


def _check_format(topic: str, number: int, values: Mapping[bytes, bytes | None]) -> None:
    """Every value of the state begins with the version of its layout."""
    other = next((value for value in values.values() if value is not None and value[:1] != _FORMAT), None)
    if other is not None:
        raise RestoreError(
            f"{topic}[{number}]: holds state of format {other[0] if other else 'none'}, this worker's is {_FORMAT[0]}: "
            "run the version that wrote it, or begin anew (docs/guarantees.md, “Another version”)"
        )


def _read(
    reader: Consumer,
    stores: Mapping[str, RocksStore],
    ends: dict[_Place, int],
    cancelled: Callable[[], bool],
    timeout_s: float,
) -> int:
    """Read to the ends; the number of records. What was read is written while more is being read."""
    total = 0
    said = reached_at = time.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="restore") as writer:
        writing: Future[int] = writer.submit(int)
        while ends and not cancelled():
            values, reached = _piece(reader)
            total += writing.result()
            writing = writer.submit(_write, stores, values, reached)
            for place, end in reached.items():
                if end >= ends.get(place, 0):
                    ends.pop(place, None)
            if reached:
                reached_at = time.monotonic()
            elif time.monotonic() - reached_at > timeout_s:
                topic, number = min(ends)
                raise RestoreError(
                    f"{topic}[{number}]: nothing readable has come for {timeout_s:.0f} s before the end at "
                    f"{ends[topic, number]}: the broker is away, or keeps a transaction open that nobody ends; "
                    "`kafka-transactions.sh find-hanging` shows such, and its `abort` ends them"
                )
            if time.monotonic() - said > 2.0:
                said = time.monotonic()
                log.info("restoring: %s records read, %s partitions to go", f"{total:,}", len(ends))
        return total + writing.result()


def _piece(reader: Consumer) -> tuple[_Values, dict[_Place, int]]:
    """The next records, of each key the last, and how far they reach (next to read)."""
    values: _Values = defaultdict(dict)
    reached: dict[_Place, int] = {}
    for message in reader.consume(_ROWS, 0.2):
        place = (str(message.topic()), int(message.partition() or 0))
        error = message.error()
        if error is None:
            values[place][message.key() or b""] = message.value()
            reached[place] = int(message.offset() or 0) + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            reached[place] = int(message.offset() or 0)
        elif not error.retriable():
            raise KafkaException(error)
    return values, reached


def _write(stores: Mapping[str, RocksStore], values: _Values, reached: Mapping[_Place, int]) -> int:
    """Write a piece to the stores; the number of records."""
    for (topic, number), end in reached.items():
        _check_format(topic, number, values[topic, number])
        stores[topic].restore(number, values[topic, number], end)
    return sum(len(records) for records in values.values())
