"""How often what is random is repeated: some in the gate, much where WAYBILL_TESTS_LONG=1 (`make test-long`).

A kind of behaviour is always in the gate. What is repetition of it is either more of the same in one test, which asks
`LONG`, or a test of its own with the marker `long`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("WAYBILL_TESTS_LONG") == "1"
_TIMES = 10


def examples(count: int) -> settings:
    """So many examples of a property in the gate; ten times as many in a long run."""
    return settings(max_examples=count * _TIMES if LONG else count)


def seeds(count: int, *, first: int = 0) -> range:
    """So many seeds in the gate; ten times as many in a long run."""
    return range(first, first + (count * _TIMES if LONG else count))


def use_profile() -> None:
    """Have hypothesis measure no time: a machine that is busy is no failure."""
    default = settings().max_examples
    settings.register_profile(
        "waybill",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=default * _TIMES if LONG else default,
        print_blob=True,
    )
    settings.load_profile("waybill")
