"""That the harness complains: each thing that must not happen, made up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from schemas.desk import Order, Tally
from schemas.records import Alert, Reject, encode
from schemas.topics import ALERTS, ORDERS, PARCELS_CHANGELOG, REJECTS, SHIPMENTS, TALLIES
from tests.chaos.logs import Log
from tests.chaos.verdict import (
    BESIDE_BYTES,
    OVERHEAD,
    Outcome,
    check_alerts,
    check_orders,
    check_readers,
    check_rejects,
    check_state,
    check_tallies,
    count_astray,
)
from tests.ordering import ORDER_SHARE
from tests.runs import comparable

FIRST = Alert(
    alert_id="wa-" + "0" * 24, revision=1, status="open", tier="medium", score=40, reasons=(), unknown=(), actions=(),
    jurisdiction_adcode="440111", carrier_code="SF", waybill_no="1", outlet_id="O1", courier_id="C1",
    happened_at=1_764_000_000_000, detected_at=1_764_000_000_500, catalogue="0" * 16, sources=(),
)  # fmt: skip
SECOND = msgspec.structs.replace(FIRST, revision=2, score=60, tier="high")
LATER = msgspec.structs.replace(SECOND, detected_at=1_764_000_009_999)  # the same, said a second time
WANTED = comparable([SECOND])


def log(*alerts: Alert) -> Log:
    """Alerts one after the other, with gaps where marks of transactions are."""
    return {(ALERTS, 0, 2 * offset): (b"SF:1", encode(alert)) for offset, alert in enumerate(alerts)}


def test_equal_alerts_are_no_complaint() -> None:
    outcome = Outcome()
    check_alerts(log(FIRST, SECOND), WANTED, outcome)
    assert (outcome.wrong, outcome.open, outcome.alerts) == ([], 1, 2)


@pytest.mark.parametrize(
    ("alerts", "said", "lost", "doubled"),
    [
        ((), "1 missing", 1, 0),
        ((FIRST,), "score is 40, wanted 60", 1, 0),
        ((FIRST, SECOND, LATER), "repeat the one before", 0, 1),
        ((SECOND, FIRST), "revision 1 came after 2", 1, 0),
        ((FIRST, SECOND, msgspec.structs.replace(SECOND, revision=3, status="withdrawn")), "1 missing", 1, 0),
    ],
)
def test_what_is_lost_or_doubled_is_said(alerts: tuple[Alert, ...], said: str, lost: int, doubled: int) -> None:
    outcome = Outcome()
    check_alerts(log(*alerts), WANTED, outcome)
    assert said in "\n".join(outcome.wrong)
    assert (outcome.lost, outcome.doubled) == (lost, doubled)


def test_a_reader_who_saw_an_aborted_message_is_told_on() -> None:
    every = log(FIRST, SECOND)
    committed = dict([*every.items()][:1])
    quiet, loud, blind = Outcome(), Outcome(), Outcome()
    check_readers(committed, every, dict(committed), quiet)
    check_readers(committed, every, dict(every), loud)
    check_readers(committed, every, {}, blind)
    assert (quiet.wrong, quiet.aborted) == ([], 1)
    assert "saw 1 messages that are not" in loud.wrong[0]
    assert "missed 1" in blind.wrong[0]


def test_an_aborted_revision_beyond_the_last_is_counted() -> None:
    outcome = Outcome()
    count_astray(log(FIRST, SECOND, FIRST), log(FIRST, SECOND), WANTED, outcome)
    assert outcome.astray == 0, "an older revision that comes late changes nothing"
    count_astray(log(msgspec.structs.replace(FIRST, revision=3)), {}, {}, outcome)
    assert (outcome.astray, outcome.wrong) == (1, []), "what was opened by an aborted transaction alone stays"
    count_astray(log(FIRST, SECOND, msgspec.structs.replace(FIRST, revision=3)), log(FIRST, SECOND), WANTED, outcome)
    assert outcome.astray == 1
    assert "1 committed alerts are not the highest revision written" in outcome.wrong[0]


@pytest.mark.parametrize(("offsets", "lost", "doubled"), [((4, 9), 0, 0), ((4,), 1, 0), ((4, 9, 9), 0, 1)])
def test_rejects_are_one_for_one(offsets: tuple[int, ...], lost: int, doubled: int) -> None:
    rejects = [
        Reject(topic=SHIPMENTS, partition=1, offset=at, reason="empty", detail="", received_at=-1) for at in offsets
    ]
    outcome = Outcome()
    found: Log = {(REJECTS, 1, number): (None, encode(each)) for number, each in enumerate(rejects)}
    check_rejects(found, [(SHIPMENTS, 1, 4), (SHIPMENTS, 1, 9)], outcome)
    assert (outcome.lost, outcome.doubled, bool(outcome.wrong)) == (lost, doubled, bool(lost or doubled))


def test_a_state_folder_that_outgrows_its_changelog_is_told_on(tmp_path: Path) -> None:
    changelogs: dict[str, Log] = {PARCELS_CHANGELOG: {(PARCELS_CHANGELOG, 0, 0): (b"SF:1", b"x" * 100)}}
    quiet, loud = Outcome(), Outcome()
    file = tmp_path / "LOG"
    for outcome, size in ((quiet, 2 * BESIDE_BYTES), (loud, 2 * BESIDE_BYTES + OVERHEAD * 104 + 1)):
        file.write_bytes(bytes(size))
        check_state({"0": tmp_path}, changelogs, "nobody is asked", 1, outcome)
        assert outcome.state_bytes == size
    assert not quiet.wrong
    assert "state of worker 0: 3,000,417 bytes, more than 3,000,416" in loud.wrong[0]


@pytest.mark.parametrize(("parcels", "fine"), [((1, 2), True), ((2, 1), False), ((2, 2), True), ((4,), False)])
def test_a_tally_that_is_not_that_of_the_recount_in_the_end_is_told_on(parcels: tuple[int, ...], fine: bool) -> None:
    """Two partitions: one says these one after the other, the other one says 3 once."""
    said = [(0, count) for count in parcels] + [(1, 3)]
    found: Log = {}
    for offset, (partition, count) in enumerate(said):
        tally = Tally(
            outlet_id="O1", day="2026-11-01", partition=partition, parcels={"retail": count}, duties={}, alerts={}
        )
        found[TALLIES, partition, offset] = (tally.key.encode(), encode(tally))
    outcome = Outcome()
    check_tallies(found, {("O1", "2026-11-01"): {"parcels.retail": 5}}, outcome)
    assert bool(outcome.wrong) != fine


@pytest.mark.parametrize(
    ("times", "wanted", "said"),
    [(1, True, ""), (2, True, "repeats the one before"), (0, True, "1 missing"), (1, False, "1 too many")],
)
def test_an_order_that_is_missing_too_many_or_repeated_is_told_on(times: int, wanted: bool, said: str) -> None:
    order = Order(
        order_id="wa-1", revision=17, arm="random", p=ORDER_SHARE, day="2026-11-01", carrier_code="SF", waybill_no="1",
        adcode="440111", at=1_793_500_000_000,
    )  # fmt: skip
    found: Log = {(ORDERS, 0, offset): (b"SF:1", encode(order)) for offset in range(times)}
    outcome = Outcome()
    check_orders(found, {"SF:1": (order.day, order.adcode, order.at, None, 0)} if wanted else {}, outcome)
    assert said in "\n".join(outcome.wrong)
    assert bool(outcome.wrong) == bool(said)
