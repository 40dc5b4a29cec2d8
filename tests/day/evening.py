"""Whether what came out in the evening is what `waybill judge` finds in the same files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.records import Alert, Inspection, Scan, Shipment
from schemas.reference import Reference
from schemas.topics import ALERTS, REJECTS, TALLIES
from tests.chaos.logs import whole
from tests.chaos.verdict import Outcome, check_alerts, check_rejects, check_tallies
from tests.day.record import Record
from tests.runs import comparable
from tests.tallies import recount
from tests.worlds import Record as Event

PATIENCE_S = 300.0
_READ: dict[str, msgspec.json.Decoder[Any]] = {
    "shipments": msgspec.json.Decoder(Shipment),
    "scans": msgspec.json.Decoder(Scan),
    "inspections": msgspec.json.Decoder(Inspection),
    "reference": msgspec.json.Decoder(Reference),
}


def compare(
    servers: str, partitions: int, root: Path, home: tuple[str, ...], record: Record, told: Callable[[], str]
) -> None:
    """Wait until all is equal, and write down what is, or what is not after PATIENCE_S."""
    lines = (root / "alerts.ndjson").read_bytes().splitlines()
    wanted = comparable(msgspec.json.decode(line, type=Alert) for line in lines)
    counts = recount(_events(root / "traffic"), wanted.values(), home)
    began = time.monotonic()
    while True:
        outcome = Outcome()
        check_alerts(whole(servers, ALERTS, partitions), wanted, outcome)
        check_tallies(whole(servers, TALLIES, partitions), counts, outcome)
        check_rejects(whole(servers, REJECTS, partitions), (), outcome)
        if not outcome.wrong or time.monotonic() - began > PATIENCE_S:
            break
        time.sleep(2)
    record.say(f"compared {time.monotonic() - began:.0f} s after `waybill judge` had ended")
    record.figure("alerts open", f"{outcome.open:,} of {len(wanted):,} that `waybill judge` finds")
    record.figure("messages of alerts", f"{outcome.alerts:,}; {outcome.lost:,} lost, {outcome.doubled:,} doubled")
    record.figure("tallies", f"{len(counts):,} of outlets and days, {outcome.tallies:,} messages")
    for each in outcome.wrong:
        record.say(each[:2_000])
    record.check(not outcome.wrong, "alerts, tallies and rejects are those of `waybill judge`")
    if outcome.wrong:
        print(told(), flush=True)


def _events(folder: Path) -> list[Event]:
    return [
        decoder.decode(line)
        for name, decoder in _READ.items()
        for line in (folder / f"{name}.ndjson").read_bytes().splitlines()
    ]
