"""Restoring: bring a partition's state to the end of its changelog."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from schemas import topics
from schemas.errors import WaybillError
from schemas.inputs import INPUT_TOPICS
from streams.kafka.cluster import Cluster
from streams.kafka.reader import Piece, Place, Reader
from streams.state.format import FORMAT, OLDEST, refused
from streams.state.parted import MARK, Parted
from streams.state.rocks import RocksStore

log = logging.getLogger(__name__)
_ROWS = 50_000
_Values = defaultdict[Place, dict[bytes, bytes | None]]
_READ = {bytes([number]) for number in range(OLDEST, FORMAT + 1)}
_SOURCES = {
    topics.PARCELS_CHANGELOG: (*INPUT_TOPICS, topics.FACTS),
    topics.HISTORIES_CHANGELOG: (topics.OBSERVATIONS,),
}


class RestoreError(WaybillError):
    """State that cannot be brought up to date."""


def restore(
    config: Mapping[str, object],
    stores: Mapping[str, RocksStore],
    partitions: set[int],
    cancelled: Callable[[], bool],
    timeout_s: float = 120.0,
    resumed: Mapping[Place, int] | None = None,
    parted: int | None = None,
) -> int:
    """Open `partitions` of every store (by changelog topic) and read what they lack; the number of records read.

    The end is the end of the log when the reading starts. An unfinished transaction before it is waited for, for until
    it is committed or aborted nobody knows whether its records count. That ends with its time-out, unless the broker
    has forgotten it: RestoreError, when nothing has come for `timeout_s`.

    resumed: committed offsets of the group; where it has read on, and a changelog is empty, that is a RestoreError.
    parted: for how many partitions the state must be kept: of another count, a folder is built anew, and a changelog is
    a RestoreError. Where nothing says so yet, it is noted in the epoch that is open. None: nobody asks.

    Values of earlier formats are taken as they are; the store upgrades them as they are read.
    """
    at = {(topic, number): stores[topic].open(number) for topic in stores for number in sorted(partitions)}
    ids = changelog_ids(config, stores)
    _check_origin(stores, at, ids)
    if parted is not None:
        at |= _rebuild(stores, at, ids, parted)
    wanted, ends = _lacking(config, at, stores)
    new = unwritten(at, ends)
    for topic, number in new:
        _check_lost(config, topic, number, resumed or {})
    total = _bring(config, stores, wanted, ends, cancelled, timeout_s) if wanted else 0
    if parted is not None and not cancelled():
        _check_parted(stores, at, parted)
        for topic, number in new:
            stores[topic].begin_upgraded(number)
    return total


def _bring(
    config: Mapping[str, object],
    stores: Mapping[str, RocksStore],
    wanted: Mapping[Place, int],
    ends: Mapping[Place, int],
    cancelled: Callable[[], bool],
    timeout_s: float,
) -> int:
    """Read what these partitions lack; the number of records."""
    try:
        for topic, number in ends:
            stores[topic].bulk(number, True)
        with Reader(config, committed=True, more={"queued.max.messages.kbytes": 65_536}) as reader:
            reader.assign(wanted, ends)
            return _read(reader, stores, dict(ends), cancelled, timeout_s)
    finally:
        for topic, number in ends:
            stores[topic].bulk(number, False)


def _rebuild(
    stores: Mapping[str, RocksStore], at: Mapping[Place, int], ids: Mapping[str, bytes], parted: int
) -> dict[Place, int]:
    """Throw folders away that were kept for another count of partitions: keys may have left them, unseen if the
    broker has dropped their deletions."""
    anew = {}
    for (topic, number), offset in at.items():
        if offset and _parted(stores[topic], number) != Parted(parted):
            log.info("%s[%s]: the state folder is not one of %s partitions: built anew", topic, number, parted)
            stores[topic].rebuild(number)
            anew[topic, number] = stores[topic].open(number)
            stores[topic].origin(number, ids[topic])
    return anew


def _parted(store: RocksStore, number: int) -> Parted | None:
    (mark,) = store.get([number], [MARK], keep=False)
    return Parted.decode(mark) if mark else None


def _check_parted(stores: Mapping[str, RocksStore], at: Mapping[Place, int], parted: int) -> None:
    for topic, number in at:
        found = _parted(stores[topic], number)
        if found is None:
            stores[topic].put([number], [MARK], [Parted(parted).encode()])
        elif found != Parted(parted):
            raise RestoreError(f"{topic}[{number}]: {_otherwise(found, parted)}")


def _otherwise(found: Parted, parted: int) -> str:
    if found.growing_to:
        return (
            f"the state is on its way from {found.partitions} to {found.growing_to} partitions: run "
            f"`waybill topics grow --partitions {found.growing_to}`, which goes on where it stopped"
        )
    return (
        f"the state is kept for {found.partitions} partitions, and the topics have {parted}: stop all workers, and run "
        f"`waybill topics grow --partitions {parted}`"
    )


def _lacking(
    config: Mapping[str, object], at: Mapping[Place, int], stores: Mapping[str, RocksStore]
) -> tuple[dict[Place, int], dict[Place, int]]:
    """Where to begin reading, of the partitions that lack something, and where each of them ends.

    The ends are asked for without regard to transactions. To a client that reads what is committed the log ends before
    the first open transaction, and a commit whose offsets count already may not have reached this partition yet.
    """
    with Reader(config, committed=False) as asker:
        marks = {place: asker.bounds(*place, timeout_s=30.0) for place in at}
    wanted: dict[Place, int] = {}
    ends: dict[Place, int] = {}
    for place, offset in at.items():
        low, high = marks[place]
        if offset > high:
            raise _made_anew(place, f"state stands for offset {offset}, the log ends at {high}", stores[place[0]])
        if offset < high:
            ends[place] = high
            wanted[place] = max(offset, low)
    return wanted, ends


def unwritten(at: Mapping[Place, int], ends: Mapping[Place, int]) -> list[Place]:
    """Changelog partitions that nothing was ever written to: each begins with a mark (`streams.state.parted`), together
    with the first offsets that are committed."""
    return [place for place, offset in at.items() if not offset and place not in ends]


def _check_lost(config: Mapping[str, object], changelog: str, number: int, resumed: Mapping[Place, int]) -> None:
    """Where the group has read on, and the changelog holds nothing, the state of what was read is lost."""
    for topic in _SOURCES[changelog]:
        at = resumed.get((topic, number), 0)
        if not at:
            continue
        with Reader(config) as asker:
            low, _ = asker.bounds(topic, number, timeout_s=30.0)
        if at > low:
            raise RestoreError(
                f"{changelog}[{number}] is empty, but the group has read {topic}[{number}] to offset {at:,}: the state "
                "of what was read is lost. Restore that topic from a copy, or stop all workers and read again what the "
                "input topics still hold with `waybill offsets reset --to earliest`, or go on without it with "
                "`waybill worker --accept-lost-state`"
            )


def changelog_ids(config: Mapping[str, object], stores: Mapping[str, RocksStore]) -> dict[str, bytes]:
    """What the broker calls the changelogs by: a topic that is made anew has another id."""
    return {name: facts.id.encode() for name, facts in Cluster(config).topics(list(stores), needed=True).items()}


def _check_origin(stores: Mapping[str, RocksStore], at: Mapping[Place, int], ids: Mapping[str, bytes]) -> None:
    """State must be that of these very topics: one that was made anew may well reach past the offset it stands for."""
    for topic, number in at:
        if not stores[topic].origin(number, ids[topic]):
            raise _made_anew((topic, number), "state came from an earlier topic of this name", stores[topic])


def _made_anew(place: Place, why: str, store: RocksStore) -> RestoreError:
    # Not removed here: should the topic have been deleted by mistake, the folder is all that is left.
    return RestoreError(
        f"{place[0]}[{place[1]}]: {why}: the topic was made anew; remove the state folder {store.folder.parent}"
    )


def _check_format(topic: str, number: int, values: Mapping[bytes, bytes | None]) -> None:
    """Every value of the state begins with the version of its layout."""
    other = next((value for value in values.values() if value is not None and value[:1] not in _READ), None)
    if other is not None:
        raise RestoreError(f"{topic}[{number}]: {refused(other[0] if other else 0)}")


def _read(
    reader: Reader,
    stores: Mapping[str, RocksStore],
    ends: dict[Place, int],
    cancelled: Callable[[], bool],
    timeout_s: float,
) -> int:
    """Read to the ends; the number of records. What was read is written while more is being read."""
    total = 0
    said = reached_at = time.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="restore") as writer:
        writing: Future[int] = writer.submit(int)
        while ends and not cancelled():
            piece = reader.read(_ROWS, 0.2)
            values, reached = _newest(piece), piece.reached
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


def _newest(piece: Piece) -> _Values:
    """Of each key the last value, by partition."""
    values: _Values = defaultdict(dict)
    for message in piece.records:
        values[str(message.topic()), int(message.partition() or 0)][_bytes(message.key())] = message.value()
    return values


def _bytes(key: str | bytes | None) -> bytes:
    return key.encode() if isinstance(key, str) else key or b""


def _write(stores: Mapping[str, RocksStore], values: _Values, reached: Mapping[Place, int]) -> int:
    """Write a piece to the stores; the number of records."""
    for (topic, number), end in reached.items():
        _check_format(topic, number, values[topic, number])
        stores[topic].restore(number, values[topic, number], end)
    return sum(len(records) for records in values.values())
