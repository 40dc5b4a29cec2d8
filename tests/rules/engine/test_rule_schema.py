"""The JSON Schema of rule files: it accepts what loads, refuses what is misspelt, and every rule file finds it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rules import Rule, RuleError
from rules.engine.cases import timelines
from rules.engine.catalogue import load_rule
from rules.engine.folder import SHIPPED, rule_files
from rules.engine.reading import read_yaml
from rules.lint.blank import write_blank
from schemas.publish import RULE, schema
from schemas.rulefile import SCHEMA_LINE
from schemas.terms import DEFERRED
from streams.cli import run
from tests.repetition import examples
from tests.rules.rulefile import DROP
from tests.rules.rulefile import RULE as SOUND

VALIDATOR = Draft202012Validator(schema(RULE))
FILES = rule_files(SHIPPED)


def faults(document: Any) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(document)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_rules_fit_and_find_it(path: Path) -> None:
    assert faults(read_yaml(path.read_bytes(), path.name)) == []
    assert _found(path) == json.loads(json.dumps(schema(RULE)))


def _found(path: Path) -> Any:
    """The schema to which the first line of a rule file leads an editor."""
    first = path.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    assert first == SCHEMA_LINE
    return json.loads((path.parent / first.strip().partition("$schema=")[2]).read_text(encoding="utf-8"))


def test_what_new_and_copy_write_finds_it_in_any_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, mine = tmp_path / "a" / "new", tmp_path / "mine"
    path = write_blank(new, "goods.dear")
    assert faults(read_yaml(path.read_bytes(), path.name)) == []
    assert _found(path) == schema(RULE)
    assert run(["rules", "copy", str(mine)]) == 0
    for path in rule_files(mine):
        assert _found(path) == schema(RULE)
    assert run(["rules", "new", "goods.dear", "--rules", str(mine)]) == 0
    assert run(["rules", "lint", "route", "--rules", str(mine)]) == 0  # the schema is no file that is overlooked
    assert "error" not in capsys.readouterr().out


def test_every_field_is_described() -> None:
    document = schema(RULE)
    assert set(document["properties"]) == {about.name for about in msgspec.structs.fields(Rule)} - {"id"}
    for part in (document, document["$defs"]["Case"], document["$defs"]["Event"]):
        assert [name for name, about in part["properties"].items() if not about.get("description")] == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"tite": {"zh": "规", "en": "R"}}, "$"),
        ({"id": "a.b"}, "$"),
        ({"points": 0}, "$.points"),
        ({"title": {"en": "R"}}, "$.title"),
        ({"title": {"zh": "规", "en": "R", "fr": "R"}}, "$.title"),
        ({"why": {"zh": "依据"}}, "$.why"),
        ({"misses": {"zh": "漏", "en": "M", "fr": "M"}}, "$.misses"),
        ({"category": "hunch"}, "$.category"),
        ({"evidence": ["sender_name_90d"]}, "$.evidence[0]"),
        ({"actions": ["arrest"]}, "$.actions[0]"),
        ({"cases": [{"name": "n", "events": [{"shipment": {"colour": "red"}}], "expect": "no"}]}, "$.cases[0]"),
        ({"cases": [{"name": "n", "events": [{"scan": {"scan_type": "lost"}}], "expect": "no"}]}, "$.cases[0]"),
        ({"cases": [{"name": "n", "events": [{"reference": {}}], "expect": "no"}]}, "$.cases[0]"),
        ({"cases": [{"name": "n", "events": [{"shipment": {}}], "expect": "maybe"}]}, "$.cases[0].expect"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_refused(change: dict[str, Any], place: str) -> None:
    assert faults(SOUND) == []
    assert any(fault.startswith(place) for fault in faults({**SOUND, **change}))


_VALUES = st.one_of(
    st.just(DROP), st.none(), st.booleans(), st.integers(-2, 200), st.floats(0, 2), st.text(max_size=3),
    st.sampled_from(["yes", "live", "A", "2 d", "retail", "hold", "weight_g"]), st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["zh", "en", "shipment", "n_min", "first"]), st.just("x"), max_size=2),
)  # fmt: skip


@examples(200)
@given(st.sampled_from(FILES), st.data())
def test_what_loads_fits(path: Path, data: st.DataObject) -> None:
    """Whatever is changed in a file, at any depth: the editor finds no fault in what the loader takes."""
    document = copy.deepcopy(read_yaml(path.read_bytes(), path.name))
    places = list(_places(document))
    container, key = data.draw(st.sampled_from(places))
    value = data.draw(_VALUES)
    if value is DROP:
        del container[key]
    else:
        container[key] = value
    text = _dump(document)
    try:
        rule, _ = load_rule("a.b", text, "a/b.yaml")
        timelines(rule)
    except RuleError:
        return
    assert [*Draft202012Validator(_at_load(schema(RULE))).iter_errors(read_yaml(text, "a/b.yaml"))] == []


def _at_load(node: Any) -> Any:
    """The schema without the forms that are checked only when a case is played."""
    if isinstance(node, dict):
        return {key: _at_load(of) for key, of in node.items() if not (key == "pattern" and of in DEFERRED)}
    return [_at_load(of) for of in node] if isinstance(node, list) else node


def _dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()  # JSON is YAML


def _places(node: Any) -> Any:
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from _places(node[key])
