"""Clue logs for tests: events by hand, and random ones that are mostly what a desk would write."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from desk.clues.clue import Clue
from desk.clues.fold import step
from desk.clues.table import EXCLUSIVE, FROM
from schemas import clues as log
from schemas.records import Alert
from tests.schemas.samples import ALERT

T0 = 1_760_000_010_000
ALERTED: Alert = msgspec.convert(ALERT, Alert)
STATIONS = ("ST-1", "ST-2", "ST-3")
DRAWN: dict[str, Any] = {
    "origin": "order",
    "tier": "medium",
    "alert": None,
    "limit": None,
    "arm": "random",
    "p": 0.001,
    "revision": ALERTED.revision,
    "outlet_id": ALERTED.outlet_id,
}  # the fields of a clue that chance has opened
USERS = ("u1", "u2", "u3")


def opened(clue_id: str = "c1", **fields: Any) -> log.Opened:
    given = {
        "event_id": f"{clue_id}-0",
        "clue_id": clue_id,
        "at": T0,
        "by": "dispatcher",
        "origin": "alert",
        "parcel": "SF:1000000000001",
        "tier": "medium",
        "adcode": "440111",
        "alert": ALERTED,
        "limit": 40,
    }
    return log.Opened(**{**given, **fields})


def event(kind: type[log.ClueEvent], number: int, clue: Clue, **fields: Any) -> log.ClueEvent:
    """An event on a clue as it is; exclusive ones expect just that."""
    given: dict[str, Any] = {
        "event_id": f"{clue.clue_id}-{number}",
        "clue_id": clue.clue_id,
        "at": T0 + 60_000 * number,
        "by": "u1",
        "station": clue.station,
    }
    if kind in EXCLUSIVE:
        given["expects"] = clue.version
    return kind(**{**given, **_NEEDED.get(kind, {}), **fields})


_NEEDED: dict[type[log.ClueEvent], dict[str, Any]] = {
    log.Joined: {"origin": "order", "revision": 9, "adcode": "440111", "p": 0.001},
    log.Standing: {"revision": 9, "status": "open", "tier": "high", "adcode": "310115"},
    log.Graded: {"tier": "high", "why": "third"},
    log.Dispatched: {
        "to": "ST-1", "adcode": "440111",
        "accept_by": T0 + 10 * 60_000, "check_by": T0 + 120 * 60_000, "answer_by": T0 + 1_440 * 60_000,
    },
    log.Refused: {"why": "elsewhere"},
    log.Transferred: {"to_adcode": "310115", "why": "gone"},
    log.Checked: {"check_kind": "xray", "checked_at": T0},
    log.Answered: {"feedback_id": "f1", "outcome": "no_finding", "rules": ()},
    log.Judged: {"feedback_id": "f2", "rules": ()},
    log.Disputed: {"why": "weight"},
    log.Reopened: {"why": "new facts"},
    log.Closed: {"reason": "too_late"},
    log.Escalated: {"level": 1, "adcode": "440100", "step": "accept"},
    log.Monitor: {"on": True, "users": ("u9",), "why": "order 7"},
    log.Held: {"action": "request", "reason": "sample", "basis": "art. 33", "until": T0 + 3_600_000},
    log.DueMoved: {"step": "answer", "due": T0 + 9_000_000, "why": "holiday"},
    log.Noted: {"note": "called"},
    log.Kept: {"until": T0 + 10**10, "why": "court"},
}  # fmt: skip


def applied(clue: Clue | None, happened: log.ClueEvent) -> Clue:
    after = step(clue, happened)
    assert isinstance(after, Clue), after
    return after


def clue_at(*kinds: type[log.ClueEvent], clue_id: str = "c1", **first: Any) -> Clue:
    """A clue after these events, each with what it needs."""
    clue = applied(None, opened(clue_id, **first))
    for number, kind in enumerate(kinds, 1):
        clue = applied(clue, event(kind, number, clue))
    return clue


def random_log(chance: Random, clues: int, events: int) -> list[log.ClueEvent]:
    """A log in which most events apply, and others are stale, doubled, by the wrong station or out of turn."""
    kinds = list(FROM)
    now: dict[str, Clue] = {}
    out: list[log.ClueEvent] = []
    for number in range(events):
        clue_id = f"c{chance.randrange(clues)}"
        clue = now.get(clue_id)
        if clue is None:
            more = {} if chance.random() < 0.5 else DRAWN
            made: log.ClueEvent = opened(clue_id, event_id=f"{clue_id}-{number}", at=T0 + number, **more)
        elif out and chance.random() < 0.05:
            made = chance.choice(out[-50:])
            clue_id = made.clue_id
        else:
            fitting = [kind for kind in kinds if clue.state in FROM[kind]]
            kind = chance.choice(fitting if chance.random() < 0.9 else kinds)
            changed: dict[str, Any] = {"by": chance.choice(USERS)}
            if chance.random() < 0.05:
                changed["station"] = chance.choice(STATIONS)
            if chance.random() < 0.1 and kind in EXCLUSIVE:
                changed["expects"] = max(clue.version - 1, 0)
            if kind is log.Held:
                changed["action"] = chance.choice(("request", "effective", "extend", "second", "release"))
                changed["until"] = T0 + 60_000 * number + chance.randrange(1, 30) * 3_600_000
            if kind is log.Standing:
                changed["revision"] = chance.randrange(20)
                changed["origin"] = chance.choice((None, "alert", "order"))
            if kind is log.Joined and chance.random() < 0.5:
                changed |= {"origin": "alert", "alert": ALERTED, "limit": 40}
            if kind is log.Answered:
                changed["outcome"] = chance.choice(("seizure", "violation", "no_finding", "wrong_alert", "transferred"))
            if kind is log.Dispatched:
                changed["to"] = chance.choice(STATIONS)
            made = event(kind, number, clue, **changed)
        after = step(now.get(clue_id), made)
        if isinstance(after, Clue):
            now[clue_id] = after
        out.append(made)
    return out


def interleaved(chance: Random, happened: list[log.ClueEvent], partitions: int) -> list[log.ClueEvent]:
    """The same log with its partitions read in another order: each clue's own events keep theirs."""
    parts: list[list[log.ClueEvent]] = [[] for _ in range(partitions)]
    for each in happened:
        parts[hash(each.clue_id) % partitions].append(each)
    out = []
    while any(parts):
        part = chance.choice([part for part in parts if part])
        out.append(part.pop(0))
    return out
