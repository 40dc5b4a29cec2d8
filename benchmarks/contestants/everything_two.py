"""The same as `everything`, by two worker processes that share the partitions."""

from __future__ import annotations

from benchmarks.contestants import everything
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own

NAME = "2 workers, all topics"
DOC = "as above, `--processes 2`"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "everything"


def run(context: Context) -> Result:
    """Once over all three topics."""
    return everything.worker(context, {}, processes=2)
