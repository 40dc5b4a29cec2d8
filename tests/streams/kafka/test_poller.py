"""The polling thread's callbacks, without a broker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.kafka.transport.poller import Poller

Act = Callable[[Poller], object]


@pytest.mark.parametrize("then", [lambda poller: poller.fetch(1, 0.01, 0), lambda poller: poller.close()])
def test_what_a_rebalance_raises_comes_out_of_the_call_that_served_it(then: Act) -> None:
    def fails(client: Consumer, partitions: list[TopicPartition]) -> None:
        raise RuntimeError("cannot be committed")

    config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
    poller = Poller(config, on_revoked=lambda places, lost: None, on_assigned=lambda places: None)
    poller._guarded(fails)(poller._client, [])
    with pytest.raises(RuntimeError, match="cannot be committed"):
        then(poller)
    poller.close()


def test_a_client_that_is_closed_has_no_lag_and_no_error() -> None:
    """Tasks that a worker on its way out has not cancelled yet go on asking."""
    config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
    poller = Poller(config, on_revoked=lambda places, lost: None, on_assigned=lambda places: None)
    poller.assigned = {("t", 0)}
    poller.close()
    assert poller.lag({}) == {}
    assert poller.passed({}) == {}


def test_partitions_are_released_though_their_leaders_do_not_answer() -> None:
    """The question that wakes connections is only that; whether to read on does not hang on its answer."""
    config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
    poller = Poller(config, on_revoked=lambda places, lost: None, on_assigned=lambda places: None)
    poller.assigned = {("t", 0)}
    poller._client.assign([TopicPartition("t", 0, 0)])
    poller._hold(poller._client)
    poller.release()
    poller.close()
