"""The dashboards of Grafana, in English and in Chinese: `python -m deploy.grafana.dashboards` writes them beside this.

A test asks a real Prometheus every query here. Figures that alerts use, too, are read from the recording rules, so that
a page and an alert never differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync, DataSourceRef

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
FOLDER: Final = Path(__file__).parent
_SOURCE: Final = "source"


@dataclass(frozen=True, slots=True)
class Text:
    """The same in both languages."""

    en: str
    zh: str

    def within(self, language: Language) -> str:
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, slots=True)
class Graph:
    """One panel. queries: PromQL, and the legend of its series. unit: Grafana's id of it."""

    title: Text
    unit: str
    queries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Some panels under one heading."""

    title: Text
    graphs: tuple[Graph, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard."""

    name: str
    title: Text
    rows: tuple[Row, ...]


def _graph(en: str, zh: str, unit: str, *queries: tuple[str, str]) -> Graph:
    return Graph(Text(en, zh), unit, queries)


_FLOW = Row(
    Text("Flow", "流量"),
    (
        _graph("Events", "事件", "cps", ("waybill:events:rate5m", "{{topic}}")),
        _graph("Verdicts that changed", "判定变化", "cps", ("waybill:verdicts:rate15m", "{{tier}} {{status}}")),
        _graph("Share that cannot be read", "无法读取的比例", "percentunit", ("waybill:rejects:share", "{{topic}}")),
        _graph(
            "Rows of a batch, median", "每批行数（中位）", "short",
            ("histogram_quantile(0.5, sum by (le) (rate(waybill_batch_rows_bucket[5m])))", "p50"),
        ),
        _graph(
            "Events that the native front end leaves to Python", "转由 Python 处理的事件", "cps",
            ("sum(rate(waybill_strange_events_total[5m]))", ""),
        ),
        _graph(
            "Alerts of Prometheus that fire", "正在触发的告警", "short",
            ('count by (alertname) (ALERTS{alertname=~"Waybill.*", alertstate="firing"}) or vector(0)',
             "{{alertname}}"),
        ),
    ),
)  # fmt: skip
_LAG = Row(
    Text("Lag", "积压"),
    (
        _graph("Records that wait", "待处理记录", "short", ("waybill:lag_records:sum", "{{topic}}")),
        _graph("Time to read what waits", "消化积压所需时间", "s", ("waybill:lag_seconds", "")),
        _graph(
            "Workers, by state", "工作进程状态", "short",
            ("sum by (waybill_worker_state) (waybill_worker_state)", "{{waybill_worker_state}}"),
        ),
        _graph("Silence of the broker", "Kafka 无应答时长", "s", ("waybill_broker_silent_seconds", "{{instance}}")),
    ),
)  # fmt: skip
_LATENCY = Row(
    Text("Latency", "时延"),
    (
        _graph(
            "From event to alert", "事件到预警", "s",
            ("waybill:alert_latency_seconds:p50", "p50"), ("waybill:alert_latency_seconds:p99", "p99"),
        ),
        _graph(
            "Epochs and commits, p99", "周期与提交（p99）", "s",
            ("waybill:epoch_seconds:p99", "epoch"),
            ("histogram_quantile(0.99, sum by (le) (rate(waybill_commit_seconds_bucket[5m])))", "commit"),
        ),
        _graph("Commits", "提交", "cps", ("waybill:commits:rate5m", "{{instance}}")),
        _graph("Aborts in 15 minutes", "15 分钟内中止次数", "short", ("waybill:aborts:increase15m", "{{instance}}")),
    ),
)  # fmt: skip
_ANSWERS = "sum by (rule) (rate(waybill_rule_answers_total[15m]))"
_RULES = Row(
    Text("Rules", "规则"),
    (
        _graph(
            "Rules that say yes, the ten most often", "命中最多的十条规则", "cps",
            ('topk(10, sum by (rule) (rate(waybill_rule_answers_total{answer="yes"}[15m])))', "{{rule}}"),
        ),
        _graph(
            "Rules that do not know, the ten most often", "无法判定最多的十条规则", "percentunit",
            (f'topk(10, sum by (rule) (rate(waybill_rule_answers_total{{answer="unknown"}}[15m])) / {_ANSWERS})',
             "{{rule}}"),
        ),
        _graph("Rules held back", "被压住的规则", "short", ("sum(max by (rule) (waybill_rule_held))", "")),
        _graph(
            "Rules in force", "现行规则", "short",
            ("waybill_rule_set_number", "{{instance}}"),
            ("count by (fingerprint) (waybill_catalogue)", "{{fingerprint}}"),
        ),
        _graph(
            "Messages of rules in shadow", "试运行规则消息", "cps",
            ("sum by (status) (rate(waybill_shadow_messages_total[15m]))", "{{status}}"),
        ),
        _graph(
            "Reference records in force", "生效的参考数据", "short",
            ("max by (kind) (waybill_reference_records)", "{{kind}}"),
        ),
    ),
)  # fmt: skip
_STATE = Row(
    Text("State", "状态"),
    (
        _graph("Keys", "键数", "short", ("sum by (store) (waybill_state_entries)", "{{store}}")),
        _graph("Bytes on disk", "磁盘占用", "bytes", ("sum by (store) (waybill_state_bytes)", "{{store}}")),
        _graph("Disk that is free", "磁盘可用比例", "percentunit", ("waybill:disk_free:share", "{{instance}}")),
        _graph(
            "Memory of workers", "工作进程内存", "bytes",
            ('process_resident_memory_bytes{job="waybill"}', "{{instance}}"),
        ),
        _graph(
            "Cores in use", "CPU 占用（核）", "short",
            ('rate(process_cpu_seconds_total{job="waybill"}[5m])', "{{instance}}"),
        ),
        _graph("Parcels that wait for a deadline", "等待期限的快件", "short", ("sum(waybill_waiting_parcels)", "")),
        _graph(
            "Changelog records restored since start", "启动后恢复的记录", "short",
            ("waybill_restored_records_total", "{{instance}}"),
        ),
        _graph(
            "Partitions with state of an earlier format", "仍含旧格式状态的分区", "short",
            ("sum by (store) (waybill_state_older_partitions)", "{{store}}"),
        ),
        _graph(
            "Keys looked at for expiry", "过期检查的键", "cps",
            ("sum by (store) (rate(waybill_state_due_total[15m]))", "{{store}}"),
        ),
    ),
)  # fmt: skip
_CLUES = Row(
    Text("Clues", "线索"),
    (
        _graph("Open, by state", "未结线索（按状态）", "short", ("sum by (state) (waybill_clues)", "{{state}}")),
        _graph("Overdue, by step", "逾期（按步骤）", "short", ("sum by (step) (waybill_clues_overdue)", "{{step}}")),
        _graph("Share that is overdue", "逾期比例", "percentunit", ("waybill:clues_overdue:share", "")),
    ),
)
_PROCESSES = Row(
    Text("Dispatcher and tracer", "dispatcher 和 tracer"),
    (
        _graph(
            "Records that wait", "未读记录", "short",
            ("sum by (job, topic) (waybill_unread_records)", "{{job}} {{topic}}"),
        ),
        _graph(
            "Since the last step", "距上次工作", "s",
            ("time() - waybill_stepped_timestamp_seconds", "{{job}} {{instance}}"),
        ),
        _graph("Traces published", "发布的轨迹", "cps", ("sum(rate(waybill_traces_total[15m]))", "")),
        _graph(
            "Memory", "内存", "bytes",
            ('process_resident_memory_bytes{job=~"waybill-.*"}', "{{job}} {{instance}}"),
        ),
    ),
)  # fmt: skip

_DESK = Row(
    Text("Desk", "线索台"),
    (
        _graph(
            "Requests", "请求", "reqps",
            ("sum by (route, status) (rate(waybill_desk_requests_total[5m]))", "{{route}} {{status}}"),
        ),
        _graph(
            "Time until an answer begins, p95", "开始应答所需时间（p95）", "s",
            ("histogram_quantile(0.95, sum by (le) (rate(waybill_desk_request_seconds_bucket[5m])))", "p95"),
        ),
        _graph("Age of what is shown", "所示内容的时延", "s",
               ("waybill_desk_behind_seconds", "{{instance}}")),
        _graph("Records that the desk does not show yet", "线索台尚未显示的记录", "short",
               ("sum by (topic) (waybill_desk_unread_records)", "{{topic}}")),
        _graph("Writes", "写入", "cps", ("sum by (outcome) (rate(waybill_desk_writes_total[15m]))", "{{outcome}}")),
        _graph("Logins refused in 15 minutes", "15 分钟内被拒的登录", "short",
               ("sum by (way) (increase(waybill_desk_logins_refused_total[15m]))", "{{way}}")),
        _graph("Open streams", "打开的推送", "short", ("sum(waybill_desk_streams)", "")),
    ),
)  # fmt: skip

PAGES: Final = (
    Page("workers", Text("waybill: workers", "waybill：工作进程"), (_FLOW, _LAG, _LATENCY, _RULES, _STATE)),
    Page("clues", Text("waybill: clues", "waybill：线索"), (_CLUES, _DESK, _PROCESSES)),
)


def queries() -> Iterator[str]:
    """The queries of all panels."""
    for page in PAGES:
        for row in page.rows:
            for graph in row.graphs:
                yield from (expr for expr, _ in graph.queries)


def files() -> Iterator[tuple[Path, str]]:
    """Each dashboard as Grafana imports it, and where it belongs."""
    for page in PAGES:
        for language in LANGUAGES:
            text = json.dumps(_dashboard(page, language), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False)
            yield FOLDER / language / f"{page.name}.json", text + "\n"


def _dashboard(page: Page, language: Language) -> Dashboard:
    made = (
        dashboard.Dashboard(page.title.within(language))
        .uid(f"waybill-{page.name}-{language}")
        .tags(["waybill"])
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable(_SOURCE).label("Prometheus").type("prometheus"))
    )
    ids = count(1)
    for row in page.rows:
        made = made.with_row(dashboard.Row(row.title.within(language)).id(next(ids)))
        for graph in row.graphs:
            made = made.with_panel(_panel(graph, language).id(next(ids)))
    return made.build()


def _panel(graph: Graph, language: Language) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(graph.title.within(language))
        .datasource(DataSourceRef(type_val="prometheus", uid=f"${{{_SOURCE}}}"))
        .unit(graph.unit)
        .min(0)
        .span(8)
        .height(7)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
    )
    for number, (expr, legend) in enumerate(graph.queries):
        panel = panel.with_target(prometheus.Dataquery().expr(expr).legend_format(legend).ref_id("AB"[number]))
    return panel


if __name__ == "__main__":
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
