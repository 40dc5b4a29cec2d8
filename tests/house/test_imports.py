"""House rules on imports and size: who may import whom, one door per engine, modules that fit a reader's head."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "rules", "streams", "desk")
LINES_MAX = 350

# What a room may import of ours, besides itself.
MAY_IMPORT = {
    "schemas": set[str](),
    "rules": {"schemas"},
    "streams": {"schemas", "rules", "desk"},
    "desk": {"schemas", "rules", "streams"},
}
# And where a top-level name says too little: of `streams` the desk imports these, and only the command line the desk.
DESK_MAY_IMPORT = ("streams.flow", "streams.kafka", "streams.rulesets", "streams.settings", "streams.values")
MAY_IMPORT_DESK = "streams/cli/"

# The doors: an engine is imported by these files or folders and by no other module of the three rooms.
DOORS = {
    "faust": ("streams/worker/faust.py", "streams/kafka/transport/"),
    "confluent_kafka": ("streams/kafka/",),
    "rocksdict": ("streams/state/",),
    "prometheus_client": ("streams/metrics.py",),
    "sqlalchemy": ("desk/store/",),
    "opentelemetry": ("streams/otel/",),
}

MODULES = {str(path.relative_to(ROOT)): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}


def test_rooms_import_only_what_is_before_them() -> None:
    ours = {name: imported(path) & {*ROOMS, "tests", "benchmarks"} for name, path in MODULES.items()}
    rooms = {name: name.partition("/")[0] for name in MODULES}
    assert [name for name, room in rooms.items() if not ours[name] - {room} <= MAY_IMPORT[room]] == []


def test_the_desk_and_the_streams_meet_at_few_places() -> None:
    allowed = tuple(f"{room}." for room in DESK_MAY_IMPORT)
    for name, path in MODULES.items():
        if name.startswith("desk/"):
            deep = {module for module in modules(path) if module.partition(".")[0] == "streams"}
            assert all(f"{module}.".startswith(allowed) for module in deep), name
        elif "desk" in imported(path):
            assert name.startswith(MAY_IMPORT_DESK), name


def test_each_engine_enters_by_its_door() -> None:
    found = [(name, engine) for name, path in MODULES.items() for engine in sorted(imported(path) & DOORS.keys())]
    assert [(name, engine) for name, engine in found if not name.startswith(DOORS[engine])] == []


def test_modules_are_short() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count >= LINES_MAX} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        name for name, path in MODULES.items() if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent


def test_the_walk_sees_imports_wherever_they_stand(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import a.b\nfrom c.d import e\ndef f():\n    import g\nif True:\n    from h import *\n")
    assert imported(module) == {"a", "c", "g", "h"}


def imported(path: Path) -> set[str]:
    """Top-level names of all modules that a file imports, at any depth of its code."""
    return {module.partition(".")[0] for module in modules(path)}


@cache
def modules(path: Path) -> set[str]:
    """All modules that a file imports, and the names it takes from them, as `module.name`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
