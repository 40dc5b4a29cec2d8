"""The durable store: what is read is what was put last, at every moment between a step and its commit."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from streams import native
from streams.flow.front.tables import fingerprint
from streams.state.damage import StateError
from streams.state.format import FORMAT, OLDEST, UPGRADED
from streams.state.rocks import Delta, RocksStore
from streams.state.store import MemoryStore, whole
from streams.state.tuning import Shared
from tests.waiting import PATIENCE_S

CACHE = Shared.of(8, 64)
HOT = 1 << 20
Store = RocksStore
LIBRARY: list[Any | None] = [None]  # that has what is in memory


@pytest.fixture(autouse=True, params=["0", "1"])
def _memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test with memory in Python, and in the native library."""
    if request.param == "1" and native.missing(fingerprint()):
        pytest.skip("the native front end is not built")
    LIBRARY[0] = native.library(request.param, fingerprint())
    yield
    LIBRARY[0] = None


def things(folder: Path, hot_bytes_max: int = HOT) -> RocksStore:
    """A store whose values have no format, but where a test is about formats."""
    return RocksStore(
        "things", folder, CACHE, hot_bytes_max=hot_bytes_max, upgrade=lambda key, value: value, library=LIBRARY[0]
    )


def opened(folder: Path, *partitions: int, hot_bytes_max: int = HOT) -> RocksStore:
    store = things(folder, hot_bytes_max)
    for number in partitions or (0,):
        store.open(number)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RocksStore]:
    """Partitions 0 and 1, empty."""
    made = opened(tmp_path, 0, 1)
    yield made
    made.close_all()


def put(store: RocksStore, **values: str) -> None:
    keys = [key.encode() for key in values]
    store.put([0] * len(keys), keys, [value.encode() for value in values.values()])


def get(store: RocksStore, *keys: str) -> list[str | None]:
    found = store.get([0] * len(keys), [key.encode() for key in keys])
    return [None if value is None else value.decode() for value in found]


def forget(store: RocksStore) -> None:
    """As if the hot set had been full of others."""
    store._partitions[0].hot = type(store._partitions[0].hot)()
    store._partitions[0].complete = False


def commit(store: RocksStore, offset: int) -> None:
    delta = store.close_epoch()
    store.committed(delta, dict.fromkeys(delta, offset))
    store.write(store.waiting)


def test_values_are_read_from_wherever_they_are(store: RocksStore) -> None:
    put(store, committed="1", closing="1", open="1")
    commit(store, 10)
    put(store, closing="2")
    delta = store.close_epoch()
    put(store, open="3")
    wanted = ["1", "2", "3", None]
    assert get(store, "committed", "closing", "open", "never") == wanted
    forget(store)
    assert get(store, "committed", "closing", "open", "never") == wanted
    store.committed(delta, {0: 11})
    assert get(store, "committed", "closing", "open", "never") == wanted
    store.write(store.waiting)
    assert get(store, "committed", "closing", "open", "never") == wanted


def everything(store: RocksStore | MemoryStore, rows_max: int, partition: int = 0) -> list[tuple[bytes, bytes]]:
    """A scan to its end."""
    found: list[tuple[bytes, bytes]] = []
    after = b"\x01"
    while True:
        rows = store.scan(partition, after, rows_max)
        found += rows
        if len(rows) < rows_max:
            return found
        after = rows[-1][0]


@pytest.mark.parametrize("rows_max", [1, 3, 10, 11, 1_000])
def test_a_scan_finds_newest_values_wherever_they_are(store: RocksStore, rows_max: int) -> None:
    rng = random.Random(rows_max)
    keys = [f"{number:02d}" for number in range(40)]
    truth: dict[str, str] = {}
    for offset in (1, 2, 3):
        some = {key: f"{key}-{offset}" for key in rng.sample(keys, 12)}
        put(store, **some)
        store.put([0, 1], [b"\x00note", b"07"], [b"of ours", b"other"])
        truth |= some
        if offset == 1:
            commit(store, offset)
        elif offset == 2:
            store.close_epoch()
    expiry = MemoryStore()
    expiry.put([0] * len(truth), [key.encode() for key in truth], [value.encode() for value in truth.values()])
    wanted = sorted((key.encode(), value.encode()) for key, value in truth.items())
    assert everything(store, rows_max) == everything(expiry, rows_max) == wanted
    assert everything(store, rows_max, partition=1) == [(b"07", b"other")]


def test_a_scan_ends_where_it_is_told_and_at_what_is_no_parcel(store: RocksStore) -> None:
    noted = [b"\xff1", b"\xff2", b"\xff3"]
    store.put([0] * 3, noted, noted)
    put(store, a="1", b="1")
    commit(store, 1)
    store.put([0], [b"\xff25"], [b"open"])
    store.delete([0], [b"\xff1"])
    assert [key for key, _ in store.scan(0, b"\x01", 10)] == [b"a", b"b"]
    for rows_max in (1, 2, 3):
        wanted = [b"\xff2", b"\xff25"][:rows_max]
        assert [key for key, _ in store.scan(0, b"\xff", rows_max, before=b"\xff3")] == wanted
    commit(store, 2)
    assert store._partitions[0].read([b"\xff1", b"\xff2"]) == [None, b"\xff2"]


def test_what_is_forgotten_leaves_the_disk(tmp_path: Path) -> None:
    store = opened(tmp_path)
    keys = [b"%06d" % number for number in range(60_000)]
    rng = random.Random(1)
    store.put([0] * len(keys), keys, [rng.randbytes(600) for _ in keys])
    commit(store, 1)
    store.close_all()
    store.open(0)
    full = store.disk_bytes()
    store.delete([0] * len(keys), keys)
    commit(store, 2)
    store.close_all()
    store.open(0)
    deadline = time.monotonic() + PATIENCE_S
    while store.disk_bytes() > full / 10:
        assert time.monotonic() < deadline, "nothing was compacted"
        time.sleep(0.05)
    store.close_all()


def test_partitions_do_not_mix(store: RocksStore) -> None:
    store.put([0, 1], [b"k", b"k"], [b"zero", b"one"])
    assert store.get([1, 0], [b"k", b"k"]) == [b"one", b"zero"]
    commit(store, 5)
    store.close(0)
    assert store.partitions == {1}
    store.open(0)
    assert store.get([1, 0], [b"k", b"k"]) == [b"one", b"zero"]


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    put(first, a="1", b="1")
    commit(first, 7)
    put(first, a="2")
    commit(first, 9)
    first.close_all()
    again = things(tmp_path)
    assert again.open(0) == 9
    assert get(again, "a", "b", "c") == ["2", "1", None]
    again.close_all()


@pytest.mark.parametrize("closed", [False, True])
def test_what_was_not_written_is_gone_with_its_offset(tmp_path: Path, closed: bool) -> None:
    """As after a crash between the commit and the write: the changelog has the rest."""
    store = opened(tmp_path)
    put(store, a="1")
    commit(store, 7)
    put(store, a="2", b="2")
    if closed:
        store.close_epoch()
    store.close_all()
    assert store.open(0) == 7
    assert get(store, "a", "b") == ["1", None]
    assert store.close_epoch() == {}
    store.close_all()


def test_the_changelog_is_applied_over_what_is_there(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, a="1", b="1")
    commit(store, 4)
    store.close_all()
    assert store.open(0) == 4
    store.restore(0, {b"a": b"2", b"b": None, b"c": b"2"}, 8)
    assert get(store, "a", "b", "c") == ["2", None, "2"]
    store.close_all()
    assert store.open(0) == 8
    store.close_all()


def test_rebuilding_begins_with_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    put(store, a="1")
    commit(store, 4)
    store.rebuild(0)
    assert store.open(0) == 0
    assert get(store, "a") == [None]
    store.close_all()


_WRITER = """
import sys
from pathlib import Path
from tests.streams.state.test_store import commit, opened
store = opened(Path(sys.argv[1]))
for number in range(100_000):
    store.put([0], [b"%d" % (number % 7)], [b"%d " % number + b"x" * 200_000])
    store.committed(store.close_epoch(), {0: number + 1})
    if number % 3 == 2:
        store.write(store.waiting)
    print(number, flush=True)
"""


def test_a_kill_leaves_values_that_belong_to_their_offset(tmp_path: Path) -> None:
    """Whatever part of the commits survives, it is all of those before the offset, and none of the others."""
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 300:  # each of them 200 kB: enough for RocksDB to have written some of its files
                break
        writer.kill()
    store = things(tmp_path)
    offset = store.open(0)
    assert offset > 50
    for key, value in enumerate(store.get([0] * 7, [b"%d" % key for key in range(7)])):
        assert value is not None
        assert int(value.split()[0]) == max(number for number in range(offset) if number % 7 == key)
    store.close_all()


def test_more_than_fits_in_memory(tmp_path: Path) -> None:
    """The hot set is bounded; what it forgets is read from the epoch or from RocksDB."""
    store = opened(tmp_path, hot_bytes_max=20_000)
    values = {f"{number:05d}": "x" * 100 + str(number) for number in range(2_000)}
    for number, (key, value) in enumerate(values.items()):
        put(store, **{key: value})
        if number % 300 == 299:
            commit(store, number + 1)
    hot = store._partitions[0].hot
    assert len(hot) < 200
    assert get(store, *values) == [*values.values()]
    assert get(store, "none") == [None]
    commit(store, 2_000)
    assert store.entries() > 1_000
    store.close_all()


def test_bytes_on_disk_are_those_of_the_folder_whoever_holds_its_partitions(tmp_path: Path) -> None:
    store = opened(tmp_path, 0, 1)
    store.put([0, 1], [b"a", b"b"], [random.Random(number).randbytes(70_000) for number in (1, 2)])
    commit(store, 1)
    store.close(1)
    in_folder = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert store.disk_bytes() == in_folder > 70_000
    assert RocksStore("never", tmp_path, Shared.of(1, 1), hot_bytes_max=1).disk_bytes() == 0
    store.close_all()


def test_partitions_that_are_open_share_the_memory(tmp_path: Path) -> None:
    """A partition that another worker holds takes nothing."""
    store = opened(tmp_path, 0, 1, hot_bytes_max=20_000)

    def kept() -> int:
        """Values of 100 bytes that stay, of 200."""
        for number in range(200):
            store.put([0], [b"%03d" % number], [bytes(100)])
        return len(store._partitions[0].hot)

    shared = kept()
    assert 20 <= shared < 40  # of 253 bytes each
    store.close(1)
    assert shared * 1.5 < kept() < 80
    store.close_all()


def filled(folder: Path) -> Path:
    """A folder with enough in it for blocks of data, closed; the RocksDB folder."""
    store = opened(folder)
    put(store, **{f"{number:05d}": f"{number:05d}" + "x" * 300 for number in range(2_000)})
    commit(store, 7)
    store.close_all()
    return folder / "things" / "0"


@pytest.mark.parametrize("number", [OLDEST - 1, FORMAT + 1])
def test_a_folder_of_another_format_is_thrown_away_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    mark(filled(tmp_path), number)
    store = things(tmp_path)
    assert store.open(0) == 0
    assert get(store, "00001") == [None]
    store.close_all()
    (line,) = caplog.messages
    said = f"its format is {number}, and this version reads {OLDEST} to {FORMAT}): removed, to be built from"
    assert f"things/0 cannot be used ({said}" in line


def mark(folder: Path, number: int) -> None:
    """Have a folder say that it is of this format."""
    db = Rdict(str(folder), Options(raw_mode=True))
    db[b"\x00format"] = bytes([number])
    db.close()


class Older:
    """A store of one partition that an earlier format filled; its values say what they are, and a letter more."""

    def __init__(self, folder: Path, keys: Sequence[bytes]) -> None:
        self._folder = folder
        store = self.store()
        store.open(0)
        store.restore(0, {key: bytes([OLDEST]) + key for key in keys}, 5)
        store.close_all()
        mark(folder / "things" / "0", OLDEST)

    def store(self) -> RocksStore:
        """As a worker makes it."""
        return RocksStore(
            "things", self._folder, CACHE, hot_bytes_max=HOT,
            upgrade=lambda key, value: bytes([FORMAT]) + value[1:] + b"!",
            library=LIBRARY[0],
        )  # fmt: skip


def new(key: bytes) -> bytes:
    return bytes([FORMAT]) + key + b"!"


def test_values_of_an_earlier_format_are_read_in_the_present_one(tmp_path: Path) -> None:
    """From a folder as it is: nothing is read from the changelog again."""
    store = Older(tmp_path, [b"a", b"b"]).store()
    assert store.open(0) == 5
    store.restore(0, {b"c": bytes([OLDEST]) + b"c"}, 6)
    assert store.older == [0]
    assert store.get([0] * 4, [b"a", b"b", b"c", b"d"]) == [new(b"a"), new(b"b"), new(b"c"), None]
    assert store.scan(0, b"", 10) == [(key, new(key)) for key in (b"a", b"b", b"c")]
    assert store.origin(0, b"id")
    assert store.origin(0, b"id")
    assert not store.origin(0, b"other")
    store.close_all()


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3, None])
def test_values_are_written_anew_once_whenever_that_is_cut_off(tmp_path: Path, killed_after: int | None) -> None:
    keys = [b"k%d" % number for number in range(5)]
    older = Older(tmp_path, keys)
    changelog: dict[bytes, bytes | None] = {key: bytes([OLDEST]) + key for key in keys}
    store = older.store()
    for run in range(2):
        offset = store.open(0)
        for number in range(20):
            if (run, number) == (0, killed_after):
                break  # what is in an open epoch is lost
            rows, _ = store.upgrade_some(2)
            if not rows:
                break
            if (run, number) != (0, (killed_after or 0) - 1):
                delta = store.close_epoch()
                changelog |= {key: value for changes in delta.values() for key, value in changes.behind(0)}
                store.committed(delta, dict.fromkeys(delta, offset + 1))
        store.close_all()
    store.open(0)
    assert store.older == []
    assert changelog == {key: new(key) for key in keys} | {UPGRADED: bytes([FORMAT])}
    assert store.get([0] * 5, keys) == [new(key) for key in keys]
    assert store.upgrade_some(2) == (0, 0)
    store.close_all()


def test_a_look_that_finds_no_earlier_value_leaves_nothing_in_the_epoch(tmp_path: Path) -> None:
    """As after a kill amid an upgrade: the next worker looks through what is written anew already."""
    store = opened(tmp_path, 0)
    store.restore(0, {b"k%d" % number: new(b"v") for number in range(6)}, 3)
    epochs = []
    while store.upgrade_some(2)[0]:
        epochs.append({number: changes.behind(0) for number, changes in store.close_epoch().items()})
    assert len(epochs) > 3
    assert epochs[:-1] == [{}] * (len(epochs) - 1)
    assert epochs[-1] == {0: [(UPGRADED, bytes([FORMAT]))]}
    store.close_all()


def test_what_events_change_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    store = Older(tmp_path, [b"closing", b"deleted", b"open", b"other"]).store()
    store.open(0)
    store.put([0], [b"closing"], [new(b"1")])
    closing = store.close_epoch()
    store.put([0], [b"open"], [new(b"2")])
    store.delete([0], [b"deleted"])
    rows, put = store.upgrade_some(100)
    assert (rows >= 4, put) == (True, 1)
    assert dict(store.close_epoch()[0].behind(0)) == {
        b"open": new(b"2"), b"deleted": None, b"other": new(b"other"), UPGRADED: bytes([FORMAT])
    }  # fmt: skip
    assert set(closing) == {0}
    store.close_all()


def test_who_skips_a_version_is_told_to_go_through_it(tmp_path: Path) -> None:
    """The folder is of a format that is read, and not all that the version before found in it had been written anew."""
    older = Older(tmp_path, [b"a"])
    store = older.store()
    store.open(0)
    store.restore(0, {b"b": bytes([OLDEST - 1]) + b"b"}, 6)
    said = rf"things/0: holds state of format {OLDEST - 1}, and this version reads {OLDEST} to {FORMAT}: first run"
    for read in (lambda: store.get([0], [b"b"]), lambda: store.scan(0, b"", 9), lambda: store.upgrade_some(9)):
        with pytest.raises(StateError, match=said):
            read()
    store.close_all()


def test_a_store_that_can_upgrade_nothing_says_so(tmp_path: Path) -> None:
    Older(tmp_path, [b"a"])
    store = RocksStore("things", tmp_path, CACHE, hot_bytes_max=HOT)
    store.open(0)
    with pytest.raises(StateError, match=f"a value of format {OLDEST} cannot be read here"):
        store.get([0], [b"a"])
    store.close_all()


def unlink(path: Path) -> None:
    path.unlink()


def scribble(path: Path) -> None:
    """Random bytes in the middle."""
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = random.randbytes(third)
    path.write_bytes(data)


def cut(path: Path) -> None:
    """As if half of it had never been written."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("pattern", "harm"),
    [("MANIFEST-*", unlink), ("MANIFEST-*", scribble), ("CURRENT", unlink), ("CURRENT", scribble), ("*.sst", unlink),
     ("*.sst", cut)],
)  # fmt: skip
def test_a_damaged_folder_is_thrown_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pattern: str, harm: Callable[[Path], None]
) -> None:
    """What is found when it is opened; the changelog is read from its start then."""
    for path in filled(tmp_path).glob(pattern):
        harm(path)
    store = things(tmp_path)
    assert store.open(0) == 0
    assert get(store, "00001") == [None]
    put(store, a="1")
    commit(store, 3)
    store.close_all()
    assert "removed, to be built from the changelog" in caplog.text
    assert store.open(0) == 3
    store.close_all()


def test_damage_that_is_met_again_on_closing_is_damage_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path)
    corruption = Exception("Corruption: block checksum mismatch")
    damaged = Mock(get=Mock(side_effect=corruption), close=Mock(side_effect=corruption))
    monkeypatch.setattr("streams.state.partition.Rdict", Mock(wraps=Rdict, side_effect=[damaged, DEFAULT]))
    store = things(tmp_path)
    assert store.open(0) == 0
    assert "removed, to be built from the changelog" in caplog.text
    store.close_all()


def test_damage_found_while_reading_is_remembered_for_the_next_opening(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in filled(tmp_path).glob("*.sst"):
        scribble(path)
    store = things(tmp_path)
    assert store.open(0) == 7
    with pytest.raises(StateError, match=r"things/0 is damaged \(Corruption.*the next start builds it anew"):
        get(store, *[f"{number:05d}" for number in range(2_000)])
    store.close_all()
    assert store.open(0) == 0
    assert "removed, to be built from" in caplog.text
    store.close_all()
    caplog.clear()
    store.open(0)
    assert not caplog.text, "and it is forgotten again"
    store.close_all()


def test_damage_found_where_the_origin_is_kept_is_remembered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written once, it lies in another file than the offset; an error of RocksDB's own would be met at every start."""
    filled(tmp_path)
    store = things(tmp_path)
    assert store.open(0) == 7

    class Damaged:
        def get(self, keys: object) -> None:
            raise Exception("Corruption: block checksum mismatch")

    whole = store._partitions[0]._db
    monkeypatch.setattr(store._partitions[0], "_db", Damaged())
    with pytest.raises(StateError, match=r"things/0 is damaged \(Corruption.*the next start builds it anew"):
        store.origin(0, b"id")
    monkeypatch.setattr(store._partitions[0], "_db", whole)
    store.close_all()
    assert store.open(0) == 0
    store.close_all()


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_damage_found_while_scanning_is_no_end(tmp_path: Path, part: float) -> None:
    for path in filled(tmp_path).glob("*.sst"):
        data = bytearray(path.read_bytes())
        start = int(part * 0.8 * len(data))  # the last fifth holds no data
        data[start : start + 500] = random.randbytes(500)
        path.write_bytes(data)
    store = things(tmp_path)
    assert store.open(0) == 7
    with pytest.raises(StateError, match=r"things/0 is damaged .*the next start builds it anew"):
        list(whole(store, 0, 100))
    store.close_all()
    assert store.open(0) == 0
    assert list(whole(store, 0, 100)) == []
    store.close_all()


def test_a_folder_removed_under_a_store_goes_unnoticed_until_it_is_opened_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = filled(tmp_path)
    store = things(tmp_path)
    assert store.open(0) == 7
    shutil.rmtree(path.parent)
    put(store, a="1")
    commit(store, 8)
    assert get(store, "a", "00000") == ["1", "00000" + "x" * 300]
    store.close_all()
    assert "was not brought up to date" in caplog.text
    assert store.open(0) == 0
    store.close_all()


def test_all_that_is_there_can_be_read_in_pieces(store: RocksStore) -> None:
    put(store, **{f"k{i}": f"v{i}" for i in range(20)})
    commit(store, 30)
    put(store, **{f"k{i}": f"v{i}" for i in range(18, 25)})
    pieces = list(whole(store, 0, 10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert dict(pair for piece in pieces for pair in piece) == {b"k%d" % i: b"v%d" % i for i in range(25)}
    assert list(whole(store, 1, 10)) == []


def test_a_folder_in_use_is_refused_by_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(StateError, match="things/0"):
        opened(tmp_path)
    store.close_all()


def test_a_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "0").write_text("not a database")
    with pytest.raises(StateError, match="things/0"):
        opened(tmp_path)


# --- against a dict ---------------------------------------------------------------------------------------------------

KEYS = ("a", "b", "c", "d")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(0, 99).map(str)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.just("")),
        st.sampled_from(["get", "scan", "close_epoch", "committed", "write", "crash", "forget"]).map(
            lambda name: (name, "", "")
        ),
    ),
    max_size=30,
)


@given(steps)
def test_it_is_a_dict_that_forgets_what_was_not_written(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[str, str, str]]
) -> None:
    """`hot_bytes_max` is so small that every second put forgets something."""
    store = opened(tmp_path_factory.mktemp("state"), hot_bytes_max=600)
    now: dict[str, str] = {}
    written: dict[str, str] = {}
    closing: list[tuple[Delta, dict[str, str]]] = []
    offset = 0
    for name, key, value in steps:
        if name == "put":
            put(store, **{key: value})
            now[key] = value
        elif name == "delete":
            store.delete([0], [key.encode()])
            now.pop(key, None)
        elif name == "scan":
            for rows_max in (1, 2, 9):
                assert everything(store, rows_max) == sorted((k.encode(), v.encode()) for k, v in now.items())
        elif name == "get":
            assert get(store, *KEYS) == [now.get(each) for each in KEYS]
        elif name == "close_epoch":
            closing.append((store.close_epoch(), dict(now)))
        elif name == "committed" and closing:
            delta, written = closing.pop(0)
            offset += 1
            store.committed(delta, dict.fromkeys(delta, offset))
        elif name == "write":
            store.write(store.waiting)
        elif name == "crash":
            store.close_all()
            store.open(0)
            now, closing = dict(written), []
        elif name == "forget":
            forget(store)
    assert get(store, *KEYS) == [now.get(each) for each in KEYS]
    store.close_all()


def test_no_stale_value_while_an_epoch_is_being_written(tmp_path: Path) -> None:
    """One thread steps, another commits, as in the worker; every read is of the newest value."""
    store = opened(tmp_path, hot_bytes_max=4_000)
    keys = [f"{number:03d}".encode() for number in range(200)]
    newest = dict.fromkeys(keys, 0)
    stop = threading.Event()
    wrong: list[tuple[bytes, bytes | None, int]] = []
    waiting: list[Delta] = []
    turn = threading.Lock()  # an epoch is closed between two steps

    def commits() -> None:
        offset = 0
        while not stop.is_set() or waiting:
            with turn:
                delta = store.close_epoch()
            offset += 1
            store.committed(delta, dict.fromkeys(delta, offset))
            if offset % 3 == 0:
                store.write(store.waiting)

    committer = threading.Thread(target=commits)
    committer.start()
    rng = random.Random(1)
    for _ in range(400):
        with turn:
            some = rng.sample(keys, 20)
            found = store.get([0] * len(some), some)
            wrong += [(k, v, newest[k]) for k, v in zip(some, found, strict=True) if int(v or b"0") != newest[k]]
            for key in some[:10]:
                newest[key] += 1
            store.put([0] * 10, some[:10], [b"%d" % newest[key] + b" " * 50 for key in some[:10]])
    stop.set()
    committer.join(PATIENCE_S)
    assert not wrong
    commit(store, 10**6)
    store.close_all()
    store.open(0)
    assert [int(value or b"0") for value in store.get([0] * len(keys), keys)] == [newest[key] for key in keys]
    store.close_all()


def test_memory_alone_keeps_partitions_apart_too() -> None:
    store = MemoryStore()
    store.put([0, 1], [b"k", b"k"], [b"zero", b"one"])
    assert store.get([1, 0, 2], [b"k", b"k", b"k"]) == [b"one", b"zero", None]


def test_a_folder_removed_under_a_restore_is_told_of(tmp_path: Path) -> None:
    store = opened(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(StateError, match="No such file"):
        store.bulk(0, True)
    store.close_all()
