"""Where the group of workers stands in its topics, and how to put it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import WaybillError
from schemas.inputs import CONSUMED_TOPICS
from streams.kafka.cluster import Cluster, Place
from streams.kafka.errors import MissingError
from streams.kafka.groups import emptied


class OffsetsError(WaybillError):
    """Offsets cannot be set like this; the message says why."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition. committed: next to read, None where nothing is committed; the log holds start to end."""

    place: Place
    committed: int | None
    start: int
    end: int

    @property
    def lag(self) -> int:
        """Records to the end; the marks of transactions count as such."""
        return self.end - max(self.committed if self.committed is not None else self.start, self.start)


def show(cluster: Cluster, group: str) -> list[Standing]:
    """All partitions that workers read, in order. Raises ClientError."""
    facts = cluster.topics(CONSUMED_TOPICS, needed=True)
    if missing := [name for name in CONSUMED_TOPICS if not facts[name].partitions]:
        raise MissingError(f"no topics {', '.join(missing)}, or no right to see them; `waybill doctor` says which")
    places = [(name, number) for name in CONSUMED_TOPICS for number in range(facts[name].partitions)]
    bounds, committed = cluster.bounds(places), cluster.committed(group, places)
    return [Standing(place, committed.get(place), *bounds[place]) for place in places]


def chosen(found: Sequence[Standing], only: Sequence[str]) -> list[Standing]:
    """Those of some topics (`TOPIC`) or partitions (`TOPIC:NUMBER`); all of them for none. Raises OffsetsError."""
    if not only:
        return list(found)
    names = {name: [each for each in found if name in (each.place[0], f"{each.place[0]}:{each.place[1]}")]
             for name in only}  # fmt: skip
    if unknown := [name for name, matching in names.items() if not matching]:
        known = ", ".join(CONSUMED_TOPICS)
        raise OffsetsError(f"{', '.join(unknown)}: workers read no such topic or partition; they read {known}")
    return [each for each in found if any(each in matching for matching in names.values())]


def target(standing: Standing, to: str) -> int:
    """The offset that `to` names: earliest, latest, or a number within the log. Raises OffsetsError."""
    if to in ("earliest", "latest"):
        return standing.start if to == "earliest" else standing.end
    name, number = standing.place
    if not to.isdecimal() or not standing.start <= int(to) <= standing.end:
        held = f"{standing.start} to {standing.end}"
        raise OffsetsError(f"{name}[{number}]: --to {to}: give earliest, latest, or a number from {held}")
    return int(to)


def reset(
    cluster: Cluster, group: str, offsets: Mapping[Place, int], session_s: float, say: Callable[[str], None]
) -> None:
    """Set the committed offsets of a group whose workers are stopped, once it is empty. Raises ClientError."""
    emptied(cluster, group, session_s, say)
    cluster.set_committed(group, offsets)
