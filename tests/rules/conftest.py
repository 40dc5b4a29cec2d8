"""Rule files to vary, and a folder to load them from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import Catalogue, load_catalogue
from tests.rules.rulefile import DROP, RULE, Load


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a rule file, RULE with the given fields put in or dropped, and returns the root of its catalogue."""

    def write(name: str = "identity/one", text: str | None = None, **fields: Any) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        # a title must not be used twice, so it follows the name
        rule = {**RULE, "title": {"zh": f"规则 {name}", "en": f"Rule {name}"}, **fields}
        kept = {field: value for field, value in rule.items() if value is not DROP}
        path.write_text(yaml.safe_dump(kept, allow_unicode=True) if text is None else text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Load:
    """Loads a catalogue of one rule, RULE with the given fields."""

    def load(overrides: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> Catalogue:
        return load_catalogue(write(**fields), overrides or {})

    return load
