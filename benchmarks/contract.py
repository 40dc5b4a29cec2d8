"""What a contestant is, and what all of them compute.

A contestant is a module in `benchmarks.contestants` with these names:

NAME          short, as the table shows it
DOC           one line: what it is and does
GIVES         what it guarantees after a crash
ENVIRONMENT   what it runs in (`benchmarks.peers.environments`)
TRAFFIC       what it reads: shipments, prefix or everything (`benchmarks.traffic`)
run           `run(context) -> Result`: once over all of it, in a process of its own

**The task.** A parcel is alerted with tier medium when its pickup place is a priority origin, its goods are declared as
powder or liquid, and it is at least the 20th parcel of its sender's ID number within 24 h, itself included, by event
time. That is `route.priority_origin` (15 points) + `goods.powder_or_liquid` (15) + `sender.velocity` (20) of the
catalogue: all three reach medium (40), no two do. Parcels are keyed by parcel, so those of one sender lie in all
partitions and are not read in the order of event time; the answer must not depend on that. Nor may it on records that
come again: a parcel counts once, and one in a hundred of the sparse shipments is a repetition.

**Guarantees** differ, and the table says them (`Gives`): how often an alert that is due comes when a process is killed,
and whether what was counted outlives it. Where a peer gives more at a price, it is set to give that.

**The measure.** Seconds from the moment the contestant gets its partitions (plain Faust: its first event, as it starts
slowly; Bytewax and Pathway: before they ask for any; Flink: its job runs) until, seen from outside, the offsets of
everything it read are committed, also of topics that it forwards to and reads itself; a contestant commits after its
alerts were delivered. Bytewax and Pathway keep their offsets to themselves: until the last alert due is there. Flink
answers when event time has passed an event: until it has ended by itself where the topic ended at its start. CPU
seconds are user and system of its process tree over that time, without the broker. The second half begins when half of
the offsets, or of the alerts, are there. Start-up is from the start of the process to the start of the measure.

**Latency** is measured in a run of its own (`benchmarks.latency`), at a third of the contestant's median of events/s,
from the moment an event is given to the producer to that in which a reader of committed records has its alert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.peers.environments import Environment
from streams.settings import PRIORITY_ORIGINS

Kind = Literal["shipments", "prefix", "everything"]

RULES = ("goods.powder_or_liquid", "route.priority_origin", "sender.velocity")


# As programs take them.
ORIGINS = ",".join(PRIORITY_ORIGINS)


def from_priority_origin(adcode: str) -> bool:
    """Whether a place is one of the priority origins, which are given by prefixes of 4 or 6 digits."""
    return adcode[:4] in PRIORITY_ORIGINS or adcode in PRIORITY_ORIGINS


@dataclass(frozen=True, slots=True)
class Gives:
    """What a contestant guarantees when its process is killed.

    alerts: how often one that is due comes, seen by a reader of committed records; may be lost: also never.
    durable: whether its state is outside of its memory, so that later alerts are right.
    """

    alerts: Literal["none", "may be lost", "at least once", "exactly once"]
    durable: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """Traffic that lies on a broker."""

    servers: str
    topics: tuple[str, ...]
    events: int
    bytes_mean: float  # of a record's value
    expected: frozenset[str] | None  # parcels to alert; None: nobody says


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one contestant."""

    run: str  # unique on the broker: consumer group, and part of the names of output topics
    loaded: Loaded
    scratch: Path  # an empty folder of its own
    pace: Pace | None = None  # None: everything lies there already


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one run, of the process tree."""

    start_s: float  # from the process's start to the start of the measure
    wall_s: float
    cpu_s: float  # user and system
    rss_mb: float  # largest seen
    latencies_s: tuple[float, ...] = ()  # from event to alert, in a run with a pace
    warm_events_per_s: float = 0.0  # over the second half of the events, when a JVM has compiled what it runs
    warm_cpu_s_per_million: float = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run for latencies goes: shipments are produced while the contestant runs."""

    events_per_s: float
    warm_up_s: float  # alerts of events produced before are not measured
    measured_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    events: int
    measured: Measured
    alerted: frozenset[str] | None  # parcels whose alert is open in the end; None: it does not judge


class Contestant(Protocol):
    """A module of `benchmarks.contestants`."""

    NAME: str
    DOC: str
    GIVES: Gives
    ENVIRONMENT: Environment
    TRAFFIC: Kind
    run: Callable[[Context], Result]


class BenchmarkError(RuntimeError):
    """A run that failed, or gave other alerts than it must."""
