"""Pathway: a description in Python of incremental computation in Rust."""

from __future__ import annotations

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Venv
from benchmarks.watch import judged

NAME = "Pathway"
DOC = "interval_join with the parcels of the sender before, counted; keeps its input, computes anew when it starts"
GIVES = Gives("at least once", durable=True)
ENVIRONMENT = Venv("pathway")
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    return judged(context, [ENVIRONMENT.python(), "-m", "benchmarks.peers.path"], until="alerted")
