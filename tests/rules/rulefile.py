"""A sound rule to vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules import Catalogue

RULE: dict[str, Any] = {
    "title": {"zh": "规则", "en": "A rule"},
    "category": "suspicion",
    "points": 30,
    "why": "Because.",
    "misses": "The rest.",
    "triage": "Look.",
    "actions": ["open_box"],
    "limits": {"names_90d_min": 3},
    "when": "retail AND sender_names_90d >= :names_90d_min",
    "evidence": ["sender_names_90d"],
    "cases": [{"name": "one", "events": [{"shipment": {}}], "expect": "no"}],
}
DROP = object()
"""As the value of a field: leave it out."""

# The fixture `load`: a catalogue of RULE alone, with overrides and changed fields.
Load = Callable[..., Catalogue]
