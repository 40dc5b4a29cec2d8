"""The fold of the clue log: steps, races, second persons, and one book from every reading of the same log."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from desk.clues.acts import Act
from desk.clues.book import Book
from desk.clues.clue import CLAIM_MS, Clue
from desk.clues.dispatch import of_alert, of_order
from desk.clues.fold import IDS_KEPT, LATE_KEPT, needs_second, step
from desk.clues.table import EXCLUSIVE, FROM
from schemas import clues as log
from schemas.desk import Order
from schemas.records import Alert, encode
from tests.desk.logs import ALERTED, T0, applied, clue_at, event, interleaved, opened, random_log
from tests.repetition import examples


def book_of(events: list[log.ClueEvent]) -> Book:
    book = Book()
    for each in events:
        book.take(each)
    return book


@examples(60)
@given(seed=st.integers(0, 2**32), clues=st.integers(1, 8), partitions=st.integers(1, 6))
def test_every_interleaving_of_partitions_gives_the_same_book(seed: int, clues: int, partitions: int) -> None:
    chance = Random(seed)
    happened = random_log(chance, clues, 150)
    want = book_of(happened).encoded()
    assert book_of(interleaved(chance, happened, partitions)).encoded() == want


@examples(40)
@given(seed=st.integers(0, 2**32))
def test_a_book_rebuilt_from_the_wire_is_the_live_one_byte_for_byte(seed: int) -> None:
    happened = random_log(Random(seed), 5, 150)
    again = Book()
    for each in happened:
        taken = again.read(encode(each))
        assert taken is not None
        assert taken.event == each
    assert again.encoded() == book_of(happened).encoded()
    assert again.unreadable == 0


@examples(40)
@given(seed=st.integers(0, 2**32))
def test_an_event_that_comes_twice_in_a_row_counts_once(seed: int) -> None:
    happened = random_log(Random(seed), 4, 100)
    once = book_of(happened)
    if once.orphans:
        return
    assert book_of([each for each in happened for _ in range(2)]).encoded() == once.encoded()


@examples(40)
@given(seed=st.integers(0, 2**32))
def test_versions_count_what_applied_and_what_was_refused_is_kept(seed: int) -> None:
    book = Book()
    seen: set[tuple[str, str]] = set()
    exclusive: dict[str, int] = {}
    refused: dict[str, int] = {}
    for each in random_log(Random(seed), 4, 200):
        before = book.clues.get(each.clue_id)
        taken = book.take(each)
        if (each.clue_id, each.event_id) in seen:
            assert taken.clue == before
            continue
        seen.add((each.clue_id, each.event_id))
        assert taken.clue is not None
        if taken.why is not None:
            refused[each.clue_id] = refused.get(each.clue_id, 0) + 1
            assert taken.clue.late[-1].event_id == each.event_id
            assert taken.clue.state == (before.state if before else "new")
        elif type(each) in EXCLUSIVE:
            exclusive[each.clue_id] = exclusive.get(each.clue_id, 0) + 1
        assert len(taken.clue.late) <= LATE_KEPT
        assert len(taken.clue.ids) <= IDS_KEPT
    for clue_id, clue in book.clues.items():
        assert clue.version == exclusive.get(clue_id, 0)
        assert clue.refused == refused.get(clue_id, 0)


@examples(60)
@given(seed=st.integers(0, 2**32))
def test_alert_and_order_of_a_parcel_make_one_clue_however_both_are_read(seed: int) -> None:
    """What is known of both is the same, whatever came first and whatever people did in between."""
    chance = Random(seed)
    told = changing(chance)
    facts = []
    for _ in range(3):
        clue = read_mixed(chance, told)
        facts.append(
            (clue.alert is not None, clue.arm, clue.p, clue.standing, clue.standing_tier, clue.order_standing,
             clue.standing_adcode, clue.withdrawn)
        )  # fmt: skip
    assert facts[0] == facts[1] == facts[2]
    assert facts[0][0], "also of an alert that comes to the clue of an order"


def read_mixed(chance: Random, told: dict[str, list[Alert | Order | None]]) -> Clue:
    """The clue after messages of both topics, each in its order, with acts of people now and then."""
    left, book = {kind: list(each) for kind, each in told.items()}, Book()
    while any(left.values()):
        said = left[chance.choice([kind for kind, each in left.items() if each])].pop(0)
        if chance.random() < 0.3:
            happen(book, by_hand(chance, book.clues.get("c1")))
        clue = book.clues.get("c1")
        happen(book, of_alert(clue, said, 40, T0) if isinstance(said, Alert) else of_order(clue, said, T0))
    return book.clues["c1"]


def happen(book: Book, act: Act | None) -> None:
    """Add an act, which counts."""
    clue = book.clues.get("c1")
    if act is not None:
        taken = book.take(act.event(clue, "d", None if clue is None else clue.station, T0 + book.events))
        assert taken.why is None, taken.why


def changing(chance: Random) -> dict[str, list[Alert | Order | None]]:
    """What a worker says of a parcel while its events come: of its alert once it has one, of its order always."""
    found: dict[str, list[Alert | Order | None]] = {"alert": [], "order": []}
    drawn, begins = chance.random() < 0.8, chance.randrange(5, 10)
    for number in range(5, 15):
        place, revision = chance.choice(("440111", "310115", "500105")), 16 * number
        fields: dict[str, Any] = {
            "alert_id": "c1", "detected_at": T0, "revision": revision, "jurisdiction_adcode": place,
            "tier": chance.choice(("medium", "high", "extreme")),
            "status": "withdrawn" if number > 12 and chance.random() < 0.5 else "open",
        }  # fmt: skip
        if number >= begins:
            found["alert"].append(replace(ALERTED, **fields))
        if drawn:
            order = Order(
                order_id="c1", revision=revision | 1, arm="random", p=0.01, day="2025-10-09", carrier_code="SF",
                waybill_no="1000000000001", adcode=place, at=T0,
            )  # fmt: skip
            found["order"].append(order)
    if drawn and chance.random() < 0.3:
        found["order"].append(None)
    return found


def by_hand(chance: Random, clue: Clue | None) -> Act | None:
    """What a station or the dispatcher does now and then."""
    times = {"accept_by": T0, "check_by": T0, "answer_by": T0}
    if clue is None:
        return None
    if clue.state == "new":
        return Act(log.Dispatched, "c1", {"to": "ST-1", "adcode": clue.adcode, **times})
    if clue.state == "dispatched":
        return Act(log.Accepted, "c1") if chance.random() < 0.7 else Act(log.Closed, "c1", {"reason": "too_late"})
    if clue.state == "accepted":
        return Act(log.Answered, "c1", {"feedback_id": "f1", "outcome": "no_finding"})
    return None


def test_of_stations_that_accept_at_once_the_first_in_the_log_wins_in_every_order() -> None:
    clue = clue_at(log.Dispatched)
    racing = [event(log.Accepted, number, clue, by=f"u{number}") for number in (7, 8, 9)]
    for order in permutations(racing):
        book = Book()
        book.clues["c1"] = clue
        taken = [book.take(each) for each in order]
        assert [each.why is None for each in taken] == [True, False, False]
        assert book.clues["c1"].accepted_by == order[0].by
        assert "acceptance by ST-1 came before it" in str(taken[1].why)


@pytest.mark.parametrize("kind", list(FROM))
def test_a_step_applies_from_the_states_of_the_table_and_no_others(kind: type[log.ClueEvent]) -> None:
    answered = clue_at(log.Dispatched, log.Accepted, log.Answered, clue_id="c2")  # which needs no second person
    ways: dict[str, Clue] = {
        "new": clue_at(),
        "dispatched": clue_at(log.Dispatched),
        "accepted": clue_at(log.Dispatched, log.Accepted),
        "checked": clue_at(log.Dispatched, log.Accepted, log.Checked),
        "answered": clue_at(log.Dispatched, log.Accepted, log.Answered, tier="extreme"),
        "closed": clue_at(log.Closed) if kind is not log.Judged else answered,
    }
    for state, clue in ways.items():
        assert clue.state == state
        after = step(clue, event(kind, 20, clue, by="u2"))
        allowed = state in FROM[kind] and not (kind is log.Held and state == "closed")  # no new hold once it is closed
        assert isinstance(after, Clue) == allowed, (state, after)


def test_an_exclusive_event_without_expects_is_refused() -> None:
    clue = clue_at(log.Dispatched)
    assert step(clue, event(log.Accepted, 5, clue, expects=None)) == "accepted: `expects` is missing"


@pytest.mark.parametrize("kind", [log.Accepted, log.Refused, log.Transferred])
def test_only_the_station_that_has_the_clue_acts_on_it(kind: type[log.ClueEvent]) -> None:
    clue = clue_at(log.Dispatched)
    assert (
        step(clue, event(kind, 5, clue, station="ST-2"))
        == f"{kind.__struct_config__.tag}: the clue is with station ST-1"
    )
    assert isinstance(step(clue, event(kind, 5, clue)), Clue)


def test_a_transfer_starts_the_clock_of_the_station_anew_and_not_that_of_the_answer() -> None:
    clue = clue_at(log.Dispatched, log.Transferred)
    assert (clue.state, clue.station, clue.adcode, clue.transfers) == ("new", None, "310115", 1)
    later = applied(clue, event(log.Dispatched, 5, clue, to="ST-2", accept_by=T0 + 10**7, answer_by=T0 + 10**9))
    assert later.accept_by == T0 + 10**7
    assert later.answer_by == clue.answer_by
    assert later.first_dispatched_at == clue.first_dispatched_at
    assert later.dispatched_at == T0 + 300_000


def test_finds_and_extreme_clues_wait_for_a_second_person_and_a_share_of_the_rest() -> None:
    clue = clue_at()
    assert needs_second(clue, "seizure")
    assert needs_second(clue, "violation")
    assert needs_second(msgspec.structs.replace(clue, tier="extreme"), "no_finding")
    drawn = sum(needs_second(msgspec.structs.replace(clue, clue_id=f"c{i}"), "no_finding") for i in range(20_000))
    assert 0.045 < drawn / 20_000 < 0.055


@pytest.mark.parametrize(("kind", "state"), [(log.Confirmed, "closed"), (log.Disputed, "accepted")])
def test_nobody_is_the_second_person_of_his_own_answer(kind: type[log.ClueEvent], state: str) -> None:
    clue = clue_at(log.Dispatched, log.Accepted, log.Answered, tier="extreme")
    assert clue.waits_for_second
    assert "his own answer" in str(step(clue, event(kind, 9, clue, by="u1")))
    after = applied(clue, event(kind, 9, clue, by="u2"))
    assert (after.state, after.second_by) == (state, "u2")


def test_who_withdraws_or_comes_too_late_leaves_no_answer() -> None:
    for reason in ("withdrawn", "too_late"):
        clue = clue_at(log.Dispatched)
        after = applied(clue, event(log.Closed, 5, clue, reason=reason))
        assert (after.state, after.closed_for, after.answer) == ("closed", reason, None)
    assert "only an answer" in str(step(clue, event(log.Closed, 5, clue, reason="answered")))
    accepted = clue_at(log.Dispatched, log.Accepted)
    assert step(accepted, event(log.Closed, 5, accepted)) == "closed: the clue is accepted, after acceptance by ST-1"


def test_a_clue_under_controlled_delivery_goes_to_no_station_and_is_seen_by_those_named() -> None:
    clue = clue_at(log.Monitor)
    assert "controlled delivery" in str(step(clue, event(log.Dispatched, 5, clue)))
    assert clue.visible_to("u9")
    assert not clue.visible_to("u1")
    over = applied(clue, event(log.Monitor, 6, clue, on=False, users=()))
    assert over.visible_to("u1")
    assert isinstance(step(over, event(log.Dispatched, 7, over)), Clue)
    assert "names no user" in str(step(over, event(log.Monitor, 8, over, users=())))


def test_a_claim_keeps_others_away_for_a_quarter_of_an_hour() -> None:
    clue = clue_at(log.Claimed)
    assert "u1 looks at it" in str(step(clue, event(log.Claimed, 5, clue, by="u2")))
    assert applied(clue, event(log.Claimed, 5, clue, by="u1")).claimed_by == "u1"
    after = event(log.Claimed, 5, clue, by="u2", at=(clue.claimed_at or 0) + CLAIM_MS)
    assert applied(clue, after).claimed_by == "u2"


def test_an_older_revision_of_the_alert_does_not_undo_a_newer_one() -> None:
    clue = clue_at()
    clue = applied(clue, event(log.Standing, 1, clue, revision=5, status="withdrawn"))
    assert "not newer" in str(step(clue, event(log.Standing, 2, clue, revision=4)))
    assert clue.standing == "withdrawn"
    assert clue.alert is not None
    assert clue.alert.status == "open"  # as it was when the clue was opened


def test_levels_of_escalation_rise_one_by_one_and_begin_again_with_the_next_step() -> None:
    clue = clue_at(log.Dispatched)
    assert "at level 0" in str(step(clue, event(log.Escalated, 3, clue, level=2)))
    clue = applied(clue, event(log.Escalated, 4, clue, level=1))
    clue = applied(clue, event(log.Escalated, 5, clue, level=2))
    assert (clue.level, clue.escalations, clue.state) == (2, 2, "dispatched")
    assert applied(clue, event(log.Accepted, 6, clue)).level == 0


def test_a_deadline_moves_only_by_an_event_with_author_and_reason() -> None:
    clue = clue_at(log.Dispatched)
    moved = applied(clue, event(log.DueMoved, 4, clue, step="check", due=T0 + 5))
    assert (moved.check_by, moved.accept_by, moved.answer_by) == (T0 + 5, clue.accept_by, clue.answer_by)


HOUR = 3_600_000


def hold(clue: Clue, number: int, action: str, **fields: Any) -> Clue | str:
    return step(clue, event(log.Held, number, clue, action=action, **fields))


def test_a_hold_is_requested_for_a_day_at_most_with_reason_and_basis() -> None:
    clue = clue_at()
    at = T0 + 60_000
    for lacking in ({"reason": " "}, {"basis": None}, {"until": None}):
        assert "needs reason, legal basis and end" in str(hold(clue, 1, "request", **lacking))
    assert "within 24 hours" in str(hold(clue, 1, "request", until=at + 24 * HOUR + 1))
    assert "within 24 hours" in str(hold(clue, 1, "request", until=at))
    held = hold(clue, 1, "request", until=at + 24 * HOUR)
    assert isinstance(held, Clue)
    assert "stands already" in str(hold(held, 2, "request"))


def test_an_extension_takes_a_second_person_and_a_release_a_reason() -> None:
    clue = applied(clue_at(), event(log.Held, 1, clue_at()))
    until = T0 + 50 * HOUR
    assert "no extension waits" in str(hold(clue, 2, "second"))
    assert "ends after the hold" in str(hold(clue, 2, "extend", until=T0 + 1))
    wanted = hold(clue, 2, "extend", until=until)
    assert isinstance(wanted, Clue)
    assert wanted.hold is not None
    assert clue.hold is not None
    assert wanted.hold.until == clue.hold.until
    assert "his own extension" in str(hold(wanted, 3, "second", by="u1"))
    longer = hold(wanted, 3, "second", by="u2")
    assert isinstance(longer, Clue)
    assert longer.hold is not None
    assert (longer.hold.until, longer.hold.second_by, longer.hold.extensions) == (until, "u2", 1)
    assert "needs a reason" in str(hold(longer, 4, "release", reason=None))
    gone = hold(longer, 4, "release", reason="nothing found")
    assert isinstance(gone, Clue)
    assert gone.hold is not None
    assert (gone.hold.state, gone.hold.released_for) == ("released", "nothing found")
    for action in ("effective", "extend", "second", "release"):
        assert "no hold stands" in str(hold(gone, 5, action))
    assert isinstance(hold(gone, 5, "request", until=T0 + 2 * HOUR), Clue)


def test_a_closed_clue_can_let_its_parcel_go_but_not_hold_it_again() -> None:
    clue = applied(clue_at(), event(log.Held, 1, clue_at()))
    closed = applied(clue, event(log.Closed, 2, clue))
    gone = hold(closed, 3, "release", reason="closed")
    assert isinstance(gone, Clue)
    assert "the clue is closed" in str(hold(gone, 4, "request"))


def test_a_second_opening_and_events_of_no_clue_change_nothing() -> None:
    book = book_of([opened()])
    before = book.clues["c1"].state
    assert book.take(opened(event_id="c1-9", tier="high")).why == "the clue is open already"
    assert (book.clues["c1"].state, book.clues["c1"].tier) == (before, "medium")
    assert book.take(event(log.Noted, 1, clue_at(clue_id="c7"))).why == "the clue was never opened"
    assert book.orphans == 1
    assert set(book.clues) == {"c1"}


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"kind":"sung"}', b"\xff", b"[" * 5_000])
def test_what_is_no_event_is_counted_and_changes_nothing(value: bytes | None) -> None:
    book = book_of([opened()])
    before = book.clues.copy()
    assert book.read(value) is None
    assert book.unreadable == 1
    assert book.clues == before
