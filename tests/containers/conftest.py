"""Tests of containers run where a Docker engine answers. Where none does they are left out, and the summary says so."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import testcontainers_config

from tests.containers import engine, images
from tests.containers.stack import Stack
from tests.worlds import HOME

# Its reaper is one more image to pull, and these tests remove what they start.
testcontainers_config.ryuk_disabled = True

NOT_RUN = "no Docker engine answers; `make test-containers` (as root on Debian) sets one up and runs them"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.get_closest_marker("containers")]
    if ours and not engine.version():
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=NOT_RUN))


@pytest.fixture(scope="session")
def built() -> images.Images:
    """The images of this very code."""
    return images.prepared()


@pytest.fixture
def settings(built: images.Images, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables for Compose; no setting of this machine reaches what it starts."""
    for name in [name for name in os.environ if name.startswith(("COMPOSE_", "KAFKA_", "WAYBILL_"))]:
        monkeypatch.delenv(name)
    assert engine.compose(), "there is no Compose here: neither `docker compose` nor `docker-compose`"
    return {
        "COMPOSE_PROJECT_NAME": f"waybill-test-{_free_port()}",
        "WAYBILL_IMAGE": built.worker,
        "KAFKA_IMAGE": built.kafka,
        "KAFKA_PORT": str(_free_port()),
        "DESK_PORT": str(_free_port()),
        "WAYBILL_PARTITIONS": "6",
        "WAYBILL_WEB_PORTS": "20100-20199",
        "WAYBILL_HOME_ADCODES": ",".join(HOME),
        "WAYBILL_FLOOD_SHARE_MAX": "0",  # crowded worlds have alerts as other places have parcels
        "WAYBILL_IDLE_PARTITION_S": "1",
    }


@pytest.fixture
def stack(settings: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Kafka and one worker, started from deploy/compose.yaml."""
    with Stack(tmp_path, settings) as running:
        running.until_ready(1)
        yield running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
