"""Reference records as they are published beside the events: a register that comes in parts, and then changes.

Licences end and come back, outlets pass to other enterprises, couriers leave, share a phone, and come back; some of it
is said twice, some deleted and said anew, and some cannot be read.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from streams.generate import Traffic
from streams.generate.world import DAY_MS

Row = dict[str, Any]
Message = tuple[bytes, bytes | None, bool]  # key, value (None: deletes), whether it can be read

LATE_SHARE = 0.5  # of the register, which comes while events flow already
LATE_UNTIL = 0.3  # of the run: then all of it has been said once
CHANGES_SHARE = 0.15  # changes, to a record of the register
BURSTS = 14  # in which they come: each has all that is kept swept
REPEATED, GARBAGE, DELETED = 0.15, 0.1, 0.2  # shares of the changes


def published(
    rng: random.Random, traffic: Traffic, crowd: Sequence[tuple[bytes, bytes]]
) -> list[tuple[float, Message]]:
    """Messages in their order, each with its place in the run, from 0 to 1.

    crowd: keys and values of a smaller world's register, which changes as it is.
    """
    rows = traffic.reference
    rng.shuffle(rows)
    late = int(len(rows) * LATE_SHARE)
    found = [(0.0, _said(row)) for row in rows[late:]]
    found += [(rng.uniform(0, LATE_UNTIL), _said(row)) for row in rows[:late]]
    found += [(at, (*pair, True)) for at, pair in zip(_places(rng, len(crowd), 0), crowd, strict=True)]
    bursts = [rng.uniform(LATE_UNTIL, 1) for _ in range(BURSTS)]
    changed = [row for row in rows if row["kind"] in _CHANGES]
    for at in sorted(rng.choice(bursts) for _ in range(int(len(rows) * CHANGES_SHARE))):
        found += [(at, message) for message in _change(rng, changed, traffic.plan.start_at, traffic.plan.days)]
    return sorted(found, key=lambda pair: pair[0])


def _places(rng: random.Random, count: int, since: float) -> list[float]:
    return sorted(rng.uniform(since, 1) for _ in range(count))


def _change(rng: random.Random, rows: list[Row], start_at: int, days: float) -> list[Message]:
    """What is published of one record; `rows` keep its newest form."""
    number = rng.randrange(len(rows))
    row = rows[number]
    chance = rng.random()
    if chance < REPEATED:
        return [_said(row)]
    if chance < REPEATED + GARBAGE:
        return [_garbage(rng, row)]
    during = start_at + int(rng.random() * days * DAY_MS)
    now = rows[number] = {**row, **_CHANGES[row["kind"]](rng, row, rng.choice(rows), during)}
    said = _said(now)
    # One that was deleted comes back at once: files cannot say that a record is gone. It is of whom it was of before,
    # and says something else, or the revision would tell.
    if rng.random() < DELETED and any(now.get(name) != row.get(name) for name in _DELETED_FOR[row["kind"]]):
        return [(said[0], None, True), said]
    return [said]


def _said(row: Row) -> Message:
    return f"{row['kind']}:{row['id']}".encode(), msgspec.json.encode(row), True


def _garbage(rng: random.Random, row: Row) -> Message:
    key, value, _ = _said(row)
    assert value is not None
    broken = (
        value[: rng.randrange(1, len(value))],
        b"{}",
        b"[" * 5_000,
        b"\xff\xfe\x00" + value,
        json.dumps({**row, "id": ""}).encode(),
        json.dumps({**row, "kind": "weather"}).encode(),
        json.dumps({name: given for name, given in row.items() if name != f"{row['kind']}_id"}).encode(),
    )
    return key, rng.choice(broken), False


def _of_enterprise(rng: random.Random, row: Row, other: Row, during: int) -> Row:
    return rng.choice(
        (
            {"licence_no": None},
            {"licence_no": "示例许可"},
            {"licence_to": during},
            {"licence_to": None},
            {"licence_from": during},
            {"licence_adcodes": ["99"]},
            {"licence_scopes": ["international"]},
        )
    )


def _of_outlet(rng: random.Random, row: Row, other: Row, during: int) -> Row:
    return {"enterprise_id": other.get("enterprise_id", row["enterprise_id"])}


def _of_courier(rng: random.Random, row: Row, other: Row, during: int) -> Row:
    return rng.choice(({"left_at": during}, {"left_at": None}, {"certificate_to": during}))


# Versions of an enterprise go with its record, which no file can say either.
_DELETED_FOR = {"enterprise": (), "outlet": ("enterprise_id",), "courier": ("left_at",)}
_CHANGES: dict[str, Callable[[random.Random, Row, Row, int], Row]] = {
    "enterprise": _of_enterprise,
    "outlet": _of_outlet,
    "courier": _of_courier,
}
