"""Deployments of earlier formats, as their own code left them: what a worker of today must be able to take over.

`events.gz` has the events of a small crowded world, in two parts. A worker of each format has judged the first part on
a broker and was stopped; `format-N.gz` has what its topics held then. Persons are synthetic, and tokens in all but the
events. `python -m tests.states` makes the file of the present format (CONTRIBUTING.md, “Raise the format”).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from schemas import topics

FOLDER: Final = Path(__file__).parent
COMPACTED: Final = (
    topics.PARCELS_CHANGELOG,
    topics.HISTORIES_CHANGELOG,
    topics.ALERTS,
    topics.ORDERS,
    topics.TALLIES,
)  # the last value of each key is kept
PARTITIONS: Final = 4


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A record of a topic."""

    topic: str
    partition: int
    key: bytes
    value: bytes


class Events(msgspec.Struct, frozen=True):
    """The events, in the order in which they are published."""

    before: tuple[Message, ...]
    after: tuple[Message, ...]


def events() -> Events:
    """Both parts of the events."""
    return msgspec.msgpack.decode(gzip.decompress((FOLDER / "events.gz").read_bytes()), type=Events)


def state_of(number: int) -> tuple[Message, ...]:
    """What a deployment of this format left behind."""
    return msgspec.msgpack.decode(gzip.decompress(_file(number).read_bytes()), type=tuple[Message, ...])


def kept() -> list[int]:
    """The formats of which there is a deployment."""
    return sorted(int(path.stem.removeprefix("format-").removesuffix(".gz")) for path in FOLDER.glob("format-*.gz"))


def _file(number: int) -> Path:
    return FOLDER / f"format-{number}.gz"


def keep(number: int, messages: Iterable[Message]) -> Path:
    """Write the file of a format."""
    return write(_file(number), sorted(messages, key=lambda each: (each.topic, each.partition, each.key)))


def write(path: Path, content: object) -> Path:
    """The same bytes for the same content."""
    path.write_bytes(gzip.compress(msgspec.msgpack.encode(content), mtime=0))
    return path
