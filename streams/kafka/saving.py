"""Topics into a folder and back: for another cluster, and for the day when this one is lost.

    FOLDER/topics.json                   what is there: topics, partitions, records, SHA-256; written last
    FOLDER/waybill.alerts/0.ndjson.gz    one partition: key and value (base64), timestamp, headers, a record a line

Workers may run meanwhile. Changelogs are read to where they end first, all else to where it ends after that: whatever
the saved state knows of has been said on the other topics, too. What came later is judged again when carriers' events
are read again from before the moment of saving, for state is a set of facts (docs/guarantees.md).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice, starmap, zip_longest
from pathlib import Path
from typing import Final, cast

import msgspec
from confluent_kafka import Message

from schemas import topics
from schemas.errors import WaybillError
from schemas.refusals import UNREADABLE
from schemas.topics import TOPICS
from streams.kafka import admin
from streams.kafka.cluster import Cluster, Place
from streams.kafka.config import Properties
from streams.kafka.producer import Record, Sender, Transactions
from streams.kafka.reader import Reader

# Offsets of reference records count in revisions, which must not fall: each record keeps its own.
_NUMBERED: Final = {topics.REFERENCE}
_GAP: Final = b"gap"  # stands, deleted, where compaction has taken a record away
_COMPACTED: Final = {topic.name for topic in TOPICS if "compact" in topic.cleanup}
_LIST: Final = "topics.json"
_CHANGELOGS: Final = {topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG}
_ROWS: Final = 5_000
_TIMEOUT_S: Final = 60.0
Advance = Callable[[str, float, int], None]  # what is being done, which share of it, and records so far
Headers = list[tuple[str, str | bytes | None]]


class SavingError(WaybillError):
    """Topics cannot be saved or loaded like this; the message names folder, file or topic."""


class Line(msgspec.Struct, frozen=True):
    """One record of a topic."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int  # epoch ms
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Part(msgspec.Struct, frozen=True):
    """One partition of a topic, as it lies in the folder."""

    topic: str
    partition: int
    records: int
    sha256: str  # of the packed file

    @property
    def file(self) -> str:
        """Where it lies in the folder."""
        return f"{self.topic}/{self.partition}.ndjson.gz"


_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(Line).decode


def save(config: Properties, folder: Path, names: Sequence[str], advance: Advance) -> list[Part]:
    """Write these topics, as far as they are committed now, into a new folder. Raises SavingError and ClientError."""
    if folder.exists() and any(folder.iterdir()):
        raise SavingError(f"{folder} is not empty: name a new folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ends = _ends(Cluster(config), names)
    parts: list[Part] = []
    for name in names:
        counts = _save(config, folder, {place: end for place, end in ends.items() if place[0] == name}, advance)
        parts += [Part(*place, count, _digest(folder / _file(*place))) for place, count in counts.items()]
    _durably(folder / _LIST, msgspec.json.format(_encode(parts)) + b"\n")
    return parts


def _save(config: Properties, folder: Path, ends: Mapping[Place, int], advance: Advance) -> dict[Place, int]:
    """Write the partitions of one topic; how many records each has."""
    counts = dict.fromkeys(sorted(ends), 0)
    with ExitStack() as stack:
        files = {place: stack.enter_context(_packed(folder / _file(*place))) for place in ends}
        for messages, share in _committed(config, ends):
            for message in messages:
                place = _place(message)
                files[place].write(_encode(_line_of(message)) + b"\n")
                counts[place] += 1
            advance(min(ends)[0], share, sum(counts.values()))
    return counts


def load(config: Properties, folder: Path, replication: int, advance: Advance, *, writer: str) -> list[Part]:
    """Make the topics of a folder, with as many partitions, and fill them.

    Broken off, it goes on where it stood. writer: its transactional id. Raises SavingError, before anything is written,
    if a file is damaged or a topic holds other records; TopicError if it has another count of partitions; ClientError.
    """
    parts = _listed(folder)
    counts = {
        name: 1 + max(part.partition for part in parts if part.topic == name) for name in {p.topic for p in parts}
    }
    admin.create_as(str(config["bootstrap.servers"]), counts, replication, client=_others(config))
    bounds = Cluster(config).bounds([(part.topic, part.partition) for part in parts])
    there = {part: _there(config, folder, part, bounds[part.topic, part.partition][1]) for part in parts}
    write = _Writer(config, writer)
    done, total = sum(there.values()), sum(part.records for part in parts)
    for part, begun in there.items():
        rest = islice(_lines(folder, part), begun, None)
        while rows := list(islice(rest, _ROWS)):
            write(part, rows)
            done += len(rows)
            advance("loaded", min(done / total, 1.0), done)
    return parts


class _Writer:
    """Writes records to their partition: all of a call or, but for those that keep their offsets, none."""

    def __init__(self, config: Properties, name: str) -> None:
        self._transactions = Transactions(config, name)
        self._transactions.start()
        self._sender = Sender(config)  # the mark of a transaction takes an offset

    def __call__(self, part: Part, lines: Sequence[Line]) -> None:
        if part.topic in _NUMBERED:
            for line in lines:
                self._sender.send(part.topic, line.key, line.value, part.partition)
            if left := self._sender.flush(_TIMEOUT_S):
                raise SavingError(
                    f"{part.topic}: {left} records did not arrive within {_TIMEOUT_S:.0f} s; run it again"
                )
            return
        self._transactions.begin()
        self._transactions.produce_dated(part.topic, part.partition, [_record(line) for line in lines])
        self._transactions.deliver()
        self._transactions.commit()


def _ends(cluster: Cluster, names: Sequence[str]) -> dict[Place, int]:
    """Where each partition ends: first those of changelogs, then, asked later, all others."""
    facts = {name: cluster.topic(name) for name in names}
    ends: dict[Place, int] = {}
    for group in (set(names) & _CHANGELOGS, set(names) - _CHANGELOGS):
        places = [(name, number) for name in sorted(group) for number in range(facts[name].partitions)]
        ends |= {place: end for place, (_, end) in cluster.bounds(places).items()}
    return ends


def _committed(config: Properties, ends: Mapping[Place, int]) -> Iterator[tuple[list[Message], float]]:
    """What is committed before these ends, and which share of it was read."""
    with Reader(config, committed=True) as reader:
        lows = {place: reader.bounds(*place)[0] for place in ends}
        left = {place: ends[place] - low for place, low in lows.items() if low < ends[place]}
        total = sum(left.values())
        reader.assign({place: lows[place] for place in left}, ends)
        for piece in reader.to_end(rows_max=_ROWS):
            left |= {place: max(ends[place] - at, 0) for place, at in piece.reached.items()}
            found = [message for message in piece.records if (message.offset() or 0) < ends[_place(message)]]
            yield found, 1 - sum(left.values()) / total


def _there(config: Properties, folder: Path, part: Part, end: int) -> int:
    """How many records of a part need not be loaded again. Raises SavingError if its topic holds others."""
    if not end:
        return 0
    ends = {(part.topic, part.partition): end}
    found = [_line_of(message) for messages, _ in _committed(config, ends) for message in messages]
    if all(starmap(_same, zip_longest(found, islice(_lines(folder, part), len(found))))):
        return len(found)
    left = {(line.key, line.value) for line in found}
    if part.topic in _COMPACTED:  # compaction takes records away, also while it is loaded: all of it once more
        left -= {(line.key, line.value) for line in _lines(folder, part)}
    if left:
        raise SavingError(
            f"{part.topic}[{part.partition}] holds records that are not in {folder / part.file}: "
            "load into topics that are empty, or that an earlier load of this folder began to fill"
        )
    return 0


def _same(here: Line, saved: Line | None) -> bool:
    return saved is not None and (here.key, here.value) == (saved.key, saved.value)


def _listed(folder: Path) -> list[Part]:
    try:
        parts = msgspec.json.decode((folder / _LIST).read_bytes(), type=list[Part])
    except (OSError, *UNREADABLE) as error:
        raise SavingError(
            f"{folder / _LIST} cannot be read, so this is no folder that was saved whole: {error}"
        ) from error
    for part in parts:
        if not (folder / part.file).is_file() or _digest(folder / part.file) != part.sha256:
            raise SavingError(f"{folder / part.file} is missing or damaged: {_LIST} has another SHA-256 for it")
    return parts


def _lines(folder: Path, part: Part) -> Iterator[Line]:
    """The records of a part; of one whose offsets count, with something deleted in place of each that is gone."""
    with gzip.open(folder / part.file) as file:
        at = 0
        for line in map(_line, file):
            if part.topic in _NUMBERED:
                yield from (Line(gap, _GAP, None, 0) for gap in range(at, line.offset))
            yield line
            at = line.offset + 1


@contextmanager
def _packed(path: Path) -> Iterator[gzip.GzipFile]:
    """A file to write, for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as file:
            yield file
        raw.flush()
        os.fsync(raw.fileno())


def _durably(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _line_of(message: Message) -> Line:
    key, value = message.key(), message.value()
    headers = tuple((name, _bytes(content)) for name, content in cast("Headers", message.headers() or []))
    return Line(message.offset() or 0, _bytes(key), _bytes(value), message.timestamp()[1], headers)


def _record(line: Line) -> Record:
    record: Record = {"key": line.key, "value": line.value, "headers": list(line.headers)}
    return {**record, "timestamp": line.timestamp} if line.timestamp > 0 else record


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _place(message: Message) -> Place:
    return str(message.topic()), int(message.partition() or 0)


def _file(topic: str, partition: int) -> str:
    return f"{topic}/{partition}.ndjson.gz"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _others(config: Properties) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in config.items() if name != "bootstrap.servers"}  # type: ignore[misc]
