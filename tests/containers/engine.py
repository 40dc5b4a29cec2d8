"""The Docker engine: whether one answers, and one for as long as the tests run, from Debian's packages.

Nothing here leaves an engine running that it has started, or touches one that was there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# docker-cli and docker-compose are parts of docker.io in some releases of Debian, and packages of their own in others.
PACKAGES = ("docker.io", "docker-cli", "docker-compose", "iptables", "debootstrap")
_START_S = 60.0


class SetupError(RuntimeError):
    """The tests of containers cannot be set up here; the message says what is missing."""


def version() -> str:
    """The version of the Docker engine that answers, at DOCKER_HOST or the usual socket; empty where none does."""
    if shutil.which("docker") is None:
        return ""
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    return "" if done.returncode else done.stdout.strip()


@contextmanager
def running() -> Iterator[str]:
    """An engine that answers: the one that is there, or one that ends with the block. Yields where it is from.

    Raises SetupError when none answers and none can be started.
    """
    if version():
        yield "the engine that was there"
        return
    _install()
    if version():  # where systemd is at work, the package has started it
        yield "the engine of Debian's package"
        return
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            # A session of its own: Ctrl-C is for the tests, which still need it to remove what they started.
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process)
            yield "dockerd of Debian's package, started for this"
        except SetupError as error:
            log.seek(0)
            said = log.read().decode(errors="replace").splitlines()[-20:]
            raise SetupError("\n".join([str(error), *said])) from None
        finally:
            process.terminate()  # it ends containerd, which it has started
            process.wait(60)


def _wait(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not version():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SetupError("dockerd does not answer; it said:")
        time.sleep(0.2)


def _install() -> None:
    """Install what is missing of Debian's packages."""
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SetupError("no Docker engine answers. Start one; or run this as root on Debian, where it sets one up")
    if all(shutil.which(tool) for tool in ("dockerd", "iptables", "debootstrap")) and compose():
        return
    apt("update", "-qq")
    known = [
        name for name in PACKAGES if subprocess.run(["apt-cache", "show", name], capture_output=True).returncode == 0
    ]
    apt("install", "-qq", "--yes", "--no-install-recommends", *known)


def apt(*arguments: str) -> None:
    """Run apt-get without a question. Raises SetupError with the end of what it said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"apt-get {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def compose() -> list[str]:
    """The command that is Compose here: the plugin of today, or that of Debian 12. Empty: neither is there."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []
