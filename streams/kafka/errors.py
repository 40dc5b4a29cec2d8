"""What librdkafka said, in one place: which error it was, and what kind of error that is."""

from __future__ import annotations

import time
from typing import cast

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import WaybillError


class ClientError(WaybillError):
    """Kafka cannot be used like this; the message says what failed and what to do."""


class DeniedError(ClientError):
    """The broker refuses for want of a right, which waiting does not cure; the message says what to grant to whom."""


class MissingError(ClientError):
    """There is no such topic."""


FAILURES = (KafkaException, SystemError)
"""What confluent-kafka raises. A fatal error is raised while callbacks are served; where a delivery report or a line
of the log is called in the same call, the interpreter makes a SystemError of it, with the error as its cause, or
without: then the call that comes next says what it was."""

_LOST = "without setting an exception"

DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC}
LEADERLESS = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
}
COORDINATOR_MOVES = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._TRANSPORT,
}


def cause(error: BaseException) -> KafkaError:
    """What librdkafka said. Re-raises an exception that is none of its own."""
    if isinstance(error, KafkaException):
        return cast(KafkaError, error.args[0])
    if isinstance(error, SystemError) and _LOST in str(error):
        return KafkaError(KafkaError._FAIL, "the client lost what went wrong")
    if error.__cause__ is None:
        raise error
    return cause(error.__cause__)


def said(error: BaseException | KafkaError) -> str:
    """The same in words."""
    told = error if isinstance(error, KafkaError) else cause(error)
    return str(told.str())


class Troubles:
    """The last trouble with a connection, for a client's `error_cb`: a call that fails says only that it did.

    refused_at   when a listener first refused this client, or the client it: that will go on (monotonic seconds).
    """

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.refused_at: float | None = None

    def __call__(self, error: KafkaError) -> None:
        # That all are down says no more than the call itself; and the cause of a refusal is not to be forgotten for it.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error
        refused = error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL) or "SSL alert" in str(error.str())
        if refused and self.refused_at is None:
            self.refused_at = time.monotonic()

    def beside(self, text: str) -> str:
        """What a call failed of, and the trouble that was behind it."""
        return text if self.last is None else f"{text} ({self.last.str()})"
