"""Who may do what. `MAY` is the whole table; pages, JSON and forms ask it, and nothing else decides.

Viewers, analysts and supervisors have their role for places whose code begins with a prefix, as in `analyst:4401`, or
everywhere. A station has its own clues, wherever they are.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

Role = Literal["viewer", "station", "analyst", "supervisor", "auditor", "admin"]

_SEES: Final = frozenset({"read", "rules"})
_WORKS: Final = _SEES | {"claim", "report", "note", "hold", "release", "confirm", "dispute"}
_ANALYST: Final = _WORKS | {"measures", "limits", "search", "extend", "grade", "close", "reopen", "reveal"}
MAY: Final[dict[Role, frozenset[str]]] = {
    "viewer": _SEES | {"measures"},
    "station": _WORKS | {"accept", "refuse", "transfer", "check", "answer", "judge"},
    "analyst": _ANALYST,
    "supervisor": _ANALYST | {"grant", "second", "escalate", "due", "monitor", "keep"},
    "auditor": frozenset({"audit"}),  # and nothing else
    "admin": frozenset({"accounts"}),  # no case data
}  # fmt: skip
_OF_PLACE: Final = ("viewer", "analyst", "supervisor")
_FORM: Final = re.compile(rf"({'|'.join(_OF_PLACE)}):([1-9][0-9]{{0,5}})|({'|'.join(get_args(Role))})")
ROLES: Final = f"there are {', '.join(MAY)}; {', '.join(_OF_PLACE)} also as ROLE:PREFIX of a place code"


class Grant(NamedTuple):
    """A role in the places whose code begins with `prefix`; the empty one is everywhere."""

    role: Role
    prefix: str = ""

    @classmethod
    def of(cls, said: str) -> Grant | None:
        """The grant that is written there; None: it is none."""
        found = _FORM.fullmatch(said)
        if found is None:
            return None
        role = next(role for role in MAY if role == (found[1] or found[3]))
        return cls(role, found[2] or "")

    def __str__(self) -> str:
        return f"{self.role}:{self.prefix}" if self.prefix else self.role
