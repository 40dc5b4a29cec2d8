"""Reading single messages by where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from streams.kafka.errors import MissingError
from streams.kafka.log_reader import Entry, entry_of
from streams.kafka.reader import Reader

Place = tuple[str, int, int]  # topic, partition, offset

_TIMEOUT_S = 10.0
_ROWS = 5_000
_APART_MAX = 2_000  # offsets that are read through rather than sought past


class OffsetReader:
    """Fetches messages by topic, partition and offset. One thread at a time. Close it."""

    def __init__(self, bootstrap_servers: str, client: Mapping[str, str | int | float | bool]) -> None:
        self._reader = Reader({**client, "bootstrap.servers": bootstrap_servers}, more={"fetch.wait.max.ms": 20})

    def close(self) -> None:
        """Give the connections back."""
        self._reader.__exit__(None, None, None)

    def fetch(self, places: Iterable[Place]) -> dict[Place, Entry]:
        """The messages that are still there, without those past retention or aborted. Raises ClientError."""
        by_partition: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        for topic, partition, offset in places:
            by_partition[topic, partition].add(offset)
        found: dict[Place, Entry] = {}
        for (topic, partition), offsets in sorted(by_partition.items()):
            for run in _runs(self._there(topic, partition, offsets)):
                found.update(self._run(topic, partition, run))
        self._reader.assign({})  # or it would fetch on, to no purpose
        return found

    def _there(self, topic: str, partition: int, offsets: set[int]) -> list[int]:
        try:
            low, high = self._reader.bounds(topic, partition, _TIMEOUT_S)
        except MissingError:
            return []
        return sorted(offset for offset in offsets if low <= offset < high)

    def _run(self, topic: str, partition: int, offsets: Sequence[int]) -> dict[Place, Entry]:
        """Read from the first of these to the last, and keep them."""
        wanted, found = set(offsets), dict[Place, Entry]()
        place = (topic, partition)
        self._reader.assign({place: offsets[0]}, {place: offsets[-1] + 1})
        for piece in self._reader.to_end(rows_max=_ROWS):
            for message in piece.records:
                if (offset := message.offset() or 0) in wanted:
                    found[topic, partition, offset] = entry_of(message)
            if place in piece.ended:  # what was wanted last was aborted
                break
        return found


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """Rising offsets, parted where it is quicker to seek."""
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > _APART_MAX:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run
