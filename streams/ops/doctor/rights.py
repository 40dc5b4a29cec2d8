"""What a worker needs to be allowed on the broker, tried: topics, group, transactional id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from schemas.topics import REFERENCE
from streams.kafka.admin import TopicState
from streams.kafka.cluster import Cluster, Members
from streams.kafka.config import client, member_id
from streams.kafka.errors import ClientError, DeniedError
from streams.kafka.producer import TransactionError, Transactions
from streams.kafka.rights import Right, advice, principal, together
from streams.kafka.trying import may_join
from streams.ops import preflight
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.settings import Settings

_TRY_MS = 10_000


def checks(settings: Settings, cluster: Cluster, states: Sequence[TopicState]) -> Iterator[Finding]:
    """One finding for topics, group and transactional id each."""
    config = {**client(settings), **cluster.config}
    yield _topics(settings, config, states)
    members = Members()
    try:
        members = cluster.group(settings.group, "READ")
        yield _group(settings, config, members.allowed, bool(members.names))
    except DeniedError as error:
        says, _, what = str(error).partition("; ")
        yield fail("rights", says, what)
    except ClientError as error:
        yield fail("rights", f"group {settings.group}: not checked: {error}", "see to that, then run the doctor again")
    yield _transactional_id(settings, config, members.names)


def _topics(settings: Settings, config: Mapping[str, object], states: Sequence[TopicState]) -> Finding:
    """By what the broker's own authorizer says of each operation."""
    missing = preflight.missing_rights(settings, states)
    if missing:
        says = f"{principal(config)} lacks {together(missing)}"
        return fail("rights", says, advice(config, *missing))
    if any(state.partitions and state.allowed is None for state in states):
        return warn("rights", "the broker does not tell what is allowed on topics", "it is seen when a worker starts")
    return ok("rights", "a worker may read and write its topics")


def _group(settings: Settings, config: Mapping[str, object], allowed: frozenset[str] | None, runs: bool) -> Finding:
    right = Right("READ", "group", settings.group)
    if allowed is None and not runs:  # of a group that does not exist yet the broker says nothing
        try:
            joined = may_join(config, settings.group, REFERENCE)
        except DeniedError as error:
            says, _, what = str(error).partition("; ")
            return fail("rights", says, what)
        if not joined:
            return warn("rights", f"group {settings.group}: not joined in time", "run the doctor again")
    elif allowed is not None and "READ" not in allowed:
        return fail("rights", f"{principal(config)} lacks {right}", advice(config, right))
    elif allowed is None:
        return warn("rights", f"group {settings.group}: the broker does not tell", "it is seen when a worker starts")
    return ok("rights", f"a worker may join group {settings.group}")


def _transactional_id(settings: Settings, config: Mapping[str, object], members: frozenset[str]) -> Finding:
    """By beginning with it, unless a worker that runs has it, who would be fenced."""
    name = member_id(settings).replace("auto", "0") if settings.instance.endswith("auto") else member_id(settings)
    if name in members:
        return ok("rights", f"transactional id {name} is in use by a worker that runs: not tried")
    try:
        Transactions({**config, "transaction.timeout.ms": _TRY_MS}, name).start()
    except TransactionError as error:
        says, _, what = str(error).partition("; ")
        if error.denied:
            return fail("rights", says, what)
        return fail("rights", f"transactional id {name}: {error}", "see to that, then run the doctor again")
    return ok("rights", f"a worker may use transactional id {name}")
