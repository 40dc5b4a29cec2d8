"""Following a topic that every worker reads whole: a thread of its own reads it, and goes on as records come.

Whatever partitions a worker holds, it reads all of it, with a client that belongs to no group.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from schemas.errors import WaybillError
from streams.flow.batches import Batch
from streams.kafka.errors import ClientError, DeniedError, MissingError
from streams.kafka.reader import Piece, Reader

log = logging.getLogger(__name__)
T = TypeVar("T")
Made = TypeVar("Made", covariant=True)

_ROWS = 20_000
_POLL_S = 0.1
_WAIT_MS = 250  # how long a broker keeps a request, once all is read
_CALM_S = 0.3  # records that come one by one make one table, not one each
_BUSY_S = 2.0  # but none is kept waiting for longer
_ASK_S = 10.0


class GlobalTableError(WaybillError):
    """A topic that cannot be read whole."""


class Source(Protocol[Made]):
    """What becomes of the records; on the following thread."""

    def add(self, batch: Batch) -> None:
        """Take records, in their order, each with its key."""

    def build(self) -> Made:
        """What is known after all that were taken."""


class GlobalTable(Generic[T]):
    """Keeps `latest` up to date with a topic of one partition."""

    def __init__(self, config: Mapping[str, object], topic: str, source: Source[T], first: T) -> None:
        """first: what `latest` is before anything was read."""
        self.latest = first
        self._topic = topic
        self._source = source
        self._config = config
        self._read_to = 0  # next to read
        self._built_to = 0
        self._at_end = False
        self._awaited = False
        self._stopping = threading.Event()
        self._error: BaseException | None = None

    def start(self, changed: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """Begin to read, on a thread of its own. changed: called there for news. failed: once when it cannot go on."""
        threading.Thread(target=self._follow, args=(changed, failed), name=self._topic, daemon=True).start()

    def stop(self) -> None:
        """End the thread, soon."""
        self._stopping.set()

    def catch_up(self, cancelled: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `latest` holds all that is on the topic now. Raises FollowError when nothing comes for so long.

        What a worker judges by must never be less than what the worker before it had.
        """
        deadline = time.monotonic() + timeout_s
        end: int | None = None
        self._awaited = True
        while not (cancelled() or self._stopping.is_set() or self._error):  # of an error, `failed` was told
            end = self._end() if end is None else end
            if end is not None and self._built_to >= end:
                return
            if time.monotonic() > deadline:
                of = "" if end is None else f" of {end:,}"
                raise GlobalTableError(f"{self._topic}: {self._built_to:,}{of} records read after {timeout_s:.0f} s")
            time.sleep(0.01)

    def _end(self) -> int | None:
        """Behind the last committed record; None: the broker does not say."""
        with Reader(self._config) as asker:
            try:
                return asker.bounds(self._topic, 0, _ASK_S)[1]
            except (DeniedError, MissingError):
                raise
            except ClientError:
                return None

    def _follow(self, changed: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        try:
            with Reader(self._config, more={"fetch.wait.max.ms": _WAIT_MS}) as reader:
                reader.assign({(self._topic, 0): 0})
                since = last = 0.0  # of the records that are not in a table yet: when the first and the last came
                while not self._stopping.is_set():
                    came = self._take(reader.read(_ROWS, _POLL_S))
                    if self._read_to == self._built_to:
                        continue
                    now = time.monotonic()
                    since, last = since or now, now if came or not last else last
                    if (self._awaited and self._at_end) or now - last > _CALM_S or now - since > _BUSY_S:
                        self._build()
                        changed()
                        since = last = 0.0
        except BaseException as error:
            self._error = error
            failed(error)

    def _take(self, piece: Piece) -> bool:
        """Read these records into the table; whether there were any."""
        place = (self._topic, 0)
        self._read_to = max(self._read_to, piece.reached.get(place, 0))
        if piece.reached:
            self._at_end = place in piece.ended
        records = piece.records
        if records:
            self._source.add(
                Batch(
                    self._topic,
                    0,
                    [message.offset() or 0 for message in records],
                    [message.value() for message in records],
                    [message.timestamp()[1] for message in records],
                    keys=[message.key() for message in records],
                )
            )
        return bool(records)

    def _build(self) -> None:
        self.latest = self._source.build()
        self._built_to, self._awaited = self._read_to, False
