"""How much a deployment takes: from parcels a day to partitions, workers, disks, memory and times.

Everything is reckoned from `figures`, which were measured, and from a `Plan`, whose values are yours to say. What else
is assumed are the constants here; `waybill size` shows each in the row that uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count
from math import ceil
from typing import Final, Literal

from schemas import topics
from schemas.topics import TOPICS
from streams.kafka.admin import retention_d
from streams.ops import figures as of

WORKERS_MIN: Final = 2
"""So that one may be upgraded, or lost, while the other goes on."""
PER_WORKER_MIN: Final = 2
"""Partitions of each worker, so that twice the workers may share them without growing."""
UNCOMPACTED: Final = 2.0
"""A changelog has so many times its newest records: it is compacted when 30 % is old, but for its last segment."""
FREE: Final = 2.0
"""A disk of state has so many times the state: RocksDB writes files anew before it deletes the old ones."""
KEY_BYTES: Final = of.YEAR_STATE_MB.value * 1e6 / (of.YEAR_PARCEL_KEYS.value + of.YEAR_HISTORY_KEYS.value)
"""Of a key and its value on a worker's disk; on a changelog they take as much."""
_DAY_S: Final = 86_400
_BY_ALERT: Final = (topics.ALERTS, topics.SHADOW, topics.TRACES, topics.CLUES)
_BY_EVENT: Final = (topics.SCANS, topics.INSPECTIONS)
Unit = Literal["per_s", "count", "B", "s"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to size for. The defaults but the first are assumptions: say what is so with you.

    peak            events in the busiest hour, of those in a mean one.
    retention_days  of the input topics.
    alerted_share   parcels with an alert; that of generated traffic, where guilty parcels are many.
    busy            share of its pace that a worker may be busy at the peak; the rest catches up.
    restore_s       longest time that one worker may take to restore a lost disk.
    """

    parcels_per_day: float
    events_per_parcel: float = of.EVENTS_OF_A_MILLION.value / 1e6
    alerted_share: float = of.ALERTED_OF_A_MILLION.value / 1e6
    peak: float = 4.0
    retention_days: float = 7.0
    replication: int = 3
    busy: float = 0.5
    restore_s: float = 900.0
    outage_s: float = 3_600.0
    kept_alerted_days: int = 90


@dataclass(frozen=True, slots=True)
class Need:
    """One row: how much of what, and the figures behind it. topic: where the row is of one."""

    name: str
    value: float
    unit: Unit
    measured: tuple[of.Figure, ...] = ()
    topic: str = ""


def needs(plan: Plan) -> list[Need]:
    """All rows, in the order in which they follow from each other."""
    mean = plan.parcels_per_day * plan.events_per_parcel / _DAY_S
    peak = mean * plan.peak
    alone_s = restore_s(plan, 1)
    workers = max(
        WORKERS_MIN, ceil(peak / (of.EVENTS_S.value * plan.busy)), ceil(alone_s / plan.restore_s) if alone_s else 0
    )
    parcel_keys, history_keys = keys(plan)
    state = state_bytes(plan)
    pace = workers * of.EVENTS_S.value
    broker = broker_bytes(plan)
    return [
        Need("events", mean, "per_s", (of.EVENTS_OF_A_MILLION,)),
        Need("events_peak", peak, "per_s"),
        Need("workers", workers, "count", (of.EVENTS_S, of.RESTORED_S)),
        Need("partitions", partitions(workers), "count"),
        Need("parcel_keys", parcel_keys, "count", (of.YEAR_PARCEL_KEYS, of.ALERTED_OF_A_MILLION)),
        Need("history_keys", history_keys, "count", (of.YEAR_HISTORY_KEYS,)),
        Need("state_disk", FREE * state, "B", (of.YEAR_STATE_MB,)),
        Need("state_disk_each", FREE * state / workers, "B"),
        Need("memory", workers * of.RSS_MB.value * 1e6, "B", (of.RSS_MB,)),
        *(Need("broker_topic", size, "B", _behind(topic), topic) for topic, size in broker.items()),
        Need("broker_disk", sum(broker.values()), "B"),
        Need("restore", restore_s(plan, workers), "s", (of.RESTORED_S, of.TIMERS_SECONDS)),
        Need("catch_up", peak * plan.outage_s / (pace - peak), "s", (of.EVENTS_S,)),
    ]


def _behind(topic: str) -> tuple[of.Figure, ...]:
    if topic == topics.CLUES:
        return of.CLUE_LOG_MB, of.ALERTED_OF_A_MILLION
    return (of.PARCEL_B.get(topic, of.YEAR_STATE_MB),)


def partitions(workers: int) -> int:
    """Of each topic: 4, 6, 12, 24, … so that they spread evenly over many counts of workers."""
    steps = (step for step in chain((4, 6), (12 << n for n in count())))
    return next(step for step in steps if step >= PER_WORKER_MIN * workers)


def keys(plan: Plan) -> tuple[float, float]:
    """Parcels, and buckets of histories, that are kept once as much expires as comes."""
    measured = of.YEAR_EVENTS.value / (of.EVENTS_OF_A_MILLION.value / 1e6) / of.YEAR_DAYS.value  # parcels a day
    alerted = plan.parcels_per_day * plan.alerted_share * plan.kept_alerted_days
    times = plan.parcels_per_day / measured
    return times * of.YEAR_PARCEL_KEYS.value + alerted, times * of.YEAR_HISTORY_KEYS.value


def state_bytes(plan: Plan) -> float:
    """On the disks of all workers together."""
    return sum(keys(plan)) * KEY_BYTES


def broker_bytes(plan: Plan) -> dict[str, float]:
    """On the disks of all brokers together, by topic, in the order of `TOPICS`."""
    parcel_keys, history_keys = keys(plan)
    kept = {
        topics.PARCELS_CHANGELOG: UNCOMPACTED * parcel_keys * KEY_BYTES,
        topics.HISTORIES_CHANGELOG: UNCOMPACTED * history_keys * KEY_BYTES,
    } | {topic: plan.parcels_per_day * _parcel_bytes(plan, topic) for topic in (*of.PARCEL_B, topics.CLUES)}
    return {topic.name: plan.replication * kept[topic.name] for topic in TOPICS if topic.name in kept}


def _parcel_bytes(plan: Plan, topic: str) -> float:
    """That lie on a topic for each parcel of a day, over the days for which it is kept."""
    days = retention_d(topic) or plan.retention_days
    if topic == topics.CLUES:
        return days * plan.alerted_share * of.CLUE_LOG_MB.value * 1e6 / of.CLUE_LOG_CLUES.value
    size = days * of.PARCEL_B[topic].value
    if topic in _BY_ALERT:
        return size * plan.alerted_share / (of.ALERTED_OF_A_MILLION.value / 1e6)
    if topic in _BY_EVENT:
        return size * max(0.0, plan.events_per_parcel - 1) / (of.EVENTS_OF_A_MILLION.value / 1e6 - 1)
    return size


def restore_s(plan: Plan, workers: int) -> float:
    """Until a worker with an empty disk may read: its part of the changelogs, then the deadlines of its parcels."""
    parcel_keys, history_keys = keys(plan)
    records = UNCOMPACTED * (parcel_keys + history_keys)
    timers = parcel_keys * of.TIMERS_SECONDS.value / (of.TIMERS_MILLIONS.value * 1e6)
    return (records / of.RESTORED_S.value + timers) / workers
