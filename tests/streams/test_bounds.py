"""What is held in memory between the broker and the steps is bounded by settings, and these reach librdkafka."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.kafka.config import membership, producing
from streams.settings import Settings, SettingsError, load
from tests.workbench import workbench


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_what_is_fetched_ahead_is_bounded(tmp_path: Path, protocol: str) -> None:
    settings = Settings.model_validate({"fetch_queue_mb": 3, "group_protocol": protocol})
    assert membership(settings)["queued.max.messages.kbytes"] == 3 * 1_024
    with workbench(tmp_path, fetch_queue_mb=5, batch_rows_max=700) as bench:
        link = bench.worker.link()
        assert link.config["queued.max.messages.kbytes"] == 5 * 1_024
        assert (link.rows_max, link.waiting_rows_max) == (700, 1_400)


def test_what_one_commit_writes_is_bounded() -> None:
    config = producing(Settings(produce_queue_mb=64))
    assert config["queue.buffering.max.kbytes"] == 64 * 1_024
    Producer(config | {"transactional.id": "t", "log_level": 0})  # refuses what it does not know


@pytest.mark.parametrize("name", ["queued.max.messages.kbytes", "queue.buffering.max.kbytes"])
def test_a_bound_has_one_setting(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} follows from other settings"):
        load(options={"kafka": {name: 1}})
