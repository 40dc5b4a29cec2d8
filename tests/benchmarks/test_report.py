"""What a run gave is kept whole, and a peer that was not run is named, never left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.competition import Competition
from benchmarks.contestants import contestants
from benchmarks.contract import Loaded, Measured, Result
from benchmarks.report import Latency, Report
from streams.ops.broker import BrokerError, jars

LOADED = Loaded("nowhere", ("shipments",), 1_000, 480.0, frozenset({"YT:1"}))


def _run(wall_s: float, cpu_s: float) -> Result:
    return Result(1_000, Measured(0.5, wall_s, cpu_s, 100.0, (), 900.0, 80.0), LOADED.expected)


def _report() -> Report:
    everyone = contestants()
    results = {
        file: report.summary(everyone[file], LOADED, [_run(1.0 * slower, 0.1), _run(3.0 * slower, 0.3)])
        for slower, file in enumerate(("hand_loop_changelog", "kafka_streams"), start=1)
    }
    results["kafka_streams"] = replace(results["kafka_streams"], latency=Latency(300.0, 5, 12.0, 30.0, None, 40.0))
    return Report(
        "2026-11-30T00:00:00+00:00", "benchmarks", {"cores": "2"}, {"python": "3"}, results, {"flink": "gone"}
    )


def test_json_has_everything(tmp_path: Path) -> None:
    whole = _report()
    report.write(tmp_path / "it.json", whole)
    assert report.read(tmp_path / "it.json") == whole


def test_table_has_medians_ratios_guarantees_and_who_was_not_run() -> None:
    rows = {row[0]: dict(zip(report.COLUMNS[1:], row[1:], strict=True)) for row in report.rows(_report())}
    loop, streams = rows["hand-written loop with changelog"], rows["Kafka Streams"]
    assert (loop["events/s"], streams["× its changelog"]) == ("667", "0.50")
    assert (streams["alerts come"], streams["state"]) == ("exactly once", "durable")
    assert (streams["p50 ms"], streams["p99"], streams["p99.9"], loop["p99"]) == ("12", "30", "-", "-")
    assert rows["flink"]["alerts come"] == "not run"
    assert "not run: flink: gone" in report.markdown(_report())


@pytest.mark.parametrize(
    ("alerts", "p99_ms", "p999_ms"), [(10, None, None), (1_000, 990.0, None), (10_000, 9_900.0, 9_990.0)]
)
def test_a_percentile_is_told_where_some_alerts_took_longer(
    alerts: int, p99_ms: float | None, p999_ms: float | None
) -> None:
    took = report.latency(100.0, [(number + 0.0) / 1_000 for number in range(alerts)])
    assert took.p99_ms == pytest.approx(p99_ms) if p99_ms else took.p99_ms is None
    assert took.p999_ms == pytest.approx(p999_ms) if p999_ms else took.p999_ms is None
    assert took.worst_ms == pytest.approx(alerts - 1)


def test_a_peer_that_cannot_be_had_is_not_run_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_lock: Path) -> list[Path]:
        raise BrokerError("no route")

    monkeypatch.setattr(jars, "fetch", fails)
    chosen = {file: contestants()[file] for file in ("hand_loop", "kafka_streams", "flink")}
    competition = Competition(chosen, Console(quiet=True))
    competition.prepare()
    assert competition.outcome().not_run == {"kafka_streams": "no route", "flink": "no route"}
