"""Loading a catalogue: what makes it refuse, and what a deployment may override."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rules import RuleError, evaluate, load_catalogue
from tests.rules.rulefile import DROP, RULE, Load

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"title": {"zh": "规则"}}, "title.en", "missing"),
        ({"title": {"zh": "规则", "en": "A", "fr": "R"}}, "title", "no name here"),
        ({"title": "A rule"}, "title", "Expected `object`"),
        ({"category": "hunch"}, "category", "Invalid enum value"),
        ({"points": 0}, "points", ">= 1"),
        ({"points": 101}, "points", "<= 100"),
        ({"points": "30"}, "points", "Expected `int`"),
        ({"points": 30.0}, "points", "Expected `int`"),
        ({"points": True}, "points", "Expected `int`"),
        ({"points": DROP}, "", "missing required field `points`"),
        ({"why": DROP}, "", "missing required field `why`"),
        ({"why": ""}, "why", "length >= 1"),
        ({"why": {"en": "Because."}}, "why.zh", "missing"),
        ({"version": 0}, "version", ">= 1"),
        ({"mode": "loud"}, "mode", "Invalid enum value"),
        ({"actions": ["arrest"]}, "actions[0]", "Invalid enum value"),
        ({"actions": []}, "actions", "length >= 1"),
        ({"actions": ["hold", "hold"]}, "actions", "twice"),
        ({"evidence": ["nope"]}, "evidence", "nope is not among the documented columns"),
        ({"evidence": []}, "evidence", "length >= 1"),
        ({"cases": []}, "cases", "length >= 1"),
        ({"cases": [{"name": "x", "events": [], "expect": "no"}]}, "cases[0].events", "length >= 1"),
        ({"cases": [*RULE["cases"], {**RULE["cases"][0], "events": [{"scan": {}}]}]}, "cases", "twice"),
        ({"limits": {"names_90d_min": True}}, "limits[...]", "got `bool`"),
        ({"limits": {"names_90d_min": [1, "a"]}}, "limits.names_90d_min", "one kind"),
        ({"limits": {"names_90d_min": []}}, "limits.names_90d_min", "at least one"),
        ({"limits": {"names_90d_min": 3, "other": 1}}, "limits.other", "unused"),
        ({"limits": {}}, "limits.names_90d_min", "missing"),
        ({"limits": {"names-min": 3}}, "limits.names-min", "not a name"),
        ({"limits": {"points": 3}, "when": "weight_g > :points"}, "limits.points", "not a name"),
        ({"limits": {}, "when": "retail AND nope"}, "when", "nope: not among"),
        ({"limits": DROP, "when": "sender_names_90d"}, "when", "not a predicate"),
        ({"never_unknown": True}, "never_unknown", "sender_names_90d can be null"),
        ({"never_unknown": "yes"}, "never_unknown", "Expected `bool`"),
        ({"id": "identity.one"}, "id", "its place is its id"),
        ({"colour": "red"}, "", "unknown field `colour`"),
    ],
)
def test_a_faulty_rule_is_refused(write: Write, fields: dict[str, Any], field: str, problem: str) -> None:
    root = write(**fields)
    write("identity/sound")
    with pytest.raises(RuleError) as caught:
        load_catalogue(root)
    assert str(root / "identity" / "one.yaml") == caught.value.file
    assert caught.value.field == field
    assert problem in str(caught.value)


def test_a_broken_file_is_refused(write: Write) -> None:
    root = write(text="title: {zh: 规则, en: [")
    with pytest.raises(RuleError, match=r"identity/one\.yaml: broken YAML: line"):
        load_catalogue(root)


@pytest.mark.parametrize("name", ["one", "a/b/one", "Identity/one", "identity/One", "identity/many-names"])
def test_a_file_in_the_wrong_place_is_refused(write: Write, name: str) -> None:
    root = write("identity/sound")
    write(name)
    with pytest.raises(RuleError, match=name.rpartition("/")[2]):
        load_catalogue(root)


def test_another_suffix_is_refused(write: Write) -> None:
    root = write()
    (root / "identity" / "two.yml").write_text("x")
    with pytest.raises(RuleError, match="overlooked"):
        load_catalogue(root)


def test_hidden_files_are_left_alone(write: Write) -> None:
    root = write()
    (root / "identity" / ".one.yaml.swp").write_text("x")
    (root / ".cache").mkdir()
    (root / ".cache" / "x.yaml").write_text("x")
    assert [rule.id for rule in load_catalogue(root).rules] == ["identity.one"]


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no rules here"):
        load_catalogue(tmp_path)
    with pytest.raises(RuleError, match="not a folder"):
        load_catalogue(tmp_path / "nowhere")


@pytest.mark.parametrize("title", [{"zh": "同", "en": "A"}, {"zh": "异", "en": "same "}])
def test_a_title_used_twice_is_refused(write: Write, title: dict[str, str]) -> None:
    root = write("identity/one", title={"zh": "同", "en": "Same"})
    write("identity/two", title=title)
    with pytest.raises(RuleError, match=r"two\.yaml: title\.(zh|en): the same as that of identity\.one"):
        load_catalogue(root)


def test_rules_are_sorted_and_chosen(write: Write) -> None:
    for name in ("route/b", "goods/z", "goods/a"):
        root = write(name)
    assert [rule.id for rule in load_catalogue(root).rules] == ["goods.a", "goods.z", "route.b"]
    assert [rule.id for rule in load_catalogue(root, only={"goods"}).rules] == ["goods.a", "goods.z"]
    assert [rule.id for rule in load_catalogue(root, only=["goods.z", "route"]).rules] == ["goods.z", "route.b"]
    with pytest.raises(RuleError, match=r"only: goods\.y: no such rule"):
        load_catalogue(root, only=["goods.y"])


def test_columns(load: Load) -> None:
    catalogue = load(evidence=["weight_g"])
    assert catalogue.reads == {"retail", "sender_names_90d"}
    assert catalogue.columns == {"retail", "sender_names_90d", "weight_g"}
    assert list(catalogue.by_id) == ["identity.one"]


# --- overrides ----------------------------------------------------------------------------------------------------


def test_an_override_changes_the_answer(load: Load) -> None:
    frame = pl.DataFrame({"retail": [True], "sender_names_90d": [3]})
    assert evaluate(frame, load()).item() is True
    catalogue = load({"identity.one": {"names_90d_min": 4, "points": 7}})
    assert evaluate(frame, catalogue).item() is False
    assert catalogue.rules[0].limits == {"names_90d_min": 4}
    assert catalogue.points.tolist() == [7]


@pytest.mark.parametrize(
    ("overrides", "field", "problem"),
    [
        ({"identity.two": {}}, "identity.two", "no such rule"),
        ({"identity.one": {"names_min": 4}}, "identity.one.names_min", "no such limit"),
        ({"identity.one": {"names_90d_min": "4"}}, "identity.one.names_90d_min", "is str, the rule has int"),
        ({"identity.one": {"names_90d_min": 4.5}}, "identity.one.names_90d_min", "is float, the rule has int"),
        ({"identity.one": {"names_90d_min": True}}, "identity.one.names_90d_min", "a limit is"),
        ({"identity.one": {"names_90d_min": None}}, "identity.one.names_90d_min", "a limit is"),
        ({"identity.one": {"names_90d_min": [4]}}, "identity.one.names_90d_min", "is list, the rule has int"),
        ({"identity.one": {"points": 0}}, "identity.one.points", ">= 1"),
        ({"identity.one": {"points": "30"}}, "identity.one.points", "Expected `int`"),
        ({"identity.one": {"mode": "loud"}}, "identity.one.mode", "Invalid enum value"),
        ({"identity.one": {"when": "retail"}}, "identity.one.when", "no such limit"),
    ],
)
def test_a_faulty_override_is_refused(
    load: Load, overrides: dict[str, dict[str, Any]], field: str, problem: str
) -> None:
    with pytest.raises(RuleError) as caught:
        load(overrides)
    assert (caught.value.file, caught.value.field) == ("overrides", field)
    assert problem in caught.value.problem


def test_an_override_that_does_not_compile_names_itself(load: Load) -> None:
    fields = {"when": "dest_adcode ~ :form", "limits": {"form": "^44"}}
    with pytest.raises(RuleError, match=r"overrides of .*one\.yaml: when: .*unclosed group"):
        load({"identity.one": {"form": "("}}, **fields)


def test_an_override_does_not_hide_a_faulty_file(load: Load) -> None:
    fields = {"when": "dest_adcode ~ :form", "limits": {"form": "("}}
    with pytest.raises(RuleError, match=r"one\.yaml: when: .*unclosed group"):
        load({"identity.one": {"form": "^44"}}, **fields)


def test_a_whole_number_may_stand_for_a_fraction(load: Load) -> None:
    fields = {"when": "sender_previous_km > :km_max", "limits": {"km_max": 1.5}}
    assert load({"identity.one": {"km_max": 2}}, **fields).rules[0].limits == {"km_max": 2}


# --- mode and fingerprint -----------------------------------------------------------------------------------------


def test_modes(write: Write) -> None:
    for mode in ("live", "shadow", "off"):
        root = write(f"identity/{mode}", mode=mode)
    catalogue = load_catalogue(root)
    assert [rule.id for rule in catalogue.rules] == ["identity.live", "identity.shadow"]
    assert catalogue.points.tolist() == [30, 0]
    assert len(load_catalogue(root, {"identity.shadow": {"mode": "off"}}).rules) == 1


def test_a_rule_that_is_off_is_checked_all_the_same(write: Write) -> None:
    root = write("identity/one", mode="off", when="nope", limits={})
    write("identity/two")
    with pytest.raises(RuleError, match="nope"):
        load_catalogue(root)


def test_the_fingerprint_follows_what_can_change_a_verdict(load: Load) -> None:
    before = load().fingerprint
    assert len(before) == 16
    assert int(before, 16) >= 0
    assert load().fingerprint == before
    assert load(why="Another.", triage="Elsewhere.", evidence=["weight_g"]).fingerprint == before
    changed = {
        load({"identity.one": {"names_90d_min": 4}}).fingerprint,
        load({"identity.one": {"points": 31}}).fingerprint,
        load(version=2).fingerprint,
        load(mode="shadow").fingerprint,
        load(category="compliance").fingerprint,
        load(when="sender_names_90d >= :names_90d_min").fingerprint,
        load(name="identity/two").fingerprint,
    }
    assert len(changed | {before}) == 8
