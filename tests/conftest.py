"""The broker that tests use: one real Kafka for the whole run, never skipped; a test asks for it by fixture.

kafka           bootstrap servers, nothing said of topics
fresh_topics    a function of the partition count that empties the broker of our topics, creates them anew and returns
                bootstrap servers
fresh_kafka     the same, done, with four partitions
secured         another broker, which asks for a login and knows rights
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from rules import load_catalogue
from streams.kafka import admin as topics
from streams.ops import broker
from tests import reference
from tests.secured import Secured


def pytest_report_header() -> list[str]:
    """The live rules that the reference judge does not know: their own cases are all that is played of them."""
    unknown = reference.unknown(load_catalogue())
    return [f"reference judge: does not know {', '.join(unknown)}"] if unknown else []


# Tests delete all topics. On a broker of yours that needs your word for it, unless there is nothing to lose.
MAY_DELETE_ENV = "WAYBILL_TESTS_MAY_DELETE"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka; a broker that cannot be had is an error."""
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
    topics.delete(kafka)


@pytest.fixture
def fresh_topics(_emptied_kafka: str) -> Callable[[int], str]:
    """`fresh_topics(partitions)`: all topics empty, with that many partitions; returns bootstrap servers."""

    def recreate(partitions: int = 4) -> str:
        topics.delete(_emptied_kafka)
        _delete_groups(_emptied_kafka)
        topics.create(_emptied_kafka, partitions)
        return _emptied_kafka

    return recreate


@pytest.fixture
def fresh_kafka(fresh_topics: Callable[[int], str]) -> str:
    """Bootstrap servers of a broker with all topics, empty, four partitions each."""
    return fresh_topics(4)


def _delete_groups(servers: str) -> None:
    """Forget committed offsets of groups without members: they name offsets of topics that are gone."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    ours = [group.group_id for group in admin.list_consumer_groups().result().valid if "waybill" in group.group_id]
    for deleted in (admin.delete_consumer_groups(ours) if ours else {}).values():
        deleted.exception()  # a group that still has members goes when they do
