"""The catalogue that is shipped, held against the contract."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from rules import Rule, evaluate, load_catalogue
from rules.engine.cases import timelines
from rules.engine.sql import DTYPES
from schemas.columns import COLUMNS

CATALOGUE = load_catalogue()
SCHEMA = {name: DTYPES[column.type] for name, column in COLUMNS.items()}

# category (suspicion, compliance) and points, as the contract's table has them
CONTRACT = {
    "route.priority_origin": ("S", 15),
    "route.priority_lane": ("S", 15),
    "goods.powder_or_liquid": ("S", 15),
    "goods.on_priority_route": ("S", 25),
    "goods.controlled_term": ("S", 60),
    "goods.hinted_term": ("S", 20),  # not in the contract: what is too weak for controlled_term
    "goods.vague_name": ("S", 10),
    "identity.missing": ("C", 30),
    "identity.number_invalid": ("C", 40),
    "identity.placeholder_name": ("C", 30),
    "identity.many_names": ("S", 30),
    "identity.phone_many_ids": ("S", 25),
    "identity.impossible_travel": ("S", 30),
    "identity.three_provinces": ("S", 20),
    "identity.sequential_numbers": ("S", 25),
    "sender.velocity": ("S", 20),
    "sender.first_seen": ("S", 5),
    "sender.agent_or_street": ("S", 10),
    "sender.freight_exceeds_value": ("S", 10),
    "recipient.fan_in": ("S", 35),
    "courier.burst": ("C", 30),
    "courier.cloned_entries": ("C", 30),
    "courier.unregistered": ("C", 25),
    "licence.invalid": ("C", 30),
    "licence.out_of_area": ("C", 25),
    "identity.staff_as_sender": ("C", 20),
    "journey.departed_uninspected": ("C", 25),
    "journey.unresolved_departed": ("S", 40),
    "journey.second_xray_missing": ("S", 25),
    "journey.weight_changed": ("S", 30),
    "journey.unregistered": ("C", 30),
    "journey.ghost": ("C", 20),
    "journey.too_fast": ("C", 15),
    "journey.open_box_formality": ("C", 15),
}

LIMITS = {
    "identity.many_names": {"names_90d_min": 3},
    "identity.phone_many_ids": {"ids_30d_min": 4},
    "identity.impossible_travel": {"distance_km_min": 200, "speed_kmh_max": 900},
    "identity.three_provinces": {"provinces_24h_min": 3},
    "identity.sequential_numbers": {"ids_24h_min": 3},
    "identity.staff_as_sender": {"parcels_24h_min": 3},
    "sender.velocity": {"parcels_24h_min": 20},
    "recipient.fan_in": {"senders_14d_min": 5},
    "courier.burst": {"ids_60s_max": 6},
    "courier.cloned_entries": {"clones_1h_min": 10, "ids_1h_min": 8},
    "journey.unresolved_departed": {"departures_min": 1},
    "journey.weight_changed": {"change_g_max": 50, "change_percent_max": 5.0},
    "journey.too_fast": {"delivered_h_min": 12},
    "journey.open_box_formality": {"open_box_s_min": 3},
}

every_rule = pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)


def test_rules_points_and_categories_are_those_of_the_contract() -> None:
    shipped = {rule.id: (rule.category[0].upper(), rule.points) for rule in CATALOGUE.rules}
    assert shipped == CONTRACT


def test_limits_are_those_of_the_contract() -> None:
    assert {rule.id: dict(rule.limits) for rule in CATALOGUE.rules if rule.limits} == LIMITS


def test_every_yaml_file_of_the_package_is_a_rule() -> None:
    root = Path(rules.__file__).parent
    assert len(list(root.rglob("*.yaml"))) == len(CATALOGUE.rules)


@every_rule
def test_it_is_live_or_tried_in_its_version(rule: Rule) -> None:
    # Rules that mean something else than they once did.
    versions = {"identity.number_invalid": 2, "identity.placeholder_name": 2}
    assert (rule.mode, rule.version) == (
        "live" if rule.id != "goods.hinted_term" else "shadow",
        versions.get(rule.id, 1),
    )


@every_rule
def test_titles_are_in_their_language(rule: Rule) -> None:
    assert re.search(r"[\u4e00-\u9fff]", rule.title["zh"])
    assert not re.search(r"[\u4e00-\u9fff]", rule.title["en"] + rule.why + rule.misses + rule.triage)


@every_rule
def test_the_prose_says_something(rule: Rule) -> None:
    assert len(rule.why) > 60
    assert len(rule.misses) > 20
    assert len(rule.triage) >= 18


@every_rule
def test_the_name_of_a_limit_ends_with_its_bound(rule: Rule) -> None:
    for name in rule.limits:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*_(min|max)", name), name


@every_rule
def test_evidence_shows_what_the_rule_compared(rule: Rule) -> None:
    """Every number that the rule holds against a limit is shown to the analyst."""
    compared = re.findall(r"(\w+)\s*(?:>=|<=|>|<)\s*:", rule.when)
    assert set(compared) <= set(rule.evidence)


@every_rule
def test_evidence_is_enough_and_not_everything(rule: Rule) -> None:
    assert 2 <= len(rule.evidence) <= 6
    assert "retail" not in rule.evidence


# Columns that are null for a retail parcel only until history has answered: no timeline ends so.
PENDING = COLUMNS["courier_ids_60s"].null


@every_rule
def test_cases_show_yes_no_and_unknown(rule: Rule) -> None:
    shown = {answer for timeline in timelines(rule) for answer in timeline.expected.values()}
    assert {True, False} <= shown
    settled = all(COLUMNS[name].null in {"", PENDING} for name in _reads(rule))
    assert (None in shown) == (not rule.never_unknown and not settled)


@every_rule
def test_never_unknown_means_columns_that_always_have_a_value(rule: Rule) -> None:
    if rule.never_unknown:
        asked = {name for name in _reads(rule) if f"{name} IS NOT NULL AND" in rule.when}
        assert {name for name in _reads(rule) if COLUMNS[name].null} <= asked


def _reads(rule: Rule) -> frozenset[str]:
    return load_catalogue(only=[rule.id]).reads


_VALUES: dict[str, st.SearchStrategy[object]] = {
    "string": st.sampled_from(["powder", "solid", "none", "fail", "pass", "non_fixed", "resident_id", ""]),
    "integer": st.integers(0, 2**53 - 1),
    "number": st.floats(0, 1e9),
    "boolean": st.booleans(),
}
_ROWS = st.fixed_dictionaries(
    {
        name: st.none() | _VALUES[column.type] if column.null else _VALUES[column.type]
        for name, column in COLUMNS.items()
    }
)


@given(st.lists(_ROWS, min_size=1, max_size=5))
def test_no_row_breaks_the_catalogue_and_never_unknown_holds(rows: list[dict[str, object]]) -> None:
    answers = evaluate(pl.DataFrame(rows, schema=SCHEMA), CATALOGUE)
    for rule in CATALOGUE.rules:
        if rule.never_unknown:
            assert answers[rule.id].null_count() == 0, rule.id


JUDGES_ALL = {"route.", "goods.", "journey.", "sender.freight_exceeds_value", "licence.", "courier.unregistered"}


@given(_ROWS)
def test_retail_rules_say_no_of_other_parcels_whatever_else_is_unknown(row: dict[str, object]) -> None:
    answers = evaluate(pl.DataFrame([{**row, "retail": False}], schema=SCHEMA), CATALOGUE)
    for rule in CATALOGUE.rules:
        if not rule.id.startswith(tuple(JUDGES_ALL)):
            assert answers[rule.id].to_list() == [False], rule.id


@every_rule
def test_pending_history_is_unknown(rule: Rule) -> None:
    """A retail parcel whose history has not answered: no rule that reads history may say yes or no of it."""
    history = {name for name, column in COLUMNS.items() if PENDING in column.null}
    if not _reads(rule) & history:
        return
    shipment = {name: True if column.type == "boolean" else None for name, column in COLUMNS.items()}
    row = {name: None if name in history else value for name, value in shipment.items()}
    assert evaluate(pl.DataFrame([row], schema=SCHEMA), CATALOGUE)[rule.id].to_list() == [None]
