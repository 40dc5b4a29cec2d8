"""The demo's parts without a broker: traffic, pace, figures, view."""

from __future__ import annotations

import io
import itertools
import math
import re
import time
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from typing import Any, get_args

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from rules import load_catalogue
from schemas import topics
from schemas.records import Inspection, Scan, Shipment
from schemas.reference import Reference
from streams.cli.views.demo import View
from streams.demo import figures as figures_module
from streams.demo.figures import Figures, parse, quantile
from streams.demo.stage import Step
from streams.demo.traffic import BROKEN_EVERY, DAYS, Pace, Source
from streams.files.driver import Offline, raw
from streams.metrics import Metrics
from streams.settings import Settings
from tests.streams.cli.test_alert_view import alert, change

DAY_NS = 86_400_000_000_000
KINDS: dict[str, Any] = {
    topics.SHIPMENTS: Shipment, topics.SCANS: Scan, topics.INSPECTIONS: Inspection, topics.REFERENCE: Reference,
}  # fmt: skip


def test_traffic_is_of_the_last_days_keyed_by_parcel_and_partly_broken() -> None:
    now = time.time() * 1000
    source = Source(parcels=1_500)
    known = source.prepare()
    events = source.take(10**6)
    assert source.exhausted
    assert {topic for topic, _, _ in known} == {topics.REFERENCE}
    assert topics.REFERENCE not in {topic for topic, _, _ in events}
    assert source.published == len(events) > 4_000
    broken, times, counts = 0, [], Counter[str]()
    for topic, key, value in known + events:
        try:
            record = msgspec.json.decode(value, type=KINDS[topic])
        except msgspec.DecodeError:
            broken += 1
            continue
        counts[topic] += 1
        assert record.key.encode() == key
        if isinstance(record, Shipment):
            times.append(record.picked_up_at)
    assert source.published // BROKEN_EVERY <= broken <= source.published // BROKEN_EVERY + 1
    assert set(counts) == set(KINDS)
    assert now - DAYS * 86_400_000 <= min(times) <= max(times) <= now
    assert sum(b < a - 3_600_000 for a, b in itertools.pairwise(times)) < len(times) / 25  # nearly, at any hour


@pytest.mark.parametrize("hour", [1, 7, 13, 19])
def test_its_first_second_holds_an_alert_that_needs_no_waiting(monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
    """At the default rate, at whatever hour it starts: little is posted at night, most in the afternoon."""
    now = time.time_ns() // DAY_NS * DAY_NS + hour * DAY_NS // 24
    monkeypatch.setattr(time, "time_ns", lambda: now)
    source, run = Source(), Offline(Settings(), load_catalogue())
    values: defaultdict[str, list[bytes]] = defaultdict(list)
    for topic, _, value in source.prepare() + source.take(1_000):
        values[topic].append(value)
    run.feed([raw(topics.REFERENCE, 0, values.pop(topics.REFERENCE), 0)])
    run.feed([raw(topic, 0, found, 0) for topic, found in values.items()])
    first = run.open_alerts()  # nothing says yet that time has passed
    assert any(not reason.rule.startswith("journey.") for alert in first for reason in alert.reasons)
    assert max(alert.score for alert in first) >= 60


def test_traffic_goes_on_without_end_and_never_repeats() -> None:
    source = Source()
    first = {key for topic, key, _ in source.take(4_000) if topic != topics.REFERENCE}
    source._events = source._rounds()  # the next round
    source._seed += 1
    assert len(first) > 300
    assert not first & {key for topic, key, _ in source.take(4_000) if topic != topics.REFERENCE}
    assert not source.exhausted


def test_pace_is_steady_and_forgives_a_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pace = Pace(250)
    due = []
    for _ in range(100):
        clock[0] += 0.013
        due.append(pace.due())
    assert sum(due) == pytest.approx(250 * 1.3, abs=1)
    assert set(due) == {3, 4}
    clock[0] += 60
    assert pace.due() == pytest.approx(250, abs=1)


def test_quantiles_are_interpolated_in_their_bucket() -> None:
    counts = [(0.1, 10.0), (0.2, 90.0), (0.5, 100.0), (math.inf, 100.0)]
    assert quantile(counts, 0.5) == pytest.approx(0.15)
    assert quantile(counts, 0.95) == pytest.approx(0.35)
    assert quantile([(0.1, 0.0), (math.inf, 4.0)], 0.5) == 0.1
    assert math.isnan(quantile([(0.1, 0.0), (math.inf, 0.0)], 0.5))


def test_figures_are_read_from_the_real_page(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, figures = Metrics(states=["running"]), Figures()
    metrics.events.labels(topics.SCANS).inc(100)
    metrics.alert_latency.observe(30.0)  # before the window: not of interest
    figures.read(metrics.render().decode(), now=10.0)
    metrics.events.labels(topics.SCANS).inc(40)
    metrics.events.labels(topics.FACTS).inc(1_000)
    metrics.rejects.labels(topics.SCANS, "invalid_json").inc(3)
    metrics.lag.labels(topics.SCANS, "0").set(7)
    for _ in range(100):
        metrics.alert_latency.observe(0.15)
    figures.read(metrics.render().decode(), now=12.0)
    assert (figures.events, figures.rejects, figures.lag) == (140, 3, 7)
    assert figures.events_per_s == pytest.approx(20)
    assert 0.1 <= figures.latency_p50_s <= figures.latency_p99_s <= 0.2
    monkeypatch.setattr(figures_module, "WINDOW_S", 5.0)
    figures.read(metrics.render().decode(), now=30.0)
    assert figures.events == 140
    figures.read("", now=31.0)  # no answer: what was known stays
    assert figures.events == 140


def test_parse_takes_labels_apart() -> None:
    assert parse('# HELP x y\nx_total{a="1",b="c.d"} 2.5\ny 3\n') == {
        "x_total": [({"a": "1", "b": "c.d"}, 2.5)],
        "y": [({}, 3.0)],
    }


def test_without_a_terminal_it_writes_lines() -> None:
    out = io.StringIO()
    view = View("en", time.monotonic(), Console(file=out, width=80))
    with view:
        view.say("worker")
        view.change(change(alert("1")))
        view.change(change(alert("1", at=5)))  # moved on: no news
        view.change(change(alert("1", status="withdrawn", at=6)))
    view.summary()
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert "Waiting for the first alert" in lines[0]
    assert lines[1].endswith("s  starting a worker")
    assert (
        "2025-11-25 00:00:00 UTC+8  extreme 80  QN:1  430424 衡阳市衡东县  Name of a controlled substance" in lines[2]
    )
    assert "withdrawn  QN:1" in lines[3]
    assert len(lines) == 5
    assert "0 alerts open, first alert 0.0 s after the start" in lines[4]


LATIN = {"waybill", "sentinel", "Kafka", "Apache", "MB", "worker", "Ctrl", "C", "http", "x", "metrics", "UTC", "QN"}
LATIN |= {"analyst", "station"}  # two users of the desk


@pytest.mark.parametrize("terminal", [False, True])
def test_in_chinese_nothing_is_left_in_english(terminal: bool) -> None:
    """Steps, figures, tiers and the last word; names of products aside."""
    out = io.StringIO()
    view = View("zh", time.monotonic(), Console(file=out, width=160, height=40, force_terminal=terminal, no_color=True))
    view._live = None
    view.figures = Figures(events=120, events_per_s=12.0, latency_p50_s=0.1, latency_p99_s=0.2)
    steps: tuple[Step, ...] = get_args(Step)
    for step in steps:
        view.say(step, "http://x/metrics", "x")
    view._console.print(view._render(40))  # before the first alert
    view.change(change(alert("1")))
    view.change(change(alert("2", status="withdrawn")))
    view.refresh()
    view._console.print(view._render(40))
    view.summary()
    said = re.sub(r"\x1b\[[\d;]*[a-zA-Z]|p50|p99|\bms\b|/s\b|[\d.]+ s\b", " ", out.getvalue())
    # What an alert says is looked at by its own tests.
    lines = [line for line in said.splitlines() if "QN:" not in line and "." not in line]
    assert {word for line in lines for word in re.findall("[A-Za-z]+", line)} <= LATIN


def test_on_a_terminal_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    view = View("zh", time.monotonic(), console)
    for number in range(60):
        view.change(change(alert(str(number))))
    with console.capture() as captured:
        console.print(view._render(24))
    lines = captured.get().splitlines()
    assert 20 <= len(lines) <= 23
    assert any("QN:59" in line for line in lines)


def test_the_picture_is_svg_and_needs_nothing_from_elsewhere() -> None:
    view = View("zh", time.monotonic(), Console(file=io.StringIO()), pictures=True)
    view.change(change(alert()))
    view.take_picture()
    svg = view.picture
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "font-face" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")
    width = {
        element.text: float(element.attrib["textLength"])
        for element in root.iter()
        if element.text and "textLength" in element.attrib
    }
    zh = next(text for text in width if "品名含管制物质或伪装名" in text)
    number = next(text for text in width if "QN:1004173697253" in text)
    assert width[zh] / cell_len(zh) == pytest.approx(width[number] / cell_len(number))
