"""Lint: what it finds, that it finds all of it at once, and that it does not cry over what can be meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import RuleError, load_catalogue
from rules.engine.catalogue import load_rule
from rules.engine.reach import reach
from rules.engine.sql import DTYPES
from rules.lint.blank import write_blank
from rules.lint.lint import Finding, lint
from schemas.columns import COLUMNS
from schemas.rulefile import LANGUAGES, PROSE
from tests.repetition import examples
from tests.rules.rulefile import DROP, RULE

Write = Callable[..., Path]


def case(name: str, expect: str, **shipment: Any) -> dict[str, Any]:
    return {"name": name, "events": [{"shipment": shipment}], "expect": expect}


CASES = [
    case("fires", "yes", sender_id="A"),
    case("quiet", "no", sender_id="B"),
    case("no number", "unknown", sender_id_no=None),
]
SOUND = {"title": {"zh": "规则", "en": "Rule"}, "cases": CASES}
"""With RULE, a file in which there is nothing to find. Nothing is played here, so expectations may be anything."""


@pytest.fixture
def found(write: Write) -> Callable[..., list[Finding]]:
    """Findings in one rule: RULE and SOUND with the given fields."""

    def found(**fields: Any) -> list[Finding]:
        return list(lint(write(**{**SOUND, **fields})).findings)

    return found


Found = Callable[..., list[Finding]]


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.field) for finding in findings]


def test_nothing_is_found_in_the_shipped_rules() -> None:
    report = lint()
    assert report.findings == ()
    assert report.rules == tuple(rule.id for rule in load_catalogue(with_off=True).rules)


def test_nothing_is_found_in_a_sound_rule(found: Found) -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"title": {"zh": "规则"}}, "title.en", "missing"),
        ({"title": DROP}, "title", "missing"),
        ({"title": {"zh": "规则", "en": "Scanned", "and gone": None}}, "title", "'and gone' is no name here; a text"),
        ({"title": {"zh": "规则", "en": " "}}, "title.en", "says nothing"),
        ({"why": ""}, "why", "Expected `str` of length >= 1"),
        ({"why": "  "}, "why", "says nothing"),
        ({"misses": DROP}, "misses", "missing"),
        ({"triage": "TODO look"}, "triage", "still to fill in"),
        ({"why": {"zh": "依据"}}, "why.en", "missing"),
        ({"misses": {"zh": "依据", "en": "TODO"}}, "misses.en", "still to fill in"),
        ({"triage": {"zh": "查看", "en": "Look.", "fr": "Voir."}}, "triage", "'fr' is no name here"),
        ({"points": 0}, "points", "Expected `int` >= 1"),
        ({"point": 3}, "point", "not a field of a rule, perhaps points"),
        ({"limits": {"names_90d_min": 3, "ids_min": 1}}, "limits.ids_min", "unused"),
        ({"limits": {}}, "limits.names_90d_min", "missing, `when` asks for it"),
        ({"limits": {"names_90d_min": [3, "x"]}}, "limits.names_90d_min", "a list holds one kind of value"),
        ({"when": "retail AND sender_name_90d >= :names_90d_min"}, "when", "perhaps sender_names_90d"),
        ({"when": "retail AND (sender_names_90d >= :names_90d_min"}, "when", ""),
        ({"when": 'retail AND sender_names_90d >= :names_90d_min AND direction = "export"'}, "when", "cannot read"),
        ({"when": "RETAIL AND sender_names_90d >= :names_90d_min"}, "when", "perhaps retail"),
        ({"when": "sender_names_90d + :names_90d_min"}, "when", "not a predicate"),
        ({"evidence": []}, "evidence", "Expected `array` of length >= 1"),
        ({"evidence": ["sender_names_90d", "weight"]}, "evidence", "perhaps weight_g"),
        ({"evidence": ["sender_names_90d", "sender_names_90d"]}, "evidence", "holds something twice"),
        ({"cases": CASES[1:]}, "cases", "none shows it saying yes"),
        ({"cases": [CASES[0], CASES[2]]}, "cases", "none shows it saying no"),
        ({"cases": CASES[:2]}, "cases", "none shows when it is unknown"),
        ({"cases": [*CASES, case("odd", "no", colour="red")]}, "cases[3].events[0].shipment.colour", "no such field"),
        ({"cases": [*CASES, case("TODO", "no")]}, "cases[3].name", "still to fill in"),
        ({"never_unknown": True}, "never_unknown", "sender_names_90d can be null"),
    ],
)
def test_an_error(found: Found, fields: dict[str, Any], field: str, message: str) -> None:
    findings = found(**fields)
    assert told(findings) == [("error", field)]
    assert message in findings[0].message
    assert (findings[0].rule, Path(findings[0].file).parts[-2:]) == ("identity.one", ("identity", "one.yaml"))


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"title": {"zh": "Rule", "en": "Rule 1"}}, "title.zh", "is not in Chinese"),
        ({"title": {"zh": "规则", "en": "规则 1"}}, "title.en", "is not in English"),
        ({"triage": {"zh": "Look.", "en": "Look."}}, "triage.zh", "is not in Chinese"),
        ({"limits": {"few": 3}, "when": "retail AND sender_names_90d >= :few"}, "limits.few", "_min or _max"),
        ({"evidence": ["sender_outlets_90d"]}, "evidence", "does not show sender_names_90d"),
        ({"when": "sender_names_90d >= :names_90d_min"}, "when", "begin with `retail AND`"),
        (
            {"when": "retail AND sender_names_90d >= :names_90d_min AND pickup_place <> 'kiosk'"},
            "when",
            "pickup_place is never 'kiosk', it holds door, ",
        ),
    ],
)
def test_a_warning(found: Found, fields: dict[str, Any], field: str, message: str) -> None:
    findings = found(**fields)
    assert told(findings) == [("warning", field)]
    assert message in findings[0].message


@pytest.mark.parametrize(
    "when",
    [
        "weight_g > :n_min AND weight_g < 10",
        "weight_g < 0 AND pieces > :n_min",
        "sender_names_90d > :n_min AND sender_names_90d IS NULL AND retail",
        "pickup_place = 'kiosk' AND weight_g > :n_min",
        "pickup_adcode = '5301' AND weight_g > :n_min",
        "dest_country = 'cn' AND weight_g > :n_min",
        "retail AND customer_type = 'letter' AND weight_g > :n_min",
        "NOT retail AND sender_names_90d > :n_min",
        "customer_type = 'agreement' AND courier_ids_60s > :n_min",
        "priority_lane AND direction = 'import' AND weight_g > :n_min",
        "weight_g > :n_min AND weight_g < 2 * 1.0 * weight_g AND weight_g BETWEEN 3 AND 2",
        "sender_previous_km > :n_min AND sender_previous_km < 0.5",
        "retail AND courier_ids_60s IS NULL AND weight_g > :n_min",
        "pickup_adcode LIKE '53%' AND pickup_adcode LIKE '%x' AND weight_g > :n_min",
        "scans < 0 AND weight_g > :n_min",
        "goods_controlled AND goods_hinted AND weight_g > :n_min",
        "sender_id_masked AND sender_id_valid AND weight_g > :n_min",
        "NOT outlet_known AND NOT licence_in_force AND weight_g > :n_min",
        "NOT licence_in_force AND NOT licence_covers_place AND weight_g > :n_min",
        "courier_registered AND NOT couriers_loaded AND weight_g > :n_min",
        "unregistered_24h AND weight_g > :n_min",
        "unregistered_24h AND NOT outlet_known AND scans > :n_min",
        "weight_g / 1000 > :n_min AND weight_g < 90000",
    ],
)
def test_a_rule_that_can_never_fire(found: Found, when: str) -> None:
    findings = found(when=when, limits={"n_min": 100}, evidence=list(RULE["evidence"]))
    assert any(
        finding.severity == "warning" and finding.field == "when" and "never says yes" in finding.message
        for finding in findings
    )


@pytest.mark.parametrize(
    "when",
    [
        "weight_g > 100 AND weight_g < 102",
        "weight_g BETWEEN 7777 AND 7777",
        "freight_fen >= declared_value_fen AND declared_value_fen > 0",
        "retail AND sender_previous_km > 900 * sender_previous_h AND sender_previous_km >= 200",
        "freight_fen > 0.5 * declared_value_fen AND declared_value_fen > 3",
        "freight_fen + declared_value_fen > 1000000",
        "pickup_adcode LIKE '53__0%' AND dest_adcode IS NULL",
        "pickup_adcode LIKE '%01' AND STARTS_WITH(dest_adcode, '44')",
        "dest_country NOT IN ('CN', 'HK') AND direction <> 'domestic'",
        "carrier_code = 'SF' AND outlet_id LIKE 'O-%'",
        "REGEXP_LIKE(outlet_id, '^[0-9]{3}-x$')",
        "COALESCE(sender_names_90d, 0) = 0 AND NOT retail",
        "CASE WHEN pieces > 1 THEN weight_g > 50 ELSE weight_g > 500 END",
        "picked_up_at > 1700000000000",
        "retail AND sender_id_valid IS NULL AND sender_id_type = 'passport'",
        "(picked_up_at // 3600000 + 8) % 24 <= 2",
        "weight_g / 1000 BETWEEN 2 AND 3",
        "weight_g * 2.0 = 30",
        "dest_country = 'NZ' AND direction = 'export' AND pickup_place = 'locker' AND weight_g BETWEEN 100 AND 101 "
        "AND goods_class = 'powder' AND realname_method = 'manual' AND customer_type = 'retail' AND pieces = 1 "
        "AND sender_parcels_24h = 3 AND declared_value_fen = 500",  # so many that it is only drawn from
        "unregistered_24h AND COALESCE(weight_g, 0) = 0",
        "unregistered_24h AND scans > 3",
        "licence_covers_place AND NOT licence_covers_service AND outlet_known",
        "delivered_elsewhere AND delivered_elsewhere_h < 12",
    ],
)
def test_a_rule_that_can_fire_is_left_alone(found: Found, when: str) -> None:
    findings = found(when=when, limits={}, evidence=list(RULE["evidence"]))
    assert [finding.message for finding in findings if "never says" in finding.message] == []


def test_a_rule_that_never_says_no(found: Found) -> None:
    (finding,) = found(when="retail OR NOT retail", limits={})
    assert "never says no" in finding.message


_NUMBERS = ["weight_g", "pieces", "freight_fen", "sender_names_90d", "courier_ids_60s", "sender_previous_km"]
_CONSTANTS = [0, 1, 5, 6, 100]
_conditions = st.one_of(
    st.tuples(st.sampled_from(_NUMBERS), st.sampled_from([">", ">=", "=", "<", "<>"]), st.sampled_from(_CONSTANTS)).map(
        lambda parts: f"{parts[0]} {parts[1]} {parts[2]}"
    ),
    st.sampled_from(["retail", "priority_lane", "agent_submitted", "freight_fen IS NULL", "sender_names_90d IS NULL"]),
    st.sampled_from(["direction = 'export'", "customer_type <> 'letter'", "goods_class IN ('powder', 'gas')"]),
)
_whens = st.recursive(
    _conditions,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda part: f"NOT ({part})"),
    ),
    max_leaves=5,
)
_rows = st.fixed_dictionaries(
    {
        **dict.fromkeys(_NUMBERS[:2], st.integers(0, 200)),
        **dict.fromkeys(_NUMBERS[2:5], st.none() | st.integers(0, 200)),
        "sender_previous_km": st.none() | st.floats(0, 200),
        "agent_submitted": st.booleans(),
        "direction": st.sampled_from(["domestic", "export", "import", "hmt"]),
        "customer_type": st.sampled_from(["retail", "agreement", "letter"]),
        "goods_class": st.sampled_from(["powder", "liquid", "gas"]),
        "lane": st.booleans(),
    }
)


@examples(150)
@given(_whens, st.lists(_rows, min_size=1, max_size=20))
def test_what_a_row_shows_lint_has_seen(when: str, rows: list[dict[str, Any]]) -> None:
    """The other way round: whatever a possible parcel makes a rule say, the rule is known to be able to say."""
    for row in rows:
        row["retail"] = row["customer_type"] == "retail"
        row["priority_lane"] = row.pop("lane") and row["direction"] == "export"
        if not row["retail"]:
            row |= dict.fromkeys(_NUMBERS[3:])
        elif row["courier_ids_60s"] is None:
            row["courier_ids_60s"] = 1
    data = "\n".join(
        [
            "{title: {zh: 一, en: one}, category: suspicion, points: 1, why: w, misses: m, triage: t, actions: [hold],",
            f'when: "{when}", evidence: [retail], cases: [{{name: n, events: [{{shipment: {{}}}}], expect: no}}]}}',
        ]
    )
    rule, expression = load_rule("a.b", data.encode(), "a/b.yaml")
    frame = pl.DataFrame(rows, schema={name: DTYPES[COLUMNS[name].type] for name in rows[0]})
    seen = set(frame.select(expression).to_series().to_list())
    can = reach(rule, expression)
    possible = {answer for answer, shown in ((True, can.yes), (False, can.no), (None, can.unknown)) if shown}
    assert seen <= possible


def test_a_warning_does_not_hide_an_error_of_the_same_field(found: Found) -> None:
    assert {severity for severity, field in told(found(evidence=["retail", "retail"]))} == {"warning", "error"}


def test_all_faults_of_a_file_are_told_at_once(found: Found) -> None:
    findings = found(
        title={"en": "Rule"}, points="many", why=DROP, limits={"a_min": 1}, evidence=["nope"], cases=CASES[:1], odd=1
    )
    assert {finding.field for finding in findings} == {
        "title.zh", "points", "why", "limits.a_min", "limits.names_90d_min", "evidence", "cases", "odd",
    }  # fmt: skip
    assert {finding.severity for finding in findings} == {"error"}


@pytest.mark.parametrize("text", ["title: [", "- a\n- b\n", "", "title: a\ntitle: b\n", "a: &x 1\n", "\x00"])
def test_a_file_that_cannot_be_read_is_one_finding(write: Write, text: str) -> None:
    write("goods/sound", **SOUND)
    report = lint(write(text=text))
    assert len(report.findings) == 1
    assert report.findings[0].severity == "error"
    assert report.rules == ("goods.sound", "identity.one")


def test_files_that_would_be_overlooked_are_found(write: Write) -> None:
    root = write(**SOUND)
    (root / "stray.yaml").write_text("{}")
    (root / "identity" / "two.yml").write_text("{}")
    assert [(Path(finding.file).name, finding.severity) for finding in lint(root).findings] == [
        ("two.yml", "error"), ("stray.yaml", "error"),
    ]  # fmt: skip
    with pytest.raises(RuleError, match="overlooked"):
        load_catalogue(root)


def test_what_two_rules_must_not_share(write: Write) -> None:
    write("goods/a", **SOUND)
    root = write("goods/b", **{**SOUND, "when": "retail AND\n sender_names_90d >= 3", "limits": {}})
    findings = lint(root).findings
    assert {(finding.rule, finding.field, finding.severity) for finding in findings} == {
        ("goods.b", "title.zh", "error"), ("goods.b", "title.en", "error"), ("goods.b", "when", "warning"),
    }  # fmt: skip
    assert {finding.message for finding in findings} == {"the same as that of goods.a"}
    assert lint(root, only=["goods.a"]).findings == ()
    assert lint(root, only=["goods"]).findings == findings
    with pytest.raises(RuleError, match=r"goods\.c: no such rule or family"):
        lint(root, only=["goods.c"])


def test_overrides_are_looked_at_too(write: Write) -> None:
    root = write(**{**SOUND, "when": "retail AND sender_names_90d BETWEEN 2 AND :names_90d_max",
                    "limits": {"names_90d_max": 9}})  # fmt: skip
    assert lint(root, {"identity.one": {"names_90d_max": 4}}).findings == ()
    overrides = {"identity.one": {"names_90d_max": 1}, "identity.none": {"points": 1}}
    assert {(f.file, f.field, f.severity) for f in lint(root, overrides).findings} == {
        ("rule_overrides", "identity.none", "error"), ("rule_overrides", "identity.one", "warning"),
    }  # fmt: skip
    (finding,) = lint(root, {"identity.one": {"names_90d_max": "few"}}).findings
    assert (finding.file, finding.field) == ("rule_overrides", "identity.one.names_90d_max")


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="no rules here"):
        lint(tmp_path)
    with pytest.raises(RuleError, match="not a folder"):
        lint(tmp_path / "nowhere")


_FIELDS = st.dictionaries(
    st.sampled_from(sorted(RULE)),
    st.one_of(
        st.just(DROP), st.none(), st.integers(-1, 200), st.sampled_from(["", "retail", "x > 1", "TODO", "suspicion"]),
        st.lists(st.sampled_from(["retail", "weight_g", "hold"]), max_size=2),
        st.dictionaries(st.sampled_from(["zh", "en", "names_90d_min"]), st.sampled_from(["规", "Rule", 3]), max_size=3),
    ),
    max_size=2,
)  # fmt: skip


@examples(100)
@given(fields=_FIELDS)
def test_what_does_not_load_is_an_error_and_what_is_an_error_does_not_load(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    import yaml

    root = tmp_path_factory.mktemp("rules")
    kept = {name: value for name, value in {**RULE, **SOUND, **fields}.items() if value is not DROP}
    (root / "goods").mkdir()
    (root / "goods" / "one.yaml").write_text(yaml.safe_dump(kept, allow_unicode=True), encoding="utf-8")
    errors = [finding for finding in lint(root).findings if finding.severity == "error"]
    try:
        load_catalogue(root)
    except RuleError:
        assert errors
    else:  # what lint asks for and the loader does not
        assert {finding.field for finding in errors if "TODO" not in finding.message} <= {"cases"}


# --- a rule to fill in ----------------------------------------------------------------------------------------------


def test_a_new_rule_loads_and_lint_says_what_is_left(tmp_path: Path) -> None:
    path = write_blank(tmp_path, "goods.dear")
    assert path == tmp_path / "goods" / "dear.yaml"
    (rule,) = load_catalogue(tmp_path).rules
    assert rule.mode == "shadow"
    report = lint(tmp_path)
    assert {(finding.severity, finding.field) for finding in report.findings} == {
        *(("error", f"{name}.{language}") for name in ("title", *PROSE) for language in LANGUAGES),
        ("error", "limits.todo_min"),
        *(("error", f"cases[{number}].name") for number in range(3)),
    }
    assert all("TODO" in finding.message for finding in report.findings)


def test_a_new_rule_names_every_field(tmp_path: Path) -> None:
    import msgspec

    from rules import Rule
    from rules.engine.reading import read_yaml

    written = read_yaml(write_blank(tmp_path, "goods.dear").read_bytes(), "dear.yaml")
    assert set(written) == {about.name for about in msgspec.structs.fields(Rule)} - {"id"}


def test_new_rules_stand_beside_each_other_and_none_is_written_over(tmp_path: Path) -> None:
    path = write_blank(tmp_path, "goods.dear")
    write_blank(tmp_path, "goods.dearer")
    assert len(load_catalogue(tmp_path).rules) == 2
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write_blank(tmp_path, "goods.dear")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["goods", "goods.", ".dear", "Goods.dear", "goods.dear.more", "../goods.dear", "a/b.c"]
)
def test_a_wrong_name_writes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuleError, match=r"not FAMILY\.NAME"):
        write_blank(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
