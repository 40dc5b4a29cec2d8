"""The life of a worker: its phases, and the transitions between them.

              ┌──────────────────────────────────────────────────────────────┐
              ▼                                                              │
    ──▶ JOINING ─┬─▶ SPARE ────────────────────────────────────▶ REVOKING ───┤
                 │                                                 ▲    │    │
                 └─▶ RESTORING ─▶ CATCHING_UP ─▶ RUNNING ──────────┘    ▼    │
                      (each of them may go to REVOKING)   └────▶ ABORTED ────┘

    every phase ─▶ BROKEN, which is the last

A worker steps only while RUNNING. It commits while RUNNING, and once more while REVOKING. After a failed transaction
(ABORTED) its state holds changes that did not happen, so it must not commit until the partitions are given back and
opened anew. After a step that was cut short (BROKEN) it must not commit at all: the worker ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The phase of a worker. The values are the states of the metric `waybill_worker_state`."""

    JOINING = "joining"
    """It has no partitions: it joins the group, or has given its partitions back."""
    SPARE = "spare"
    """It is in the group without partitions: there are more workers than partitions."""
    RESTORING = "restoring"
    """It reads the changelog of its partitions."""
    CATCHING_UP = "catching_up"
    """It reads reference data and rules, and restores timers."""
    RUNNING = "running"
    """It has partitions and has caught up."""
    ABORTED = "aborted"
    """A transaction failed and was aborted; its input is read again."""
    REVOKING = "revoking"
    """It gives its partitions back."""
    BROKEN = "broken"
    """A step was cut short, or a commit did not return."""


WAITS_FOR: Final = {
    Phase.JOINING: "partitions: joining the group",
    Phase.SPARE: "partitions: there are more workers than partitions",
    Phase.RESTORING: "its state: reading the changelog",
    Phase.CATCHING_UP: "reference data and rules: reading the topics",
    Phase.RUNNING: "",
    Phase.ABORTED: "its input: a transaction failed, and is read again",
    Phase.REVOKING: "partitions: a rebalance is under way",
    Phase.BROKEN: "nothing: it ends, for a step was cut short",
}
"""What a worker in this phase waits for before it is ready, as text."""

ALLOWED: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.JOINING: frozenset({Phase.SPARE, Phase.RESTORING, Phase.REVOKING}),
    Phase.SPARE: frozenset({Phase.RESTORING, Phase.REVOKING}),
    Phase.RESTORING: frozenset({Phase.CATCHING_UP, Phase.REVOKING}),
    Phase.CATCHING_UP: frozenset({Phase.RUNNING, Phase.REVOKING}),
    Phase.RUNNING: frozenset({Phase.ABORTED, Phase.REVOKING}),
    Phase.ABORTED: frozenset({Phase.JOINING}),
    Phase.REVOKING: frozenset({Phase.ABORTED, Phase.JOINING}),
    Phase.BROKEN: frozenset(),
}


class PhaseError(AssertionError):
    """A transition that does not exist."""


class Life:
    """The phase of one worker. For its event loop; other threads may read it."""

    def __init__(self, entered: Callable[[Phase], None]) -> None:
        """entered: called with each new phase."""
        self.phase = Phase.JOINING
        self._entered = entered

    def to(self, phase: Phase) -> None:
        """Enter a phase. A broken worker stays broken. Raises PhaseError for a transition that does not exist."""
        if phase is self.phase or self.phase is Phase.BROKEN:
            return
        if phase is not Phase.BROKEN and phase not in ALLOWED[self.phase]:
            raise PhaseError(f"from {self.phase} to {phase}")
        self.phase = phase
        self._entered(phase)

    @property
    def ready(self) -> bool:
        """Whether it may step: it has partitions, and their state is restored."""
        return self.phase is Phase.RUNNING

    @property
    def may_commit(self) -> bool:
        """Whether it may commit."""
        return self.phase in (Phase.RUNNING, Phase.REVOKING)

    @property
    def held(self) -> bool:
        """Whether it has partitions and is not about to lose them."""
        return self.phase in (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING)

    @property
    def waits_for(self) -> str:
        """Why it is not ready, as text; empty while it is."""
        return WAITS_FOR[self.phase]
