"""The published forms of the definitions: JSON Schemas, the AsyncAPI document, the column reference.

`python -m schemas` writes them beside this file, `python -m schemas --check` says whether they are up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from schemas import topics
from schemas.apart import Notice, Shadow
from schemas.clues import AnyClueEvent
from schemas.columns import HISTORY, JOURNEY, SHIPMENT, Column
from schemas.columns import REFERENCE as JOINED
from schemas.desk import Access, Enforcement, Entry, Grade, Hold, Link, Order, Tally, Trace
from schemas.inputs import INPUT_TOPICS, INPUTS
from schemas.records import Alert, Feedback, Reject
from schemas.reference import Reference
from schemas.rulefile import SCHEMA_FILE, rule_schema
from schemas.topics import RULES, TOPICS, Topic

HERE: Final = Path(__file__).parent
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION: Final = 1  # of the records' definitions: `schema_version` in the input events
RULE: Final = "rule"

# What each public topic holds, and the name under which its schema is published; for rules see `schemas.rulefile`.
_MESSAGES: Final[dict[str, tuple[str, Any]]] = {
    **{each.topic: (each.kind, each.record) for each in INPUTS},
    topics.ALERTS: ("alert", Alert),
    topics.SHADOW: ("shadow", Shadow),
    topics.NOTICES: ("notice", Notice),
    topics.REJECTS: ("reject", Reject),
    topics.FEEDBACK: ("feedback", Feedback),
    topics.REFERENCE: ("reference", Reference),
    topics.TRACES: ("trace", Trace),
    topics.TALLIES: ("tally", Tally),
    topics.ORDERS: ("order", Order),
    topics.CLUES: ("clue", AnyClueEvent),
    topics.HOLDS: ("hold", Hold),
    topics.ENFORCEMENT: ("enforcement", Enforcement),
    topics.ENTRIES: ("entry", Entry),
    topics.ACCESS: ("access", Access),
    topics.GRADES: ("grade", Grade),
    topics.LINKS: ("link", Link),
}
RECORDS: Final[dict[str, Any]] = dict(_MESSAGES.values())
# The topics that others write and workers or the desk read. They write all other topics themselves.
_RECEIVED: Final = (*INPUT_TOPICS, topics.FEEDBACK, topics.REFERENCE, topics.RULES)


def published() -> dict[Path, str]:
    """Every generated file with its content."""
    files = {HERE / "json" / f"{name}.schema.json": _json(schema(name)) for name in (*RECORDS, RULE)}
    files[HERE.parent / "rules" / SCHEMA_FILE] = _json(schema(RULE))  # where rule files look for it
    files[HERE / "asyncapi.yaml"] = _yaml(asyncapi())
    files[HERE / "columns.md"] = columns_reference()
    return files


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one record, or of a rule file; `name` is a key of `RECORDS`, or RULE."""
    head = {"$schema": DIALECT, "$id": f"urn:waybill-sentinel:schema:{name}:{VERSION}"}
    if name == RULE:
        return {**head, **rule_schema()}
    (root,), parts = msgspec.json.schema_components([RECORDS[name]], ref_template="#/$defs/{name}")
    if "$ref" in root:
        root = parts.pop(root["$ref"].rpartition("/")[2])
    else:
        root = {"title": name.capitalize(), "anyOf": root["anyOf"]}  # without OpenAPI's `discriminator`
    if name in (_MESSAGES[topic][0] for topic in _RECEIVED if topic in _MESSAGES):
        for part in [root, *parts.values()]:
            _allow_empty(part)
    return {**head, **root, **({"$defs": parts} if parts else {})}


def _allow_empty(part: dict[str, Any]) -> None:
    """Allow an empty string for an option, because exports write missing values like that."""
    for about in part.get("properties", {}).values():
        if about.get("default", "") is None:
            about["anyOf"].append({"const": ""})


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of all topics, as workers and desk see them: they receive events and send verdicts."""
    public = [topic for topic in TOPICS if not topic.internal]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:waybill-sentinel",
        "info": {
            "title": "Waybill Sentinel",
            "version": f"{VERSION}.0.0",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_short(topic): _channel(topic) for topic in TOPICS},
        "operations": {
            f"{action}_{_short(topic)}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{_short(topic)}"},
                "summary": topic.holds,
            }
            for topic in public
            for action in ["receive" if topic.name in _RECEIVED else "send"]
        },
        "components": {"messages": {_message_name(topic): _message(topic) for topic in public}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    message = (
        {} if topic.internal else {_message_name(topic): {"$ref": f"#/components/messages/{_message_name(topic)}"}}
    )
    partitions = {"partitions": 1} if topic.single else {}
    return {
        "address": topic.name,
        "description": f"{topic.holds} Key: {topic.key}.{_INTERNAL if topic.internal else ''}",
        "messages": message,
        "bindings": {
            "kafka": {
                "topic": topic.name,
                **partitions,
                "topicConfiguration": {"cleanup.policy": topic.cleanup.split(",")},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(topic: Topic) -> dict[str, Any]:
    name = _message_name(topic)
    key = {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}}
    if topic.name == RULES:
        return {
            "name": name,
            "title": "Rule",
            "contentType": "application/yaml",
            "payload": {"type": "string", "description": "One rule file."},
            "bindings": key,
        }
    about = schema(name)
    return {
        "name": name,
        "title": about["title"],
        "summary": about.get("description", topic.holds),
        "contentType": "application/json",
        "payload": {"$ref": f"./json/{name}.schema.json"},
        "bindings": key,
    }


def _message_name(topic: Topic) -> str:
    return "rule" if topic.name == RULES else _MESSAGES[topic.name][0]


def _short(topic: Topic) -> str:
    """The topic's name without its prefix, in characters that all generators accept in names."""
    return topic.name.removeprefix("waybill.").replace(".", "_").replace("-", "_")


def columns_reference() -> str:
    """The columns that rules may read, as a Markdown document."""
    parts = [_COLUMNS_HEAD, "## Of the shipment\n", _table(SHIPMENT)]
    parts += ["## Of the history of its sender, recipient, courier and outlet\n", _table(HISTORY)]
    parts += ["## Of the reference data on its outlet and couriers\n", _table(JOINED)]
    parts += ["## Of its journey\n", _table(JOURNEY)]
    return "\n".join(parts)


def _table(columns: tuple[Column, ...]) -> str:
    rows = [f"| `{c.name}` | {c.type} | {c.doc} | {c.null or 'never'} |\n" for c in columns]
    return "| column | type | meaning | null when |\n|---|---|---|---|\n" + "".join(rows)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


_Dumper.add_representer(
    str, lambda to, text: to.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
)


def _yaml(document: dict[str, Any]) -> str:
    return _ASYNCAPI_HEAD + yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


_ABOUT: Final = """\
Acceptance, scan and inspection events of express parcels come in; a verdict per parcel goes out.

A parcel's identity is `CARRIER:NUMBER`, the message key of its events, its alert and its feedback. Topics keyed by
parcel have the same partition count and the murmur2 partitioner, so that a parcel's events meet in one partition.
Values are UTF-8 JSON objects; Confluent's JSON Schema framing is accepted too.
"""
_INTERNAL: Final = " Internal to the workers: the form changes without notice."
_ASYNCAPI_HEAD: Final = "# Generated by `python -m schemas` from schemas/records.py and schemas/topics.py.\n"
_COLUMNS_HEAD: Final = """\
<!-- Generated by `python -m schemas` from schemas/columns.py. -->
# Columns that rules may read

`when` and `evidence` of a rule may name these and no others. A column without a value is null, and a rule that needs
it then answers *unknown*. If a parcel has scans or inspections but no shipment record yet, all columns of its shipment,
its history and the reference data are null.
"""
