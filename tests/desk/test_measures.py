"""Measures of clues: what counts, what does not, and that "no data" is never 0."""

from __future__ import annotations

import json
from html import escape
from math import isclose
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from desk.clues.clue import Clue
from desk.clues.deadlines import Calendar
from desk.measures.cases import Case, cases
from desk.measures.page import page
from desk.measures.report import Measures, measure
from desk.measures.rules import rule_measures, share
from desk.measures.tables import tables
from desk.measures.wording import NONE
from schemas import clues as log
from schemas.records import Feedback, Reason
from schemas.rulefile import Language
from tests.desk.logs import ALERTED, T0, applied, clue_at, event, opened

CALENDAR = Calendar({})
NOW = T0 + 40 * 86_400_000


def reason(rule: str, points: int = 30, category: str = "suspicion") -> Reason:
    document = {
        "rule": rule, "version": 1, "category": category, "points": points,
        "title": {"zh": rule, "en": rule}, "evidence": {},
    }  # fmt: skip
    return msgspec.convert(document, Reason)


def answered(
    clue_id: str, outcome: str | None, right: tuple[str, ...] | None = (), *, reasons: tuple[Reason, ...],
    unsure: tuple[str, ...] = (), score: int = 45, station: str = "ST-1", **first: Any,
) -> Clue:  # fmt: skip
    """A clue with these reasons; its answer, or none yet."""
    alert = replace(ALERTED, alert_id=clue_id, reasons=reasons, score=score)
    clue = applied(None, opened(clue_id, alert=alert, parcel=f"SF:{clue_id}", **first))
    clue = applied(clue, event(log.Dispatched, 1, clue, to=station))
    if outcome is None:
        return clue
    clue = applied(clue, event(log.Accepted, 2, clue))
    said = event(log.Answered, 3, clue, outcome=outcome, rules=right, unsure_rules=unsure)
    return applied(clue, said)


def random_clue(clue_id: str, found: bool, p: float = 0.01) -> Clue:
    clue = applied(
        None,
        opened(clue_id, origin="order", arm="random", p=p, alert=None, limit=None, tier="low", parcel=f"SF:{clue_id}"),
    )
    clue = applied(clue, event(log.Dispatched, 1, clue))
    clue = applied(clue, event(log.Accepted, 2, clue))
    return applied(clue, event(log.Answered, 3, clue, outcome="violation" if found else "no_finding", rules=None))


def taken(clues: list[Clue], feedback: dict[str, Feedback] | None = None) -> Measures:
    return measure(clues, feedback or {}, {"ST-1": 4}, CALENDAR, NOW)


POWDER, ROUTE = reason("goods.powder", 30), reason("route.priority", 15)
BOX = reason("process.no_open_box", 20, "compliance")


def test_credit_goes_to_the_rules_that_were_right_and_to_no_companion() -> None:
    clues = [answered(f"c{i}", "seizure", ("goods.powder",), reasons=(POWDER, ROUTE)) for i in range(12)]
    by_rule = {each.rule: each for each in taken(clues).suspicion.rules}
    assert (by_rule["goods.powder"].credited, by_rule["goods.powder"].precision.of) == (12, 12)
    assert (by_rule["route.priority"].credited, by_rule["route.priority"].precision.of) == (0, 12)
    assert [(pair.first, pair.second, pair.both) for pair in taken(clues).together] == [
        ("goods.powder", "route.priority", 12)
    ]


def test_what_could_not_be_judged_is_in_neither_numerator_nor_denominator() -> None:
    clues = [
        answered("a", "seizure", ("goods.powder",), reasons=(POWDER, ROUTE), unsure=("route.priority",)),
        answered("b", "no_finding", reasons=(POWDER,)),
        answered("c", "seizure", None, reasons=(POWDER,)),  # of old: says nothing of single rules
        answered("d", None, reasons=(POWDER,)),
    ]
    by_rule = {each.rule: each for each in taken(clues).suspicion.rules}
    powder, route = by_rule["goods.powder"].precision, by_rule["route.priority"].precision
    assert (powder.found, powder.of, powder.asked) == (1, 2, 4)
    assert (powder.worst_low, powder.worst_high) == (0.25, 0.75)
    assert (route.found, route.of, route.basis) == (0, 0, "none")


def test_a_rule_is_decisive_where_no_alert_would_stand_without_it() -> None:
    by_rule = {each.rule: each for each in rule_measures([Case(answered("a", None, reasons=(POWDER, ROUTE)))])}
    assert {rule: each.decisive for rule, each in by_rule.items()} == {"goods.powder": 1, "route.priority": 1}
    strong = reason("identity.borrowed", 60)
    by_rule = {each.rule: each for each in rule_measures([Case(answered("a", None, reasons=(POWDER, strong)))])}
    assert {rule: each.decisive for rule, each in by_rule.items()} == {"goods.powder": 0, "identity.borrowed": 1}


def test_the_same_rule_under_two_catalogues_is_measured_twice() -> None:
    one = answered("a", "seizure", ("goods.powder",), reasons=(POWDER,))
    assert one.alert is not None
    other = replace(one, clue_id="b", alert=replace(one.alert, catalogue="fedcba9876543210"))
    assert [(each.catalogue, each.present) for each in rule_measures(list(cases([one, other], {})))] == [
        ("0123456789abcdef", 1),
        ("fedcba9876543210", 1),
    ]


@pytest.mark.parametrize("reason_for", ["withdrawn", "too_late"])
def test_who_could_not_look_has_not_said_that_nothing_was_there(reason_for: str) -> None:
    clue = clue_at(log.Dispatched)
    clue = applied(clue, event(log.Closed, 5, clue, reason=reason_for))
    found = taken([clue])
    rule = found.suspicion.rules[0]
    assert (rule.precision.of, rule.precision.asked, rule.precision.share) == (0, 0, None)
    assert (found.flow.dispatched, found.flow.nobody_looked, found.flow.waiting) == (1, 1, 0)


def test_no_data_is_null_and_never_zero() -> None:
    shown = json.loads(msgspec.json.encode(taken([])))
    assert shown["suspicion"]["lift"] is None
    assert shown["random_arm"]["missed"] is None
    assert shown["random_arm"]["recall"] is None
    for part in (shown["suspicion"], shown["compliance"], shown["random_arm"]):
        assert {part["found"][name] for name in ("share", "low", "high", "worst_low", "answered_share")} == {None}
    assert all(step["median_min"] is None for step in shown["times"])
    assert shown["double_checks"]["kappa"] is None


@pytest.mark.parametrize(("of", "basis"), [(0, "none"), (9, "few"), (10, "some"), (29, "some"), (30, "enough")])
def test_few_answers_give_no_figure(of: int, basis: str) -> None:
    found = share(0, of)
    assert found.basis == basis
    assert (found.share is None) == (of < 10)
    assert (found.high is None) == (of < 10)


def test_compliance_and_suspicion_never_meet_in_one_figure() -> None:
    both = [answered(f"b{i}", "violation", ("process.no_open_box",), reasons=(POWDER, BOX)) for i in range(15)]
    found = taken(both)
    assert (found.suspicion.found.found, found.suspicion.found.of) == (0, 15)
    assert (found.compliance.found.found, found.compliance.found.of) == (15, 15)
    assert {each.category for each in found.suspicion.rules} == {"suspicion"}
    assert {each.category for each in found.compliance.rules} == {"compliance"}
    # An answer of old names no rules: an alert of both kinds then counts for neither, one of one kind for that one.
    old = [answered(f"o{i}", "violation", None, reasons=(POWDER, BOX)) for i in range(15)]
    assert (taken(old).suspicion.found.of, taken(old).compliance.found.of) == (0, 0)
    pure = [answered(f"p{i}", "violation", None, reasons=(BOX,)) for i in range(15)]
    assert (taken(pure).suspicion.found.of, taken(pure).compliance.found.found) == (0, 15)
    names = msgspec.json.decode(msgspec.json.encode(found))
    assert not {"precision", "found", "share"} & names.keys()  # nothing above the two parts


def test_compliance_rules_that_surely_miss_the_target_are_named() -> None:
    clues = [
        answered(
            f"c{i}", "violation" if i < 20 else "no_finding", ("process.no_open_box",) if i < 20 else (), reasons=(BOX,)
        )
        for i in range(60)
    ]
    assert taken(clues).compliance.below_target == ["process.no_open_box"]
    assert taken(clues[:25]).compliance.below_target == []


def test_lift_is_against_the_random_arm_and_has_no_invented_top() -> None:
    alerts = [
        answered(f"a{i}", "seizure" if i < 4 else "no_finding", ("goods.powder",) if i < 4 else (), reasons=(POWDER,))
        for i in range(83)
    ]
    arm = [random_clue(f"r{i}", False) for i in range(600)]
    found = taken([*alerts, *arm])
    assert found.suspicion.lift is not None
    assert (found.suspicion.lift.point, found.suspicion.lift.high) == (None, None)
    assert round(found.suspicion.lift.low, 1) == 7.5
    assert found.random_arm.upper == 0.005
    assert (found.random_arm.missed, found.random_arm.recall) == (None, None), "none was found, which is not none"
    assert found.random_arm.missed_below == pytest.approx(300)
    assert found.random_arm.recall_above == pytest.approx(4 / 304)


def test_an_order_that_was_taken_back_is_of_no_arm() -> None:
    arm = [random_clue(f"r{i}", i < 5, p=0.01) for i in range(100)]
    gone = [replace(each, order_standing="withdrawn") for each in arm[:3]]
    found = taken([*gone, *arm[3:]]).random_arm
    assert (found.found.found, found.found.of) == (2, 97)
    waiting = [replace(each, answer=None) for each in arm[5:50]]
    assert taken([*waiting, *arm[50:95]]).random_arm.missed_below == pytest.approx(600), "half of them say nothing"


def test_misses_are_estimated_from_finds_of_the_arm_without_an_alert() -> None:
    arm = [random_clue(f"r{i}", i < 5, p=0.01) for i in range(100)]
    alert = answered("a0", "seizure", ("goods.powder",), reasons=(POWDER,))
    both = applied(alert, event(log.Joined, 9, alert, p=0.01))  # an answer counts for both arms
    found = taken([both, *arm[1:]])
    assert (found.random_arm.found.found, found.random_arm.found.of, found.suspicion.found.found) == (5, 100, 1)
    assert found.random_arm.missed == pytest.approx(400)
    assert found.random_arm.missed_error == pytest.approx((4 * 0.99 / 0.01**2) ** 0.5)
    assert found.random_arm.recall == pytest.approx(1 / 401)


def test_a_station_that_answers_without_the_desk_counts_too_and_the_clue_s_own_answer_wins() -> None:
    direct = Feedback(
        feedback_id="f",
        alert_id="c1",
        revision=1,
        outcome="violation",
        rules=("identity.many_names",),
        at=T0,
        by_station="ST-9",
    )
    waiting = clue_at(log.Dispatched)
    assert taken([waiting], {"c1": direct}).suspicion.rules[0].credited == 1
    own = clue_at(log.Dispatched, log.Accepted, log.Answered)
    assert taken([own], {"c1": direct}).suspicion.rules[0].credited == 0


def test_times_count_those_who_wait() -> None:
    quick = [clue_at(log.Dispatched, log.Accepted, clue_id=f"q{i}") for i in range(3)]
    slow = [clue_at(log.Dispatched, clue_id=f"s{i}") for i in range(5)]
    accept, check, _ = taken([*quick, *slow]).times
    assert (accept.clues, accept.taken, accept.median_min) == (8, 3, None)
    assert taken(quick).times[0].median_min == 1.0
    assert check.p90_min is None


def test_a_station_with_too_much_is_told_the_rule_that_brings_it() -> None:
    weak = reason("route.priority", 45)
    today = T0 + 39 * 86_400_000
    clues = []
    for day in range(28):
        for i in range(9):
            clue = answered(f"{day}-{i}", "no_finding", reasons=(weak if i else POWDER,))
            at = today - day * 86_400_000
            clues.append(replace(clue, first_dispatched_at=at, first_answered_at=at + 1))
    station = measure(clues, {}, {"ST-1": 4}, CALENDAR, today).stations[0]
    assert station.tighten == "route.priority"
    assert station.load == pytest.approx(9 * 28 / (20 * 4))  # they come on weekends too
    assert station.tighten_share is not None
    assert isclose(station.tighten_share, 8 / 9)
    assert station.tighten_precision is not None
    assert (station.tighten_precision.found, station.tighten_precision.of) == (0, 28 * 8)
    assert station.beyond == 28 * (9 - 4)
    calm = measure(clues, {}, {"ST-1": 40}, CALENDAR, today).stations[0]
    assert (calm.tighten, calm.beyond) == (None, 0)
    derived = measure(clues, {}, {}, CALENDAR, today)
    assert derived.stations[0].capacity == 9
    assert set(derived.suspicion.by_budget) == {"ST-1"}, "also of a capacity that nobody stated"


def test_double_checks_give_kappa_from_thirty_on() -> None:
    chance = Random(1)
    clue = clue_at(log.Dispatched, log.Accepted, log.Answered)
    pairs = tuple(("seizure" if chance.random() < 0.5 else "no_finding",) * 2 for _ in range(15))
    once = replace(clue, doubled=pairs)
    assert taken([once]).double_checks.kappa is None
    both = taken([once, replace(once, clue_id="c2")]).double_checks
    assert (both.pairs, both.agreed, both.kappa) == (30, 30, 1.0)


def test_a_dispute_with_its_own_outcome_is_a_disagreement() -> None:
    clue = clue_at(log.Dispatched, log.Accepted, log.Answered, tier="extreme")
    disputed = applied(clue, event(log.Disputed, 9, clue, by="u2", outcome="violation"))
    checks = taken([disputed]).double_checks
    assert (checks.pairs, checks.agreed) == (1, 0)


def test_every_dispatched_clue_is_answered_waiting_or_could_not_be_looked_at() -> None:
    late = clue_at(log.Dispatched, clue_id="x")
    clues = [
        clue_at(clue_id="n"),
        clue_at(log.Dispatched, clue_id="d"),
        clue_at(log.Dispatched, log.Accepted, log.Answered, clue_id="a"),
        applied(late, event(log.Closed, 5, late)),
    ]
    flow = taken(clues).flow
    assert (flow.opened, flow.dispatched) == (4, 3)
    assert flow.answered + flow.waiting + flow.nobody_looked == flow.dispatched


def test_a_rule_that_differs_from_the_others_of_its_kind_is_marked_and_chance_is_not() -> None:
    good = [answered(f"g{i}", "seizure", ("goods.powder",), reasons=(POWDER,)) for i in range(40)]
    bad = [answered(f"b{i}", "no_finding", reasons=(ROUTE,)) for i in range(40)]
    assert {each.rule: each.differs for each in taken([*good, *bad]).suspicion.rules} == {
        "goods.powder": True,
        "route.priority": True,
    }
    same = [answered(f"s{i}", "seizure", ("route.priority",), reasons=(ROUTE,)) for i in range(40)]
    assert not any(each.differs for each in taken([*good, *same]).suspicion.rules)
    assert not any(each.differs for each in taken([*good, *bad[:9]]).suspicion.rules if each.rule == "route.priority")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tables_and_page_say_the_same_and_leave_no_figure_where_there_is_none(lang: Language) -> None:
    clues = [answered(f"c{i}", "seizure", ("goods.powder",), reasons=(POWDER, BOX)) for i in range(12)]
    clues += [random_clue(f"r{i}", False) for i in range(50)]
    found = taken(clues)
    shown = {table.title: table for table in tables(found, lang)}
    assert all(len(row) == len(table.head) for table in shown.values() for row in table.rows)
    cells = [cell for table in shown.values() for row in table.rows for cell in row]
    assert any("12/12: 100 %" in cell or "12 of 12: 100 %" in cell for cell in cells)
    assert any(cell.startswith("≥") for cell in cells)
    assert not any("inf" in cell or "nan" in cell or "None" in cell for cell in cells)
    html = page(found)
    assert all(escape(cell) in html for table in tables(found, "en") for row in table.rows for cell in row)
    assert all(escape(table.title) in html for table in shown.values())
    empty = [cell for table in tables(taken([]), lang) for row in table.rows for cell in row]
    assert NONE[lang] in empty
    assert not any("%" in cell for cell in empty if cell)


def test_a_page_escapes_what_it_shows() -> None:
    clue = replace(answered("a", "no_finding", reasons=(POWDER,)), station="<b>&")
    assert "<b>&" not in page(taken([clue]))
    assert "&lt;b&gt;&amp;" in page(taken([clue]))
