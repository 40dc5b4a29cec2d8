"""How much dispatcher and tracer have not read: known without asking, and nothing once all is read."""

from __future__ import annotations

import pytest

from schemas import topics
from streams.kafka.group_reader import GroupReader
from streams.kafka.log_reader import LogReader
from streams.kafka.transactions import Outgoing, TransactionalWriter
from tests.waiting import until

pytestmark = pytest.mark.broker


def test_a_reader_knows_what_it_has_not_read(fresh_kafka: str) -> None:
    writer = TransactionalWriter(fresh_kafka, "test-unread", {})
    records = [Outgoing(topics.ALERTS, "SF:1", b"{}")] * 3  # of one key, so in one partition
    with LogReader(fresh_kafka, [topics.ALERTS]) as alone:
        writer.write(records)
        writer.write(records)
        marks = 2  # of the transactions: they take an offset each
        until(lambda: alone.unread() == {topics.ALERTS: 6 + marks})
        until(lambda: not alone.poll(0.1) and alone.unread() == {topics.ALERTS: 0})
    member = GroupReader(fresh_kafka, [topics.ALERTS], "test-unread", {})
    try:
        until(lambda: len(member.poll(1, 0.2)) == 1)
        assert member.unread() == {topics.ALERTS: 5 + marks}
        until(lambda: not member.poll(10, 0.2) and member.exhausted)
        assert member.unread() == {topics.ALERTS: 0}
    finally:
        member.close()
