"""Who takes part, in the order of the table. One file each; `benchmarks.contract` says what it must have."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from benchmarks.contract import Contestant

FILES = (
    *("raw", "plain_faust", "hand_loop", "hand_loop_changelog"),
    *("quixstreams", "bytewax", "pathway", "flink", "kafka_streams"),
    *("shipments", "shipments_python", "shipments_two"),
    *("everything", "everything_python", "everything_two"),
)


def contestants() -> Mapping[str, Contestant]:
    """All of them, by file."""
    return {file: cast(Contestant, import_module(f"{__name__}.{file}")) for file in FILES}
