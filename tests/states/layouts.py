"""The layouts that a format stands for, as text that can be kept and compared."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from streams.flow import layout
from streams.flow.batches import TAIL
from streams.flow.fold import histories
from streams.flow.fold.duties import COUNTED
from streams.state.format import FORMAT, MESSAGES
from tests.states import FOLDER

FILE: Final = FOLDER / "layouts.json"
_CODES: Final = (
    "CUSTOMERS", "PLACES", "DIRECTIONS", "METHODS", "CHECKS", "ID_TYPES", "GOODS_CLASSES", "SCAN_TYPES",
    "INSPECTION_TYPES", "RESULTS", "ID_FAULTS", "GOODS_TRICKS", "KINDS",
)  # fmt: skip


def present() -> dict[str, Any]:
    """Those of the code of today, by the number that is raised with them."""
    rows = {name: _fields(getattr(layout, name)) for name in ("HEAD", "VERSION", "MOVEMENT", "OBSERVED")}
    rows["bucket key"] = _fields(histories.KEY)
    numbers = {record.__name__: first for record, first in layout.FIRST_KIND.items()}
    return {
        "format": FORMAT,
        "state": {**rows, "spans": layout.SPAN_MS.tolist(), "tail": list(TAIL), "kinds of movements": numbers},
        "codes, which may grow at their ends": {
            **{name: list(getattr(layout, name)) for name in _CODES}, "FLAGS": list(layout.FLAGS),
            "COUNTED": list(COUNTED),
        },
        "messages": MESSAGES,
        "rows of messages": {name: _fields(getattr(layout, name)) for name in ("FACT", "OBSERVATION")},
    }  # fmt: skip


def kept() -> dict[str, Any]:
    """Those that were noted when the format was raised last."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def note() -> None:
    """Note those of today."""
    FILE.write_text(json.dumps(present(), indent=1) + "\n")


def _fields(dtype: np.dtype[np.void]) -> list[str]:
    return [f"{name} {field[0].str if field[0].subdtype is None else field[0]} at {field[1]}"
            for name, field in (dtype.fields or {}).items()]  # fmt: skip
