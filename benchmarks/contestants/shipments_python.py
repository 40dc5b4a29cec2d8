"""The same as `shipments`, without the native front end."""

from __future__ import annotations

from benchmarks.contestants import shipments
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own

NAME = "waybill worker, shipments, Python alone"
DOC = "as above, `WAYBILL_NATIVE=0`"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    return shipments.worker(context, native="0")
