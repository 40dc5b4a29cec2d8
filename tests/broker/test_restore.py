"""Restoring from the changelog, on a real broker: what is open there, what was made anew, what was cut off."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from schemas.topics import PARCELS_CHANGELOG
from streams.kafka import admin
from streams.kafka.restore import RestoreError, restore
from streams.state.format import FORMAT, OLDEST
from streams.state.parted import MARK, Parted
from streams.state.rocks import RocksStore
from streams.state.tuning import Shared
from streams.worker.commit import Committer
from streams.worker.epoch import Epoch
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker
CACHE = Shared.of(8, 64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksStore]:
    """An empty state folder."""
    made = RocksStore("parcels", tmp_path, CACHE, hot_bytes_max=1 << 20)
    yield made
    made.close_all()


class Changelog:
    """One writer of a changelog partition, transaction by transaction."""

    def __init__(self, servers: str) -> None:
        name = uuid.uuid4().hex  # of its own: what a failed test left open must not end in this one's topics
        self._producer = Producer({"bootstrap.servers": servers, "transactional.id": name, "log_level": 0})
        self._producer.init_transactions(30)

    def begin(self, **values: str) -> None:
        """Write and leave the transaction open."""
        self._producer.begin_transaction()
        for key, value in values.items():
            self._producer.produce(PARCELS_CHANGELOG, key=key.encode(), value=state(value), partition=0)
        self._producer.flush(PATIENCE_S)

    def put(self, key: bytes, value: bytes) -> None:
        """One record, in a transaction of its own."""
        self._producer.begin_transaction()
        self._producer.produce(PARCELS_CHANGELOG, key=key, value=value, partition=0)
        self._producer.commit_transaction(30)

    def end(self, commit: bool = True) -> None:
        """Commit, or abort."""
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.abort_transaction(30)

    def write(self, **values: str) -> None:
        """One whole transaction."""
        self.begin(**values)
        self.end()


def bring(servers: str, store: RocksStore, timeout_s: float = PATIENCE_S) -> int:
    """Restore partition 0; the records read."""
    client: dict[str, object] = {"bootstrap.servers": servers}
    return restore(client, {PARCELS_CHANGELOG: store}, {0}, cancelled=lambda: False, timeout_s=timeout_s)


def state(text: str) -> bytes:
    """A value as it is kept: every one begins with the version of its layout."""
    return bytes([FORMAT]) + text.encode()


def values(store: RocksStore, *keys: str) -> list[bytes | None]:
    return [value and value[1:] for value in store.get([0] * len(keys), [key.encode() for key in keys])]


def test_the_newest_committed_values_come_back(fresh_kafka: str, store: RocksStore) -> None:
    changelog = Changelog(fresh_kafka)
    changelog.write(a="1", b="1")
    changelog.write(a="2")
    changelog.begin(b="aborted", c="aborted")
    changelog.end(commit=False)
    assert bring(fresh_kafka, store) > 0
    assert values(store, "a", "b", "c") == [b"2", b"1", None]
    store.close_all()
    assert bring(fresh_kafka, store) == 0, "what is there already is not read again"
    changelog.write(c="3")
    store.close_all()
    assert bring(fresh_kafka, store) == 1
    assert values(store, "a", "b", "c") == [b"2", b"1", b"3"]


@pytest.mark.parametrize("commit", [True, False])
def test_an_open_transaction_is_waited_for(fresh_kafka: str, store: RocksStore, commit: bool) -> None:
    changelog = Changelog(fresh_kafka)
    changelog.write(a="1")
    changelog.begin(a="2")
    done = threading.Thread(target=bring, args=(fresh_kafka, store))
    done.start()
    done.join(1.5)
    assert done.is_alive(), "it did not wait to learn whether the last transaction counts"
    changelog.end(commit)
    done.join(PATIENCE_S)
    assert not done.is_alive()
    assert values(store, "a") == [b"2" if commit else b"1"]


def test_a_transaction_that_nobody_ends_is_not_waited_for_for_ever(fresh_kafka: str, store: RocksStore) -> None:
    changelog = Changelog(fresh_kafka)
    changelog.write(a="1")
    changelog.begin(a="2")
    with pytest.raises(RestoreError, match=r"parcels-changelog\[0\]: nothing readable.*kafka-transactions"):
        bring(fresh_kafka, store, timeout_s=1.5)
    changelog.end(commit=False)


def test_state_newer_than_someone_elses_open_transaction_is_no_fault(fresh_kafka: str, store: RocksStore) -> None:
    dead, alive = Changelog(fresh_kafka), Changelog(fresh_kafka)
    dead.begin(x="1")
    alive.write(a="1")
    store.open(0)
    store.restore(0, {b"a": state("1")}, 3)  # as its own commit left it: one record of each, and one mark
    store.close_all()
    bring(fresh_kafka, store)
    assert values(store, "a", "x") == [b"1", None]
    dead.end(commit=False)


@pytest.mark.parametrize("more", [0, 9])
def test_a_topic_made_anew_is_refused(fresh_kafka: str, store: RocksStore, more: int) -> None:
    """Also where it has grown past the old one, so that the old offset is found in it."""
    changelog = Changelog(fresh_kafka)
    for number in range(3):
        changelog.write(a=str(number))
    bring(fresh_kafka, store)
    store.close_all()
    admin.delete(fresh_kafka)
    admin.create(fresh_kafka)
    for number in range(more):
        changelog.write(b=str(number))
    with pytest.raises(RestoreError, match=r"parcels-changelog\[0\].*remove the state folder /"):
        bring(fresh_kafka, store)


def test_it_stops_when_its_partitions_are_gone(fresh_kafka: str, store: RocksStore) -> None:
    changelog = Changelog(fresh_kafka)
    changelog.begin(a="1")  # never ended: without being told, it would wait for the time-out
    client: dict[str, object] = {"bootstrap.servers": fresh_kafka}
    assert restore(client, {PARCELS_CHANGELOG: store}, {0}, cancelled=lambda: True) == 0
    changelog.end(commit=False)


def test_a_changelog_of_a_format_that_is_not_read_is_refused(fresh_kafka: str, store: RocksStore) -> None:
    """By topic, and with what to do; the folder alone would only be thrown away. The one before ours is read."""
    changelog = Changelog(fresh_kafka)
    changelog.write(a="1")
    changelog.put(b"b", bytes([OLDEST]) + b"1")
    assert bring(fresh_kafka, store) > 0
    for number, said in (
        (FORMAT + 1, "a newer version has written it"),
        (OLDEST - 1, "first run a version between, which reads that format"),
    ):
        changelog.put(b"b", bytes([number]) + b"1")
        store.close_all()
        what = rf"parcels-changelog\[0\]: holds state of format {number}, and this version reads {OLDEST} to {FORMAT}: "
        with pytest.raises(RestoreError, match=what + said):
            bring(fresh_kafka, store)


def test_what_a_commit_forgets_stays_forgotten(fresh_kafka: str, store: RocksStore, tmp_path: Path) -> None:
    """A deletion is on the changelog, and a volume that has the key loses it."""
    client: dict[str, object] = {"bootstrap.servers": fresh_kafka}
    stores = {PARCELS_CHANGELOG: store}
    committer = Committer({**client, "transaction.timeout.ms": 10_000}, uuid.uuid4().hex, stores)
    committer.start()
    member = Consumer({**client, "group.id": uuid.uuid4().hex})
    store.open(0)
    elsewhere = RocksStore("parcels", tmp_path / "elsewhere", CACHE, hot_bytes_max=1 << 20)
    for gone in (False, True):
        if gone:
            store.delete([0], [b"a"])
        else:
            store.put([0, 0], [b"a", b"b"], [state("1"), state("1")])
        deltas = {PARCELS_CHANGELOG: store.close_epoch()}
        committer.commit(Epoch(), deltas, member.consumer_group_metadata())
        bring(fresh_kafka, elsewhere)
        for each in (store, elsewhere):
            assert values(each, "a", "b") == [None if gone else b"1", b"1"]
        elsewhere.close_all()
    member.close()


def test_a_state_that_is_kept_for_another_count_of_partitions_is_refused(fresh_kafka: str, store: RocksStore) -> None:
    changelog, client = Changelog(fresh_kafka), {"bootstrap.servers": fresh_kafka}

    def bring_for(count: int) -> int:
        store.close_all()
        return restore(client, {PARCELS_CHANGELOG: store}, {0}, lambda: False, parted=count)

    changelog.write(a="1")
    assert bring_for(4) == 1
    assert store.get([0], [MARK]) == [Parted(4).encode()]  # noted, with the next epoch
    changelog.put(MARK, Parted(4).encode())
    assert bring_for(4) == 2  # a folder without the mark is built anew
    assert bring_for(4) == 0
    with pytest.raises(RestoreError, match=r"kept for 4 partitions, and the topics have 6.*grow --partitions 6`"):
        bring_for(6)
    changelog.put(MARK, Parted(4, 6).encode())
    for count in (4, 6):
        with pytest.raises(RestoreError, match=r"on its way from 4 to 6 partitions.*grow --partitions 6`"):
            bring_for(count)
    changelog.put(MARK, Parted(6).encode())
    assert bring_for(6) == 2
