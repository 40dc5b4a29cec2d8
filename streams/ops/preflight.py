"""What must be so before a worker starts: a folder and keys, a broker that answers, topics that are there and alike.

Each failure is one line that says what to do.
"""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Mapping, Sequence

from schemas.errors import WaybillError
from schemas.topics import PARCELS_CHANGELOG
from streams.flow.describe.tokens import tokeniser
from streams.flow.reject_cipher import cipher_of
from streams.kafka import admin
from streams.kafka.admin import TopicState
from streams.kafka.cluster import Cluster
from streams.kafka.rights import Right, denied
from streams.kafka.roles import WORKER_TOPICS, role
from streams.settings import KafkaProperty, Settings
from streams.settings_shown import unknown_variables

DEFAULT_SERVERS = "127.0.0.1:9092"  # where `waybill broker run` listens
_CONNECT_S = 3.0


class PreflightError(WaybillError):
    """A worker cannot start like this; the message says what to do."""


def servers(settings: Settings) -> str:
    """Bootstrap servers: as set, else the development broker's."""
    return settings.bootstrap_servers or DEFAULT_SERVERS


def reached(settings: Settings) -> str:
    """The bootstrap servers, of which one at least listens. Raises PreflightError."""
    at = servers(settings)
    if not answers(at):
        raise PreflightError(silence(at))
    return at


def client(settings: Settings) -> Mapping[str, KafkaProperty]:
    """Properties of clients that ask once and report errors themselves, so librdkafka need not log them."""
    return {**settings.kafka, "log_level": 0}


def checked(settings: Settings) -> Settings:
    """The settings with the broker's address and the partition count that its topics have.

    First what can be checked alone, then all that can be asked of the broker without another worker's noticing; rules
    last, for to read them takes a second. Raises PreflightError when state_dir cannot be used, no broker answers,
    topics are missing, or their counts differ, KeyFileError or CipherError when keys cannot be used, DeniedError when a
    right is missing, and RuleError when rules cannot be used.
    """
    _writable(settings)
    tokeniser(settings)
    cipher_of(settings)
    at = reached(settings)
    states = admin.look(at, WORKER_TOPICS, client=client(settings), needed=True)
    if missing := missing_rights(settings, states):
        raise denied(settings.kafka, *missing)
    if wrong := faults(states):
        raise PreflightError("; ".join(wrong))
    _may_use(settings, at, Right("READ", "group", settings.group))
    count = next(state.partitions for state in states if state.topic.name == PARCELS_CHANGELOG)
    _judging(settings)
    return settings.model_copy(update={"bootstrap_servers": at, "partitions": count})


def _judging(settings: Settings) -> None:
    """Read rules and the key of the random arm as each worker will."""
    from rules import load_catalogue  # with polars, which nobody else needs that imports this module
    from streams.flow.orders import key_of

    key_of(settings)
    load_catalogue(settings.rules_dir, settings.rule_overrides)


def _writable(settings: Settings) -> None:
    folder = settings.state_dir
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # histories of persons are private
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PreflightError(
            f"state_dir {folder}: {error.strerror}; name a folder that the worker may write with --state-dir or "
            "WAYBILL_STATE_DIR"
        ) from error


def permitted(settings: Settings, name: str) -> str:
    """The bootstrap servers, where this client may do what the role of this name needs of topics and groups.

    A transactional id is tried by taking it. Raises PreflightError, ClientError, and DeniedError for all that is
    missing of topics, or for a group.
    """
    at, rights = reached(settings), role(name).rights(settings.group)
    names = [right.name for right in rights if right.kind == "topic"]
    states = admin.look(at, names, client=client(settings), needed=True)
    if missing := missing_rights(settings, states, name):
        raise denied(settings.kafka, *missing)
    if wrong := faults(states):
        raise PreflightError("; ".join(wrong))
    for right in rights:
        if right.kind == "group" and not right.prefixed:
            _may_use(settings, at, right)
    return at


def _may_use(settings: Settings, at: str, group: Right) -> None:
    """Of a group that does not exist yet the broker says only whether it may be seen. Raises DeniedError."""
    config = {**client(settings), "bootstrap.servers": at}
    allowed = Cluster(config).group(group.name, group.operation).allowed
    if allowed is not None and group.operation not in allowed:
        raise denied(config, group)


def missing_rights(settings: Settings, states: Sequence[TopicState], name: str = "worker") -> list[Right]:
    """What a role needs of these topics and the broker says it may not. Of one it does not tell of, nothing."""
    known = {state.topic.name: state for state in states}
    return [
        right
        for right in role(name).rights(settings.group)
        if right.kind == "topic"
        and (state := known.get(right.name)) is not None
        and (state.hidden or (state.partitions and state.allowed is not None and right.operation not in state.allowed))
    ]


def cautions(settings: Settings) -> list[str]:
    """What a worker can start with, and should not in earnest."""
    found = [f"{name} names no setting: see `waybill settings`" for name in unknown_variables()]
    if settings.token_key is None and settings.token_key_file is None:
        found.append("tokens are made with the development keys, which everyone knows: they protect nobody")
    return found


def faults(states: list[TopicState]) -> list[str]:
    """What is wrong with these topics, and what to do about it; empty when a worker can run on them."""
    missing = [state.topic.name for state in states if not (state.partitions or state.hidden)]
    there = [state for state in states if state.partitions and not (state.topic.single or state.topic.desk)]
    counts = sorted({state.partitions for state in there})
    found = []
    if missing:
        which = "no topics" if len(missing) == len(states) else f"missing topics: {', '.join(missing)}"
        option = f" --partitions {counts[0]}" if len(counts) == 1 else ""
        found.append(f"{which}; run `waybill topics create{option}`")
    if len(counts) > 1:
        listed = ", ".join(f"{state.topic.name} {state.partitions}" for state in there)
        found.append(
            f"partition counts differ ({listed}), so a parcel's events would not meet; {admin.grow_advice(counts[-1])}"
        )
    split = [
        f"{state.topic.name} {state.partitions}" for state in states if state.topic.single and state.partitions > 1
    ]
    if split:
        found.append(
            f"topics of one partition have more ({', '.join(split)}), of which only the first is read; "
            "delete them, then run `waybill topics create`, and publish again what they held"
        )
    return found


def answers(bootstrap_servers: str) -> bool:
    """Whether anything listens at one of these addresses. Asked first, for librdkafka would try for half a minute."""
    return any(_listens(each.strip()) for each in bootstrap_servers.split(","))


def silence(bootstrap_servers: str) -> str:
    """What to say when nothing listens there."""
    return (
        f"nobody answers at {bootstrap_servers}; start a Kafka with `waybill broker run`, "
        "or name yours with --bootstrap-servers or KAFKA_BOOTSTRAP_SERVERS"
    )


def _listens(server: str) -> bool:
    match = re.fullmatch(r"(?:[A-Za-z_]+://)?\[?([^\]/]*?)\]?(?::(\d+))?", server)
    if match is None:
        return False
    try:
        socket.create_connection((match[1], int(match[2] or 9092)), _CONNECT_S).close()
    except (OSError, OverflowError):
        return False
    return True
