"""The same as `everything`, without the native front end."""

from __future__ import annotations

from benchmarks.contestants import everything
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own

NAME = "waybill worker, all topics, Python alone"
DOC = "as above, `WAYBILL_NATIVE=0`"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "everything"


def run(context: Context) -> Result:
    """Once over all three topics."""
    return everything.worker(context, {"WAYBILL_NATIVE": "0"})
