"""`waybill judge`: planted cases are caught, the order of lines means nothing, what cannot be read is told.

Alerts are compared in all but `detected_at`, the wall clock, and `sources`, where they were read.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules import load_catalogue
from rules.engine.folder import SHIPPED
from schemas import topics
from schemas.apart import Shadow
from schemas.inputs import INPUTS
from schemas.records import Alert, Reject, encode
from streams import native
from streams.cli import run
from streams.files import bulk, reading, shuffle
from streams.files.bulk import judge_folder
from streams.files.driver import TOPIC_OF, Offline
from streams.files.opening import FilesError
from streams.files.reading import EVENTS, NAMES
from streams.files.writing import beside
from streams.flow.front.tables import fingerprint
from streams.generate import generate, write
from streams.settings import Settings
from tests import reference, worlds
from tests.packing import pack
from tests.repetition import seeds
from tests.worlds import Record, shuffled, world

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]

HOME = "430421"
# With 20 points each and alerts from `low`, every parcel of which any rule says yes has an alert.
EVERY_YES: dict[str, Any] = {
    "emit_from": "low",
    "rule_overrides": {rule.id: {"points": 20} for rule in load_catalogue().rules},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traffic of which a fifth is planted."""
    folder = tmp_path_factory.mktemp("traffic")
    write(generate(1_000, 11, days=3, planted_share=0.2, home_adcodes=(HOME,)), folder, force=True)
    return folder


def judged(folder: Path, processes: int = 1, **given: Any) -> dict[str, Alert]:
    """The alerts that `judge_folder` writes, by parcel, in their order."""
    out = folder / "alerts.ndjson"
    settings = Settings(**given)
    judge_folder(folder, out, settings, load_catalogue(None, settings.rule_overrides), processes=processes)
    return {f"{alert.carrier_code}:{alert.waybill_no}": alert for alert in read_alerts(out)}


def read_alerts(path: Path) -> list[Alert]:
    return msgspec.json.Decoder(list[Alert]).decode(b"[" + b",".join(path.read_bytes().splitlines()) + b"]")


def content(alerts: dict[str, Alert]) -> dict[str, Alert]:
    return {parcel: msgspec.structs.replace(a, detected_at=0, sources=()) for parcel, a in alerts.items()}


def lines_of(folder: Path) -> dict[str, list[bytes]]:
    return {name: (folder / f"{name}.ndjson").read_bytes().splitlines() for name in NAMES.values()}


def put(folder: Path, lines: dict[str, list[bytes]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, each in lines.items():
        (folder / f"{name}.ndjson").write_bytes(b"".join(line + b"\n" for line in each))
    return folder


def put_records(folder: Path, records: Sequence[Record]) -> Path:
    lines: dict[str, list[bytes]] = {name: [] for name in NAMES.values()}
    for record in records:
        lines[NAMES[TOPIC_OF[type(record)]]].append(encode(record))
    return put(folder, lines)


def test_every_planted_case_is_caught_and_its_quiet_neighbours_are_not(folder: Path) -> None:
    alerts = judged(folder, home_adcodes=HOME, **EVERY_YES)
    says = {parcel: {reason.rule for reason in alert.reasons} for parcel, alert in alerts.items()}
    known = reference.known(load_catalogue())
    truth = [json.loads(line) for line in (folder / "truth.ndjson").read_bytes().splitlines()]
    caught: set[str] = set()
    for row in truth:
        wanted = set(row["rules"]) & known
        assert wanted <= says.get(row["parcel"], set()), row
        assert not set(row["quiet"]) & known & says.get(row["parcel"], set()), row
        caught |= wanted
    assert caught == known  # the traffic has a case of every rule that the specification has


@pytest.mark.parametrize("seed", seeds(1, first=1))
def test_it_says_what_the_specification_says(seed: int, tmp_path: Path) -> None:
    records = world(seed, 120)
    alerts = judged(put_records(tmp_path / "world", records), home_adcodes=worlds.HOME, **EVERY_YES)
    known = reference.known(load_catalogue())
    for parcel, answers in reference.answers(records).items():
        alert = alerts.get(parcel)
        mine = {reason.rule for reason in alert.reasons} if alert else set()
        assert (alert is None) == (not mine), parcel
        assert mine & known == {rule for rule in known if answers[rule]}, parcel
        if alert is not None:
            assert set(alert.unknown) & known == {rule for rule in known if answers[rule] is None}, parcel


def test_it_says_so_when_every_record_of_a_kind_of_reference_data_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put_records(tmp_path / "world", world(1, 20))
    (path,) = folder.glob("reference*")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.replace('"adcode"', '"place"') for line in lines), encoding="utf-8")
    judged(folder)
    said = [record.getMessage() for record in caplog.records]
    assert [text.startswith(f"{path}: every outlet record was refused (") for text in said] == [True]
    assert "reference.schema.json" in said[0]


def test_it_writes_what_is_in_shadow(tmp_path: Path) -> None:
    """As the worker sends it, sorted by parcel; the alerts are those of the live rules."""
    records = world(6, 100)
    settings = Settings(home_adcodes=worlds.HOME)
    catalogue = load_catalogue(
        overrides={rule: {"mode": "shadow"} for rule in ("route.priority_origin", "sender.first_seen")}
    )
    worker = Offline(settings, catalogue)
    worker.feed(worker.batches(records))
    worker.close()
    out, shadow = tmp_path / "alerts.ndjson", tmp_path / "shadow.ndjson"
    summary = judge_folder(put_records(tmp_path / "world", records), out, settings, catalogue, shadow=shadow)
    found = [msgspec.json.decode(line, type=Shadow) for line in shadow.read_bytes().splitlines()]
    assert summary.shadows == len(found) > 3
    open_ones = [worker.shadows[key] for key in sorted(worker.shadows) if worker.shadows[key].status == "open"]
    assert [msgspec.structs.replace(each, detected_at=0) for each in found] == open_ones
    assert content({each.alert_id: each for each in read_alerts(out)}) == content(
        {each.alert_id: each for each in worker.open_alerts()}
    )


@pytest.mark.parametrize("seed", seeds(1, first=3))
def test_it_gives_the_alerts_of_the_worker(seed: int, tmp_path: Path) -> None:
    """The same functions fed a few events at a time, revising as they go."""
    records = world(seed, 150)
    settings = Settings(home_adcodes=worlds.HOME, **EVERY_YES)
    worker = Offline(settings, load_catalogue(None, settings.rule_overrides))
    rng = random.Random(seed)
    rest = list(records)
    rest = shuffled(rest, rng)
    while rest:
        some = rng.randint(1, 60)
        worker.feed(worker.batches(rest[:some]))
        del rest[:some]
    worker.close()
    expected = {f"{alert.carrier_code}:{alert.waybill_no}": alert for alert in worker.open_alerts()}
    assert len(expected) > 50
    found = judged(put_records(tmp_path / "world", records), home_adcodes=worlds.HOME, **EVERY_YES)
    assert content(found) == content(expected)


def _as_they_are(lines: list[bytes]) -> list[bytes]:
    return lines


def _shuffled(lines: list[bytes]) -> list[bytes]:
    return random.Random(1).sample(lines, len(lines))


def _doubled(lines: list[bytes]) -> list[bytes]:
    return random.Random(2).sample(lines * 2, len(lines) * 2)


def _reversed(lines: list[bytes]) -> list[bytes]:
    return [line + b"\r" for line in reversed(lines)]


_MANY, _FEW = (50_000, 4_000_000), (500, 200_000)  # at a time: rows of a slice, bytes of a block


@pytest.mark.parametrize(
    ("arranged", "sizes"),
    [
        (_as_they_are, _FEW), (_shuffled, _MANY), (_doubled, _FEW), (_reversed, _MANY),
        pytest.param(_shuffled, _FEW, marks=pytest.mark.long), pytest.param(_reversed, _FEW, marks=pytest.mark.long),
        pytest.param(_doubled, _MANY, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_order_and_repetition_of_lines_mean_nothing(
    arranged: Callable[[list[bytes]], list[bytes]],
    sizes: tuple[int, int],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = judged(folder, **EVERY_YES)
    monkeypatch.setattr(shuffle, "ROWS_MIN", sizes[0])
    monkeypatch.setattr(reading, "BLOCK_BYTES", sizes[1])
    lines = lines_of(folder)
    again = put(
        tmp_path / "again", {name: each if name == "reference" else arranged(each) for name, each in lines.items()}
    )
    alerts = judged(again, **EVERY_YES)
    assert len(alerts) > 500
    assert list(alerts) == sorted(alerts, key=str.encode)
    assert content(alerts) == content(expected)


def test_rows_in_files_and_many_processes_give_the_same_alerts(
    folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content(judged(folder, **EVERY_YES))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr("streams.files.lines.SHARE_BYTES", 500_000)
    monkeypatch.setattr(shuffle, "ROWS_MIN", 2_000)
    monkeypatch.setattr(bulk, "HELD_BYTES_MAX", 1)
    monkeypatch.setattr(bulk, "PROCESS_BYTES_MIN", 1)
    parquet = tmp_path_factory.mktemp("parquet")
    write(generate(1_000, 11, days=3, planted_share=0.2, home_adcodes=(HOME,)), parquet, form="parquet")
    for processes, place in ((1, folder), (2, folder), (2, parquet)):
        assert content(judged(place, processes=processes, **EVERY_YES)) == expected
        assert not list(tmp_path.iterdir())  # what lay there in between is gone


@pytest.mark.parametrize("held", [0, 1_000_000], ids=["in files", "in memory"])
def test_a_parcel_without_a_shipment_keeps_its_whole_name(
    held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "HELD_BYTES_MAX", held)
    numbers = [f"{'9' * 20}运{number:020}" for number in range(3)]
    scans = [
        {"event_id": number, "schema_version": 1, "carrier_code": "YTO", "waybill_no": number, "scan_type": "departed",
         "scanned_at": worlds.START, "facility_id": "F", "facility_adcode": "440111"}
        for number in numbers
    ]  # fmt: skip
    folder = put(tmp_path / "scans", {"scans": [json.dumps(scan).encode() for scan in scans]})
    assert list(judged(folder, **EVERY_YES)) == [f"YTO:{number}" for number in numbers]


@pytest.mark.skipif(bool(native.missing(fingerprint())), reason="the native front end is not built")
def test_python_alone_gives_the_same_alerts(folder: Path) -> None:
    assert content(judged(folder, native="0", **EVERY_YES)) == content(judged(folder, native="1", **EVERY_YES))


def test_parquet_gives_the_same_alerts(folder: Path, tmp_path: Path) -> None:
    write(generate(1_000, 11, days=3, planted_share=0.2, home_adcodes=(HOME,)), tmp_path / "p", form="parquet")
    alerts = judged(tmp_path / "p")
    assert content(alerts) == content(judged(folder))
    assert {parcel: alert.sources for parcel, alert in alerts.items()} == {
        parcel: alert.sources for parcel, alert in judged(folder).items()
    }


@pytest.mark.parametrize("form", ["jsonl", "ndjson.gz", "jsonl.zst"])
def test_packed_files_give_the_same_alerts(folder: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "packed").mkdir()
    for name, lines in lines_of(folder).items():
        pack(tmp_path / "packed" / f"{name}.{form}", b"\n".join(lines))
    assert content(judged(tmp_path / "packed")) == content(judged(folder))


def test_files_that_are_not_read_are_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "some", {"shipments": lines_of(folder)["shipments"][:5]})
    for name in ("Scans.NDJSON", "scans.csv", "truth.ndjson"):
        (tmp_path / "some" / name).touch()
    assert run(["judge", "some", "--out", "some/a.ndjson", "--no-progress"]) == 0
    assert capsys.readouterr().err.startswith("waybill: some: not read: Scans.NDJSON, scans.csv; what is read is ")
    assert run(["backtest", "some", "--rules", str(SHIPPED), "--no-progress"]) == 0
    assert "not read: Scans.NDJSON, a.ndjson, a.rejects.ndjson, scans.csv;" in capsys.readouterr().err


def test_the_exit_code_says_that_most_lines_of_a_file_were_rejected(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(folder)
    put(tmp_path / "some", {**lines, "inspections": [b"{}"] * 3 + lines["inspections"][:3]})
    assert run(["judge", "some", "--out", "a.ndjson", "--no-progress"]) == 0
    put(tmp_path / "some", {"inspections": [b"{}"] * 3 + lines["inspections"][:2]})
    capsys.readouterr()
    assert run(["judge", "some", "--out", "a.ndjson", "--no-progress"]) == 4
    assert (
        capsys.readouterr().err
        == f"waybill: most lines of {topics.INSPECTIONS} were rejected: the result means little\n"
    )
    assert run(["backtest", "some", "--rules", str(SHIPPED), "--max-lost", "0", "--no-progress"]) == 4


def test_sources_are_the_lines_of_the_parcel(folder: Path) -> None:
    lines = {topic: (folder / f"{name}.ndjson").read_bytes().splitlines() for topic, name in EVENTS.items()}
    events: dict[str, set[str]] = {}
    for each in lines.values():
        for line in each:
            record = json.loads(line)
            parcel = f"{record['carrier_code']}:{record['waybill_no']}"
            events.setdefault(parcel, set()).add(record["event_id"])
    superseded = 0
    for parcel, alert in judged(folder).items():
        named = [json.loads(lines[source.topic][source.offset]) for source in alert.sources]
        assert {source.partition for source in alert.sources} == {0}
        assert {f"{record['carrier_code']}:{record['waybill_no']}" for record in named} == {parcel}
        superseded += len(events[parcel] - {record["event_id"] for record in named})
        assert alert.revision >= len(named)
    assert superseded < 10  # corrected uploads: only the one that stands is a source


def test_what_cannot_be_read_is_told_and_stops_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(folder)
    good = {name: len(each) for name, each in lines.items()}
    wide = Settings().event_bytes_max + 1
    spoiled = [b"", b"{", b"\xff{}", b"null", b"x" * wide, b'{"event_id": 7}']
    reasons = ["empty", "invalid_json", "invalid_utf8", "wrong_type", "oversized", "wrong_type"]
    lines["scans"][5:5] = spoiled
    lines["inspections"].append(lines["shipments"][0])
    put(tmp_path / "bad", lines)
    with (tmp_path / "bad" / "inspections.ndjson").open("ab") as file:
        file.write(b"y" * 10_000_000)  # longer than is ever kept, and without an end
    assert run(["judge", "bad", "--out", "alerts.ndjson", "--home-adcodes", HOME]) == 0
    rejects = [
        msgspec.json.decode(line, type=Reject)
        for line in (tmp_path / "alerts.rejects.ndjson").read_bytes().splitlines()
    ]
    at = [(reject.topic, reject.partition, reject.offset, reject.reason) for reject in rejects]
    last = good["inspections"]
    assert at == [
        *((topics.SCANS, 0, 5 + i, reason) for i, reason in enumerate(reasons)),
        (topics.INSPECTIONS, 0, last, "missing_field"),
        (topics.INSPECTIONS, 0, last + 1, "oversized"),
    ]
    assert rejects[-1].detail == "10000000 bytes, at most 65536"
    said = capsys.readouterr().out.splitlines()
    assert "rejected: 2 of waybill.scans: wrong_type" in said
    assert "rejected: 1 of waybill.inspections: oversized" in said
    events = sum(good.values()) + len(rejects)
    assert said[-1].startswith(f"alerts.ndjson: {events:,} events, 8 rejects, 1,000 parcels, ")
    alerts = [json.loads(line) for line in (tmp_path / "alerts.ndjson").read_bytes().splitlines()]
    expected = judged(folder, home_adcodes=HOME)
    assert [alert["waybill_no"] for alert in alerts] == [alert.waybill_no for alert in expected.values()]
    assert f" {len(alerts):,} alerts (" in said[-1]


def test_a_kind_of_event_may_be_missing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(folder)
    put(tmp_path / "some", {"shipments": lines["shipments"]})
    assert run(["judge", "some", "--out", "some.ndjson", "--progress"]) == 0
    captured = capsys.readouterr()
    lacking = " and ".join(f"no {each.stem}" for each in INPUTS if each.stem != "shipments")
    assert f"there were {lacking}\n" in captured.out
    assert "judging" in captured.err
    found = read_alerts(tmp_path / "some.ndjson")
    assert len(found) > len(judged(folder))
    assert all("journey.ghost" in {reason.rule for reason in alert.reasons} for alert in found)
    assert (tmp_path / "some.rejects.ndjson").read_bytes() == b""
    # Without shipments nothing is known of a parcel but where it has been, and that it should not have been there.
    put(tmp_path / "scans", {"scans": lines["scans"]})
    assert run(["judge", "scans", "--out", "lost"]) == 0
    rules = {tuple(reason.rule for reason in alert.reasons) for alert in read_alerts(tmp_path / "lost")}
    assert rules == {("journey.departed_uninspected", "journey.unregistered")}
    assert (tmp_path / "lost.rejects.ndjson").read_bytes() == b""


def test_rules_and_settings_of_the_command_line_hold(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["judge", str(folder), "--out", "a.ndjson", "--set", "emit_from=extreme"]) == 0
    tiers = {json.loads(line)["tier"] for line in (tmp_path / "a.ndjson").read_bytes().splitlines()}
    assert tiers == {"extreme"}
    for arguments, code, message in (
        (["--rules", str(tmp_path)], 1, "no rules here"),
        (["--home-adcodes", "4304x"], 2, "home_adcodes.0 is no GB/T 2260 prefix"),
        (["--set", 'rule_overrides={"no.rule": {"points": 1}}'], 1, "no such rule"),
    ):
        capsys.readouterr()
        assert run(["judge", str(folder), "--out", "b.ndjson", *arguments]) == code
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
    assert not (tmp_path / "b.ndjson").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone", "--out", "a.ndjson"], "gone: no such folder"),
        (["empty", "--out", "a.ndjson"], f"empty: no {', '.join(each.stem for each in INPUTS)}, reference here"),
        (["full", "--out", "gone/a.ndjson"], "gone: no such folder"),
        (["full", "--out", "full"], "full: not a regular file"),
        (["full", "--out", "full/scans.ndjson"], "full/scans.ndjson: holds events to judge"),
        (["full", "--out", "a.ndjson", "--shadow", "full/../a.ndjson"], "full/../a.ndjson: would be written twice"),
        (["full", "--out", "a.ndjson", "--shadow", "link"], "link: would be written twice"),
        (["full", "--out", "full/a.ndjson", "--shadow", "full/a.rejects.ndjson"], "full/a.rejects.ndjson: would be"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path / "full", {"scans": [b"{}"]})
    (tmp_path / "link").symlink_to("a.ndjson")
    assert run(["judge", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"waybill: error: {message}")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.rglob("*a.*ndjson*"))
    assert (tmp_path / "full" / "scans.ndjson").read_bytes() == b"{}\n"


def test_an_unreadable_file_leaves_the_earlier_alerts(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alerts.ndjson").write_bytes(b"earlier\n")
    (tmp_path / "scans.parquet").write_bytes(b"PAR1")
    settings = Settings()
    with pytest.raises(FilesError, match=r"scans\.parquet: not readable as Parquet"):
        judge_folder(tmp_path, tmp_path / "alerts.ndjson", settings, load_catalogue())
    assert {path.name for path in tmp_path.iterdir()} == {"alerts.ndjson", "scans.parquet"}
    assert (tmp_path / "alerts.ndjson").read_bytes() == b"earlier\n"


def test_every_file_named_like_the_alerts_has_its_own_rejects() -> None:
    names = {name: str(beside(Path(name))) for name in ("a.ndjson", "a.jsonl.gz", "a", "a.2026-01-01", "-")}
    assert names == {
        "a.ndjson": "a.rejects.ndjson",
        "a.jsonl.gz": "a.rejects.ndjson.gz",
        "a": "a.rejects.ndjson",
        "a.2026-01-01": "a.2026-01-01.rejects.ndjson",
        "-": "None",
    }
