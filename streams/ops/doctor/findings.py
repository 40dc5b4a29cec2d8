"""What a check has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `advice`: what to do, empty when all is well."""

    status: Status
    what: str
    says: str
    advice: str = ""


def ok(what: str, says: str) -> Finding:
    """All is well."""
    return Finding("OK", what, says)


def warn(what: str, says: str, advice: str) -> Finding:
    """A worker runs, but not as it should."""
    return Finding("WARN", what, says, advice)


def fail(what: str, says: str, advice: str) -> Finding:
    """A worker cannot run, or would judge wrongly."""
    return Finding("FAIL", what, says, advice)
