"""deploy/compose.yaml as a user starts it, and what of its containers a test looks at."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from testcontainers.compose import DockerCompose
from testcontainers.core.docker_client import DockerClient

from tests.containers.engine import compose

DEPLOY = Path(__file__).parents[2] / "deploy"


class Stack(DockerCompose):  # type: ignore[misc]  # without types for testcontainers
    """Kafka and workers, with settings as in a file `.env`; nothing of it is left after the `with` block.

    settings: variables that compose.yaml reads, COMPOSE_PROJECT_NAME among them. folder: of a file for them.
    over: further files of deploy/.
    """

    def __init__(self, folder: Path, settings: dict[str, str], *over: str) -> None:
        path = folder / "settings.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
        super().__init__(DEPLOY, ["compose.yaml", *over], wait=False, env_file=str(path))
        self.project = settings["COMPOSE_PROJECT_NAME"]
        self.servers = f"localhost:{settings['KAFKA_PORT']}"
        self.desk = f"http://127.0.0.1:{settings['DESK_PORT']}"
        self._docker = DockerClient().client

    @cached_property
    def compose_command_property(self) -> list[str]:
        """Compose as it is here: testcontainers knows only the plugin."""
        return [*compose(), *super().compose_command_property[2:]]

    def up(self, workers: int) -> None:
        """Have so many workers run."""
        self._run_command([*self.compose_command_property, "up", "--detach", "--scale", f"worker={workers}"])

    def down(self) -> None:
        """Remove the containers; volumes stay."""
        self._run_command([*self.compose_command_property, "down"])

    def run(self, service: str, *command: str, typed: str = "", want: int = 0, **variables: str) -> str:
        """Run one command in a container of its own; what it printed. want: its exit code."""
        return self.compose("run", "--rm", "-T", service, *command, typed=typed, want=want, **variables)

    def compose(self, *arguments: str, typed: str = "", want: int = 0, **variables: str) -> str:
        """Anything else that Compose can do."""
        whole = [*self.compose_command_property, *arguments]
        env = {**os.environ, **variables}
        done = subprocess.run(whole, input=typed, cwd=DEPLOY, env=env, capture_output=True, text=True)
        assert done.returncode == want, done.stdout + done.stderr
        return done.stdout

    def containers(self, service: str, *, ended: bool = False) -> list[Any]:
        """The service's containers that run, oldest first; `ended`: the others, too."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        found = self._docker.containers.list(all=ended, filters={"label": labels})
        return sorted(found, key=lambda each: int(each.labels["com.docker.compose.container-number"]))

    def told(self) -> str:
        """The end of what each container has said."""
        services = ("kafka", "topics", "worker", "tracer", "dispatcher", "desk")
        every = [each for service in services for each in self.containers(service, ended=True)]
        return "\n\n".join(f"{each.name} ({each.status}):\n{said(each)[-6_000:]}" for each in every)

    def until(self, done: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        """Wait until `done` holds; fails with what the containers said."""
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}\n\n{self.told()}"
            time.sleep(0.2)

    def until_ready(self, workers: int) -> None:
        """Wait until so many workers run, each says that it is ready, and each partition is someone's."""

        def ready() -> bool:
            pages = [page(each, "/ready") for each in self.containers("worker")]
            shuffled = [json.loads(body)["partitions"] if status == 200 else 0 for status, body in pages]
            return len(shuffled) == workers and all(shuffled)

        self.until(ready, f"{workers} workers ready, each with partitions")


def said(container: Any) -> str:
    """All that a container has written."""
    return str(container.logs().decode(errors="replace"))


def slots(containers: list[Any]) -> list[str]:
    """The names that workers have taken in their last start."""
    return sorted(re.findall(r"starting: group \S+, instance ([^,]+)", said(each))[-1] for each in containers)


def page(container: Any, path: str) -> tuple[int, str]:
    """Status and body of a worker's page, by the port that it is given on this machine; 0 where nobody answers."""
    container.reload()
    given = container.ports.get("6066/tcp")
    if not given:
        return 0, ""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{given[0]['HostPort']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""
