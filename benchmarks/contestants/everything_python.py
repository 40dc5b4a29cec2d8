"""The same as `everything`, without the native front end."""

from __future__ import annotations

from benchmarks.contestants import everything
from benchmarks.contract import Context, Kind, Result

NAME = "waybill worker, all topics, Python alone"
DOC = "as above, `WAYBILL_NATIVE=0`"
TRAFFIC: Kind = "everything"


def run(context: Context) -> Result:
    """Once over all three topics."""
    return everything.worker(context, {"WAYBILL_NATIVE": "0"})
