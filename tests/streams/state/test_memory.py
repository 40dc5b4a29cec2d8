"""What is in memory, in Python and in the native library: whatever is done to both stores, they say the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from rocksdict import Options, Rdict

from streams import native
from streams.flow.front.tables import fingerprint
from streams.native import Switch
from streams.state.format import FORMAT, OLDEST
from streams.state.rocks import Delta, RocksStore
from streams.state.tuning import Shared
from tests.repetition import examples

CACHE = Shared.of(8, 64)
PARTITIONS = (0, 1)
KEYS = [b"\x00note", *(b"k%d" % number for number in range(6)), b"\xff1", b"\xff2"]
HOT_BYTES = 1_800  # four or five values in each half of each partition
OPENINGS_MAX = 2  # they take long
Asked = list[tuple[int, bytes]]

numbers = st.sampled_from(PARTITIONS)
asked: st.SearchStrategy[Asked] = st.lists(st.tuples(numbers, st.sampled_from(KEYS)), max_size=6).map(sorted)
value = st.binary(max_size=60).map(lambda rest: bytes([FORMAT]) + rest)


def opened(folder: Path, switch: Switch) -> RocksStore:
    """A store of two partitions, the first of which an earlier format filled."""
    store = RocksStore(
        "things", folder, CACHE, hot_bytes_max=HOT_BYTES, library=native.library(switch, fingerprint()),
        upgrade=lambda key, value: bytes([FORMAT]) + value[1:] + b"!",
    )  # fmt: skip
    store.open(0)
    store.restore(0, {key: bytes([OLDEST]) + key for key in KEYS[2:5]}, 5)
    store.close_all()
    db = Rdict(str(folder / "things" / "0"), Options(raw_mode=True))
    db[b"\x00format"] = bytes([OLDEST])
    db.close()
    for number in PARTITIONS:
        store.open(number)
    return store


class Both(RuleBasedStateMachine):
    """Two stores that are told the same."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        switches: tuple[Switch, ...] = ("0", "1")
        self._stores = [opened(Path(self._folder.name) / switch, switch) for switch in switches]
        self._closing: deque[list[Delta]] = deque()
        self._offsets = count(10)
        self._openings = 0

    def _same(self, ask: Callable[[RocksStore], object]) -> None:
        first, second = (ask(store) for store in self._stores)
        assert first == second

    @rule(asked=asked, keep=st.booleans())
    def get(self, asked: Asked, keep: bool) -> None:
        """Read values."""
        self._same(lambda store: store.get([number for number, _ in asked], [key for _, key in asked], keep=keep))

    @rule(asked=asked, value=value)
    def put(self, asked: Asked, value: bytes) -> None:
        """Set values, some of them twice."""
        for store in self._stores:
            values = [value + b"%d" % i for i in range(len(asked))]
            store.put([number for number, _ in asked], [key for _, key in asked], values)

    @rule(number=numbers)
    def put_what_was_loaded(self, number: int) -> None:
        """As it is, without a look at it; of those that are there."""
        for store in self._stores:
            found = store.load([number] * len(KEYS), KEYS)
            there = next((i for i, value in enumerate(found) if value is None), len(KEYS))
            store.put([number] * there, KEYS[:there], cast(Sequence[bytes], found[:there]))

    @rule(asked=asked)
    def delete(self, asked: Asked) -> None:
        """Delete keys."""
        for store in self._stores:
            store.delete([number for number, _ in asked], [key for _, key in asked])

    @rule(
        number=numbers, after=st.sampled_from([b"", b"\x01", *KEYS]), rows_max=st.integers(1, 9),
        before=st.sampled_from([b"k3", b"\xff", b"\xff2", b"\xff\xff"]),
    )  # fmt: skip
    def scan(self, number: int, after: bytes, rows_max: int, before: bytes) -> None:
        """Read in order."""
        self._same(lambda store: store.scan(number, after, rows_max, before))

    @rule()
    def close_epoch(self) -> None:
        """What it changed is what goes to the changelog, in its order."""
        deltas = [store.close_epoch() for store in self._stores]
        first, second = ({number: changes.behind(0) for number, changes in delta.items()} for delta in deltas)
        assert first == second
        self._closing.append(deltas)

    @precondition(lambda self: self._closing)
    @rule()
    def committed(self) -> None:
        """The oldest of those that are closed."""
        offset = next(self._offsets)
        for store, delta in zip(self._stores, self._closing.popleft(), strict=True):
            store.committed(delta, dict.fromkeys(delta, offset))
        self._same(lambda store: store.waiting)

    @rule()
    def write(self) -> None:
        """To RocksDB."""
        for store in self._stores:
            store.write(store.waiting)

    @rule(rows_max=st.integers(1, 5))
    def upgrade(self, rows_max: int) -> None:
        """Put values of the earlier format anew."""
        self._same(lambda store: store.upgrade_some(rows_max))
        self._same(lambda store: store.older)

    @rule(number=numbers, asked=asked, value=st.none() | value)
    def restore(self, number: int, asked: Asked, value: bytes | None) -> None:
        """As another worker left it."""
        offset = next(self._offsets)
        for store in self._stores:
            store.restore(number, {key: value for _, key in asked}, offset)

    @precondition(lambda self: self._openings < OPENINGS_MAX)
    @rule()
    def close_all(self) -> None:
        """As at a rebalance: what is not committed is lost."""
        self._openings += 1
        for store in self._stores:
            store.close_all()
        self._closing.clear()
        self._same(lambda store: [store.open(number) for number in PARTITIONS])

    @precondition(lambda self: self._openings < OPENINGS_MAX)
    @rule(number=numbers)
    def rebuild(self, number: int) -> None:
        """A partition, from nothing."""
        self._openings += 1
        for store in self._stores:
            store.rebuild(number)
        self._same(lambda store: store.open(number))

    def teardown(self) -> None:
        """What is hot is the same as well, as both forget the same."""
        self._same(lambda store: [(each.complete, len(each.hot)) for each in store._partitions.values()])
        for store in self._stores:
            store.close_all()
        self._folder.cleanup()


@pytest.mark.skipif(bool(native.missing(fingerprint())), reason="the native front end is not built")
def test_both_say_the_same() -> None:
    run_state_machine_as_test(Both, settings=examples(15))
