"""A worker with something wrong in it on purpose: `python -m tests.hurt HOW`, settings from the environment.

outdated    every fourth commit names a generation of the group that has passed, so the broker refuses it
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping

from streams import cli
from streams.commit import Committer, Epoch
from streams.state.rocks import Delta

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

    def refused(self: Committer, epoch: Epoch, deltas: Mapping[str, Delta], metadata: object) -> None:
        nonlocal count
        count += 1
        commit(self, epoch, deltas, metadata if count % 4 else outdated(metadata))

    Committer.commit = refused  # type: ignore[method-assign, assignment]


HOW = {"outdated": _outdated}

if __name__ == "__main__":
    HOW[sys.argv[1]]()
    sys.exit(cli.run(["worker"]))
