"""The table of steps: in which states each event applies, which events are exclusive, and which need the station."""

from __future__ import annotations

from typing import Final

from desk.clues.clue import State
from schemas import clues as log

_OPEN: Final = frozenset[State]({"new", "dispatched", "accepted", "checked", "answered"})
_ANY: Final = frozenset[State]({*_OPEN, "closed"})

# The states in which an event applies.
FROM: Final[dict[type[log.ClueEvent], frozenset[State]]] = {
    log.Dispatched: frozenset({"new", "dispatched"}),
    log.Accepted: frozenset({"dispatched"}),
    log.Refused: frozenset({"dispatched"}),
    log.Transferred: frozenset({"dispatched", "accepted", "checked"}),
    log.Checked: frozenset({"accepted"}),
    log.Answered: frozenset({"accepted", "checked"}),
    log.Confirmed: frozenset({"answered"}),
    log.Disputed: frozenset({"answered"}),
    log.Judged: frozenset({"answered", "closed"}),
    log.Closed: frozenset({"new", "dispatched"}),
    log.Reopened: frozenset({"closed"}),
    log.Joined: _ANY,
    log.Standing: _ANY,
    log.Graded: _OPEN,
    log.Claimed: _OPEN,
    log.Escalated: _OPEN,
    log.Monitor: _OPEN,
    log.Held: _ANY,
    log.DueMoved: frozenset({"dispatched", "accepted", "checked"}),
    log.Noted: _ANY,
    log.Kept: _ANY,
}
# Exclusive events: each must carry the number of those before it.
EXCLUSIVE: Final = frozenset(
    {
        log.Dispatched,
        log.Accepted,
        log.Refused,
        log.Transferred,
        log.Checked,
        log.Answered,
        log.Confirmed,
        log.Disputed,
        log.Judged,
        log.Closed,
        log.Reopened,
    }
)
# Only the station that has the clue may do these.
OF_STATION: Final = frozenset({log.Accepted, log.Refused, log.Transferred, log.Answered, log.Judged})
