"""With the native library the same timers fire in the same order as without it, and the same keys may expire."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import native
from streams.flow.fold.journey import NEVER
from streams.flow.front.tables import fingerprint
from streams.flow.time.deadlines import Deadlines, deadlines
from streams.flow.time.expiry_index import list_keys
from tests.repetition import examples

pytestmark = pytest.mark.native
PARCELS = [b"YT:1", b"YT:10", b"SF:1", b"SF:" + b"9" * 29, "圆通:1".encode()]
parcels = st.sampled_from(PARCELS)
times = st.integers(0, 9) | st.just(NEVER)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.lists(st.tuples(parcels, times)), st.integers(0, 9), st.sets(parcels)),
        st.tuples(st.just("hold"), st.integers(-1, 12)),
        st.tuples(st.just("release")),
        st.tuples(st.just("due"), st.integers(0, 12), st.integers(0, 4)),
    )
)


def told(taken: list[Any], mine: Deadlines) -> list[object]:
    """All that deadlines say when these steps are taken."""
    out: list[object] = []
    held: list[list[tuple[int, bytes]]] = []
    for what, *more in taken:
        match what:
            case "set":
                rows, passed, late = more
                due_at = np.array([at for _, at in rows], dtype=np.int64).tobytes()
                held.append(mine.set([parcel for parcel, _ in rows], due_at, passed, late))
                out.append(len(held[-1]))
            case "hold":
                held.append(mine.hold(*more))
                out.append(len(held[-1]))
            case "release" if held:
                mine.release(held.pop(0))
            case "due":
                out += [mine.behind(more[0]), mine.due(*more)]
        out += [len(mine), mine.waits(PARCELS)]
    return [*out, mine.due(NEVER, 100)]


@given(steps)
@examples(200)
def test_the_same_timers_fire(taken: list[Any]) -> None:
    assert told(taken, deadlines(native.library("1", fingerprint()))) == told(taken, Deadlines())


noted = st.tuples(st.integers(0, 2), st.integers(0, 3) | st.just(2**40), parcels)


@given(st.lists(noted, min_size=1), st.integers(1, 5))
@examples(100)
def test_the_same_keys_are_listed(given: list[tuple[int, int, bytes]], keys_max: int) -> None:
    library = native.library("1", fingerprint())
    assert library is not None
    numbers, times = (np.array(column, dtype=np.int64).tobytes() for column in list(zip(*given, strict=True))[:2])
    keys = [key for _, _, key in given]
    assert library.list_keys(numbers, times, keys, keys_max) == list_keys(numbers, times, keys, keys_max)


@pytest.mark.parametrize("library", [None, native.library("auto", fingerprint())])
def test_what_moves_often_is_not_kept(library: Any | None) -> None:
    moving = deadlines(library)
    for at in range(1, 40):
        moving.set([b"%d" % each for each in range(500)], np.full(500, at * 10).tobytes(), 0)
    assert len(moving) == 500
    assert len(moving.due(NEVER, 10_000)) == 500
