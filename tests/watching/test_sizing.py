"""What `waybill size` reckons: from figures that RESULTS.md has, never less for more parcels, and as the page says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.views.size import Language, amount, assumption, title
from streams.ops import figures, sizing
from streams.ops.sizing import Need, Plan, needs
from tests.command import waybill
from tests.repetition import examples

ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", RESULTS, re.MULTILINE))
TIMES = ("restore", "catch_up", "state_disk_each")  # of one worker: more parcels may take more workers
DISTRICT, PROVINCE = Plan(1_000_000), Plan(20_000_000)

PLANS = st.builds(
    Plan,
    st.floats(1, 1e8),
    events_per_parcel=st.floats(1, 30),
    alerted_share=st.floats(0, 1),
    peak=st.floats(1, 20),
    retention_days=st.floats(0.1, 60),
    replication=st.integers(1, 5),
    busy=st.floats(0.05, 0.95),
    restore_s=st.floats(60, 7_200),
    outage_s=st.floats(0, 86_400),
)


@pytest.mark.parametrize("name", figures.figures())
def test_each_figure_is_what_the_results_say(name: str) -> None:
    figure = figures.figures()[name]
    said = ENTRIES[figure.entry]
    assert figure.says in said
    assert re.search(rf"(?<![\d.,]){re.escape(f'{figure.value:,}')}(?![\d,]|\.\d)", figure.says)


@examples(100)
@given(PLANS, st.floats(1, 3))
def test_more_parcels_never_need_less(plan: Plan, times: float) -> None:
    more = replace(plan, parcels_per_day=plan.parcels_per_day * times)
    for less, row in zip(needs(plan), needs(more), strict=True):
        assert (less.name, less.topic) == (row.name, row.topic)
        assert row.name in TIMES or row.value >= less.value


@examples(100)
@given(PLANS)
def test_what_is_asked_for_is_kept(plan: Plan) -> None:
    of = {row.name: row.value for row in needs(plan) if not row.topic}
    assert of["restore"] <= plan.restore_s
    assert of["events_peak"] <= plan.busy * of["workers"] * figures.EVENTS_S.value
    assert of["catch_up"] >= 0
    assert of["partitions"] >= of["workers"] * sizing.PER_WORKER_MIN
    assert of["broker_disk"] == pytest.approx(sum(row.value for row in needs(plan) if row.topic))


def test_what_is_kept_longer_and_doubled_takes_more() -> None:
    base = {(row.name, row.topic): row.value for row in needs(DISTRICT)}
    longer = {(row.name, row.topic): row.value for row in needs(replace(DISTRICT, retention_days=14, replication=6))}
    assert longer["broker_topic", "waybill.scans"] == pytest.approx(4 * base["broker_topic", "waybill.scans"])
    assert longer["broker_topic", "waybill.alerts"] == pytest.approx(2 * base["broker_topic", "waybill.alerts"])
    assert longer["workers", ""] == base["workers", ""]


def test_each_row_has_words_in_both_languages_and_the_command_shows_them() -> None:
    languages: tuple[Language, ...] = ("zh", "en")
    for lang in languages:
        shown = waybill("size", "--parcels-per-day", "1000000", "--lang", lang, env={"COLUMNS": "300"})
        assert shown.returncode == 0, shown.stderr
        for row in needs(DISTRICT):
            line = next(line for line in shown.stdout.splitlines() if line.startswith(title(row, lang) + " "))
            assert amount(row) in line
            assert assumption(row, DISTRICT, lang) in line
        assert all(figure.entry in shown.stdout for row in needs(DISTRICT) for figure in row.measured)


def test_json_has_each_row_with_its_sources() -> None:
    done = waybill("size", "--parcels-per-day", "1e6", "--peak", "8", "--json", env={})
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = needs(replace(DISTRICT, peak=8.0))
    assert [(row["name"], row["value"], row["topic"] or "") for row in rows] == [
        (need.name, need.value, need.topic) for need in wanted
    ]
    assert all(row["assumes"] for row in rows)
    assert {source for row in rows for source in row["sources"]} <= ENTRIES.keys()


@pytest.mark.parametrize(("page", "lang"), [("docs/sizing.md", "en"), ("docs/zh/sizing.md", "zh")])
def test_the_page_has_what_the_command_says(page: str, lang: Language) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    both = zip(needs(DISTRICT), needs(PROVINCE), strict=True)
    rows = [f"| {title(one, lang)} | {amount(one)} | {amount(other)} |" for one, other in both if not one.topic]
    assert [row for row in rows if row not in text] == []


def test_numbers_are_never_shown_less_than_they_are() -> None:
    rows = Need("x", 2.01, "count"), Need("x", 1.01e9, "B"), Need("x", 61, "s"), Need("x", 0, "s")
    assert [*map(amount, rows)] == ["3", "1.1 GB", "1.1 min", "0.0 s"]
