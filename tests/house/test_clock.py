"""The wall clock is read where it is shown, and decides nothing: time arrives with the event."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = [path for room in ("schemas", "rules", "streams", "desk") for path in (ROOT / room).rglob("*.py")]
WALL = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}
OWNERS = {"time", "datetime", "date"}

# Who may read it, and what for.
MAY_READ = {
    "streams/cli/alerts.py": "what `--since 2h` counts from",
    "desk/log.py": "makes an id of its own for a writer that has no name",
    "streams/cli/clues.py": "dates what people do, and looks at deadlines",
    "streams/cli/verbs.py": "an end so many hours on",
    "streams/cli/orders.py": "tells no seed of a day that is not over",
    "streams/cli/measures.py": "measures what is so now",
    "desk/web/core.py": "dates what people do, and looks at deadlines",
    "streams/cli/dispatcher.py": "says from when on spans are told",
    "streams/cli/tracer.py": "dates reveals, and ends them after ten minutes; dates spans",
    "desk/webhook.py": "dates what it signs, so that nobody can send it again later",
    "desk/dispatcher.py": "dates its acts, and looks at deadlines",
    "streams/app.py": "an alert's `detected_at`; event time goes at most some minutes ahead of it",
    "streams/files/bulk.py": "the same, of files",
    "streams/worker/idle.py": "moves the watermark of an idle partition, and bounds that of the others",
    "streams/worker/epoch.py": "the metric of an alert's latency",
    "streams/worker/spans.py": "dates spans",
    "streams/worker/inputs.py": "as streams/app.py, of parcels that reference data touches",
    "streams/worker/rules.py": "dates what a worker says of its rules, for people",
    "streams/rulesets/pushing.py": "dates the sets that are pushed, for people",
    "streams/ops/keys.py": "names a key by the day on which it is made",
    "streams/ops/doctor/broker.py": "compares it with the producers'",
    "streams/demo/traffic.py": "dates the events that it makes up",
}


def reads(source: str) -> bool:
    """Whether a module calls anything like `time.time()` or `datetime.now()`, or imports `time` from `time`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in WALL:
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if owner in OWNERS:
                return True
        if isinstance(node, ast.ImportFrom) and node.module == "time" and WALL & {each.name for each in node.names}:
            return True
    return False


def test_the_wall_clock_is_read_by_these_alone() -> None:
    found = {str(path.relative_to(ROOT)) for path in MODULES if reads(path.read_text(encoding="utf-8"))}
    assert found == MAY_READ.keys()


@pytest.mark.parametrize(
    ("source", "wall"),
    [
        ("import time\ntime.time()", True),
        ("import datetime\ndatetime.datetime.now()", True),
        ("from datetime import date\ndate.today()", True),
        ("from time import time_ns", True),
        ("import time\ntime.monotonic()", False),
        ("stat.st_mtime_ns", False),
    ],
)
def test_the_walk_knows_a_wall_clock(source: str, wall: bool) -> None:
    assert reads(source) == wall
