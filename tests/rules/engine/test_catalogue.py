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
from schemas.columns import COLUMNS, JOURNEY
from schemas.rulefile import LANGUAGES, PROSE, in_language

CATALOGUE = load_catalogue()
SCHEMA = {name: DTYPES[column.type] for name, column in COLUMNS.items()}

# category (suspicion, compliance) and points, as the contract's table has them: each in its first version
CONTRACT = {
    "route.priority_origin": ("S", 15),
    "route.priority_lane": ("S", 15),
    "goods.powder_or_liquid": ("S", 15),
    "goods.on_priority_route": ("S", 25),
    "goods.controlled_term": ("S", 60),
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

_HAN = r"[\u4e00-\u9fff]"

every_rule = pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)


def test_rules_of_the_contract_have_its_points_categories_and_limits() -> None:
    """Others may be added, and one that is raised to another version is another rule."""
    missing = CONTRACT.keys() - CATALOGUE.by_id.keys()
    assert not missing
    for rule_id, (category, points) in CONTRACT.items():
        rule = CATALOGUE.by_id[rule_id]
        if rule.version == 1:
            assert (rule.category[0].upper(), rule.points, rule.mode) == (category, points, "live"), rule_id
            assert dict(rule.limits) == LIMITS.get(rule_id, {}), rule_id


def test_every_yaml_file_of_the_package_is_a_rule() -> None:
    root = Path(rules.__file__).parent
    assert len(list(root.rglob("*.yaml"))) == len(load_catalogue(with_off=True).rules)


@every_rule
def test_titles_and_prose_are_in_their_language(rule: Rule) -> None:
    assert re.search(_HAN, rule.title["zh"])
    assert not re.search(_HAN, rule.title["en"])
    for name in PROSE:
        zh, en = (in_language(getattr(rule, name), language) for language in LANGUAGES)
        assert len(re.findall(_HAN, zh)) >= 4, zh
        assert not re.search(rf"{_HAN}\s+{_HAN}|[，。；：、]\s|[,;]|[A-Za-z]{{3}}", zh), zh  # no fold, no English
        assert len(re.findall(r"[A-Za-z]+", en)) >= 3, en
        assert not re.search(_HAN, en), en


@every_rule
def test_the_name_of_a_number_among_the_limits_ends_with_its_bound(rule: Rule) -> None:
    for name, limit in rule.limits.items():
        assert isinstance(limit, str | list) or re.fullmatch(r"[a-z]+(_[a-z0-9]+)*_(min|max)", name), name


@every_rule
def test_evidence_shows_what_the_rule_compared(rule: Rule) -> None:
    """Every number that the rule holds against a limit is shown to the analyst."""
    compared = re.findall(r"(\w+)\s*(?:>=|<=|>|<)\s*:", rule.when)
    assert set(compared) <= set(rule.evidence)


@every_rule
def test_cases_show_yes_no_and_unknown(rule: Rule) -> None:
    """Unknown unless it reads only what scans and inspections always say."""
    shown = {answer for timeline in timelines(rule) for answer in timeline.expected.values()}
    assert {True, False} <= shown
    assert None in shown or rule.never_unknown


@every_rule
def test_never_unknown_is_kept_where_nothing_but_a_scan_is_known(rule: Rule) -> None:
    """Of a parcel without a shipment record, too: such a rule asks of scans and inspections alone."""
    assert not rule.never_unknown or {COLUMNS[name] for name in _reads(rule)} <= set(JOURNEY)


# Columns that are null for a retail parcel only until history has answered: no timeline ends so.
PENDING = COLUMNS["courier_ids_60s"].null


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


JUDGES_ALL = ("route.", "goods.", "journey.", "sender.freight_exceeds_value", "licence.", "courier.unregistered")


@given(_ROWS)
def test_retail_rules_say_no_of_other_parcels_whatever_else_is_unknown(row: dict[str, object]) -> None:
    answers = evaluate(pl.DataFrame([{**row, "retail": False}], schema=SCHEMA), CATALOGUE)
    for rule_id in CONTRACT:
        if not rule_id.startswith(JUDGES_ALL):
            assert answers[rule_id].to_list() == [False], rule_id


@every_rule
def test_history_that_has_not_answered_decides_nothing(rule: Rule) -> None:
    """A retail parcel whose history is pending: what a rule says of it already, it says whatever history will say."""
    history = {name for name, column in COLUMNS.items() if PENDING in column.null}
    if not _reads(rule) & history:
        return
    other = {name: column.type == "boolean" or None for name, column in COLUMNS.items() if name not in history}
    will = [dict.fromkeys(history), *({name: _of(name, value) for name in history} for value in (0, 1, 2**31))]
    rows = [{**other, **said} for said in will]
    pending, *later = evaluate(pl.DataFrame(rows, schema=SCHEMA), CATALOGUE)[rule.id].to_list()
    assert pending is None or set(later) <= {pending}


def _of(name: str, value: int) -> object:
    return bool(value) if COLUMNS[name].type == "boolean" else value
