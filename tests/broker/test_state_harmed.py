"""State that is damaged, deleted, behind, or cannot be written: the same alerts, and a line that says what."""

from __future__ import annotations

import random
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas.records import Alert
from tests.hurt import damage
from tests.runs import Alerts, open_alerts, run
from tests.waiting import PATIENCE_S
from tests.workers import Publisher, Worker, expect
from tests.worlds import Record, events_of, world

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
EARLY, LATE = ((sys.executable, "-m", "tests.hurt", how) for how in ("early", "late"))
ALERT = msgspec.json.Decoder(Alert)
FILE_BYTES_MAX = 30_000  # above that of RocksDB's own notes


def halves(seed: int, parcels: int = 300) -> tuple[list[Record], list[Record], Alerts]:
    """A world in two parts, and its open alerts."""
    records = world(seed, parcels)
    return records[: len(records) // 2], records[len(records) // 2 :], open_alerts(run(records))


def hurt(servers: str, state: Path, command: tuple[str, ...]) -> Worker:
    """A worker of one partition that reads much from disk."""
    return Worker(servers, state, command, partitions=1, hot_bytes_max=1 << 20, state_cache_mb=8)


def test_damaged_files_are_built_from_the_changelog(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    """What shows at the start, and what shows when a block is read: the worker ends, and the next start mends it."""
    servers = fresh_topics(1)
    first, second, wanted = halves(41)
    publish = Publisher(servers)
    state = tmp_path / "state"
    with hurt(servers, state, EARLY) as worker:
        publish(first)
        expect(servers, open_alerts(run(first)), worker)
        assert worker.stop() == 0
        assert damage(state, random.Random(41)) >= 2
        publish([*first, *second])  # all that is known is asked for again
        for _ in range(4):
            worker.start()
            deadline = time.monotonic() + PATIENCE_S
            while worker.alive and time.monotonic() < deadline and worker.says("removed, to be built") != 2:
                time.sleep(0.1)
            if worker.alive:
                break
            assert "is damaged" in worker.last_words()
            worker.ended()
        expect(servers, wanted, worker)
        assert worker.says("removed, to be built from the changelog") == 2
        assert worker.stop() == 0


def test_killed_before_its_folder_has_what_was_committed(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    """The folder has the first commit alone. The rest is read from the changelog, and nothing is said twice."""
    servers = fresh_topics(1)
    first, second, wanted = halves(44)
    publish = Publisher(servers)
    with hurt(servers, tmp_path / "state", LATE) as worker:
        publish(first[:20])
        expect(servers, open_alerts(run(first[:20])), worker)
        publish(first[20:])
        expect(servers, open_alerts(run(first)), worker)
        worker.kill()
        worker.start()
        publish([*events_of(first), *second])  # all that is known is asked for again
        said = expect(servers, wanted, worker).values
        assert worker.says("is there: 0 records") == 1, "the second start has read the changelog"
        assert worker.stop() == 0
    sent = [(alert.alert_id, alert.revision) for alert in map(ALERT.decode, said)]
    assert len(set(sent)) == len(sent)


def test_a_folder_deleted_under_a_worker(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    """It goes on, or ends and is started anew; what it had is in the changelog."""
    servers = fresh_topics(1)
    first, second, wanted = halves(42)
    publish = Publisher(servers)
    state = tmp_path / "state"
    with hurt(servers, state, EARLY) as worker:
        publish(first)
        expect(servers, open_alerts(run(first)), worker)
        shutil.rmtree(state)
        publish(events_of(first))
        for at in range(0, len(second), 20):  # it learns of it with one of the next writes
            publish(second[at : at + 20])
            time.sleep(0.1)
        deadline = time.monotonic() + PATIENCE_S
        while worker.alive and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "No such file or directory" in worker.last_words()
        assert "state folder" in worker.last_words()
        worker.ended()
        worker.start()
        expect(servers, wanted, worker)
        assert worker.stop() == 0


def test_a_disk_that_is_full_stops_the_worker_until_there_is_space(
    fresh_topics: Callable[[int], str], tmp_path: Path
) -> None:
    servers = fresh_topics(1)
    first, second, wanted = halves(43)
    publish = Publisher(servers)
    state = tmp_path / "state"
    with hurt(servers, state, EARLY) as worker:
        publish(first)
        expect(servers, open_alerts(run(first)), worker)
        worker.limit(resource.RLIMIT_FSIZE, FILE_BYTES_MAX)
        for record in second:  # it learns of it with one of the next writes
            publish([record])
            if not worker.alive:
                break
            time.sleep(0.05)
        publish(second)
        assert worker.code == 1, worker.told()
        line = worker.last_words()
        assert "state folder" in line
        assert "File too large" in line
        assert "see to the disk, and start the worker anew" in line
    with hurt(servers, state, EARLY) as worker:
        expect(servers, wanted, worker)
        assert not worker.says("removed, to be built"), "nothing was wrong with what had been written"
        assert worker.stop() == 0
