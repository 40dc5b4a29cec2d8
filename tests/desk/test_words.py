"""The words of the desk: what a record may say has a name in both languages; templates name only what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import desk.web
from desk.clues.clue import HoldState, State
from desk.verbs import LEVEL_MAX, VERBS
from desk.web.forms import FORMS, JUDGEMENTS
from desk.web.holds import Stage
from desk.web.language import preferred
from desk.web.words import PAGE
from desk.words import WORDS, known
from schemas import terms
from schemas.clues import AnyClueEvent

GROUPS = {
    "state": State, "step": terms.Step, "outcome": terms.Outcome, "check": terms.CheckKind, "noise": terms.NoiseReason,
    "closed": terms.ClosedFor, "hold": terms.HoldAction | HoldState, "move": terms.ScanType | terms.InspectionType,
    "result": terms.Result, "status": terms.Status, "origin": terms.Origin,
}  # fmt: skip
SHOWN = {
    "again",
    "event_id",
    "clue_id",
    "at",
    "by",
    "station",
    "expects",
    "alert",
    "feedback_id",
}  # each has a place of its own
EVENTS = get_args(AnyClueEvent)


def named(kind: object) -> set[str]:
    """The values of a term, or of a union of terms."""
    return {value for part in get_args(kind) for value in (get_args(part) or (part,))}


@pytest.mark.parametrize("group", GROUPS)
def test_every_term_has_words(group: str) -> None:
    assert {f"{group} {value}" for value in named(GROUPS[group])} == {
        key for key in WORDS if key.startswith(f"{group} ")
    }


def test_every_verb_has_a_form() -> None:
    assert FORMS.keys() == VERBS.keys()


def test_every_event_its_fields_and_every_form_have_words() -> None:
    keys = {f"event {kind.__struct_config__.tag}" for kind in EVENTS} | {f"verb {name}" for name in FORMS}
    keys |= {f"field {name}" for kind in EVENTS for name in kind.__struct_fields__ if name not in SHOWN}
    assert {key for key in keys if not known(key)} == set()


def test_templates_name_only_words_that_there_are_and_all_of_them() -> None:
    folder = Path(desk.web.__file__ or "").parent
    text = "".join(
        path.read_text("utf-8")
        for path in [*folder.glob("templates/*.html"), folder / "view.py", folder / "rendering.py"]
    )
    asked = set(re.findall(r"""(?:\bt|self)\(["']([^"']+)["'][,)]""", text))
    assert {key for key in asked if key not in PAGE and not known(key)} == {"comma"}  # of the rules' pages
    named_there = set(re.findall(r"""["']([a-z0-9_ ]+)["']""", text)) | set(JUDGEMENTS)
    groups = set(re.findall(r"""t\(["']([a-z]+) ["'] ~""", text)) | {
        field.group for form in FORMS.values() for field in form.fields
    }
    assert {key for key in PAGE if key not in named_there and key.partition(" ")[0] not in groups} == set()


def test_whatever_a_page_lists_and_a_form_offers_has_words() -> None:
    keys = {f"stage {each}" for each in get_args(Stage)} | {f"level {each}" for each in range(LEVEL_MAX + 1)}
    keys |= {f"{field.group} {option}" for form in FORMS.values() for field in form.fields for option in field.options}
    assert {key for key in keys if key not in PAGE and not known(key) and not key.startswith("tier ")} == set()


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("", [""]),
        ("zh-CN,zh;q=0.9,en;q=0.8", ["zh", "zh", "en"]),
        ("de, en;q=0.4, zh-Hant-TW;q=0.6", ["de", "zh", "en"]),
        ("en;q=0, zh;q=x", []),
    ],
)
def test_languages_by_weight(header: str, languages: list[str]) -> None:
    assert preferred(header) == languages
