"""House rule on errors: what people are told derives from one class, and librdkafka is quoted in one place."""

from __future__ import annotations

import ast
import re

from tests.house.test_imports import MODULES

# Caught where they are raised; nobody is told of them by this name.
INTERNAL = {"UnreadableError", "DamagedError", "ProblemError"}


def test_our_errors_have_one_root() -> None:
    bare = {
        f"{name}: {node.name}"
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and node.name.endswith("Error")
        and not node.name.startswith("_")
        and node.name not in INTERNAL | {"WaybillError"}
        and {base.id for base in node.bases if isinstance(base, ast.Name)} & {"Exception", "RuntimeError", "ValueError"}
    }
    assert not bare


def test_what_librdkafka_said_is_taken_apart_in_one_place() -> None:
    """`error.args[0]` is its KafkaError; `streams.kafka.errors` knows, and nobody else has to."""
    places = {name for name, path in MODULES.items() if ".args[0]" in path.read_text(encoding="utf-8")}
    assert places == {"streams/kafka/errors.py"}


def test_whoever_decodes_catches_all_that_decoding_raises() -> None:
    """Not msgspec's errors alone: one record of nested arrays would end them all."""
    few = re.compile(r"except [^:]*\bmsgspec\.(DecodeError|MsgspecError)")
    assert not {name for name, path in MODULES.items() if few.search(path.read_text(encoding="utf-8"))}
