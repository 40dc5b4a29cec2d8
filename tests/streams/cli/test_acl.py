"""`waybill acl`: in each form exactly the rights of the role, with the names of this deployment's group."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import get_args

import pytest
import yaml

from streams.kafka.rights import Kind, Operation, Right
from streams.kafka.roles import ROLES
from tests.command import waybill

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]

GROUP = "parcels-gd"
_KINDS: dict[str, Kind] = {
    "topic": "topic", "group": "group", "transactional-id": "transactional id", "transactionalId": "transactional id",
}  # fmt: skip
Read = Callable[[str], Iterator[Right]]


def printed(form: str, *roles: str, principal: str = "User:me") -> str:
    chosen = [part for name in roles for part in ("--role", name)]
    done = waybill("acl", *chosen, "--format", form, "--principal", principal, env={"WAYBILL_GROUP": GROUP})
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_commands(text: str) -> Iterator[Right]:
    """What kafka-acls.sh makes of these: each operation on each resource."""
    for line in text.replace("\\\n", " ").splitlines():
        command, *words = shlex.split(line)
        assert command == "kafka-acls.sh"
        assert "--add" in words
        given = [(name.removeprefix("--"), value) for name, value in pairwise(words)]
        assert [value for name, value in given if name == "allow-principal"] == ["User:me"]
        prefixed = ("resource-pattern-type", "prefixed") in given
        for operation in (value for name, value in given if name == "operation"):
            yield from (
                Right(_operation(operation), _KINDS[kind], name, prefixed) for kind, name in given if kind in _KINDS
            )


def of_kafka_user(text: str) -> Iterator[Right]:
    """What Strimzi makes of it."""
    user = yaml.safe_load(text)
    assert (user["kind"], user["metadata"]["name"]) == ("KafkaUser", "me")
    for each in user["spec"]["authorization"]["acls"]:
        resource = each["resource"]
        for operation in each["operations"]:
            prefixed = {"literal": False, "prefix": True}[resource["patternType"]]
            yield Right(_operation(operation), _KINDS[resource["type"]], resource["name"], prefixed)


def of_json(text: str) -> Iterator[Right]:
    for each in map(json.loads, text.splitlines()):
        yield Right(each["operation"], each["resource"], each["name"], each["pattern"] == "prefixed")


def _operation(camel: str) -> Operation:
    """By Kafka's own words, of which these are spellings."""
    words: tuple[Operation, ...] = get_args(Operation)
    return next(word for word in words if word.replace("_", "").lower() == camel.lower())


@pytest.mark.parametrize(("form", "read"), [("kafka-acls", of_commands), ("strimzi", of_kafka_user), ("json", of_json)])
def test_each_form_has_exactly_the_rights_of_each_role(form: str, read: Read) -> None:
    for each in ROLES:
        assert set(read(printed(form, each.name))) == set(each.rights(GROUP)), each.name


def test_every_group_and_transactional_id_begins_with_the_group() -> None:
    for each in ROLES:
        for right in each.rights(GROUP):
            assert right.kind == "topic" or right.name.startswith(GROUP), (each.name, right)


def test_two_roles_of_one_principal_are_one_list() -> None:
    both = list(of_json(printed("json", "tracer", "door")))
    assert len(both) == len(set(both))
    assert set(both) == {*of_json(printed("json", "tracer")), *of_json(printed("json", "door"))}


def test_the_roles_are_listed_with_whose_data_they_may_read() -> None:
    listed = waybill("acl", env={}).stdout.splitlines()
    assert [line.split()[0] for line in listed] == [each.name for each in ROLES]
    assert {line.split()[0] for line in listed if "senders" in line} == {
        "worker", "tracer", "door", "doctor", "maintainer", "eraser",
    }  # fmt: skip
    assert {line.split()[0] for line in listed if "couriers" in line} == {
        "worker", "dispatcher", "desk", "analyst", "saver", "loader", "doctor",
    }  # fmt: skip
    refused = waybill("acl", "--role", "worke", env={})
    assert refused.returncode == 2
    assert "'worke' is none of worker, tracer" in refused.stderr


def test_the_table_names_what_is_prefixed() -> None:
    lines = printed("table", "worker").splitlines()
    assert lines[0] == "User:me"
    assert any(re.fullmatch(r"transactional id parcels-gd-\* +WRITE", line) for line in lines)
    assert any(re.fullmatch(r"group +parcels-gd +READ", line) for line in lines)
