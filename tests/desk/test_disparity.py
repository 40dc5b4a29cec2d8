"""Rates by province against statsmodels on random tables; what is too little stays hidden; what was checked in time."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from desk.clues.clue import Clue
from desk.measures.cases import cases
from desk.measures.provinces import Accepted, accepted_by_province, differing, disparity
from desk.measures.stations import before_departure
from schemas.desk import Tally
from tests.desk.logs import T0
from tests.desk.test_measures import POWDER, answered, random_clue
from tests.repetition import LONG

TABLES = 2_000 if LONG else 500


def clue_from(clue_id: str, adcode: str | None, found: bool) -> Clue:
    clue = answered(
        clue_id, "seizure" if found else "no_finding", ("goods.powder",) if found else (), reasons=(POWDER,)
    )
    assert clue.alert is not None
    return replace(clue, alert=replace(clue.alert, pickup_adcode=adcode))


def test_marks_are_those_of_statsmodels_on_random_tables() -> None:
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportions_ztest

    chance = Random(1)
    marked = 0
    for _ in range(TABLES):
        counts = {}
        for province in range(chance.randint(2, 12)):
            of = chance.randint(0, 400)
            counts[str(province)] = (sum(chance.random() < 0.1 + 0.02 * province for _ in range(of // 8)), of // 8)
        found, of = (sum(each[i] for each in counts.values()) for i in (0, 1))
        names, p_values = [], []
        for name, (x, n) in counts.items():
            if n >= 30 and of - n > 0 and 0 < found < of:
                names.append(name)
                p_values.append(proportions_ztest([x, found - x], [n, of - n])[1])
        theirs = multipletests(p_values, alpha=0.1, method="fdr_bh")[0] if p_values else []
        assert differing(counts) == {name for name, mark in zip(names, theirs, strict=True) if mark}
        marked += len(differing(counts))
    assert marked > 20


def test_rates_have_wilson_s_interval_and_cells_below_thirty_are_hidden() -> None:
    from statsmodels.stats.proportion import proportion_confint

    clues = [clue_from(f"a{i}", "530102", i < 12) for i in range(40)]
    clues += [clue_from(f"b{i}", "440111", i < 1) for i in range(60)]
    clues += [clue_from(f"c{i}", "370102", True) for i in range(29)]
    clues += [clue_from("d", None, True), random_clue("r", True)]
    accepted = {"53": Accepted(1_000, 200), "37": Accepted(5_000, 55), "11": Accepted(29, 29), "44": Accepted(900, 9)}
    found = disparity(list(cases(clues, {})), accepted)
    by_province = {each.province: each for each in found.provinces}
    assert list(by_province) == ["37", "44", "53"]
    assert found.hidden == 1  # 11: 29 parcels and no answer
    yunnan, shandong = by_province["53"], by_province["37"]
    assert shandong.confirmed is None
    assert shandong.alerted is not None
    assert yunnan.confirmed is not None
    assert yunnan.alerted is not None
    low, high = proportion_confint(12, 40, method="wilson")
    assert (yunnan.confirmed.low, yunnan.confirmed.high) == pytest.approx((low, high))
    assert (yunnan.alerted.found, yunnan.alerted.of) == (200, 1_000)
    assert {each.province for each in found.provinces if each.alerted_differs} == {"37", "44", "53"}
    assert by_province["44"].confirmed_differs
    assert not shandong.confirmed_differs


def test_provinces_that_are_alike_are_not_marked() -> None:
    accepted = {str(number): Accepted(1_000, 50) for number in range(11, 20)}
    assert not any(each.alerted_differs for each in disparity([], accepted).provinces)


def test_tallies_are_added_over_partitions_and_days_from_a_day_on() -> None:
    def tally(outlet: str, day: str, partition: int, parcels: int, alerts: int) -> Tally:
        return Tally(
            outlet_id=outlet, day=day, partition=partition, parcels={"retail": parcels, "letter": 1}, duties={},
            alerts={"medium": alerts, "extreme": 1},
        )  # fmt: skip

    tallies = [
        tally("A", "2026-11-01", 0, 10, 1), tally("A", "2026-11-01", 1, 20, 2), tally("B", "2026-11-02", 0, 5, 0),
        tally("A", "2026-10-31", 0, 99, 9), tally("unknown", "2026-11-02", 0, 7, 7),
    ]  # fmt: skip
    found = accepted_by_province(tallies, {"A": "530102", "B": "530302"}, "2026-11-01")
    assert found == {"53": Accepted(38, 6)}


def test_checked_before_departure_counts_what_is_decided() -> None:
    def clue(clue_id: str, checked_at: int | None) -> Clue:
        return replace(answered(clue_id, None, reasons=(POWDER,)), checked_at=checked_at)

    clues = [
        clue("in time", T0 + 5), clue("late", T0 + 50), clue("never", None), clue("still here, checked", T0 + 9),
        clue("still here", None),
        replace(clue("withdrawn", None), closed_for="withdrawn", state="closed"),
    ]  # fmt: skip
    left = {f"SF:{name}": T0 + 10 for name in ("in time", "late", "never", "withdrawn")}
    found = before_departure(list(cases(clues, {})), left)
    assert (found.found, found.of) == (2, 4)
