"""State of earlier formats, as their own code left it: the code of today goes on with it as with its own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from schemas import topics
from schemas.desk import Order
from streams.flow.layout import HEAD
from streams.flow.time.expiry_index import listed_keys
from streams.flow.upgrade import STEPS, Kind, kind_of, upgrade
from streams.state.format import FORMAT, OLDEST, UPGRADED
from tests.repetition import seeds
from tests.runs import Recorded, comparable, difference
from tests.states import kept, state_of
from tests.states.taken_over import CHANGELOGS, go_on, taken_over
from tests.tallies import published

EARLIER = range(OLDEST, FORMAT)
NAMED: Mapping[int, set[str]] = {10: {"drawn", "order_p"}}
"""By format, fields of dossiers that it could not know: they are not those of a dossier that was always of ours."""


def test_of_every_format_that_is_read_there_is_a_deployment_and_a_step_to_the_next() -> None:
    assert kept() == [*EARLIER, FORMAT]
    assert STEPS.keys() == NAMED.keys() == {*EARLIER}


@pytest.mark.parametrize("number", EARLIER)
def test_an_upgraded_state_is_the_state_that_this_format_would_have_had(number: int) -> None:
    """Byte by byte, but for what is named above."""
    old, new = _records(number), _records(FORMAT)
    assert {value[0] for found in old.values() for value in found.values()} == {FORMAT}
    for kind in ("bucket", "base", "note"):
        assert old[kind] == {key: value for key, value in new[kind].items() if key[2] != UPGRADED}
    assert _listed(old) == _listed(new)  # their keys depend on the format, which changes nothing
    assert old["dossier"].keys() == new["dossier"].keys()
    for place, value in old["dossier"].items():
        ours = new["dossier"][place]
        differ = {name for name in HEAD.names or () if _field(value, name) != _field(ours, name)}
        assert differ <= NAMED[number]
        assert value[HEAD.itemsize :] == ours[HEAD.itemsize :]


Place = tuple[str, int, bytes]


def _records(number: int) -> dict[Kind, dict[Place, bytes]]:
    """The state that a format left, as it is read today, by kind of record."""
    found: dict[Kind, dict[Place, bytes]] = {"dossier": {}, "listed": {}, "bucket": {}, "base": {}, "note": {}}
    for each in state_of(number):
        if each.topic in CHANGELOGS:
            value = upgrade(each.topic, each.key, each.value)
            found[kind_of(each.topic, each.key)][each.topic, each.partition, each.key] = value
    assert all(found.values()), "a kind of record is missing"
    return found


def _field(value: bytes, name: str) -> bytes:
    return bytes(np.frombuffer(value[: HEAD.itemsize], dtype=HEAD)[name].tobytes())


def _listed(found: Mapping[Kind, Mapping[Place, bytes]]) -> list[tuple[str, int, bytes, bytes]]:
    """Which keys expire when."""
    return sorted(
        (topic, partition, key[:5], each)
        for (topic, partition, key), value in found["listed"].items()
        for each in listed_keys(value)
    )


@pytest.mark.parametrize("order", seeds(1))
@pytest.mark.parametrize("number", EARLIER)
def test_events_that_come_after_are_judged_as_if_it_had_always_been_of_this_format(number: int, order: int) -> None:
    old, new = (go_on(taken_over(each), order) for each in (number, FORMAT))
    said = [len(run.messages) for run in (old, new)]
    assert said[0] == said[1] > 20, "too little was said for the test to mean anything"
    assert not difference(comparable(old.alerts.values()), comparable(new.alerts.values()))
    assert old.shadows.keys() == new.shadows.keys()
    assert _tallies(old) == _tallies(new)


@pytest.mark.parametrize("number", EARLIER)
def test_orders_of_the_random_arm_stand_and_follow_their_parcels(number: int) -> None:
    """An order that 10 gave is drawn again when its parcel is judged next; others stay on the topic as they are."""
    before = {each.key: each.value for each in state_of(number) if each.topic == topics.ORDERS}
    old, new = (go_on(taken_over(each), order=0).orders for each in (number, FORMAT))
    assert old.keys() == new.keys()
    again = {key for key, value in old.items() if value != before.get(key)}
    assert len(again) > 10
    for key in again:
        found, wanted = (msgspec.json.decode(orders[key] or b"", type=Order) for orders in (old, new))
        assert found.revision >= wanted.revision  # it was said again by more occasions
        assert msgspec.structs.replace(found, revision=0) == msgspec.structs.replace(wanted, revision=0)


def _tallies(run: Recorded) -> object:
    return published((each.key, each.value) for each in run.tallies())
