"""What decoding accepts is what the published JSON Schema accepts, once codes are in their normal form."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError, validators

from schemas.inputs import INPUTS
from schemas.publish import schema
from streams.flow.decode import decode
from tests.reference import plain
from tests.schemas.samples import EVENTS, ODD_VALUES, altered, wire

RECORDS = {each.kind: each.record for each in INPUTS}


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """JSON Schema's `$` is ECMA-262's, the very end of the text; Python's also stands before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("form")


Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern}
)


def agreed(kind: str, documents: list[Any]) -> int:
    """Number of the documents that both accept; they differ on none."""
    validator = Validator(schema(kind))
    accepted = set(decode(RECORDS[kind], [wire(document) for document in documents]).indices)
    coded = _coded(kind)

    def valid(document: Any) -> bool:
        normal = _normal(coded, document)
        return bool(validator.is_valid(document) or (normal != document and validator.is_valid(normal)))

    differing = [each for i, each in enumerate(documents) if (i in accepted) != valid(_read(each))]
    assert differing == []
    return len(accepted)


def _coded(kind: str) -> set[str]:
    """Fields that hold codes and options."""
    return {
        name
        for name, about in schema(kind)["properties"].items()
        if "default" in about
        or "enum" in about
        or "0-9" in about.get("pattern", "")
        or "A-Z" in about.get("pattern", "")
    }


def _normal(coded: set[str], document: Any) -> Any:
    """The document with its codes and options in normal form, empty ones null."""
    if not isinstance(document, dict):
        return document
    return {
        name: plain(value) or None if name in coded and isinstance(value, str) else value
        for name, value in document.items()
    }


def _read(document: Any) -> Any:
    return json.loads(wire(document))


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_with_every_odd_value(kind: str) -> None:
    good = EVENTS[kind]
    documents = [{**good, field: value} for field in good for value in ODD_VALUES]
    documents += [{name: value for name, value in good.items() if name != field} for field in good]
    accepted = agreed(kind, documents)
    assert 0.05 < accepted / len(documents) < 0.6


@pytest.mark.parametrize("kind", RECORDS)
def test_objects_altered_in_several_fields(kind: str) -> None:
    chance = random.Random(kind)
    accepted = agreed(kind, [altered(EVENTS[kind], chance) for _ in range(600)])
    assert 50 < accepted < 550


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("document", [None, True, 1, 1.5, "", [], [1], {}, [{}]])
def test_what_is_no_record_at_all(kind: str, document: Any) -> None:
    assert agreed(kind, [document]) == 0


@pytest.mark.parametrize("kind", RECORDS)
def test_every_value_of_every_enumeration(kind: str) -> None:
    good = EVENTS[kind]
    documents = []
    for field, about in schema(kind)["properties"].items():
        for variant in about.get("anyOf", [about]):
            documents += [{**good, field: value} for value in variant.get("enum", ())]
    assert agreed(kind, documents) == len(documents) > 0
