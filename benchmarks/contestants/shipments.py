"""The worker as it is run, on shipments, with those rules of the catalogue that the others implement.

Nothing is switched off but the other rules: it decodes strictly, describes, keeps the history of every entity, writes
state to changelog and RocksDB, and commits alerts, state and offsets in one transaction.
"""

from __future__ import annotations

import msgspec

from benchmarks.contestants import everything
from benchmarks.contract import RULES, Context, Kind, Result
from rules import load_catalogue

NAME = "waybill worker, shipments"
DOC = "the same three rules; transactions, changelog, RocksDB, every entity's history"
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    off = {rule.id: {"mode": "off"} for rule in load_catalogue().rules if rule.id not in RULES}
    return everything.work(context, {"WAYBILL_RULE_OVERRIDES": msgspec.json.encode(off).decode()})
