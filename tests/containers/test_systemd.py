"""The units of deploy/systemd, started by a systemd that is at work: in a container, beside a Kafka of Compose."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.images import Images
from tests.containers.stack import DEPLOY, Stack
from tests.runs import open_alerts, run
from tests.waiting import until
from tests.workers import Publisher, Reader
from tests.worlds import HOME, world

pytestmark = pytest.mark.containers

PORT = 6066
WORKER = f"waybill-worker@{PORT}"
# Its own groups for processes, users without names, mounts that others do not see: that is what systemd is there for.
_RIGHTS = ("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cgroupns", "private", "--tmpfs", "/run:exec")
_OPEN = ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
SETTINGS = f"""\
bootstrap_servers = "kafka:19092"
home_adcodes = "{",".join(HOME)}"
flood_share_max = 0
idle_partition_s = 1
partitions = 6
"""


class Machine:
    """A container in which systemd is the first process, in the network of Kafka's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *command: str, typed: str = "", want: int = 0) -> str:
        """Run something there, as root; what it printed."""
        whole = ["docker", "exec", "--interactive", self.name, *command]
        done = subprocess.run(whole, input=typed, capture_output=True, text=True)
        assert done.returncode == want, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.told()}"
        return done.stdout

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self("systemctl", "show", "--property", name, "--value", unit).strip()

    def partitions(self) -> int:
        """Those of all topics that the worker has; 0 while it is not ready."""
        script = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{PORT}/ready').read().decode())"
        done = subprocess.run(["docker", "exec", self.name, "python3", "-c", script], capture_output=True, text=True)
        return 0 if done.returncode else int(json.loads(done.stdout)["partitions"])

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Wait; fails with the journal."""
        until(done, lambda: f"{what}\n{self.told()}")

    def told(self) -> str:
        """The end of the journal."""
        command = ["docker", "exec", self.name, "journalctl", "--no-pager", "--lines", "60", "--output", "cat"]
        return subprocess.run(command, capture_output=True, text=True).stdout


@pytest.fixture
def stack(settings: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Kafka alone."""
    stack = Stack(tmp_path, settings)
    try:
        stack.compose("up", "--detach", "kafka")
        stack.until(lambda: [each.health for each in stack.containers("kafka")] == ["healthy"], "Kafka answers")
        yield stack
    finally:
        stack.compose("down", "--volumes")


@pytest.fixture
def machine(stack: Stack, built: Images, tmp_path: Path) -> Iterator[Machine]:
    """It has nothing but what the image has, and the units."""
    context, image = tmp_path / "systemd", f"{built.worker}-systemd"
    shutil.copytree(Path(__file__).with_name("systemd"), context)
    shutil.copytree(DEPLOY / "systemd", context / "units")
    build = ["docker", "build", "--quiet", "--network", "host", "--build-arg", f"IMAGE={built.worker}"]
    made = subprocess.run([*build, "--tag", image, str(context)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip("no systemd for a container: Debian's packages cannot be had")
    (kafka,) = stack.containers("kafka")
    name = f"{stack.project}-machine"
    start = ["docker", "run", "--detach", "--name", name, "--network", f"container:{kafka.id}", *_RIGHTS, *_OPEN, image]
    started = subprocess.run(start, capture_output=True, text=True)
    try:
        assert started.returncode == 0, started.stderr
        machine = Machine(name)
        stack.until(lambda: _is_up(name), "systemd is up")
        yield machine
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True)


def _is_up(name: str) -> bool:
    asked = ["docker", "exec", name, "systemctl", "is-system-running"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "running"


def test_units_start_judge_and_are_started_again(machine: Machine, stack: Stack) -> None:
    """As deploy/README.md says, but for the package, which the image has."""
    machine("sh", "-c", "cat > /etc/waybill/waybill.toml", typed=SETTINGS)
    keys = ("--set", "token_key_file=/etc/waybill/token.key", "--set", "token_state_key_file=/etc/waybill/state.key")
    machine("/opt/waybill/bin/waybill", "keys", "new", *keys)
    machine("/opt/waybill/bin/waybill", "topics", "create", "--config", "/etc/waybill/waybill.toml")
    _fit(machine)
    machine("systemctl", "daemon-reload")
    machine("systemctl", "enable", "--now", WORKER, "waybill-tracer", "waybill-dispatcher")
    machine.until(lambda: machine.partitions() > 0, "the worker is ready")

    owner = machine("stat", "--format", "%u", f"/proc/{machine.shown(WORKER, 'MainPID')}").strip()
    assert int(owner) > 60_000, "a user that exists only while it runs"
    records = world(36, 300)
    publish = Publisher(stack.servers)
    publish(records[: len(records) // 2])
    machine("systemctl", "kill", "--signal", "KILL", WORKER)
    publish(records[len(records) // 2 :])
    wanted, reader = open_alerts(run(records)), Reader(stack.servers)
    assert reader.until(lambda: reader.open().keys() == wanted.keys()), machine.told()  # tokens are by keys of its own
    reader.close()
    assert machine.shown(WORKER, "NRestarts") == "1"
    for unit in ("waybill-tracer", "waybill-dispatcher"):
        assert machine.shown(unit, "ActiveState") == "active", machine.told()

    machine("systemctl", "stop", WORKER, "waybill-tracer", "waybill-dispatcher")
    for unit in (WORKER, "waybill-tracer", "waybill-dispatcher"):
        assert machine.shown(unit, "Result") == "success", machine.told()
    machine("sh", "-c", "echo 'partitions = 0' > /etc/waybill/waybill.toml")
    machine("systemctl", "start", "waybill-dispatcher")
    machine.until(lambda: machine.shown("waybill-dispatcher", "ActiveState") == "failed", "a wrong setting ends it")
    assert machine.shown("waybill-dispatcher", "ExecMainStatus") == "2"
    assert machine.shown("waybill-dispatcher", "NRestarts") == "0"


def _fit(machine: Machine) -> None:
    """What units ask for and a container may not have: many open files, and credentials."""
    most = machine("sh", "-c", "ulimit -Hn").strip()
    lines = ["[Service]", f"LimitNOFILE={most}"]
    given = (
        "-p",
        "DynamicUser=yes",
        "-p",
        "LoadCredential=a:/etc/hostname",
        "sh",
        "-c",
        "cat $CREDENTIALS_DIRECTORY/a",
    )
    tried = ["docker", "exec", machine.name, "systemd-run", "--quiet", "--wait", "--pipe", *given]
    if subprocess.run(tried, capture_output=True).returncode:
        names = {"TOKEN_KEY": "token", "TOKEN_STATE_KEY": "state"}
        lines += ["LoadCredential=", *(f"Environment=WAYBILL_{k}_FILE=/etc/waybill/{v}.key" for k, v in names.items())]
        machine("sh", "-c", "chmod 444 /etc/waybill/*.key")
    for unit in ("waybill-worker@", "waybill-tracer"):
        folder = f"/etc/systemd/system/{unit}.service.d"
        machine("sh", "-c", f"mkdir -p {folder} && cat > {folder}/fit.conf", typed="\n".join(lines) + "\n")
