"""Bytewax: Python functions on Timely Dataflow, in Rust."""

from __future__ import annotations

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Venv
from benchmarks.watch import judged

NAME = "Bytewax"
DOC = "stateful_flat_map by sender, recovery store on disk each second, offsets in there; alerts may come twice"
GIVES = Gives("at least once", durable=True)
ENVIRONMENT = Venv("bytewax")
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    return judged(context, [ENVIRONMENT.python(), "-m", "benchmarks.peers.wax"], until="alerted")
