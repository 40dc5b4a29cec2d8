"""A worker with something wrong in it on purpose: `python -m tests.hurt HOW`, settings from the environment.

outdated    every fourth commit names a generation of the group that has passed, so the broker refuses it
early       state is written to disk early
late        the first commit is written to disk early, and no other
stuck       leaving the group never ends, and nothing else of the interpreter goes on meanwhile
clock       the wall clock jumps by years, ahead and back again, at every look
"""

from __future__ import annotations

import ctypes
import random
import struct
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from rocksdict import Options

from streams import cli
from streams.kafka.transport.poller import Poller
from streams.state import partition, tuning
from streams.state.rocks import Delta, RocksStore
from streams.worker import commit as commits
from streams.worker.commit import Committer
from streams.worker.epoch import Epoch

_MAGIC = b"CGMDv2:"  # of librdkafka's group metadata; a generation of four bytes follows


def outdated(metadata: object) -> bytes:
    """The group's metadata as of the generation before."""
    assert isinstance(metadata, bytes)
    assert metadata.startswith(_MAGIC)
    at = len(_MAGIC)
    (generation,) = struct.unpack_from("=i", metadata, at)
    return metadata[:at] + struct.pack("=i", generation - 1) + metadata[at + 4 :]


def _outdated() -> None:
    commit, count = Committer.commit, 0

    def refused(
        self: Committer, epoch: Epoch, deltas: Mapping[str, Delta], metadata: object, topic_ids: Mapping[str, str]
    ) -> None:
        nonlocal count
        count += 1
        commit(self, epoch, deltas, metadata if count % 4 else outdated(metadata), topic_ids)

    Committer.commit = refused  # type: ignore[method-assign, assignment]


def _early() -> None:
    commits.WRITTEN_S = 0.0  # type: ignore[misc]
    options = tuning.options

    def small(shared: tuning.Shared) -> Options:
        made = options(shared)
        made.set_write_buffer_size(BUFFER_BYTES)
        return made

    partition.options = small  # type: ignore[attr-defined]


def _late() -> None:
    _early()
    write, written = RocksStore.write, set[str]()

    def once(self: RocksStore, numbers: Collection[int]) -> None:
        if numbers and self.name not in written:
            write(self, numbers)
            written.add(self.name)

    RocksStore.write = once  # type: ignore[method-assign]


def _clock() -> None:
    real = time.time

    def jumping() -> float:
        return real() + random.choice((0.0, JUMP_S, -JUMP_S))

    time.time = jumping
    time.time_ns = lambda: int(jumping() * 1e9)


def _stuck() -> None:
    Poller.close = lambda self: ctypes.PyDLL(None).sleep(3_600)  # type: ignore[method-assign]


def damage(state: Path, rng: random.Random) -> int:
    """Random bytes over the middle of every file of data in a state folder; how many."""
    files = [path for path in sorted(state.rglob("*.sst")) if path.stat().st_size]
    for path in files:
        data = bytearray(path.read_bytes())
        data[len(data) // 4 : len(data) // 2] = rng.randbytes(len(data) // 2 - len(data) // 4)
        path.write_bytes(data)
    return len(files)


JUMP_S = 6e8
BUFFER_BYTES = 64 * 1024  # the least that RocksDB takes
HOW = {"outdated": _outdated, "early": _early, "late": _late, "stuck": _stuck, "clock": _clock}

if __name__ == "__main__":
    HOW[sys.argv[1]]()
    sys.exit(cli.run(["worker"]))
