"""The thread that polls: librdkafka's consumer, its rebalances, and raw messages grouped into batches.

Everything of librdkafka that may block during a rebalance (`assignment`, `consumer_group_metadata`, seeking) is called
on this one thread. Back-pressure is to stop taking: librdkafka goes on prefetching up to `queued.max.messages.kbytes`
and then waits. Its own `pause` throws away what it has prefetched and reads it again, so it is used only for
partitions of which nothing has been read yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import OFFSET_END, KafkaError, TopicPartition
from confluent_kafka import Consumer as Client

from schemas.errors import WaybillError
from streams.flow.batches import Batch
from streams.kafka import direct
from streams.kafka.config import polling
from streams.kafka.errors import FAILURES, ClientError, said
from streams.kafka.rights import denied, right_of
from streams.kafka.transport.committed import committed
from streams.kafka.transport.grouping import BATCH_BYTES_MAX, FinalError, Partition, batches, fetched
from streams.native import Switch

_Callback = Callable[[Client, list[TopicPartition]], None]
log = logging.getLogger(__name__)


class InputError(WaybillError):
    """Input that cannot be read from where the group stands; the message says where that is and what to do."""


class Poller:
    """librdkafka's consumer. All methods are for the polling thread; what it knows may be read by others."""

    def __init__(
        self,
        config: Mapping[str, object],
        *,
        on_revoked: Callable[[set[Partition], bool], None],
        on_assigned: Callable[[set[Partition]], None],
        topic_ids: Callable[[Collection[str]], Mapping[str, str]] = lambda names: {},
        native: Switch = "0",
    ) -> None:
        """topic_ids: what the broker calls topics by. native: whether records are taken by the native library, where
        it is there."""
        self.topic_ids: Mapping[str, str] = {}  # when something was assigned first; of the offsets that are committed
        self._ask_ids = topic_ids
        self.assigned: set[Partition] = set()
        self.group_metadata: object = None
        self._in_hand = False  # an assignment was announced and not taken back since
        self._closing = False
        self._error: Exception | None = None  # of a callback: see `_guarded`
        self._on_revoked, self._on_assigned = on_revoked, on_assigned
        # For `lag`, next to read: at the assignment, by what was taken since, and behind the ends reached since.
        self._starts: dict[Partition, int] = {}
        self._resumed: dict[Partition, int] = {}
        self._taken: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._group = str(config.get("group.id", ""))
        self._incremental = config.get("group.protocol") == "consumer"
        self._config = config
        self._client = Client(polling(config), logger=log)
        self._direct = direct.consumer(self._client, config, native)
        self._forwarded_at = 0.0

    @property
    def starts(self) -> dict[Partition, int]:
        """Next to read, of each partition, when it was assigned."""
        return {place: self._starts[place] for place in self.assigned if place in self._starts}

    @property
    def resumed(self) -> dict[Partition, int]:
        """Committed offsets, of each partition that has one, when it was assigned."""
        return {place: at for place, at in self._resumed.items() if place in self.assigned}

    def subscribe(self, topics: Sequence[str]) -> None:
        """Join the group for these topics."""
        self._client.subscribe(
            list(topics),
            on_assign=self._guarded(self._assign),
            on_revoke=self._guarded(self._revoke),
            on_lost=self._guarded(self._lose),
        )

    def fetch(self, rows_max: int, timeout_s: float, generation: int) -> list[Batch]:
        """What is there, grouped by (topic, partition), and nothing any more after `close`. Serves rebalances too."""
        if self._closing:
            return []
        try:
            if self._direct is None or not self.assigned:
                found = self._consume(rows_max, timeout_s, generation)
            else:
                found = self._consume(_EVENTS_MAX, 0, generation) or self._take(rows_max, timeout_s, generation)
        except FinalError as final:
            raise self._ended(final) from None
        for batch in found:
            self._taken[batch.topic, batch.partition] = batch.offsets[-1] + 1
        return found

    def _consume(self, rows_max: int, timeout_s: float, generation: int) -> list[Batch]:
        """By confluent-kafka, which serves rebalances."""
        messages = self._client.consume(rows_max, timeout_s)
        self._check_callbacks()
        if self.assigned:
            self.group_metadata = self._client.consumer_group_metadata()
        return batches(messages, generation, self._ends) if messages else []

    def _take(self, rows_max: int, timeout_s: float, generation: int) -> list[Batch]:
        """From the partitions themselves."""
        if not self._in_hand:  # taken back meanwhile
            return []
        assert self._direct is not None
        if time.monotonic() > self._forwarded_at + _FORWARD_S:
            self._forward()
        found, events = self._direct.fetch(rows_max, int(timeout_s * 1000), BATCH_BYTES_MAX)
        return fetched(found, events, generation, self._ends)

    def _forward(self) -> None:
        """Let the records of all partitions come to `_take`.

        Said again now and then: librdkafka undoes it when it has stopped to fetch a partition, and that may come after
        the partition was assigned anew.
        """
        if self._direct is not None:
            self._direct.forward(sorted(self.assigned))
            self._forwarded_at = time.monotonic()

    def release(self) -> None:
        """Begin to read the partitions that were held since their assignment."""
        if self.assigned:
            self._forward()
            self._client.resume([TopicPartition(*each) for each in self.assigned])
            self._wake()

    def _wake(self) -> None:
        """Have librdkafka look what there is to fetch.

        Its connection to a leader from which nothing was to be fetched sleeps for up to a second, and `resume` does not
        wake it. A question does; the answer is of no use, so neither is an error.
        """
        with suppress(*FAILURES):
            self._client.offsets_for_times([TopicPartition(*each, OFFSET_END) for each in self.assigned], _WAKE_S)

    def read_again(self) -> None:
        """Put all partitions back to their committed offsets, as if they had been lost and assigned again."""
        if not self._in_hand:
            return
        self._in_hand = False
        self._on_revoked(set(self.assigned), True)
        self._rewind(self._client)
        self._announce(self._client)

    def lag(self, committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Records between what was committed and the end of each partition, by the last watermarks seen.

        `committed`: next to read, of those committed since the assignment. Transactions leave marks in the log, which
        are no records: that the end behind the last of them was reached tells librdkafka's end-of-partition event.
        """
        lags: dict[Partition, int] = {}
        for place in list(self.assigned if not self._closing else ()):
            low, high = self._client.get_watermark_offsets(TopicPartition(*place), cached=True)
            if high < 0:  # not fetched from yet
                continue
            taken = max(self._taken.get(place, 0), low)
            unread = high - max(taken, self._ends.get(place, 0))
            in_hand = taken - committed.get(place, self._starts.get(place, taken))
            lags[place] = max(unread, 0) + max(in_hand, 0)
        return lags

    def positions(self, read: Mapping[Partition, int]) -> dict[Partition, int]:
        """Next to read of each assigned partition, behind marks of transactions and aborted records.

        `read`: the same of those of which steps have read records since the assignment.
        """
        found = {}
        for place in self.assigned & self._starts.keys():
            at = read.get(place, self._starts[place])
            found[place] = at if at < self._taken[place] else max(at, self._ends.get(place, 0))
        return found

    def passed(self, committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Where partitions end that hold nothing but marks of transactions, or aborted records, behind what was
        committed; for the polling thread, which takes records and ends at once. `committed` as of `lag`."""
        return {
            place: end
            for place, end in self._ends.items()
            if not self._closing
            and place in self.assigned
            and self._taken[place] <= committed.get(place, self._starts[place]) < end
        }

    def close(self) -> None:
        """Leave the group; the revocation is served on the way. Raises what went wrong in it."""
        if not self._closing:
            self._closing = True
            # An assignment that waits now librdkafka would serve after its end, and wait for ever with Python's lock.
            self._client.consume(1_000_000, 0)
            if self._direct is not None:
                self._direct.close()
        self._client.close()
        self._check_callbacks()

    def _guarded(self, serve: _Callback) -> _Callback:
        """A callback that keeps its error for `fetch` or `close` to raise.

        One that goes through librdkafka's client ends `close` half-way, and may come out as a bare KafkaError. That is
        no exception: no handler catches it, the polling thread ends, and whoever waits for it waits for ever.
        """

        def guarded(client: Client, partitions: list[TopicPartition]) -> None:
            try:
                serve(client, partitions)
            except Exception as error:
                self._error = self._error or error

        return guarded

    def _check_callbacks(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _assign(self, client: Client, partitions: list[TopicPartition]) -> None:
        """Take partitions over at their committed offsets, held until `release`.

        The offsets are asked for here, with read_committed, so that a transaction of the previous owner that is still
        completing is waited for.
        """
        if self._closing:
            return
        new = {(each.topic, each.partition) for each in partitions}
        self.topic_ids = self.topic_ids or self._ask_ids({each.topic for each in partitions})
        at = committed(client, partitions, self._resumed, self.topic_ids)
        if self._incremental:
            self._give_back(client)
            client.incremental_assign(at)
            self._rewind(client)
            self.assigned |= new
        else:
            client.assign(at)
            self.assigned = new
        self._begin(at)
        self._announce(client)

    def _announce(self, client: Client) -> None:
        """Hand the assignment over, held until `release`."""
        self._hold(client)
        self._in_hand = True
        self.group_metadata = client.consumer_group_metadata()
        self._on_assigned(set(self.assigned))

    def _revoke(self, client: Client, partitions: list[TopicPartition]) -> None:
        self._give_back(client)
        self.assigned -= {(each.topic, each.partition) for each in partitions}
        if self._incremental:
            client.incremental_unassign(partitions)
            self._hold(client)  # those that stay, until the assignment that follows
        else:
            client.unassign()

    def _lose(self, client: Client, partitions: list[TopicPartition]) -> None:
        """Partitions that another member may own already: nothing of them can be committed any more."""
        self._in_hand = False
        self._on_revoked(set(self.assigned), True)
        self.assigned -= {(each.topic, each.partition) for each in partitions}

    def _give_back(self, client: Client) -> None:
        """Finish what is in hand, of the partitions that go and of those that stay: a generation is of all of them."""
        if self._in_hand:
            self._in_hand = False
            self.group_metadata = client.consumer_group_metadata()
            self._on_revoked(set(self.assigned), False)

    def _hold(self, client: Client) -> None:
        if self.assigned:
            client.pause([TopicPartition(*each) for each in self.assigned])
            self._forward()

    def _rewind(self, client: Client) -> None:
        """Put the partitions that stay back to their committed offsets: what was queued of them has been dropped."""
        stay = [TopicPartition(*each) for each in self.assigned]
        if stay:
            at = committed(client, stay, self._resumed, self.topic_ids)
            if self._incremental:
                client.incremental_unassign(stay)
                client.incremental_assign(at)
            else:
                client.assign(at)
            self._begin(at)

    def _ended(self, final: FinalError) -> WaybillError:
        """What an error means that librdkafka gives up on, or that no waiting mends."""
        error, (topic, _) = final.error, final.place
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            return self._out_of_range(final.place)
        if (right := right_of(error, topic=topic, group=self._group)) is not None:
            return denied(self._config, right)
        return ClientError(f"kafka: {said(error)}")

    def _out_of_range(self, place: Partition) -> InputError:
        """What to say of a partition that does not hold the offset that is to be read next."""
        where = f"{place[0]}[{place[1]}]"
        at = self._taken.get(place, 0)
        try:
            low, high = self._client.get_watermark_offsets(TopicPartition(*place), timeout=_WATERMARKS_S)
        except FAILURES as error:
            return InputError(f"{where}: offset {at}, which is next to read, is not there: {said(error)}")
        what = (
            f"records {at} to {low - 1} were deleted before they were read"
            if at < low
            else "the topic was cut off or made anew"
        )
        return InputError(
            f"{where}: offset {at} is next to read, but the log holds {low} to {high}: {what}. To go on with what is "
            f"left, stop all workers of group {self._group}, then run "
            f"`waybill offsets reset --topic {place[0]}:{place[1]} --to earliest`"
        )

    def _begin(self, at: Sequence[TopicPartition]) -> None:
        """Count lag from these offsets."""
        for each in at:
            place = (each.topic, each.partition)
            self._starts[place] = self._taken[place] = max(each.offset, 0)
            self._ends.pop(place, None)


_FORWARD_S = 0.5
_EVENTS_MAX = 100  # taken at once of what concerns the whole client
_WAKE_S = 1.0  # it would have looked by then
_WATERMARKS_S = 10.0
