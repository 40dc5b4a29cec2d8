"""Publishing files of events to the topics, as fast or as slowly as wanted.

Lines go out as they are, malformed ones too: what a worker makes of them is part of what a replay shows. The key is the
parcel wherever it can be read, so that a parcel's events meet in one partition.

Order by time needs an index of all lines in memory, some 30 bytes each; the lines themselves stay in their files, which
may be larger than memory, and are read from there once more. Parquet and compressed files become lines in a temporary
folder first.
"""

from __future__ import annotations

import mmap
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from numpy.typing import NDArray

from schemas import topics
from schemas.errors import WaybillError
from schemas.inputs import INPUTS
from schemas.terms import TIME_MS_END, TIME_MS_MIN
from streams.files import reading
from streams.files.opening import PARQUET, FilesError, form_of, packed, stem_of
from streams.files.opening import opened as unpacked
from streams.kafka.cluster import Cluster
from streams.kafka.config import sender
from streams.kafka.errors import ClientError, Troubles, cause
from streams.kafka.rights import Right, denied

Ints = NDArray[np.int64]
Progress = Callable[[str, float, int], None]
Order = Literal["time", "file"]
Key = Callable[[bytes], bytes | None]

NO_TIME = -1
SLICE_ROWS = 5_000
_LINE_BYTES_MAX = 16_000_000  # longer ones are not even tried; librdkafka's default for a message is 1 MB
ANSWER_S, _PATIENCE_S, _NAP_S = 5.0, 60.0, 0.1
_TIMES = {each.topic: each.at for each in INPUTS}


class ReplayError(WaybillError):
    """A replay that cannot start or go on; the message is one line."""


class Replay:
    """Publishes the lines of an index. After `run`, or when it is interrupted: what was sent, and what was not."""

    def __init__(self, index: Index, servers: str, client: Mapping[str, Any]) -> None:
        """servers: of Kafka; client: further librdkafka properties. ReplayError if it or its topics are not there."""
        self.index = index
        self.sent = 0  # lines handed to the producer, or refused by it
        self.failed: Counter[str] = Counter()  # by the name of the error
        self._servers = servers
        self._gone = False
        self._troubles = Troubles()
        self._check_topics({**client, "bootstrap.servers": servers})
        self._producer = Producer(
            {
                **sender(
                    {
                        "linger.ms": 20,
                        "queue.buffering.max.messages": 200_000,
                        "message.timeout.ms": int(_PATIENCE_S * 1_000),
                        "log_level": 0,
                        **client,
                        "bootstrap.servers": servers,
                    }
                ),
                "delivery.report.only.error": True,
                "error_cb": self._troubles,
            }
        )

    def run(self, speed: float | None, progress: Progress) -> None:
        """Publish everything; `speed` times as fast as the events came, or as fast as it goes.

        Raises ReplayError when the broker stops answering.
        """
        began, lines = time.monotonic(), len(self.index)
        try:
            while self.sent < lines:
                due = lines if speed is None else self.index.due((time.monotonic() - began) * 1_000 * speed)
                for row in self.index.rows(self.sent, min(due, self.sent + SLICE_ROWS)):
                    self._send(*row)
                self._producer.poll(0)
                self._check_broker()
                progress("publishing", self.sent / lines, self.sent)
                if due <= self.sent < lines:
                    assert speed is not None
                    time.sleep(
                        min(_NAP_S, max(self.index.wait_ms(self.sent) / speed / 1_000 - time.monotonic() + began, 0))
                    )
        finally:
            self._flush()
        self._check_broker()

    @property
    def delivered(self) -> int:
        """Lines that the broker has, or fewer: what the producer has in hand counts its own notices, too."""
        return max(self.sent - self.failed.total() - len(self._producer), 0)

    def _send(self, topic: str, key: bytes | None, line: bytes | None) -> None:
        self.sent += 1  # beforehand: Ctrl-C during a call is raised right behind it
        if line is None:
            self.failed["MSG_SIZE_TOO_LARGE"] += 1
            return
        if key is None and topic == topics.REFERENCE:  # compacted: the broker refuses a record without a key
            self.failed["no key"] += 1
            return
        while True:
            try:
                self._producer.produce(topic, value=line, key=key, on_delivery=self._undelivered)
                return
            except BufferError:
                self.sent -= 1
                self._producer.poll(_NAP_S)
                self._check_broker()
                self.sent += 1
            except KafkaException as error:
                self._undelivered(cause(error), None)
                return

    def _undelivered(self, error: KafkaError | None, message: Message | None) -> None:
        if error is not None:
            self.failed[error.name().removeprefix("_")] += 1
            self._gone |= error.fatal() or error.code() in _BROKER_GONE

    def _flush(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._producer) and not self._gone and time.monotonic() < deadline:
            self._producer.flush(_NAP_S)

    def _check_broker(self) -> None:
        if self._gone:
            names = ", ".join(self.failed)
            where = self._troubles.beside(f"Kafka at {self._servers}")
            raise ReplayError(f"{where} does not take records any more ({names})")

    def _check_topics(self, config: Mapping[str, Any]) -> None:
        try:
            there = Cluster(config, timeout_s=ANSWER_S).topics(self.index.topics)
        except ClientError as error:
            raise ReplayError(f"no Kafka answers at {self._servers} ({error})") from error
        if missing := [name for name, facts in there.items() if not (facts.partitions or facts.hidden)]:
            raise ReplayError(f"no topics {', '.join(missing)} at {self._servers}: `waybill topics create` makes them")
        closed = [
            Right("WRITE", "topic", name)
            for name, facts in there.items()
            if facts.hidden or (facts.allowed is not None and "WRITE" not in facts.allowed)
        ]
        if closed:
            raise denied(config, *closed)


_BROKER_GONE = (KafkaError._MSG_TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION)


class Index:
    """The lines of some files in the order in which they go out."""

    def __init__(self, lines: list[_Lines], order: Order) -> None:
        self.topics = [each.topic for each in lines]
        self._texts = [each.text for each in lines]
        self._keys = [_key_of(each.topic) for each in lines]
        at = np.concatenate([np.empty(0, dtype=np.int64), *(each.at for each in lines)])
        by: Any = np.argsort(at, kind="stable") if order == "time" else slice(None)  # no time is before all times
        self._at = at[by]
        self._file = np.repeat(np.arange(len(lines), dtype=np.uint8), [len(each.at) for each in lines])[by]
        self._start = np.concatenate([np.empty(0, dtype=np.int64), *(each.start for each in lines)])[by]
        self._size = np.concatenate([np.empty(0, dtype=np.int64), *(each.size for each in lines)])[by]
        self._untimed = int(np.count_nonzero(at == NO_TIME))

    def __len__(self) -> int:
        return len(self._at)

    def rows(self, first: int, end: int) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        """Topic, key and line of some rows; no line where it is longer than a message may be."""
        columns = (column[first:end].tolist() for column in (self._file, self._start, self._size))
        for file, start, size in zip(*columns, strict=True):
            if size > _LINE_BYTES_MAX:
                yield self.topics[file], None, None
                continue
            line = reading.clean(self._texts[file][start : start + size])
            yield self.topics[file], self._keys[file](line), line

    def due(self, passed_ms: float) -> int:
        """How many rows are due when `passed_ms` of event time have passed since the first row that has a time."""
        if self._untimed == len(self):
            return len(self)
        return int(np.searchsorted(self._at, self._at[self._untimed] + passed_ms, side="right"))

    def wait_ms(self, row: int) -> int:
        """Event time between the first row that has one and this row."""
        return int(self._at[row] - self._at[self._untimed])

    def time_of(self, row: int) -> int | None:
        """Event time of a row, epoch ms."""
        return int(self._at[row]) if row < len(self) and self._at[row] != NO_TIME else None


@contextmanager
def opened(folder: Path, order: Order, progress: Progress) -> Iterator[Index]:
    """An index of the files of `folder`, reference records first, then by event time, or file by file.

    Lines whose event time cannot be read go first, in the order of their files. Raises FilesError.
    """
    ordered = list(reading.find(folder).items())
    with ExitStack() as stack:
        if any(not _mapped(path) for _, path in ordered):
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="waybill-replay-")))
            ordered = [(topic, _as_lines(path, scratch)) for topic, path in ordered]
        total = max(sum(path.stat().st_size for _, path in ordered), 1)
        lines: list[_Lines] = []
        before = rows = 0
        for topic, path in ordered:
            lines.append(_Lines.of(topic, path, stack))
            rows += len(lines[-1].at)
            before += path.stat().st_size
            progress("indexing", before / total, rows)
        yield Index(lines, order)


@dataclass(frozen=True, slots=True)
class _Lines:
    """One file: its text, and of each line event time, byte offset and length."""

    topic: str
    text: mmap.mmap | bytes
    at: Ints
    start: Ints
    size: Ints

    @classmethod
    def of(cls, topic: str, path: Path, stack: ExitStack) -> _Lines:
        time_of = _time_of(topic)
        at, starts, sizes = [], [], []
        for block in reading.blocks(path, _LINE_BYTES_MAX):
            size = np.array([len(line) for line in block.lines], dtype=np.int64)
            for row, length in block.cut.items():
                size[row] = length
            starts.append(block.start + np.cumsum(size + 1) - size - 1)
            sizes.append(size)
            at.append(np.array([time_of(line) for line in block.clean()], dtype=np.int64))
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if at else None
        text = stack.enter_context(mapped) if mapped is not None else b""
        none = np.empty(0, dtype=np.int64)
        return cls(topic, text, *(np.concatenate([none, *parts]) for parts in (at, starts, sizes)))


def _mapped(path: Path) -> bool:
    """Whether the lines can be read where they lie."""
    return not packed(path) and form_of(path) != PARQUET


def _as_lines(path: Path, scratch: Path) -> Path:
    """A Parquet or compressed file written out as lines; others as they are."""
    if _mapped(path):
        return path
    out = scratch / f"{stem_of(path)}.ndjson"
    try:
        with out.open("wb") as file:
            if packed(path):
                with unpacked(path) as (lines, _):
                    shutil.copyfileobj(lines, file, reading.BLOCK_BYTES)
            else:
                for piece in reading.read(path, rows_max=20_000, line_bytes_max=_LINE_BYTES_MAX):
                    file.writelines(value + b"\n" for value in piece.values)
    except OSError as error:
        raise FilesError(f"{path}, unpacked to {scratch}: {error.strerror or error}") from error
    return out


def _time_of(topic: str) -> Callable[[bytes], int]:
    if topic not in _TIMES:
        return lambda line: NO_TIME
    shape: Any = msgspec.defstruct("Timed", [("at", int | float, msgspec.field(name=_TIMES[topic]))], gc=False)
    decode = msgspec.json.Decoder(shape).decode

    def time_of(line: bytes) -> int:
        try:
            at = decode(line).at
        except (ValueError, RecursionError):
            return NO_TIME
        return int(at) if TIME_MS_MIN <= at < TIME_MS_END else NO_TIME

    return time_of


def _key_of(topic: str) -> Key:
    names = ("kind", "id") if topic == topics.REFERENCE else ("carrier_code", "waybill_no")
    shape: Any = msgspec.defstruct(
        "Keyed", [(name, str, msgspec.field(name=wire)) for name, wire in zip(("a", "b"), names, strict=True)], gc=False
    )
    decode = msgspec.json.Decoder(shape).decode

    def key_of(line: bytes) -> bytes | None:
        try:
            keyed = decode(line)
            return f"{keyed.a}:{keyed.b}".encode()
        except (ValueError, RecursionError):
            return None

    return key_of
