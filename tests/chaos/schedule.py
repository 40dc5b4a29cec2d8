"""What goes wrong, and when: a list of faults that a seed decides altogether."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "kill", "kill in commit", "wipe", "stop", "short pause", "long pause", "scale down", "scale up", "takeover",
    "kill all", "alone", "revoke in restore", "delete", "damage", "clock", "broker stop", "broker kill",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

SESSION_S = 3.0  # of the workers
FIRST_S = 5.0  # the workers are up and have partitions
GAP_S = (0.6, 5.0)  # between the beginnings of two faults
SETTLE_S = 1.5  # a worker that came back is left alone so long; less than it needs to be ready

_WEIGHTS: dict[Kind, int] = {
    "kill": 4, "kill in commit": 8, "wipe": 3, "stop": 3, "short pause": 3, "long pause": 4, "scale down": 2,
    "scale up": 2, "takeover": 2, "kill all": 1, "alone": 1, "revoke in restore": 3, "delete": 1, "damage": 2,
    "clock": 2, "broker stop": 1, "broker kill": 2,
}  # fmt: skip
# How long each lasts, seconds. Pauses and absences are on either side of the session time-out, on purpose.
_HOLD_S: dict[Kind, tuple[float, float]] = {
    "kill": (0.0, 2.0),
    "kill in commit": (0.8, 2.0),
    "wipe": (0.0, 2.0),
    "stop": (0.0, 1.0),
    "short pause": (0.2, 0.6 * SESSION_S),
    "long pause": (1.3 * SESSION_S, 3.0 * SESSION_S),
    "scale down": (1.3 * SESSION_S, 3.0 * SESSION_S),
    "scale up": (1.5 * SESSION_S, 4.0 * SESSION_S),
    "takeover": (1.0, 2.0 * SESSION_S),
    "kill all": (0.0, 1.0),
    "alone": (1.3 * SESSION_S, 3.0 * SESSION_S),
    "revoke in restore": (4.0, 7.0),
    "delete": (1.0, 4.0),
    "damage": (0.0, 2.0),
    "clock": (0.0, 2.0),
    "broker stop": (0.0, 4.0),
    "broker kill": (0.0, 4.0),
}
_OF_BROKER: tuple[Kind, ...] = ("broker stop", "broker kill")
_OF_ALL: tuple[Kind, ...] = ("kill all", "alone")
_STUTTERED: tuple[Kind, ...] = ("kill in commit", "revoke in restore")
# Where the broker takes a twentieth of a second for each answer, a worker is nearly always in the middle of a
# transaction, at any step of it. What it had sent already is done after its death: the commit, too, of which it never
# learns.
_BROKER_START_S = 5.0
_SAID: dict[Kind, str] = {
    "kill": "kill -9 of worker {slot}, started anew after {hold:.1f} s",
    "kill in commit": "the broker stutters for {hold:.1f} s, then kill -9 of worker {slot}",
    "wipe": "kill -9 of worker {slot}, its state folder removed, started anew after {hold:.1f} s",
    "stop": "SIGTERM to worker {slot}, started anew {hold:.1f} s after its end",
    "short pause": "worker {slot} is stopped for {hold:.1f} s (SIGSTOP), within its session",
    "long pause": "worker {slot} is stopped for {hold:.1f} s (SIGSTOP), beyond its session",
    "scale down": "SIGTERM to worker {slot}, which stays away for {hold:.1f} s",
    "scale up": "another worker for {hold:.1f} s, then SIGTERM",
    "takeover": "worker {slot} is stopped, another takes its place, and after {hold:.1f} s the first goes on",
    "kill all": "kill -9 of all workers, started anew after {hold:.1f} s",
    "alone": "SIGTERM to all workers but {slot}, which stay away for {hold:.1f} s",
    "revoke in restore": "wipe worker {slot}, another joins while it restores, the broker stutters for {hold:.1f} s",
    "delete": "the state folder of worker {slot} is removed under it, and kill -9 {hold:.1f} s later",
    "damage": "kill -9 of worker {slot}, its state overwritten in places, started anew after {hold:.1f} s",
    "clock": "kill -9 of worker {slot}, started anew after {hold:.1f} s with a clock that jumps, or a good one again",
    "broker stop": "the broker is stopped in order and started anew after {hold:.1f} s",
    "broker kill": "kill -9 of the broker, started anew after {hold:.1f} s",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: seconds after the start, what, to which worker (-1: to none in particular), for how long."""

    at_s: float
    kind: Kind
    slot: int
    hold_s: float

    def __str__(self) -> str:
        return f"{self.at_s:6.1f} s  {_SAID[self.kind].format(slot=self.slot, hold=self.hold_s)}"


def schedule(seed: int, *, faults: int, slots: int, minutes: float | None = None) -> list[Fault]:
    """`faults` faults, or as many as begin within `minutes`, for `slots` workers.

    No worker gets a second fault before it is back from the first; different workers do, at the same time.
    """
    rng = random.Random(f"schedule {seed}")
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    free = [0.0] * slots  # when each worker can be hurt again
    broker_free = 0.0
    at = FIRST_S
    found: list[Fault] = []
    while at < minutes * 60 if minutes is not None else len(found) < faults:
        kind: Kind = rng.choices(kinds, weights)[0]
        hold = round(rng.uniform(*_HOLD_S[kind]), 1)
        gap = rng.uniform(*GAP_S)
        slot = -1
        if kind in _OF_BROKER:
            at = max(at, broker_free)
            broker_free = at + hold + _BROKER_START_S + 2 * SETTLE_S
        elif kind in _OF_ALL:
            at = max(at, *free)
            free = [at + hold + SETTLE_S] * slots
            slot = rng.randrange(slots) if kind == "alone" else -1
        elif kind != "scale up":
            if kind in _STUTTERED:
                at = max(at, broker_free)
                broker_free = at + hold + SETTLE_S
            slot = min(rng.sample(range(slots), slots), key=lambda one: max(free[one], at))
            at = max(at, free[slot])
            free[slot] = at + hold + SETTLE_S
        found.append(Fault(round(at, 1), kind, slot, hold))
        at += gap
    return found
