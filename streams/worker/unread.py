"""What a group has not read yet, when topics have grown: written anew where it belongs, with the offset behind it.

Producers put an event where its key belongs by the count of partitions that they know of. Of a partition, all is
written anew up to the last record that is elsewhere now; what lies behind that stays. Whatever was written by then has
one unread copy at any time, for the copy and the offset behind the original are one transaction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from schemas import topics
from schemas.errors import WaybillError
from schemas.inputs import CONSUMED_TOPICS, INPUT_TOPICS
from streams.flow import rekey
from streams.flow.batches import Batch
from streams.flow.rekey import Homes
from streams.kafka.cluster import Cluster, Place
from streams.kafka.reader import Reader
from streams.kafka.transport.grouping import batches
from streams.worker.epoch import Epoch

_ROWS = 10_000
_COMMIT_BYTES = 16 * 1024 * 1024


class UnreadError(WaybillError):
    """What a group should read next is not there; the message names topic, partition and offset."""


class Unread:
    """The unread messages of a group that has no members, on topics of so many partitions as `homes` has."""

    def __init__(self, config: Mapping[str, object], cluster: Cluster, group: str, homes: Homes) -> None:
        self._config, self._cluster, self._group, self._homes = config, cluster, group, homes

    def misplaced(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Messages of each topic that are elsewhere now; counts: partitions of each topic."""
        found = dict.fromkeys(CONSUMED_TOPICS, 0)
        for batch in self._batches(self._ranges(counts)):
            found[batch.topic] += sum(not here for here, _ in self._placed(batch))
        return found

    def rewritten(self) -> Iterator[Epoch]:
        """Epochs that put all of them where they belong; each is to be committed before the next is asked for."""
        ranges = self._ranges(dict.fromkeys(CONSUMED_TOPICS, self._homes.partitions))
        last: dict[Place, int] = {}
        for batch in self._batches(ranges):
            for offset, (here, _) in zip(batch.offsets, self._placed(batch), strict=True):
                if not here:
                    last[batch.topic, batch.partition] = offset + 1
        epoch, size = Epoch(), 0
        for batch in self._batches({place: (ranges[place][0], end) for place, end in last.items()}):
            for row, (_, messages) in enumerate(self._placed(batch)):
                key = batch.keys[row] if batch.keys else None
                for partition, value in messages:
                    epoch.dated[batch.topic, partition].append(
                        {"key": key, "value": value, "timestamp": batch.timestamps[row]}
                    )
                    size += len(value or b"")
            if batch.offsets:
                epoch.read([batch])
            if size >= _COMMIT_BYTES:
                yield epoch
                epoch, size = Epoch(), 0
        if epoch.offsets:
            yield epoch

    def _placed(self, batch: Batch) -> Iterator[tuple[bool, Sequence[tuple[int, bytes | None]]]]:
        """Of each message: whether it is where and as it must be, and what is to be in its place."""
        if batch.topic in INPUT_TOPICS:
            for number, value in zip(rekey.events(batch, self._homes.partitions).tolist(), batch.values, strict=True):
                yield number == batch.partition, [(number, value)]
        else:
            of = rekey.observations if batch.topic == topics.OBSERVATIONS else rekey.facts
            yield from zip(*of(batch, self._homes), strict=True)

    def _ranges(self, counts: Mapping[str, int]) -> dict[Place, tuple[int, int]]:
        """What is unread of each partition: from, to. Raises UnreadError where it was deleted."""
        places = [(topic, number) for topic in CONSUMED_TOPICS for number in range(counts[topic])]
        committed = self._cluster.committed(self._group, places, stable=True)
        ranges = {}
        for place, (low, high) in self._cluster.bounds(places).items():
            at = committed.get(place, low)
            if not low <= at <= high:
                topic, number = place
                raise UnreadError(
                    f"{topic}[{number}]: offset {at} is next to read, but the log holds {low} to {high}; to go on with "
                    f"what is left, run `waybill offsets reset --topic {topic}:{number} --to earliest` first"
                )
            ranges[place] = (at, high)
        return ranges

    def _batches(self, ranges: Mapping[Place, tuple[int, int]]) -> Iterator[Batch]:
        """What transactions committed within these ranges."""
        wanted = {place: span for place, span in ranges.items() if span[0] < span[1]}
        if not wanted:
            return
        starts, ends = ({place: span[side] for place, span in wanted.items()} for side in (0, 1))
        with Reader(self._config) as reader:
            reader.assign(starts, ends)
            for piece in reader.to_end(rows_max=_ROWS):
                for batch in batches(piece.records, 0, {}, keyed=True):
                    rows = bisect_left(batch.offsets, ends[batch.topic, batch.partition])
                    yield Batch(
                        batch.topic, batch.partition, batch.offsets[:rows], batch.values[:rows],
                        batch.timestamps[:rows], keys=batch.keys[:rows],
                    )  # fmt: skip
