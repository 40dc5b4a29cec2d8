"""What a rule file holds: `rules/<family>/<name>.yaml`, also as records of `waybill.rules`.

`rules.engine` reads it and checks what the types cannot express. `python -m schemas` publishes it as a JSON Schema, so
editors complete and check rule files. The schema also has the columns and the fields of the events in cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from schemas.columns import COLUMNS
from schemas.inputs import INPUTS
from schemas.records import ParcelEvent, Shipment, _about
from schemas.reference import KINDS

Action = Literal["hold", "open_box", "second_xray", "identity_check", "visit_outlet"]
"""In the order in which alerts name them."""
Answer = Literal["yes", "no", "unknown"]
Limit = int | float | str | list[int | float | str]

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Language = Literal["zh", "en"]
Titles = dict[Language, Text]
Prose = Text | Titles
"""One text for readers of either language, or one for each."""

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

SCHEMA_FILE: Final = "rule.schema.json"
"""The schema's file name. It lies beside the families, so that rule files can name it by a relative path."""
SCHEMA_LINE: Final = f"# yaml-language-server: $schema=../{SCHEMA_FILE}\n"
"""The first line of a rule file: where editors find the schema."""


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of a case, or several equal ones: the fields that differ from a valid and quiet default."""

    after: Annotated[
        str, _about("Time since the first event of the case: a number and ms, s, min, h or d, such as `2 d`.")
    ] = "0 s"
    shipment: Annotated[dict[str, Any] | None, _about("An acceptance record.")] = None
    scan: Annotated[dict[str, Any] | None, _about("A scan; without `waybill_no`, of the last parcel.")] = None
    inspection: Annotated[dict[str, Any] | None, _about("A check; without `waybill_no`, of the last parcel.")] = None
    reference: Annotated[
        dict[str, Any] | None, _about("A reference record, known from then on; its `kind` says of what.")
    ] = None
    repeat: Annotated[
        Annotated[int, Meta(ge=1, le=1000)],
        _about("How many times the event happens; each shipment is a parcel of its own."),
    ] = 1
    every: Annotated[str, _about("Time from one repetition to the next, such as `1 min`.")] = "1 min"


EVENT_RECORDS: Final[dict[str, type[ParcelEvent]]] = {
    each.kind: each.record for each in INPUTS if each.kind in Event.__struct_fields__
}
"""The records that events of cases may be, apart from reference data."""


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events, and the answers of the rule for their parcels once all events are known."""

    name: Annotated[Text, _about("What the case shows.")]
    events: Annotated[
        Annotated[list[Event], Meta(min_length=1)], _about("In the order of arrival, whatever their times.")
    ]
    until: Annotated[
        str,
        _about("Event time after the first event at which to ask, such as `5 min`. Empty: after every deadline."),
    ] = ""
    expect: Annotated[
        Answer | dict[str, Answer],
        _about("One answer for every parcel; or by `first`, `last`, waybill number, and `others` for the rest."),
    ]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule file. Its path is its id: `family/name.yaml` is the rule `family.name`."""

    id: str
    title: Annotated[Titles, _about("The name of the rule, in Chinese and in English.")]
    category: Annotated[
        Literal["suspicion", "compliance"],
        _about("compliance = a duty was not met; suspicion = any other reason to look at a parcel."),
    ]
    points: Annotated[
        Annotated[int, Meta(ge=1, le=100)],
        _about("What a yes adds to the parcel's score: low from 20 points, medium 40, high 60, extreme 80."),
    ]
    version: Annotated[Annotated[int, Meta(ge=1)], _about("Rises when the meaning of the rule changes.")] = 1
    mode: Annotated[
        Literal["live", "shadow", "off"],
        _about("shadow = answered on waybill.shadow, without points; off = checked, and left out."),
    ] = "live"
    budget: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        _about("Share of verdicts that may open an alert because of this rule before it is held back; null: as set."),
    ] = None
    why: Annotated[Prose, _about("What the pattern tells, and from which practice or case it is known.")]
    misses: Annotated[Prose, _about("Who gets past the rule.")]
    triage: Annotated[Prose, _about("What to do first with the parcel or the outlet.")]
    actions: Annotated[Annotated[tuple[Action, ...], Meta(min_length=1)], _about("What the alert asks for.")]
    limits: Annotated[
        Mapping[str, Limit], _about("Named values for `when`, which a deployment may change (rule_overrides).")
    ] = {}
    when: Annotated[
        Annotated[str, Meta(min_length=1, max_length=2000)],
        _about("SQL predicate over the documented columns; `:name` stands for a limit."),
    ]
    evidence: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1)], _about("Columns that an alert shows with a yes.")
    ]
    never_unknown: Annotated[
        bool, _about("The rule says yes or no for every parcel, also for one with scans and no shipment record.")
    ] = False
    cases: Annotated[
        Annotated[tuple[Case, ...], Meta(min_length=1)],
        _about("At least one that fires, its nearest quiet neighbour, and one that is unknown."),
    ]


PROSE: Final = ("why", "misses", "triage")
"""The fields that explain a rule."""


def in_language(text: Prose, language: Language) -> str:
    """The text for readers of this language; a plain text serves for both."""
    return text if isinstance(text, str) else text[language]


def missing_languages(text: Prose) -> list[Language]:
    """The languages in which a text is not written; a plain text lacks none."""
    return [] if isinstance(text, str) else [language for language in LANGUAGES if language not in text]


# --- the published schema ---------------------------------------------------------------------------------------------

_TIMES: Final = ("_at", "licence_from", "_to")


def rule_schema() -> dict[str, Any]:
    """The JSON Schema of a rule file, without its head. It accepts every file that loads, and refuses misspellings.

    Beyond `Rule` it knows the columns, and the fields of the events in the cases.
    """
    (root,), parts = msgspec.json.schema_components([Rule], ref_template="#/$defs/{name}")
    root = parts.pop(root["$ref"].rpartition("/")[2])
    fields, event = root["properties"], parts["Event"]["properties"]
    del fields["id"]
    root["required"].remove("id")
    _both_languages(fields["title"])
    for name in PROSE:
        _both_languages(next(form for form in fields[name]["anyOf"] if form["type"] == "object"))
    fields["evidence"]["items"] = {
        "anyOf": [{"const": column.name, "description": column.doc} for column in COLUMNS.values()]
    }
    for kind, record in EVENT_RECORDS.items():
        event[kind]["anyOf"] = [{"$ref": f"#/$defs/{kind}"}, {"type": "null"}]
        parts[kind] = _loose(record)
    parts |= {kind: _loose(record) for kind, record in KINDS.items()}
    event["reference"]["anyOf"] = [*({"$ref": f"#/$defs/{kind}"} for kind in KINDS), {"type": "null"}]
    return {**root, "$defs": dict(sorted(parts.items()))}


def _both_languages(titles: dict[str, Any]) -> None:
    text = titles["additionalProperties"]
    titles |= {"properties": dict.fromkeys(LANGUAGES, text), "required": [*LANGUAGES], "additionalProperties": False}


def _loose(record: Any) -> dict[str, Any]:
    """A record as a case writes it: no required fields, letters for persons, spans for times."""
    (root,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    full = parts[root["$ref"].rpartition("/")[2]]
    fields = {name: _field(name, about) for name, about in full["properties"].items()}
    if record is Shipment:
        fields["sender_id"] = {
            "description": "A valid ID number that belongs to no one: a letter, with a number if you like (A, B, A2).",
            "type": "string",
        }
    required = ["kind"] if "kind" in fields else []
    return {
        "description": full["description"].partition("\n")[0], "type": "object", "properties": fields,
        "required": required, "additionalProperties": False,
    }  # fmt: skip


def _field(name: str, about: dict[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in about.items() if key != "default"}
    if not name.endswith(_TIMES):
        return about
    note = about.get("description", "Time.").removesuffix(".")
    span = {"type": "string", "description": "Time since the first event, such as `2 d`."}
    return {"description": f"{note}; or a span since the first event, such as `2 d`.", "anyOf": [about, span]}
