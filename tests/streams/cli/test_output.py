"""Where commands write: standard output, compressed files, and names that are not UTF-8."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest

from rules.engine.folder import SHIPPED
from streams.cli import run
from streams.files.writing import whole
from tests import forked
from tests.backtests import changed_rules, traffic
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]

ROOT = Path(__file__).parents[3]
ODD = b"caf\xe9"  # as Latin-1 has it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traffic(tmp_path_factory.mktemp("traffic"), 150)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_rules(tmp_path_factory.mktemp("changed"))


def waybill(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    words = [os.fsdecode(word) if isinstance(word, bytes) else str(word) for word in arguments]
    return forked.waybill(*words, env=os.environ, cwd=cwd)


def undated(lines: bytes) -> list[dict[str, object]]:
    return [{**json.loads(line), "detected_at": 0} for line in lines.splitlines()]


@pytest.mark.parametrize("name", ["-", pytest.param("/dev/stdout", marks=pytest.mark.long)])
def test_what_goes_to_standard_output_is_alone_there(folder: Path, changed: Path, tmp_path: Path, name: str) -> None:
    judge = ("judge", folder, "--processes", 1, "--no-progress", "--out")
    assert waybill(*judge, "a.ndjson", cwd=tmp_path).returncode == 0
    piped = waybill(*judge, name, cwd=tmp_path)
    assert piped.returncode == 0, piped.stderr
    assert undated(piped.stdout) == undated((tmp_path / "a.ndjson").read_bytes())
    assert b" events, " in piped.stderr
    backtest = ("backtest", folder, "--rules", changed, "--processes", 1, "--no-progress")
    assert waybill(*backtest, "--out", "differ.ndjson", "--html", "page.html", cwd=tmp_path).returncode == 0
    listed = waybill(*backtest, "--out", name, cwd=tmp_path)
    assert listed.stdout == (tmp_path / "differ.ndjson").read_bytes() != b""
    assert b"parcels" in listed.stderr
    assert waybill(*backtest, "--html", name, cwd=tmp_path).stdout == (tmp_path / "page.html").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.ndjson", "a.rejects.ndjson", "differ.ndjson", "page.html"
    }  # fmt: skip


def test_rejects_are_written_where_they_are_told_to_be(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "scans.ndjson").write_bytes(b"{}\n")
    done = waybill("judge", "in", "--out", "-", "--rejects", "r.ndjson.gz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"r.ndjson.gz: 1 reject\n" in done.stderr
    assert json.loads(gzip.decompress((tmp_path / "r.ndjson.gz").read_bytes()))["reason"] == "missing_field"


@pytest.mark.parametrize(
    "arguments",
    [
        ["judge", "in", "--out", "-", "--shadow", "/dev/stdout"],
        ["judge", "in", "--out", "a.ndjson", "--rejects", "-", "--shadow", "-"],
        ["backtest", "in", "--rules", "r", "--out", "-", "--html", "-"],
        ["backtest", "in", "--rules", "r", "--out", "-", "--json"],
        ["backtest", "in", "--rules", "r", "--html", "-", "--json"],
        ["measures", "--html", "-", "--json"],
    ],
    ids=" ".join,
)
def test_two_things_on_standard_output_are_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "would both go to standard output" in capsys.readouterr().err


def test_nobody_reads_to_the_end_of_standard_output(folder: Path, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "judge", folder, "--out", "-"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=theirs, stderr=subprocess.PIPE,
        check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    os.close(theirs)
    assert done.returncode == 0
    assert b"rror" not in done.stderr


@pytest.mark.parametrize("name", ["a.ndjson.gz", "a.NDJSON.GZ", "a.ndjson.zst", "a.html.gz"])
def test_a_name_that_says_compressed_is_compressed(tmp_path: Path, name: str) -> None:
    text = b"one\ntwo\n" * 1_000
    with whole(tmp_path / name) as file:
        file.write(text[:4])
        file.writelines([text[4:]])
    packed = (tmp_path / name).read_bytes()
    assert len(packed) < len(text)
    if name.lower().endswith(".gz"):
        assert gzip.decompress(packed) == text
    else:
        assert pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd").read() == text
    with whole(tmp_path / name) as file:
        file.write(text)
    assert (tmp_path / name).read_bytes() == packed


def test_rejects_are_packed_as_the_alerts_are(folder: Path, tmp_path: Path) -> None:
    done = waybill("judge", folder, "--out", "a.ndjson.zst", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.ndjson.zst", "a.rejects.ndjson.zst"}
    assert all(path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd" for path in tmp_path.iterdir())


@pytest.mark.parametrize("end", ["parquet", "bz2", "xz", "zip", "XLSX", "7z", "lz4"])
def test_a_name_that_promises_another_format_is_refused(
    end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "scans.ndjson").touch()
    for option in ("--out", "--rejects", "--shadow"):
        out = [] if option == "--out" else ["--out", "a.ndjson"]
        assert run(["judge", "in", *out, option, f"b.{end}"]) == 1
        assert f"b.{end}: .{end} is not written here" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_folders_whose_names_are_not_utf_8(folder: Path, changed: Path, tmp_path: Path) -> None:
    """Whatever is printed of them is readable, and JSON stays JSON."""
    odd = tmp_path / os.fsdecode(ODD)
    odd.mkdir()
    (odd / "traffic").symlink_to(folder)
    (odd / "rules").symlink_to(changed)
    here, rules = ODD + b"/traffic", ODD + b"/rules"
    reported = waybill("backtest", here, "--processes", 1, "--rules", rules, "--json", "--progress", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    report = json.loads(reported.stdout)
    assert (report["source"], report["new"]["folder"]) == (r"caf\xe9/traffic", r"caf\xe9/rules")
    page = waybill("backtest", here, "--processes", 1, "--rules", rules, "--html", ODD + b"/p.html", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    assert rb"caf\xe9/p.html: written" in page.stdout
    assert r"caf\xe9/traffic" in (odd / "p.html").read_text(encoding="utf-8")
    judged = waybill("judge", here, "--processes", 1, "--out", ODD + b"/a.ndjson", "--rules", rules, cwd=tmp_path)
    assert rb"caf\xe9/a.ndjson: " in judged.stdout
    gone = waybill("judge", b"no-" + ODD, "--out", "a.ndjson", cwd=tmp_path)
    assert (gone.returncode, gone.stderr) == (1, b"waybill: error: no-caf\\xe9: no such folder\n")
    generated = waybill("generate", ODD + b"/made", "--parcels", "200", cwd=tmp_path)
    assert generated.stdout.startswith(rb"caf\xe9/made: ")


@pytest.mark.parametrize("as_json", [pytest.param([], marks=pytest.mark.long), ["--json"]], ids=["text", "json"])
def test_rules_in_folders_whose_names_are_not_utf_8(changed: Path, tmp_path: Path, as_json: list[str]) -> None:
    (tmp_path / os.fsdecode(ODD)).symlink_to(changed)
    rule = next(path for path in sorted(SHIPPED.glob("*/*.yaml")))
    name = f"{rule.parent.name}.{rule.stem}"
    broken = tmp_path / "broken" / os.fsdecode(ODD)
    broken.mkdir(parents=True)
    (broken / "goods").mkdir()
    (broken / "goods" / "x.yaml").write_text("title: [", encoding="utf-8")
    (broken / "goods" / os.fsdecode(ODD + b".yml")).touch()
    settings = ["settings", "--set", b"rules_dir=" + ODD]
    for command, code in (
        (["rules", "list", "--rules", ODD], 0),
        (["rules", "show", name, "--rules", ODD], 0),
        (["rules", "test", name, "--rules", ODD], 0),
        (["rules", "lint", "--rules", ODD], 0),
        (["rules", "lint", "--rules", b"broken/" + ODD], 1),
        (settings, 0),
    ):
        done = waybill(*command, *as_json, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert done.stdout.isascii() or done.stdout.decode()
        if as_json:
            assert [json.loads(line) for line in done.stdout.splitlines()]
        assert b"UnicodeEncodeError" not in done.stderr
