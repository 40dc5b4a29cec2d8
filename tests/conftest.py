"""The run as a whole: how it is spread over processes, what it leaves out, and the broker.

Tests with a broker wait more than they compute. They go out each by itself to whatever process is free, the long ones
first, and the files of the others go out between them: so some processes compute while some wait. `pytest` without
`-n` runs them all in one process, in the same order.

kafka           bootstrap servers, nothing said of topics
fresh_topics    a function of the partition count that empties the broker of our topics, creates them anew and returns
                bootstrap servers
fresh_kafka     the same, done, with four partitions
secured         another broker, which asks for a login and knows rights
"""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from rules import load_catalogue
from schemas.topics import TOPICS
from streams.kafka import admin as topics
from streams.kafka.cluster import Cluster
from streams.ops import broker
from tests import reference, repetition
from tests.secured import Secured

# Tests delete all topics. On a broker of yours that needs your word for it, unless there is nothing to lose.
MAY_DELETE_ENV = "WAYBILL_TESTS_MAY_DELETE"
_GIVEN = bool(os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "").strip())  # as this process found it: tests change it

gc.disable()  # what is made until all tests are collected is kept: to look for garbage in it takes a third of that time
repetition.use_profile()
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # processes of tests inherit that it is ignored, under nohup say


def pytest_report_header() -> list[str]:
    """The live rules that the reference judge does not know: their own cases are all that is played of them."""
    unknown = reference.unknown(load_catalogue())
    return [f"reference judge: does not know {', '.join(unknown)}"] if unknown else []


@pytest.hookimpl(wrapper=True)  # what stands before the yield comes before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.get_closest_marker("long") and not repetition.LONG:
            item.add_marker(pytest.mark.skip(reason="repetition; `make test-long` runs it"))
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    items[:] = _spread(items)
    yield


def pytest_collection_finish() -> None:
    """From here on there is garbage, but not among what was collected."""
    gc.freeze()
    gc.enable()


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Those that compute, file by file, evenly between those that wait."""
    waiting = sorted(filter(_waits, items), key=lambda item: item.get_closest_marker("chaos") is None)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if not _waits(item):
            files.setdefault(item.path, []).append(item)
    out: list[pytest.Item] = []
    for number, file in enumerate(files.values(), 1):
        out += [*waiting[len(waiting) * (number - 1) // len(files) : len(waiting) * number // len(files)], *file]
    return out or waiting


def _waits(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("broker", "chaos", "containers"))


def _group(item: pytest.Item) -> str | None:
    """What the test runs in one process with; None: nothing, it is by itself."""
    if item.get_closest_marker("containers"):  # they share the images, which are built by the first
        return "containers"
    if "_secured" in getattr(item, "fixturenames", ()):  # one broker more, but not for each process
        return "secured"
    if _waits(item):  # a broker of yours has one set of topics, which each test makes anew
        return "broker" if _GIVEN else None
    return str(item.path.relative_to(item.config.rootpath))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which tests did not run, and why, however many processes there were."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"NOT RUN: {count} tests: {reason}", yellow=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka; a broker that cannot be had is an error.

    Each process of a run has its own: topics have fixed names, and tests make them anew.
    """
    with broker.bootstrap() as servers:
        yield servers


@pytest.fixture(scope="session")
def _secured() -> Iterator[Secured]:
    with Secured() as broker:
        topics.create(broker.servers, 2)
        yield broker


@pytest.fixture
def secured(_secured: Secured) -> Secured:
    """A broker with logins and rights, with all topics, two partitions each; nobody is allowed anything yet."""
    _secured.deny_all()
    return _secured


@pytest.fixture(scope="session")
def _emptied_kafka(kafka: str) -> Iterator[str]:
    """A broker whose topics are for tests to delete."""
    lost = {state.topic.name: state.offsets for state in topics.show(kafka) if state.offsets}
    if lost and os.environ.get(MAY_DELETE_ENV) != "1":
        pytest.fail(
            f"the broker at {kafka} holds records in {', '.join(lost)}, and tests delete these topics: "
            f"name another broker, none, or set {MAY_DELETE_ENV}=1"
        )
    yield kafka
    if _GIVEN:  # ours ends with the run
        topics.delete(kafka)


@pytest.fixture
def fresh_topics(_emptied_kafka: str) -> Callable[[int], str]:
    """`fresh_topics(partitions)`: all topics empty, with that many partitions; returns bootstrap servers."""

    def recreate(partitions: int = 4) -> str:
        topics.delete(_emptied_kafka, but=_as_created(_emptied_kafka, partitions))
        _delete_groups(_emptied_kafka)
        topics.create(_emptied_kafka, partitions)
        return _emptied_kafka

    return recreate


@pytest.fixture
def fresh_kafka(fresh_topics: Callable[[int], str]) -> str:
    """Bootstrap servers of a broker with all topics, empty, four partitions each."""
    return fresh_topics(4)


def _as_created(servers: str, partitions: int) -> list[str]:
    """Topics with that many partitions to which nothing was ever written: most tests use few of them."""
    cluster = Cluster({"bootstrap.servers": servers})
    facts = cluster.topics([topic.name for topic in TOPICS])
    ends = cluster.ends([(name, number) for name, one in facts.items() for number in range(one.partitions)], 10.0)
    return [
        topic.name
        for topic in TOPICS
        if facts[topic.name].partitions == topics.expected_partitions(topic, partitions)
        and not any(ends.get((topic.name, number), 1) for number in range(facts[topic.name].partitions))
    ]


def _delete_groups(servers: str) -> None:
    """Forget committed offsets of groups without members: they name offsets of topics that are gone."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    ours = [group.group_id for group in admin.list_consumer_groups().result().valid if "waybill" in group.group_id]
    for deleted in (admin.delete_consumer_groups(ours) if ours else {}).values():
        deleted.exception()  # a group that still has members goes when they do


@pytest.fixture
def clean(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the machine that runs the test reaches it. `@pytest.mark.columns(n)`: its terminal."""
    for name in list(os.environ):
        if name.upper().startswith("WAYBILL_") or name == "KAFKA_BOOTSTRAP_SERVERS":
            monkeypatch.delenv(name)
    if (columns := request.node.get_closest_marker("columns")) is not None:
        monkeypatch.setenv("COLUMNS", str(columns.args[0]))
        monkeypatch.setenv("TERMINAL_WIDTH", "200")
    monkeypatch.chdir(tmp_path)
