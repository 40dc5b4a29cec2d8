"""What operators meet: two workers of one name, state that is gone, partitions that were added, offsets to be set."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas import topics
from streams.kafka import admin
from tests import command
from tests.command import Done
from tests.runs import open_alerts, run
from tests.waiting import PATIENCE_S, until
from tests.workers import ROOT, SESSION_MS, Publisher, Worker, expect
from tests.worlds import world

pytestmark = pytest.mark.broker


def ends(worker: Worker) -> str:
    """Wait for a worker to end by itself with 1; the last line that it said."""
    until(lambda: not worker.alive, worker.told)
    assert worker.ended() == 1, worker.told()
    return worker.last_words()


def page(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def port_of(worker: Worker) -> int:
    """Where its pages are, by what it said."""
    (line,) = [line for line in worker.told().splitlines() if "pages at http://" in line][-1:]
    return int(line.partition("http://127.0.0.1:")[2].partition("/")[0])


def test_a_second_worker_of_one_name_whose_port_is_taken_leaves_the_first_alone(
    fresh_kafka: str, tmp_path: Path
) -> None:
    """Elsewhere, so that no lock of a folder tells them apart."""
    records = world(4, 40)
    with Worker(fresh_kafka, tmp_path / "first" / "state", group="waybill-twins") as first:
        first.ready()
        taken = port_of(first)
        second = Worker(fresh_kafka, tmp_path / "second" / "state", group="waybill-twins", web_port=taken)
        with second:
            assert f"web_port: {taken} on 127.0.0.1 is taken" in ends(second)
        Publisher(fresh_kafka)(records)
        expect(fresh_kafka, open_alerts(run(records)), first).close()
        assert first.stop() == 0
        assert not first.says("fenced")


def test_a_changelog_that_is_empty_where_it_must_not_be_is_refused(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(5, 40)
    Publisher(fresh_kafka)(records)
    with Worker(fresh_kafka, tmp_path / "before" / "state", group="waybill-lost") as worker:
        expect(fresh_kafka, open_alerts(run(records)), worker).close()
        assert worker.stop() == 0
    client = AdminClient({"bootstrap.servers": fresh_kafka, "log_level": 0})
    for deleted in client.delete_topics([topics.PARCELS_CHANGELOG]).values():
        deleted.result(PATIENCE_S)
    admin.create(fresh_kafka, 4)
    with Worker(fresh_kafka, tmp_path / "after" / "state", group="waybill-lost") as worker:
        line = ends(worker)
    assert f"{topics.PARCELS_CHANGELOG}[" in line
    assert "`waybill offsets reset --to earliest`" in line
    with Worker(fresh_kafka, tmp_path / "accepted" / "state", accept_lost_state="true", group="waybill-lost") as worker:
        worker.ready()
        assert worker.stop() == 0


def test_a_changelog_is_not_called_lost_where_nothing_could_be_read(fresh_kafka: str, tmp_path: Path) -> None:
    """All that came so far was rejected, and so the group has read on without any state."""
    publish = Publisher(fresh_kafka)
    for number in range(20):
        publish.raw(topics.SHIPMENTS, f"SF:{number}".encode(), b"{not json")
    publish.flush()
    with Worker(fresh_kafka, tmp_path / "before" / "state", group="waybill-rejects") as worker:
        worker.ready()
        deadline = time.monotonic() + PATIENCE_S
        while not offsets(fresh_kafka, "waybill-rejects") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert worker.stop() == 0
    with Worker(fresh_kafka, tmp_path / "after" / "state", group="waybill-rejects") as worker:
        worker.ready()
        assert worker.stop() == 0


def test_partitions_that_were_added_are_seen_at_once(fresh_kafka: str, tmp_path: Path) -> None:
    with Worker(fresh_kafka, tmp_path / "state", group="waybill-grown") as worker:
        worker.ready()
        port = port_of(worker)
        assert page(port, "/ready")[0] == 200
        client = AdminClient({"bootstrap.servers": fresh_kafka, "log_level": 0})
        for grown in client.create_partitions([NewPartitions(topics.SCANS, 6)]).values():
            grown.result(PATIENCE_S)
        line = ends(worker)
        assert f"partition counts have changed from 4 ({topics.SCANS} 6)" in line
        assert "`waybill topics grow --partitions 6`" in line
    with Worker(fresh_kafka, tmp_path / "state", group="waybill-grown") as worker:
        line = ends(worker)
        assert "partition counts differ" in line
        assert "`waybill topics grow --partitions 6`" in line
    done = waybill(fresh_kafka, "doctor", "--state-dir", str(tmp_path), "--set", "web_port=0")
    assert done.returncode == 1
    assert "`waybill topics grow --partitions 6`" in done.stdout
    done = waybill(fresh_kafka, "topics", "grow", "--partitions", "5", "--set", f"state_dir={tmp_path}")
    assert done.returncode == 1
    assert f"{topics.SCANS} 6 have more, and Kafka takes no partition away; give 6 or more" in done.stderr
    done = waybill(
        fresh_kafka, "topics", "grow", "--partitions", "6", "--dry-run",
        "--set", f"state_dir={tmp_path}", "--set", "group=waybill-grown",
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "nothing was changed"), done.stderr
    assert {each.partitions for each in admin.look(fresh_kafka, [topics.SCANS, topics.SHIPMENTS])} == {4, 6}


def waybill(servers: str, *arguments: str) -> Done:
    """The command line with the settings of these tests."""
    return command.waybill(
        *arguments, env={"KAFKA_BOOTSTRAP_SERVERS": servers, "WAYBILL_SESSION_TIMEOUT_MS": str(SESSION_MS)}
    )


def test_the_doctor_says_so_when_every_record_of_a_kind_of_reference_data_is_refused(
    fresh_kafka: str, tmp_path: Path
) -> None:
    outlet: dict[str, object] = {
        "kind": "outlet", "id": "O1", "outlet_id": "O1", "enterprise_id": "E1", "adcode": "440303",
        "lon": 113.0, "lat": 22.5, "fixed": True,
    }  # fmt: skip
    courier: dict[str, object] = {"kind": "courier", "id": "C1", "carrier_code": "SF"}  # without most of its fields

    def report(*records: dict[str, object]) -> tuple[int, str]:
        producer = Producer({"bootstrap.servers": fresh_kafka})
        for record in records:
            key = f"{record['kind']}:{record['id']}"
            producer.produce(topics.REFERENCE, key=key, value=json.dumps(record))
        assert producer.flush(PATIENCE_S) == 0
        done = waybill(fresh_kafka, "doctor", "--state-dir", str(tmp_path), "--set", "web_port=0")
        return done.returncode, done.stdout

    code, text = report(outlet, courier)
    assert code == 1
    assert "waybill.reference: every courier record was refused (" in text
    assert "every outlet record" not in text
    assert "reference.schema.json" in text

    code, text = report({**outlet, "adcode": "nowhere", "id": "O2"})
    assert "every outlet record" not in text  # one of them is in force


def offsets(servers: str, group: str) -> dict[tuple[str, int], int]:
    """What `waybill offsets show` says is committed."""
    done = waybill(servers, "offsets", "show", "--json", "--set", f"group={group}")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(each["topic"], each["partition"]): each["committed"] for each in found if each["committed"] is not None}


def test_offsets_are_set_at_once_after_a_clean_stop_and_read_again(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(6, 40)
    wanted = open_alerts(run(records))
    group = "waybill-offsets"
    Publisher(fresh_kafka)(records)
    with Worker(fresh_kafka, tmp_path / "state", group=group) as worker:
        expect(fresh_kafka, wanted, worker).close()
        refused = waybill(fresh_kafka, "offsets", "reset", "--to", "earliest", "--set", f"group={group}")
        assert (refused.returncode, "stop all its workers" in refused.stderr) == (1, True)
        assert worker.stop() == 0
    done = waybill(fresh_kafka, "offsets", "reset", "--to", "earliest", "--set", f"group={group}")
    assert done.returncode == 0, done.stderr
    assert set(offsets(fresh_kafka, group).values()) == {0}
    with Worker(fresh_kafka, tmp_path / "state", group=group) as worker:
        worker.ready()
        deadline = time.monotonic() + PATIENCE_S
        while not any(offsets(fresh_kafka, group).values()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert any(offsets(fresh_kafka, group).values()), "read again"
        expect(fresh_kafka, wanted, worker).close()
    for to in ("999999", "yesterday"):
        done = waybill(fresh_kafka, "offsets", "reset", "--to", to, "--dry-run", "--set", f"group={group}")
        assert (done.returncode, "give earliest, latest" in done.stderr) == (1, True)


def test_a_state_folder_that_cannot_be_had_is_told_of_by_its_setting(fresh_kafka: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = waybill(fresh_kafka, "worker", "--state-dir", str(tmp_path / "file" / "s"), "--web-port", "0")
    assert done.returncode == 1
    assert f"state_dir {tmp_path}/file/s: Not a directory; name a folder that the worker may write" in done.stderr


def test_a_broker_in_the_background_obeys_ctrl_c_as_a_worker_does(tmp_path: Path) -> None:
    """A shell without job control starts those with SIGINT ignored."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        broker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "broker", "run", "--port", "0"],
            cwd=ROOT, stdout=output, stderr=output, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "Ctrl-C ends it" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        broker.send_signal(signal.SIGINT)
        assert broker.wait(PATIENCE_S) == 130
    finally:
        broker.kill()
