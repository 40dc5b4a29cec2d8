"""Reads one YAML document without YAML's surprises.

Plain scalars follow the core schema of YAML 1.2: `yes`, `no`, `on` and the country code `NO` are texts, and `0123` and
`12:30` are not numbers. Duplicate keys, anchors, tags and merge keys are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from rules.engine.contract import RuleError

BYTES_MAX: Final = 65_536
DEPTH_MAX: Final = 20

# libyaml is ten times faster, if PyYAML was built with it
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_yaml(data: bytes, file: str) -> dict[str, Any]:
    """The mapping that `data` holds, of dict, list, str, int, float, bool and None.

    Raises RuleError for anything else, with the line if it is known.
    """
    if len(data) > BYTES_MAX:
        raise RuleError(file, "", f"longer than {BYTES_MAX} bytes")
    try:
        return _Reader(data.decode("utf-8"), file).document()
    except UnicodeDecodeError as error:
        raise RuleError(file, "", f"not UTF-8 at byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise RuleError(file, "", f"broken YAML: {where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise RuleError(file, "", f"broken YAML: {type(error).__name__}") from None


class _Reader:
    """Builds values from parser events, with a bound on depth: libyaml's own composer overruns the C stack."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))

    def document(self) -> dict[str, Any]:
        next(self.events)  # start of the stream
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            raise RuleError(self.file, "", "a rule file is a mapping of fields, this one is empty")
        value = self.value(next(self.events), "", 0)
        if not isinstance(value, dict):
            raise RuleError(self.file, "", "a rule file is a mapping of fields")
        next(self.events)  # end of the document
        if not isinstance(next(self.events), yaml.StreamEndEvent):
            raise RuleError(self.file, "", "more than one YAML document")
        return value

    def value(self, event: Any, path: str, depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise self.error(event, path, "nested too deeply")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self.error(event, path, "anchors are not allowed, write the value out")
        if event.tag is not None:
            raise self.error(event, path, f"tag {event.tag} is not allowed")
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path, depth)
        return _plain(event.value) if event.implicit[0] else event.value  # else it is quoted, always a text

    def mapping(self, path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.error(event, path, "a key must be a word")
            key = event.value
            field = f"{path}.{key}" if path else key
            if key in result:
                raise self.error(event, field, "written twice")
            if key == "<<":
                raise self.error(event, field, "merge keys are not allowed")
            result[key] = self.value(next(self.events), field, depth + 1)
        return result

    def sequence(self, path: str, depth: int) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            result.append(self.value(event, f"{path}[{len(result)}]", depth + 1))
        return result

    def error(self, event: Any, field: str, problem: str) -> RuleError:
        return RuleError(self.file, field, f"line {event.start_mark.line + 1}: {problem}")


_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 30 else text
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
