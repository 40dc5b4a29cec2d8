"""The published files are those of the definitions, and hang together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas import publish
from schemas.clues import AnyClueEvent
from schemas.columns import COLUMNS
from schemas.publish import HERE, RECORDS, RULE, asyncapi, published, schema
from schemas.records import Alert, encode
from schemas.reference import Reference
from schemas.topics import TOPICS
from tests.schemas.desk_samples import CLUES, DESK
from tests.schemas.samples import ALERT, EVENTS, FEEDBACK, REFERENCE, REJECT

SAMPLES: list[tuple[str, dict[str, Any]]] = [
    *EVENTS.items(),
    ("alert", ALERT),
    ("reject", REJECT),
    ("feedback", FEEDBACK),
    *(("reference", document) for document in REFERENCE),
    *DESK,
    *(("clue", document) for document in CLUES),
]


def test_the_files_are_up_to_date() -> None:
    stale = [path.name for path, content in published().items() if not path.exists() or path.read_text() != content]
    assert stale == [], "run `python -m schemas`"
    assert set((HERE / "json").iterdir()) == {path for path in published() if path.parent.name == "json"}


@pytest.mark.parametrize("name", sorted({*RECORDS, RULE}))
def test_each_schema_is_a_schema_of_its_dialect(name: str) -> None:
    document = schema(name)
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_what_we_write_is_what_the_schema_says(name: str, sample: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema(name))
    assert list(validator.iter_errors(sample)) == []
    record = msgspec.json.decode(json.dumps(sample), type=RECORDS[name])
    assert list(validator.iter_errors(json.loads(encode(record)))) == []
    assert json.loads(encode(record)) == {field: value for field, value in sample.items() if value is not None}


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_every_required_field_is_required(name: str, sample: dict[str, Any]) -> None:
    document = schema(name)
    if "anyOf" in document:  # a union: the record of that kind
        kinds = {part["properties"].get("kind", {}).get("enum", [""])[0]: part for part in document["$defs"].values()}
        document = kinds[sample["kind"]]
    validator = Draft202012Validator(schema(name))
    refused = {f for f in sample if not validator.is_valid({k: v for k, v in sample.items() if k != f})}
    assert refused == set(document["required"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tier", "none"),
        ("status", "closed"),
        ("score", 101),
        ("score", 1.5),
        ("revision", -1),
        ("sender_token", "13800000000"),
        ("sender_token", "dev:0123"),
        ("jurisdiction_adcode", "4401"),
        ("actions", ["Open the box"]),
        ("unknown", ["sender velocity"]),
        ("reasons", [{**ALERT["reasons"][0], "evidence": {"names": ["a"]}}]),
        ("reasons", [{**ALERT["reasons"][0], "category": "guess"}]),
        ("sources", [{"topic": "waybill.scans", "partition": -1, "offset": 0}]),
    ],
)
def test_an_alert_out_of_its_contract_is_refused(field: str, value: Any) -> None:
    assert not Draft202012Validator(schema("alert")).is_valid({**ALERT, field: value})


def test_reference_records_tell_their_kind_and_key() -> None:
    records = [msgspec.json.decode(json.dumps(document), type=Reference) for document in REFERENCE]
    assert [record.key for record in records] == [f"{each['kind']}:{each['id']}" for each in REFERENCE]
    assert [type(record).__name__.lower() for record in records] == [document["kind"] for document in REFERENCE]


def test_every_record_of_a_union_has_a_sample() -> None:
    for union, samples in ((Reference, REFERENCE), (AnyClueEvent, CLUES)):
        kinds = {record.__struct_config__.tag for record in get_args(union)}
        assert {sample["kind"] for sample in samples} == kinds


def test_an_empty_optional_code_may_be_left_out_of_an_enterprise() -> None:
    without = {name: value for name, value in REFERENCE[0].items() if name != "uscc"}
    assert msgspec.json.decode(json.dumps(without), type=Reference).uscc is None
    assert Draft202012Validator(schema("reference")).is_valid(without)


def test_every_field_that_no_name_explains_says_what_it_is() -> None:
    for name in RECORDS:
        document = schema(name)
        for part in [document, *document.get("$defs", {}).values()]:
            for field, about in part.get("properties", {}).items():
                plain = field.endswith(("_id", "_no", "_kind")) or field in ("kind", "name")
                assert plain or "description" in about, f"{part['title']}.{field}"


def test_evidence_keeps_its_types() -> None:
    alert = msgspec.json.decode(json.dumps(ALERT), type=Alert)
    assert alert.reasons[0].evidence == ALERT["reasons"][0]["evidence"]


def test_the_asyncapi_document_covers_every_topic() -> None:
    document = yaml.safe_load((HERE / "asyncapi.yaml").read_text())
    assert document == asyncapi()
    channels = document["channels"].values()
    assert [channel["address"] for channel in channels] == [topic.name for topic in TOPICS]
    for channel, topic in zip(channels, TOPICS, strict=True):
        assert ",".join(channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]) == topic.cleanup
        assert bool(channel["messages"]) != topic.internal
    operated = {operation["channel"]["$ref"].rpartition("/")[2] for operation in document["operations"].values()}
    assert operated == {name for name, channel in document["channels"].items() if channel["messages"]}


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    found = list(_references(document))
    assert len(found) > 20
    for reference in found:
        path, _, pointer = reference.partition("#")
        target = json.loads((HERE / path).read_text()) if path else document
        for step in pointer.split("/")[1:]:
            target = target[step]
        assert target


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            yield from _references(value)


def test_the_column_reference_names_every_column_once() -> None:
    text = (HERE / "columns.md").read_text()
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(COLUMNS)


def test_the_command_writes_what_is_stale_and_removes_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from schemas import __main__ as command

    here = tmp_path / "schemas"
    for module in (publish, command):
        monkeypatch.setattr(module, "HERE", here)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["schemas", *arguments])
        return command.main()

    assert run("--check") == 1
    assert not list(tmp_path.iterdir())
    assert run() == 0
    assert run("--check") == 0
    (here / "json" / "old.schema.json").write_text("{}")
    (here / "columns.md").write_text("")
    capsys.readouterr()
    assert run("--check") == 1
    out = capsys.readouterr().out
    assert out == "schemas/columns.md: out of date\nschemas/json/old.schema.json: out of date\n"
    assert run() == 0
    assert run("--check") == 0
    assert not (here / "json" / "old.schema.json").exists()
