"""Rights on the broker as a table, as commands, as a resource of Kubernetes, and as JSON."""

from __future__ import annotations

import json
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.kafka.rights import Kind, Operation, Right
from streams.kafka.roles import Role

_STRIMZI: Mapping[Kind, str] = {"topic": "topic", "group": "group", "transactional id": "transactionalId"}


def roles(known: Iterable[Role], *, as_json: bool) -> None:
    """Who there is, what each does, and of which persons it may read data."""
    for each in known:
        if as_json:
            print(json.dumps({"role": each.name, "does": each.does, "sees": each.sees}))
        else:
            sees = f" (sees {', '.join(each.sees)})" if each.sees else ""
            print(f"{each.name:11} {each.does.replace('`', '')}{sees}")


def table(rights: Sequence[Right], principal: str) -> None:
    """A line for each resource."""
    print(principal)
    for kind, names, operations, prefixed in _together(rights):
        for name in names:
            print(f"{kind:16} {name}{'*' if prefixed else '':{max(1, 40 - len(name))}} {', '.join(operations)}")


def kafka_acls(rights: Sequence[Right], principal: str) -> None:
    """Commands, each for all resources with the same operations: a start of Java takes a second."""
    for kind, names, operations, prefixed in _together(rights):
        option = f"--{kind.replace(' ', '-')}"
        lines = [
            'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" --add',
            f"--allow-principal {shlex.quote(principal)}",
            *(f"--operation {_camel(each)}" for each in operations),
            *(["--resource-pattern-type prefixed"] if prefixed else []),
            *(f"{option} {shlex.quote(name)}" for name in names),
        ]
        print(" \\\n    ".join(lines))


def strimzi(rights: Sequence[Right], principal: str) -> None:
    """A KafkaUser. Its certificate or password comes from Strimzi; who it is follows from its name."""
    import yaml

    acls = [
        {
            "resource": {"type": _STRIMZI[kind], "name": name, "patternType": "prefix" if prefixed else "literal"},
            "operations": [_camel(each) for each in operations],
        }
        for kind, names, operations, prefixed in _together(rights)
        for name in names
    ]
    user = {
        "apiVersion": "kafka.strimzi.io/v1beta2",
        "kind": "KafkaUser",
        "metadata": {"name": principal.removeprefix("User:"), "labels": {"strimzi.io/cluster": "kafka"}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": acls},
        },
    }
    yaml.safe_dump(user, sys.stdout, sort_keys=False, allow_unicode=True)


def as_json(rights: Sequence[Right], principal: str) -> None:
    """One object for each right."""
    for right in rights:
        print(json.dumps({
            "principal": principal, "operation": right.operation, "resource": right.kind, "name": right.name,
            "pattern": "prefixed" if right.prefixed else "literal",
        }))  # fmt: skip


SHOW: Mapping[str, Callable[[Sequence[Right], str], None]] = {
    "table": table, "kafka-acls": kafka_acls, "strimzi": strimzi, "json": as_json,
}  # fmt: skip


def _together(rights: Iterable[Right]) -> list[tuple[Kind, list[str], tuple[Operation, ...], bool]]:
    """Resources by kind and by what is allowed on them."""
    allowed: defaultdict[tuple[Kind, str, bool], list[Operation]] = defaultdict(list)
    for right in rights:
        allowed[right.kind, right.name, right.prefixed].append(right.operation)
    alike: defaultdict[tuple[Kind, tuple[Operation, ...], bool], list[str]] = defaultdict(list)
    for (kind, name, prefixed), operations in allowed.items():
        alike[kind, tuple(operations), prefixed].append(name)
    return [(kind, names, operations, prefixed) for (kind, operations, prefixed), names in alike.items()]


def _camel(operation: Operation) -> str:
    return "".join(part.capitalize() for part in operation.split("_"))
