"""The OpenAPI document of the desk, made from the records of its requests and answers."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

import msgspec

from desk.blind import NOT_SHOWN
from desk.clues.clue import Clue
from desk.verbs import VERBS, Report


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route."""
    (clue, report, *bodies), schemas = msgspec.json.schema_components(
        [Clue, Report, *VERBS.values()], ref_template="#/components/schemas/{name}"
    )
    schemas["Clue"]["required"] = [name for name in schemas["Clue"]["required"] if name not in NOT_SHOWN]
    acting = {
        f"/clues/{{clue}}/{name}": {"post": _acting(name, kind, body, clue)}
        for (name, kind), body in zip(VERBS.items(), bodies, strict=True)
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waybill Sentinel desk", "version": "1.0.0", "license": {"name": "Apache-2.0"}},
        "security": [{"token": []}],
        "paths": {
            "/clues": {
                "get": _reading("Clues, the most urgent first.", {"type": "array", "items": clue}, _FILTERS),
                "post": _reporting(report, clue),
            },
            "/overdue": {"get": _reading("What is overdue, the longest first.", {"type": "array", "items": _OVERDUE})},
            "/clues/{clue}": {"get": _reading("One clue; its ETag is its version.", clue, [_CLUE])},
            **acting,
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _reading(about: str, schema: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "summary": about,
        "parameters": parameters or [],
        "responses": {"200": _answer("Done.", schema), **_problems(401, 404, 422, 503)},
    }


def _acting(name: str, kind: type[Any], body: dict[str, Any], clue: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": " ".join((getdoc(kind) or "").split()),
        "parameters": [_CLUE, _MATCH],
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer("It counts; the clue as it is now.", clue), **_problems(401, 404, 409, 422, 503)},
    }


def _reporting(body: dict[str, Any], clue: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "report",
        "summary": " ".join((getdoc(Report) or "").split()),
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"201": _answer("The new clue.", clue), **_problems(401, 422, 503)},
    }


def _answer(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    problem = {"type": "object", "properties": {"title": {"type": "string"}, "status": {"type": "integer"}}}
    content = {"application/problem+json": {"schema": problem}}
    return {str(status): {"description": _MEANS[status], "content": content} for status in statuses}


_MEANS = {
    401: "Nobody is known by this token.",
    404: "No such clue, or not for this user.",
    409: "It does not count: somebody came first, or the clue is not in that state.",
    422: "Not of the form that is described.",
    503: "The broker does not answer.",
}
_CLUE: dict[str, Any] = {
    "name": "clue", "in": "path", "required": True, "schema": {"type": "string"},
    "description": "Id, its beginning, or CARRIER:NUMBER of the parcel.",
}  # fmt: skip
_MATCH: dict[str, Any] = {
    "name": "If-Match", "in": "header", "schema": {"type": "string"},
    "description": "ETag of the clue that the author has seen.",
}  # fmt: skip
_FILTERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "schema": {"type": "string"}, "description": about}
    for name, about in (
        ("station", "Of this station."),
        ("state", "States, by commas; default: all that are not closed."),
        ("tier", "This tier and above."),
        ("adcode", "Places that begin with this code."),
        ("rule", "With this rule among the reasons."),
    )
]
_OVERDUE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "clue_id": {"type": "string"},
        "station": {"type": ["string", "null"]},
        "owed": {"type": "string"},
        "since": {"type": "integer"},
    },
}
