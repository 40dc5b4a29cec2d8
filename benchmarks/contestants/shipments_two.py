"""The same as `shipments`, by two worker processes that share the partitions: what one machine of two cores gives."""

from __future__ import annotations

from benchmarks.contestants import shipments
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own

NAME = "2 workers, shipments"
DOC = "as above, `--processes 2`"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    return shipments.worker(context, processes=2)
