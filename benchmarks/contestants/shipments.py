"""The worker as it is run, on shipments, with those rules of the catalogue that the others implement.

Nothing is switched off but the other rules, and with them the histories that only they read: it decodes strictly,
describes, writes state to changelog and RocksDB, and commits alerts, state and offsets in one transaction.
"""

from __future__ import annotations

import msgspec

from benchmarks.contestants import everything
from benchmarks.contract import RULES, Context, Gives, Kind, Result
from benchmarks.peers.environments import Own
from rules import load_catalogue

NAME = "waybill worker, shipments"
DOC = "the same three rules; repartition by person, transactions, changelog, RocksDB"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    return worker(context)


def worker(context: Context, *, processes: int = 1, native: str = "auto") -> Result:
    """By so many workers."""
    off = {rule.id: {"mode": "off"} for rule in load_catalogue().rules if rule.id not in RULES}
    overrides = {"WAYBILL_RULE_OVERRIDES": msgspec.json.encode(off).decode(), "WAYBILL_NATIVE": native}
    return everything.worker(context, overrides, processes=processes)
