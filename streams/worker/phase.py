"""The life of a worker: one phase at a time, and the ways between them.

              ┌──────────────────────────────────────────────────────────────┐
              ▼                                                              │
    ──▶ JOINING ─┬─▶ SPARE ────────────────────────────────────▶ REVOKING ───┤
                 │                                                 ▲    │    │
                 └─▶ RESTORING ─▶ CATCHING_UP ─▶ RUNNING ──────────┘    ▼    │
                      (each of them may go to REVOKING)   └────▶ ABORTED ────┘

    every phase ─▶ BROKEN, which is the last

A worker steps only while RUNNING. It commits while RUNNING, and once more while REVOKING. After a transaction that
failed (ABORTED) its state knows of what did not happen, so nothing may be committed before the partitions are taken
back and opened anew. After a step that was cut short (BROKEN) nothing may be committed at all: the worker ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a worker stands. The values name the states of the metric `waybill_worker_state`."""

    JOINING = "joining"
    """Without partitions: it joins the group, or has given its partitions back."""
    SPARE = "spare"
    """In the group without partitions: there are more workers than partitions."""
    RESTORING = "restoring"
    """Reads the changelog of its partitions."""
    CATCHING_UP = "catching_up"
    """Reads reference data, rules, and what its parcels wait for."""
    RUNNING = "running"
    """Assigned and caught up."""
    ABORTED = "aborted"
    """A transaction failed and was taken back; its input is read again."""
    REVOKING = "revoking"
    """Gives its partitions back."""
    BROKEN = "broken"
    """A step was cut short, or a commit never came back."""


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
"""What a worker in this phase waits for before it is ready, for people."""

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
    """A way between two phases that does not exist."""


class Life:
    """The phase of one worker. For its event loop; threads may look at it."""

    def __init__(self, entered: Callable[[Phase], None]) -> None:
        """entered: told of each new phase."""
        self.phase = Phase.JOINING
        self._entered = entered

    def to(self, phase: Phase) -> None:
        """Enter a phase. A broken worker stays broken on its way out. Raises PhaseError for a way that is not there."""
        if phase is self.phase or self.phase is Phase.BROKEN:
            return
        if phase is not Phase.BROKEN and phase not in ALLOWED[self.phase]:
            raise PhaseError(f"from {self.phase} to {phase}")
        self.phase = phase
        self._entered(phase)

    @property
    def ready(self) -> bool:
        """Whether it may step: it has its partitions, and their state is there."""
        return self.phase is Phase.RUNNING

    @property
    def may_commit(self) -> bool:
        """Whether what was done may be committed."""
        return self.phase in (Phase.RUNNING, Phase.REVOKING)

    @property
    def held(self) -> bool:
        """Whether it has partitions, and is not about to lose them."""
        return self.phase in (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING)

    @property
    def waits_for(self) -> str:
        """Why it is not ready, for people; empty while it is."""
        return WAITS_FOR[self.phase]
