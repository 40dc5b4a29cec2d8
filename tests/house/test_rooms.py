"""House rules on rooms: imports go one way, no circle, a flow that touches nothing but events, short functions.

Imports count wherever they stand, also in functions and under `TYPE_CHECKING`: a reader has to follow them all.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the ground up. A room imports from rooms above it in this list, and from itself; rooms of one line stand apart.
ORDER = (
    {"schemas"},
    {"rules"},
    {"streams.native", "streams.metrics", "streams.settings_files", "streams.settings_forms"},
    {"streams.settings"},
    {"streams.state"},
    {"streams.flow"},
    {"streams.files", "streams.generate"},
    {"streams.kafka", "streams.otel"},
    {"streams.rulesets", "streams.explain", "streams.settings_shown", "streams.values"},
    {"streams.worker", "streams.ops", "desk"},
    {"streams.app", "streams.demo"},
    {"streams.main", "streams.cli"},
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
DESK_MAY_IMPORT = {
    "schemas",
    "rules",
    "streams.flow",
    "streams.kafka",
    "streams.rulesets",
    "streams.settings",
    "streams.values",
}

# What happens to an event depends on the event alone.
NOT_IN_THE_FLOW = {
    "aiohttp", "asyncio", "concurrent", "confluent_kafka", "faust", "multiprocessing", "rocksdict", "socket",
    "subprocess", "threading", "time",
}  # fmt: skip
LINES_MAX = 60  # of a function


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [path for top in ("schemas", "rules", "streams", "desk") for path in (ROOT / top).rglob("*.py")]
    return {_dotted(path): path for path in sorted(files)}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source: str, known: set[str]) -> set[str]:
    """The modules among `known` that some code imports, at any depth; a package where it names no module of it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & known


def room(module: str) -> str:
    """The room of a module: its top-level package, of `streams` the folder or file below."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "streams" else parts[0]


MODULES = modules()


@cache
def all_imports() -> dict[str, set[str]]:
    """What each module imports of the project."""
    return {name: imports(path.read_text(encoding="utf-8"), set(MODULES)) - {name} for name, path in MODULES.items()}


def test_every_room_has_its_place() -> None:
    assert {room(name) for name in MODULES} - {"streams"} <= RANK.keys()


def test_imports_go_down() -> None:
    up = [
        f"{name} -> {other}"
        for name, others in all_imports().items()
        for other in others
        if room(name) != room(other) and RANK.get(room(other), -1) >= RANK.get(room(name), -1)
    ]
    assert not up


def test_the_desk_stands_on_few_rooms() -> None:
    strays = [
        f"{name} -> {other}"
        for name, others in all_imports().items()
        for other in others
        if room(name) == "desk" and room(other) not in {"desk", *DESK_MAY_IMPORT}
    ]
    assert not strays


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(all_imports()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_flow_touches_nothing_but_events() -> None:
    strays = [
        f"{name} -> {engine}"
        for name, path in MODULES.items()
        if room(name) == "streams.flow"
        for engine in sorted(tops(path.read_text(encoding="utf-8")) & NOT_IN_THE_FLOW)
    ]
    assert not strays


def tops(source: str) -> set[str]:
    """Top-level names of all that some code imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_functions_are_short() -> None:
    folders = ("schemas", "rules", "streams", "desk", "benchmarks", "tests")
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines"
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := length(node, command=folder == "streams" and path.parent.name == "cli")) > LINES_MAX
    ]
    assert not long


def length(function: ast.FunctionDef | ast.AsyncFunctionDef, *, command: bool) -> int:
    """Its lines. Of a command its options and its help do not count: they are its reference, and data."""
    first = function.lineno
    if command:
        body = function.body[1:] if ast.get_docstring(function) else function.body
        first = body[0].lineno if body else function.lineno
    return (function.end_lineno or 0) - first + 1


def test_the_walk_sees_imports_wherever_they_stand() -> None:
    source = "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    from e import F\ndef f():\n    from g.h import i\n"
    known = {"a", "a.b", "c", "c.d", "e", "g.h"}
    assert imports(source, known) == {"a.b", "c.d", "e", "g.h"}
