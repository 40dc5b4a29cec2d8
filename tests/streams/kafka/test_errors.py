"""What librdkafka said, as the binding hands it on."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.errors import cause


def test_an_error_is_found_behind_whatever_the_binding_raises() -> None:
    fenced = KafkaError(KafkaError._FENCED, "another has its name")
    wrapped = SystemError("<method 'poll'> returned a result with an exception set")
    wrapped.__cause__ = KafkaException(fenced)
    assert cause(KafkaException(fenced)) == cause(wrapped) == fenced
    lost = SystemError("<method 'flush'> returned NULL without setting an exception")
    assert cause(lost).code() == KafkaError._FAIL


def test_an_error_that_is_none_of_its_own_is_raised_again() -> None:
    with pytest.raises(SystemError, match="something else"):
        cause(SystemError("something else"))
