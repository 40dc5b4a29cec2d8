"""The error that a faulty rule raises, and what a deployment may change of a rule; its fields: `schemas.rulefile`."""

from __future__ import annotations

from typing import Final

from schemas.errors import WaybillError

SETTABLE: Final = ("points", "mode", "budget")
"""What a deployment may change of a rule beside its limits."""


class RuleError(WaybillError):
    """A rule, or a setting of one, that cannot be used: says which file, which field, and what is wrong."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = file
        self.field = field
        self.problem = problem
