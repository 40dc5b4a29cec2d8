"""What of Faust is overridden still exists in the installed version: else nothing would call our code any more."""

from __future__ import annotations

import importlib

import pytest

MODULES = ("streams.worker.faust", "streams.kafka.transport", "streams.kafka.transport.consumer")

# By class, what is ours alone. Every other name in these classes is one of Faust's, replaced.
OURS: dict[str, set[str]] = {
    "App": {"settings", "watch", "worker", "link"},
    "Boot": set(),
    "Consumer": {
        "group_metadata", "topic_ids", "starts", "resumed", "idle", "release", "read_again", "fail", "lag", "passed",
        "positions", "_poll", "_fetch", "_revoked", "_assigned", "_serve", "_serve_revoked", "_serve_assigned",
        "_on_thread",
    },
    "Runner": {"run", "_end_in_time"},
    "Tables": set(),
    "Transport": {"driver_version", "default_port"},
    "Watch": {"listen"},
}  # fmt: skip


def classes() -> list[type]:
    """Every class of ours that has one of Faust's, or of its library mode, behind it."""
    found: list[type] = []
    for name in MODULES:
        values = vars(importlib.import_module(name)).values()
        here = [value for value in values if isinstance(value, type) and value.__module__ == name]
        found += [each for each in here if any(map(_foreign, each.__mro__))]
    return sorted(found, key=lambda each: each.__name__)


def _foreign(each: type) -> bool:
    return each.__module__.split(".")[0] in ("faust", "mode")


def test_the_classes_are_known() -> None:
    assert {each.__name__ for each in classes()} == OURS.keys()


@pytest.mark.parametrize("each", classes(), ids=lambda each: each.__name__)
def test_what_is_overridden_exists(each: type) -> None:
    behind = {name for base in each.__mro__ if _foreign(base) for name in dir(base)}
    named = {name for name in vars(each) if not (name.startswith("__") and name.endswith("__"))}
    gone = {name for name in named - behind - OURS[each.__name__] if not name.startswith("_abc_")}
    assert not gone
