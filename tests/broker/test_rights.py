"""Rights, on a real broker with an authorizer: what a worker needs, and what is said of each that is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import topics
from streams.kafka.alerts import AlertReader
from streams.kafka.errors import ClientError, DeniedError
from streams.kafka.reader import Reader
from streams.kafka.rights import Right
from streams.kafka.roles import role
from streams.ops import preflight
from streams.ops.doctor import broker as doctor
from streams.ops.doctor.findings import Finding
from streams.settings import Settings
from streams.worker.grow import Growth
from tests.runs import open_alerts, run
from tests.secured import Secured
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher, Worker, expect
from tests.worlds import HOME, world

pytestmark = pytest.mark.broker

GROUP = "rights"
RIGHTS = [right for right in role("worker").rights(GROUP) if right.kind != "transactional id"]
WHERE_A_RULE_FLOODS = (topics.SHADOW, topics.NOTICES)
NAMES = [str(right) for right in RIGHTS]


def settings(secured: Secured, **more: object) -> Settings:
    return Settings(**secured.as_user("worker"), group=GROUP, **more)  # type: ignore[arg-type]


def test_a_reader_that_assigns_itself_needs_no_group(secured: Secured) -> None:
    Publisher(secured.servers).raw(topics.FEEDBACK, b"SF:1", b"{}")
    secured.allow("analyst", "READ", "topic", topics.FEEDBACK)
    config = {
        **secured.as_user("analyst")["kafka"],
        "bootstrap.servers": secured.as_user("analyst")["bootstrap_servers"],
    }
    with Reader(config) as reader:
        reader.assign({(topics.FEEDBACK, 0): 0})
        assert reader.bounds(topics.FEEDBACK, 0)[1] >= 0
        for _ in reader.to_end(silent_s=10):
            pass
        with pytest.raises(DeniedError, match=r"User:analyst READ on topic waybill\.rules"):
            _read_all(reader, topics.RULES)


def _read_all(reader: Reader, topic: str) -> None:
    reader.assign({(topic, 0): 0})
    for _ in reader.to_end(silent_s=1):
        pass


def test_an_analyst_needs_one_topic(secured: Secured) -> None:
    given = secured.as_user("analyst")
    with pytest.raises(DeniedError, match=r"User:analyst READ on topic waybill\.alerts.*--operation READ --topic"):
        AlertReader(given["bootstrap_servers"], client=given["kafka"])
    secured.allow("analyst", "READ", "topic", topics.ALERTS)
    with AlertReader(given["bootstrap_servers"], client=given["kafka"]) as reader:
        assert list(reader.to_end()) is not None


@pytest.mark.parametrize("missing", RIGHTS, ids=NAMES)
def test_a_worker_names_the_right_that_it_lacks_before_it_joins(
    secured: Secured, missing: Right, tmp_path: Path
) -> None:
    secured.allow_role("worker", GROUP, but=[missing])
    with pytest.raises(DeniedError) as refused:
        preflight.checked(settings(secured, state_dir=tmp_path))
    said = str(refused.value)
    assert f"User:worker {missing}" in said
    option = "--group" if missing.kind == "group" else "--topic"
    assert f"--allow-principal 'User:worker' --operation {missing.operation} {option} {missing.name}" in said
    assert "cluster" not in said.lower()


def test_no_right_at_all_is_not_called_no_topics(secured: Secured, tmp_path: Path) -> None:
    with pytest.raises(DeniedError) as refused:
        preflight.checked(settings(secured, state_dir=tmp_path))
    assert "no topics" not in str(refused.value)


def report(given: Settings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in doctor.checks(given):
        found.setdefault(finding.what, []).append(finding)
    return found


def test_the_doctor_finds_a_worker_with_exactly_its_rights_well(secured: Secured) -> None:
    secured.allow_role("worker", GROUP)
    found = report(settings(secured))
    assert {finding.status for finding in found["rights"]} == {"OK"}
    assert {finding.status for finding in found["keys"]} == {"OK"}
    assert not [finding for findings in found.values() for finding in findings if finding.status == "FAIL"]


@pytest.mark.parametrize(
    "missing",
    [
        Right("READ", "topic", topics.SCANS),
        Right("WRITE", "topic", topics.ALERTS),
        Right("READ", "group", GROUP),
        Right("WRITE", "transactional id", f"{GROUP}-", prefixed=True),
    ],
    ids=str,
)
def test_the_doctor_fails_for_what_it_is_denied_and_goes_on(secured: Secured, missing: Right) -> None:
    secured.allow_role("worker", GROUP, but=[missing])
    found = report(settings(secured))
    failed = [finding for finding in found["rights"] if finding.status == "FAIL"]
    named = str(missing).replace("-*", "-0")
    assert any(named in finding.says and "--add" in finding.advice for finding in failed), found["rights"]
    assert "clock" in found, "it went on"
    if missing.name == topics.SCANS:
        statuses = {finding.status: finding.says for finding in found["keys"]}
        assert missing.name in statuses["FAIL"]


@pytest.fixture
def workers(secured: Secured, tmp_path: Path) -> Iterator[list[Worker]]:
    """Two workers that are not started, of one group, with exactly their rights: by a certificate, and by tokens."""
    group = f"rights-{tmp_path.name}"
    ways = {"a": secured.by_certificate("worker"), "b": secured.by_token("worker")}
    secured.allow_role("worker", group)
    made = [
        Worker(
            given["bootstrap_servers"],
            tmp_path / name / "state",
            group=group,
            instance=name,
            kafka=json.dumps(given["kafka"]),
            give_up_after_ms=20_000,
            stalled_ms_max=10_000,
        )
        for name, given in ways.items()
    ]
    yield made
    for worker in made:
        worker.__exit__(None, None, None)


def test_a_worker_with_exactly_its_rights_starts_restores_and_rebalances_and_its_topics_grow(
    secured: Secured, workers: list[Worker], tmp_path: Path
) -> None:
    group = f"rights-{tmp_path.name}"
    first, second = workers
    records = world(7, parcels=40)
    first.start().ready()
    publish = Publisher(secured.servers)
    publish(records[: len(records) // 2])
    second.start().ready()  # it has no state: all of its partitions come from the changelog
    publish(records[len(records) // 2 :])  # facts of one go to parcels of the other
    publish.raw(topics.SCANS, b"SF:1", b"no JSON")
    wanted = open_alerts(run(records, settings=Settings(home_adcodes=HOME)))
    expect(secured.servers, wanted, first).close()
    needed = {right for right in role("worker").rights(group) if right.name not in WHERE_A_RULE_FLOODS}
    until(lambda: needed <= secured.used("worker"), lambda: str([*map(str, needed - secured.used("worker"))]))
    assert first.stop() == 0
    second.ready(times=2)
    assert second.stop() == 0

    publish(records)  # unread: what is in another partition then is written anew
    secured.allow_role("maintainer", group)
    given = Settings(**secured.by_scram("maintainer"), group=group, state_dir=tmp_path / "grow")
    with Growth(given, 3, say=lambda _: None, advance=lambda *_: None) as growth:
        growth.run(growth.look(), 0.0)
    unused = set(role("maintainer").rights(group)) - secured.used("maintainer")
    assert {right.name for right in unused} <= {topics.OBSERVATIONS, topics.FACTS}, "left unread by workers that died"


def test_a_right_that_is_taken_away_ends_a_worker_that_runs(secured: Secured, workers: list[Worker]) -> None:
    first, _ = workers
    first.start().ready()
    secured.deny_all()
    Publisher(secured.servers)(world(8, parcels=5))
    deadline = time.monotonic() + PATIENCE_S
    while first.alive and time.monotonic() < deadline:
        time.sleep(0.2)
    assert first.ended() == 1
    assert "the broker denies the principal of this client's certificate" in first.told(3)


def test_reading_without_any_right_says_which(secured: Secured) -> None:
    given = secured.as_user("nobody")
    config = {**given["kafka"], "bootstrap.servers": given["bootstrap_servers"]}
    with Reader(config) as reader, pytest.raises(ClientError, match=r"READ on topic waybill\.rules"):
        reader.bounds(topics.RULES, 0)


def test_who_grows_topics_is_told_what_right_is_missing(secured: Secured, tmp_path: Path) -> None:
    missing = Right("ALTER", "topic", topics.SHIPMENTS)
    secured.allow_role("maintainer", GROUP, but=[missing], user="worker")
    given = settings(secured, state_dir=tmp_path)
    with Growth(given, 9, say=lambda _: None, advance=lambda *_: None) as growth, pytest.raises(DeniedError) as told:
        growth.look(alone=False)
    assert f"User:worker {missing};" in str(told.value)
    assert "--operation ALTER" in str(told.value)
