"""The error of a faulty rule, and what a deployment may change of a rule. `schemas.rulefile` has its fields."""

from __future__ import annotations

from typing import Final

from schemas.errors import WaybillError

SETTABLE: Final = ("points", "mode", "budget")
"""What a deployment may change of a rule besides its limits."""


class RuleError(WaybillError):
    """A rule, or an override of one, cannot be used. The message names file and field and says what is wrong."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = file
        self.field = field
        self.problem = problem
