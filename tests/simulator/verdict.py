"""What must hold of disks and broker, whatever was played."""

from __future__ import annotations

from pathlib import Path

from schemas import topics
from streams.state.partition import OFFSET
from tests.simulator.broker import Broker
from tests.simulator.disk import Disks

_TOPIC = {"parcels": topics.PARCELS_CHANGELOG, "histories": topics.HISTORIES_CHANGELOG}


def behind_the_changelog(disks: Disks, broker: Broker) -> list[str]:
    """Every folder, and what would be left of it, holds what the changelog says up to the offset it stands for."""
    wrong = []
    for path, folder in disks.folders.items():
        topic = _TOPIC[Path(path).parent.name]
        log = broker.logs[topic, int(Path(path).name)]
        for values in (folder.flushed,) if folder.owner is None else (folder.flushed, folder.values):
            offset = int.from_bytes(values.get(OFFSET, b""), "big")
            newest = {record.key or b"": record.value for record in log.records[:offset] if record.counts}
            wanted = {key: value for key, value in newest.items() if value is not None}
            found = {key: value for key, value in values.items() if key[0] != 0 or key in wanted}
            if found != wanted or offset > log.end:
                differ = sum(found.get(key) != wanted.get(key) for key in found.keys() | wanted.keys())
                wrong.append(f"{path}: {differ} keys are not those of {topic} up to {offset}")
    return wrong


def settled(broker: Broker) -> list[str]:
    """No transaction is open, and no place is taken twice."""
    open_ = [f"{topic}[{number}]" for (topic, number), log in broker.logs.items() if log.open]
    return [f"transactions are open in {', '.join(open_)}"] if open_ else []
