"""Jars, Kafka's above all: fetched once by `jgo`, each at the version and SHA-256 of a lock such as `kafka.lock.toml`.

`jgo` decides where from: Maven's own default, or the `[repositories]` of the user's `jgo.conf`.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.env import LockedDependency, LockFile
from jgo.maven import Artifact, MavenContext
from platformdirs import user_cache_path

from streams.ops.broker.errors import BrokerError

LOCK = Path(__file__).with_name("kafka.lock.toml")

# Not the newest Kafka: 4.3.0 and 4.4.0 lose marks of transactions when they are killed (tests/chaos/RESULTS.md).
# slf4j-simple sends Kafka's logging to standard error; for log4j, its usual one, its POM leaves out the binding.
WANTED = ("org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36")

_CONNECTIONS = 8
_TRIES = 3

_log = logging.getLogger(__name__)


def fetch(lock: Path | None = None) -> list[Path]:
    """Paths of all jars of a lock file (Kafka's), in its order, each present and checked; missing ones are fetched.

    Raises `BrokerError` when one cannot be had or is not what the lock file says.
    """
    context = _context()
    file = LockFile.load(lock or LOCK)
    locked = file.dependencies
    with exclusive("jars"), ThreadPoolExecutor(_CONNECTIONS) as pool:
        if any(not _path(context, jar).exists() for jar in locked):
            size = ", 45 MB" if lock is None else ""
            what = "Apache Kafka" if lock is None else file.environment_name
            _log.warning("fetching %s (%d jars%s) to %s, once", what, len(locked), size, context.repo_cache)
        return list(pool.map(lambda jar: _fetch(context, jar), locked))


def lock(wanted: Sequence[str] = WANTED, path: Path = LOCK, name: str = "kafka") -> None:
    """Resolve artifacts anew and write their lock file: for who changes the version of the first, which is named."""
    context = _context()
    asked, needed = context.resolver.resolve([context.create_dependency(each) for each in wanted])
    environment = f"{name}-{wanted[0].rsplit(':', 1)[1]}"
    LockFile.from_resolved_dependencies([*asked, *needed], environment_name=environment).save(path)


def cache_dir() -> Path:
    """Where jars and what is made of them are kept: `$XDG_CACHE_HOME/waybill-sentinel` or the platform's like."""
    path = user_cache_path("waybill-sentinel")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(f"no place to keep Kafka's jars: {error}; set XDG_CACHE_HOME to a writable folder") from error
    return path


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """One process at a time changes this part of the cache; the others wait and then find it done."""
    path = cache_dir() / f".{name}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BrokerError(f"the cache is not writable: {error}; set XDG_CACHE_HOME to a writable folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _context() -> MavenContext:
    # A repository of our own rather than ~/.m2: a jar left half-written there by anyone is not ours to delete.
    return MavenContext(
        repo_cache=cache_dir() / "maven", remote_repos=GlobalSettings.load().repositories or None, timeout=30
    )


def _artifact(context: MavenContext, jar: LockedDependency) -> Artifact:
    return context.project(jar.groupId, jar.artifactId).at_version(jar.version).artifact(jar.classifier or "")


def _path(context: MavenContext, jar: LockedDependency) -> Path:
    path = _artifact(context, jar).cached_path
    assert path is not None  # only None without a repo_cache
    return path


def _fetch(context: MavenContext, jar: LockedDependency) -> Path:
    """The jar's path, downloaded if it is missing or broken: an interrupted download leaves a short file."""
    name = f"{jar.groupId}:{jar.artifactId}:{jar.version}"
    artifact = _artifact(context, jar)
    path = _path(context, jar)
    if path.exists() and _sha256(path) == jar.sha256:
        return path
    failure = ""
    for _ in range(_TRIES):
        path.unlink(missing_ok=True)
        try:
            artifact.resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's own are RuntimeErrors
            failure = str(error)
            if "CERTIFICATE_VERIFY_FAILED" in failure:
                _trust_the_system()
            continue
        if (found := _sha256(path)) == jar.sha256:
            return path
        failure = f"SHA-256 is {found}, the lock file says {jar.sha256}"
    path.unlink(missing_ok=True)
    raise BrokerError(
        f"Kafka's jar {name} could not be fetched: {failure}. "
        "The private Kafka needs a Maven repository once; set KAFKA_BOOTSTRAP_SERVERS to use a broker of your own."
    )


def _trust_the_system() -> None:
    """Believe the certificates that the machine believes: behind a company's proxy those shipped with requests fail."""
    if certificates := ssl.get_default_verify_paths().capath:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", certificates)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
