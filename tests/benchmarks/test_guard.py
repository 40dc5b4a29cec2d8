"""No step has become more than 15 % dearer, in bytecodes an event, than on record: `python -m benchmarks guard`."""

from __future__ import annotations

import pytest

from benchmarks import guard


@pytest.mark.skipif(guard.recorded().python != guard.VERSION, reason="the record is of another version of Python")
@pytest.mark.parametrize("name", [pytest.param("native", marks=pytest.mark.native), "python"])
def test_a_step_is_not_dearer_than_on_record(name: str) -> None:
    dearer = guard.compare(name, guard.recorded().bytecodes[name], guard.count(guard.SWITCHES[name]))
    assert not dearer, "if it is meant: python -m benchmarks guard --record"


def test_what_became_dearer_is_named() -> None:
    known = {"fold": 100.0, "judge": 50.0, "tiny": 1.0}
    assert guard.compare("native", known, known) == []
    assert guard.compare("native", known, {**known, "fold": 114.0, "tiny": 2.0}) == []
    assert guard.compare("native", known, {**known, "judge": 60.0}) == [
        "native: judge takes 60.0 bytecodes an event, on record 50.0"
    ]
    assert guard.compare("native", known, {**known, "new": 40.0}) == [
        "native: all of it takes 191.0 bytecodes an event, on record 151.0",
        "native: new takes 40.0 bytecodes an event, on record 0.0",
    ]
