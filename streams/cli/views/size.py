"""The words of `waybill size`, and how its numbers are written."""

from __future__ import annotations

from math import ceil
from typing import Final, Literal

from streams.kafka.admin import retention_d
from streams.ops import figures as of
from streams.ops.sizing import FREE, PER_WORKER_MIN, UNCOMPACTED, WORKERS_MIN, Need, Plan

Language = Literal["zh", "en"]

HEADINGS: Final = {"zh": ("项目", "数量", "前提"), "en": ("what", "how much", "assumed")}
SOURCE: Final = {"zh": "数字出自 benchmarks/RESULTS.md：", "en": "Figures from benchmarks/RESULTS.md:"}
_ROWS: Final[dict[str, tuple[str, str, str, str]]] = {
    "events": ("事件，平均每秒", "events a second, mean", "每件 {events:.1f} 个事件", "{events:.1f} events a parcel"),
    "events_peak": ("事件，高峰每秒", "events a second, peak", "平均的 {peak:g} 倍", "{peak:g} times the mean"),
    "workers": (
        "工作进程，每个一核", "workers, a core each",
        "每个每秒 {pace:,} 个事件（状态在内存中时测得），高峰时用 {busy:.0%}；各自恢复不超过 {restore:g} 分钟；"
        "至少 {workers_min} 个",
        "{pace:,} events/s each, as measured with a state in memory, {busy:.0%} busy at the peak; each restores in "
        "{restore:g} min at most; {workers_min} at least",
    ),
    "partitions": (
        "各主题分区", "partitions of each topic",
        "每个工作进程至少 {per_worker} 个；只能增加", "{per_worker} a worker at least; there is no way back to fewer",
    ),
    "parcel_keys": (
        "状态中的快件", "parcels in the state",
        "过期与新增相抵之后；{alerted:.2%} 有预警，多留 {kept} 天",
        "once as much expires as comes; {alerted:.2%} alerted, kept {kept} days longer",
    ),
    "history_keys": (
        "状态中的历史", "buckets of histories in the state",
        "人员、网点与快件之比同生成的流量", "as many persons and outlets to a parcel as in generated traffic",
    ),
    "state_disk": (
        "状态磁盘，全部工作进程", "disk of the state, all workers",
        "状态的 {free:g} 倍，供 RocksDB 合并文件", "{free:g} times the state, for RocksDB to merge files",
    ),
    "state_disk_each": ("状态磁盘，每个工作进程", "disk of the state, each worker", "平均分配", "evenly spread"),
    "memory": (
        "内存，全部工作进程", "memory, all workers",
        "默认缓存下测得的最大值，每个 {rss:,} MB", "the most measured with default caches, {rss:,} MB each",
    ),
    "broker_topic": ("{topic}", "{topic}", "", ""),
    "broker_disk": (
        "broker 磁盘，全部节点", "disk of the brokers, all of them",
        "{replication} 个副本，lz4，不计索引", "{replication} replicas, lz4, without indices",
    ),
    "restore": (
        "换新磁盘后的恢复时间", "restore of a worker with a new disk",
        "broker 空闲时；变更日志为最新记录的 {uncompacted:g} 倍",
        "from quiet brokers; changelogs hold {uncompacted:g} times the newest records",
    ),
    "catch_up": (
        "停机后追赶的时间", "catching up after an outage",
        "高峰时停机 {outage:g} 小时，其间事件照常到来", "of {outage:g} h at the peak, while as much goes on coming",
    ),
}  # fmt: skip
_TOPIC: Final = {
    "kept": ("保存 {days:g} 天", "kept {days:g} days"),
    "newest": ("最新记录的 {uncompacted:g} 倍", "{uncompacted:g} times the newest records"),
}


def title(row: Need, lang: Language) -> str:
    """What a row is of."""
    return _ROWS[row.name][lang == "en"].format(topic=row.topic)


def assumption(row: Need, plan: Plan, lang: Language) -> str:
    """What a row assumes."""
    days = retention_d(row.topic) if row.topic else None
    if row.topic:
        template = _TOPIC["newest" if row.topic.endswith("-changelog") else "kept"][lang == "en"]
    else:
        template = _ROWS[row.name][2 + (lang == "en")]
    return template.format(
        events=plan.events_per_parcel, peak=plan.peak, pace=of.EVENTS_S.value, busy=plan.busy,
        restore=plan.restore_s / 60, workers_min=WORKERS_MIN, per_worker=PER_WORKER_MIN, alerted=plan.alerted_share,
        kept=plan.kept_alerted_days, free=FREE, rss=of.RSS_MB.value, replication=plan.replication,
        uncompacted=UNCOMPACTED, outage=plan.outage_s / 3_600, days=days or plan.retention_days,
    )  # fmt: skip


def amount(row: Need) -> str:
    """A number as people read it, never less than it is."""
    if row.unit == "B":
        return _scaled(row.value, (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)))
    if row.unit == "s":
        return _scaled(row.value, (("h", 3_600), ("min", 60), ("s", 1)))
    return f"{ceil(row.value):,}"


def _scaled(value: float, units: tuple[tuple[str, float], ...]) -> str:
    name, one = next((unit for unit in units if value >= unit[1]), units[-1])
    return f"{ceil(value / one * 10) / 10:,.1f} {name}"
