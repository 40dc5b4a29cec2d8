"""The rules that Prometheus keeps: they load, each alert fires on one side of its limit, and tells people enough."""

from __future__ import annotations

import re

import yaml

from streams.metrics import DeskMetrics, DispatcherMetrics, Metrics, Page, TracerMetrics
from tests.prometheus import CASES, RULES, alerts, promtool, rules

CONFIG = RULES.with_name("prometheus.yml")
_NAME = re.compile(r"\bwaybill_\w+")
_HAN = re.compile(r"[一-鿿]")


def test_prometheus_takes_its_configuration_and_rules() -> None:
    done = promtool("check", "config", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_where_it_should_and_nowhere_else() -> None:
    done = promtool("test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    fired = {
        name
        for case in cases
        for asked in case["promql_expr_test"]
        for sample in asked.get("exp_samples", [])
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }
    assert fired == {alert.name for alert in alerts()}


def test_every_alert_says_what_it_is_in_both_languages_and_where_to_read_on() -> None:
    for alert in alerts():
        assert alert.labels["severity"] in ("critical", "warning")
        assert not _HAN.search(alert.annotations["summary"])
        assert _HAN.search(alert.annotations["summary_zh"])
        address = "{{ $externalLabels.waybill_docs }}/runbooks.md#" + alert.name.lower()
        assert alert.annotations["runbook_url"] == address


def test_every_metric_that_a_rule_reads_is_one_that_is_exported() -> None:
    pages = Metrics(states=["running"]), DispatcherMetrics(), TracerMetrics(), DeskMetrics()
    exported = set[str]().union(*map(names, pages))
    read = {name for rule in rules() for name in _NAME.findall(re.sub(r"\{[^}]*\}", "", rule["expr"]))}
    assert read - exported == set()


def names(metrics: Page) -> set[str]:
    """Names of all series that these metrics may have."""
    found = set()
    for family in metrics.registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        found |= {family.name + end for end in ends}
    return found
