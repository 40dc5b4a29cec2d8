"""Kafka's jars: the lock file is whole, and a jar that is not what it says never reaches a class path."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from jgo.env import LockedDependency, LockFile
from jgo.maven import Artifact, MavenContext, PythonResolver

from streams.ops.broker import BrokerError, jars

CONTENT = b"the jar as it was locked"
PLACE = Path("maven/org/example/thing/1.0/thing-1.0.jar")


class Repository(PythonResolver):
    """Serves these bytes for any jar, one after the other; None: it cannot be reached."""

    def __init__(self, *answers: bytes | None) -> None:
        super().__init__()
        self.answers = list(answers)

    def download(self, artifact: Artifact) -> Path:
        answer = self.answers.pop(0)
        path = artifact.cached_path
        assert path is not None
        if answer is None:
            raise ConnectionError("no route")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer)
        return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, with a lock file of one jar."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lock = tmp_path / "lock.toml"
    digest = hashlib.sha256(CONTENT).hexdigest()
    LockFile([LockedDependency("org.example", "thing", "1.0", sha256=digest)]).save(lock)
    monkeypatch.setattr(jars, "LOCK", lock)
    return jars.cache_dir()


def _serve(monkeypatch: pytest.MonkeyPatch, cache: Path, *answers: bytes | None) -> Repository:
    repository = Repository(*answers)
    monkeypatch.setattr(jars, "_context", lambda: MavenContext(resolver=repository, repo_cache=cache / "maven"))
    return repository


def test_lock_file_has_a_checksum_for_every_jar() -> None:
    locked = LockFile.load(jars.LOCK).dependencies
    names = {f"{jar.groupId}:{jar.artifactId}:{jar.version}" for jar in locked}
    assert set(jars.WANTED) <= names
    assert len(names) == len(locked) > 30
    assert all(jar.sha256 and len(jar.sha256) == 64 for jar in locked)


def test_jar_is_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = _serve(monkeypatch, cache, CONTENT)
    assert jars.fetch() == jars.fetch() == [cache / PLACE]
    assert not repository.answers


def test_half_a_jar_is_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / PLACE).parent.mkdir(parents=True)
    (cache / PLACE).write_bytes(CONTENT[:5])
    _serve(monkeypatch, cache, None, CONTENT)
    assert jars.fetch() == [cache / PLACE]
    assert (cache / PLACE).read_bytes() == CONTENT


def test_wrong_jar_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, cache, b"not it", b"not it", b"not it")
    with pytest.raises(BrokerError, match=r"org\.example:thing:1\.0 .* SHA-256 is"):
        jars.fetch()
    assert not (cache / PLACE).exists()


def test_unreachable_repository_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, cache, None, None, None)
    with pytest.raises(BrokerError, match=r"no route.*set KAFKA_BOOTSTRAP_SERVERS"):
        jars.fetch()


def test_unwritable_cache_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BrokerError, match="set XDG_CACHE_HOME"):
        jars.cache_dir()
