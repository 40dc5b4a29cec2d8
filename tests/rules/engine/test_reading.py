"""Reading YAML without its surprises."""

from __future__ import annotations

import pytest

from rules.engine.contract import RuleError
from rules.engine.reading import BYTES_MAX, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("0123", "0123"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2025-01-01", "2025-01-01"),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("'3'", "3"),
        ('""', ""),
        ("张三", "张三"),
        ("[1, a]", [1, "a"]),
        ("{b: c}", {"b": "c"}),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    read = read_yaml(f"a: {text}".encode(), "f")["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("a: 1\na: 2", "a", "line 2: written twice"),
        ("a: {b: 1, c: {d: 1, d: 1}}", "a.c.d", "written twice"),
        ("a:\n- b: 1\n- b: 1\n  b: 2", "a[1].b", "line 4: written twice"),
        ("a: &x [1]\nb: *x", "a", "anchors are not allowed"),
        ("a: !!python/object:os.system 1", "a", "tag"),
        ("a: !secret x", "a", "tag"),
        ("<<: {a: 1}", "<<", "merge keys"),
        ("? [1]\n: 2", "", "a key must be a word"),
        ("a: [1", "", "broken YAML: line"),
        ("a: 1\n---\na: 2", "", "more than one"),
        ("a: *x", "a", "anchors are not allowed"),
        ("a: \x07", "", "broken YAML"),
        ("- 1", "", "a mapping"),
        ("", "", "a mapping"),
        ("a: " + "[" * 30 + "]" * 30, "a" + "[0]" * 20, "nested too deeply"),
        ("a: " + "x" * BYTES_MAX, "", "longer than"),
    ],
)
def test_refused(text: str, field: str, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_yaml(text.encode(), "family/rule.yaml")
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert str(caught.value).startswith("family/rule.yaml: ")


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    with pytest.raises(RuleError, match="deep"):
        read_yaml(b"a: " + b"[" * 30_000, "f")


def test_not_utf8() -> None:
    with pytest.raises(RuleError, match="not UTF-8 at byte 3"):
        read_yaml(b"a: \xff", "f")
