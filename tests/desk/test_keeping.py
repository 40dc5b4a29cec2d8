"""Clues that are kept: their events are written again. Who has them ignores that; for others it is enough."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.clues.acts import ActError
from desk.clues.book import Book
from desk.clues.fold import IDS_KEPT, step
from desk.keeping import EVERY_MS, copies
from desk.queue import shown
from desk.verbs import Keep, Report, Transfer, act, report
from schemas import clues as log
from schemas import topics
from schemas.records import encode
from streams.kafka.log_reader import Entry
from tests.desk.logs import T0, applied, clue_at, event, opened, random_log
from tests.repetition import examples

NOW = T0 + 10 * EVERY_MS


def entries(values: list[tuple[str, bytes]], at_ms: int) -> list[Entry]:
    return [Entry(topics.CLUES, 0, offset, key.encode(), value, at_ms) for offset, (key, value) in enumerate(values)]


@examples(40)
@given(seed=st.integers(0, 2**32), size=st.integers(5, 300))
def test_copies_change_nothing_and_build_the_same_clues_alone(seed: int, size: int) -> None:
    chance = Random(seed)
    happened = [(each.clue_id, encode(each)) for each in random_log(chance, 3, size)]
    live = Book()
    for _, value in happened:
        live.read(value)
    kept = set(list(live.clues)[:2])
    written = list(copies(entries(happened, T0), kept, NOW))
    assert [each[0].key for each in written] == sorted(kept)
    again = [(record.key, record.value or b"") for records in written for record in records]
    alone = Book()
    for _, value in again:
        alone.read(value)
    assert alone.clues == {clue_id: live.clues[clue_id] for clue_id in kept}
    # Between the last of the events and their copies there may be some of others, who have not read the copies.
    before = live.encoded()
    for _, value in again:
        taken = live.read(value)
        assert taken is not None
        assert taken.repeat
    later = [event(log.Noted, 10**6 + number, live.clues[clue_id]) for number, clue_id in enumerate(sorted(kept))]
    assert live.events == len(happened) + len(again)
    assert before == live.encoded()
    for each in later:
        assert live.take(each).clue == alone.take(each).clue
    second = list(
        copies(entries([*happened, *again, *((each.clue_id, encode(each)) for each in later)], T0), kept, NOW)
    )
    assert [len(each) for each in second] == [len(each) + 1 for each in written]


def test_what_was_written_within_a_month_is_left_alone_and_so_is_what_nobody_keeps() -> None:
    happened = [("c1", encode(opened("c1"))), ("c2", encode(opened("c2")))]
    assert list(copies(entries(happened, NOW - EVERY_MS + 1), {"c1"}, NOW)) == []
    (records,) = copies(entries(happened, NOW - EVERY_MS), {"c1"}, NOW)
    (record,) = records
    assert (record.topic, record.key) == (topics.CLUES, "c1")
    assert msgspec.json.decode(record.value or b"")["again"] == 0
    assert list(copies([*entries(happened, T0), *entries([("c1", record.value or b"")], NOW - 1)], {"c1"}, NOW)) == []


def test_a_long_history_is_recognised_though_its_ids_are_forgotten() -> None:
    book = Book()
    happened: list[log.ClueEvent] = [opened()]
    book.take(happened[0])
    for number in range(1, 3 * IDS_KEPT):
        kind = log.Noted if number % 3 else log.Accepted  # which is refused: nothing was dispatched
        happened.append(event(kind, number, book.clues["c1"]))
        book.take(happened[-1])
    (records,) = copies(entries([("c1", encode(each)) for each in happened], T0), {"c1"}, NOW)
    before = book.encoded()
    for record in records:
        book.read(record.value)
    assert book.encoded() == before


def test_a_claim_is_shown_until_it_lapses() -> None:
    clue = clue_at(log.Claimed)
    at = clue.claimed_at or 0
    assert (clue.claimed(at), clue.claimed(at + 15 * 60_000)) == ("u1", None)
    assert shown(clue, at)["claimed_by"] == "u1"
    assert not {"claimed_by", "claimed_at"} & shown(clue, at + 15 * 60_000).keys()


def test_a_report_opens_a_clue_without_persons() -> None:
    made = report(Report(parcel="SF:1000000000001", adcode="440111", note="气味异常"), T0).event(None, "u1", None, T0)
    clue = applied(None, made)
    assert (clue.origin, clue.state, clue.tier, clue.parcel) == ("reported", "new", "medium", "SF:1000000000001")
    assert len(clue.clue_id) == len("wa-") + 24
    wrong = {
        "parcel": ("SF", "SF:", ":1", "S F:1"),
        "adcode": ("44011x", "040111"),
        "note": ("致电13800000000", " "),
    }
    for name, values in wrong.items():
        for value in values:
            given = {"parcel": "SF:1", "adcode": "440111", "note": "x", name: value}
            with pytest.raises(ActError, match=name):
                report(Report(**given), T0)  # type: ignore[arg-type]
    with pytest.raises(ActError, match="to_adcode: is no code"):
        act(Transfer(to_adcode="44011x", why="x"), clue, T0, None)


def test_a_closed_clue_is_kept_too_and_never_for_less_than_before() -> None:
    clue = clue_at(log.Closed)
    for until in (NOW, NOW - 1):
        clue = applied(clue, act(Keep(until=until, why="court"), clue, T0, None).event(clue, "u1", None, T0))
    assert clue.kept_until == NOW
    assert step(clue, event(log.Kept, 99, clue, until=T0)) == "kept: the end lies in the past"
    assert step(clue, opened()) is clue
