"""The flood cap: what a rule that opens far too many alerts may not do, and that nothing of it touches a verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules import Catalogue, load_catalogue
from schemas import topics
from schemas.apart import Notice, Shadow
from schemas.records import Shipment
from streams.flow.flood import Flood
from streams.flow.pipeline import Judged
from streams.settings import Settings
from streams.state.store import FIRST
from tests.runs import Recorded, catalogue, comparable, difference, open_alerts, run
from tests.schemas.samples import SHIPMENT
from tests.workbench import workbench
from tests.worlds import HOME, HOUR, START, Record, world

WINDOW = 200
SLIP = "goods.controlled_term"
GOODS = load_catalogue(only=["goods"])


class Capped(Recorded):
    """A run with a cap, as a worker has it, over windows that are small enough for a test."""

    def __init__(self, rules: Catalogue | None = None, *, share_max: float = 0.02, window: int = WINDOW) -> None:
        super().__init__(rules=rules)
        self.flood = Flood(share_max=share_max, window=window, emit_from=2, instance="7")
        self._parcels._flood = self.flood
        self.notices: list[Notice] = []

    def _keep(self, judged: Judged) -> None:
        super()._keep(judged)
        self.notices += judged.notices

    def give(self, records: Iterable[Record], size: int = 20) -> None:
        """Feed so many records at a time."""
        given = [*records]
        for first in range(0, len(given), size):
            self.feed(self.batches(given[first : first + size]))

    def push(self, rules: Catalogue) -> None:
        """Put another catalogue in force, and judge by it all that is kept."""
        self._parcels.catalogue = rules
        self._keep(self._parcels.rejudge(0, self._parcels.store.scan(0, FIRST, 10**6), START))

    def waiting(self) -> set[str]:
        """Parcels whose alert is held back."""
        return {key.decode() for key, said in self.shadows.items() if said.held and said.status == "open"}

    def opened(self) -> set[str]:
        """Parcels whose alert is open."""
        return {f"{alert.carrier_code}:{alert.waybill_no}" for alert in self.open_alerts()}


def parcels(first: int, count: int, **fields: Any) -> list[Shipment]:
    """Parcels that a rule says nothing of, unless `fields` make it."""
    common = {"goods_name": "图书", "recorded_at": START, "picked_up_at": START, **fields}
    return [
        msgspec.convert({**SHIPMENT, **common, "waybill_no": f"W{number}", "event_id": f"e{number}"}, Shipment)
        for number in range(first, first + count)
    ]


def again(shipment: Shipment, **fields: Any) -> Shipment:
    """A later upload of the same parcel."""
    assert shipment.recorded_at is not None
    later = {"event_id": shipment.event_id + "x", "recorded_at": shipment.recorded_at + HOUR}
    return msgspec.structs.replace(shipment, **{**later, **fields})


def test_a_flood_is_held_back(caplog: pytest.LogCaptureFixture) -> None:
    """From the first step in which it is one; no verdict changes, and one loud message says so."""
    run_ = Capped(GOODS)
    run_.give(parcels(0, 3, goods_name="海洛因"))  # within the budget, which is four alerts in a window
    assert run_.opened() == {"SF:W0", "SF:W1", "SF:W2"}
    flood = parcels(3, 150, goods_name="海洛因")
    run_.give(flood)
    assert run_.opened() == {"SF:W0", "SF:W1", "SF:W2"}
    assert run_.waiting() == {shipment.parcel for shipment in flood}
    assert all(run_.answers[shipment.parcel][SLIP] for shipment in flood)
    said = run_.shadows[b"SF:W10"]
    assert (said.held, said.opens, said.tier, said.tier_with) == ((SLIP,), True, "none", "high")
    assert [reason.rule for reason in said.reasons] == [SLIP]
    (notice,) = run_.notices
    assert (notice.rule, notice.held, notice.budget, notice.instance) == (SLIP, True, 0.02, "7")
    assert notice.share > notice.budget
    (line,) = [record for record in caplog.records if record.name == "streams.flow.flood"]
    assert line.levelno == logging.ERROR
    assert SLIP in line.getMessage()


def test_open_alerts_go_on() -> None:
    """What an analyst has seen is kept true, though the rule is held back."""
    run_ = Capped(GOODS)
    first, *flood = parcels(0, 60, goods_name="海洛因")
    run_.give([first])
    run_.give(flood)
    (messages,) = run_.messages.values()
    before = len(messages)
    run_.give([again(first, outlet_id="another")])
    assert len(messages) == before + 1
    assert messages[-1].outlet_id == "another"
    run_.give([again(first, goods_name="图书", recorded_at=START + 2 * HOUR, event_id="last")])
    assert messages[-1].status == "withdrawn"
    assert run_.opened() == set()


def test_is_released_when_it_calms_down() -> None:
    """What waits opens with the parcel's next event, and the shadow topic takes it back under a higher revision."""
    run_ = Capped(GOODS)
    flood = parcels(0, 60, goods_name="海洛因")
    run_.give(flood)
    assert run_.flood.held == {SLIP}
    run_.give(parcels(1_000, 3 * WINDOW))
    assert run_.flood.held == frozenset()
    assert [notice.held for notice in run_.notices] == [True, False]
    assert run_.opened() == set()
    run_.give([again(flood[0], outlet_id="another")])
    assert run_.opened() == {"SF:W0"}
    assert run_.waiting() == {shipment.parcel for shipment in flood[1:]}
    assert run_.shadows[b"SF:W0"].status == "withdrawn"
    for messages in run_.shadow_messages.values():
        assert all(before.revision < after.revision for before, after in pairwise(messages))


def test_is_not_released_while_it_goes_on() -> None:
    run_ = Capped(GOODS)
    run_.give(parcels(0, 10 * WINDOW, goods_name="海洛因"))
    assert run_.opened() == set()
    assert [notice.held for notice in run_.notices] == [True]


def test_a_new_catalogue_begins_anew_and_brings_out_what_waits() -> None:
    """The same rules with a budget for what is no slip; nothing has changed of the parcels."""
    run_ = Capped(GOODS)
    flood = parcels(0, 60, goods_name="海洛因")
    run_.give(flood)
    run_.push(load_catalogue(only=["goods"], overrides={SLIP: {"budget": 1.0}}))
    assert run_.opened() == {shipment.parcel for shipment in flood}
    assert run_.waiting() == set()
    assert {said.status for said in run_.shadows.values()} == {"withdrawn"}
    for messages in run_.shadow_messages.values():
        assert all(before.revision < after.revision for before, after in pairwise(messages))


def test_a_catalogue_that_floods_is_stopped_in_its_sweep() -> None:
    run_ = Capped(load_catalogue(only=["goods"], overrides={SLIP: {"mode": "off"}}))
    run_.give(parcels(0, 300, goods_name="海洛因"))
    assert run_.opened() == set()
    run_.push(GOODS)
    assert run_.opened() == set()
    assert len(run_.waiting()) == 300


def test_alerts_that_do_not_need_the_rule_go_out() -> None:
    rules = load_catalogue(only=["goods", "identity"], overrides={"identity.number_invalid": {"points": 60}})
    run_ = Capped(rules)
    flood = parcels(0, 60, goods_name="海洛因")
    run_.give(flood)
    both = parcels(500, 1, goods_name="海洛因", sender_id_type="resident_id", sender_id_no="440000198001010016")
    run_.give(both)
    assert run_.opened() == {"SF:W500"}
    (alert,) = run_.open_alerts()
    assert {reason.rule for reason in alert.reasons} >= {SLIP, "identity.number_invalid"}
    assert run_.flood.held == {SLIP}


def test_two_rules_that_flood_together_are_both_held() -> None:
    """Neither is to blame alone, as each would open the alerts without the other."""
    rules = load_catalogue(only=["goods", "identity"], overrides={"identity.number_invalid": {"points": 60}})
    run_ = Capped(rules)
    flood = parcels(0, 100, goods_name="海洛因", sender_id_type="resident_id", sender_id_no="440000198001010016")
    run_.give(flood)
    assert run_.flood.held == {SLIP, "identity.number_invalid"}
    assert len(run_.opened()) <= 5 * 0.02 * WINDOW


@pytest.mark.parametrize("seed", range(4))
def test_every_alert_is_open_or_waits(seed: int) -> None:
    """Under a budget that crowded worlds exceed; once it is lifted, the alerts are those of a run without a cap."""
    records = world(seed, 80)
    wanted = run(records)
    capped = Capped(share_max=0.005)
    capped.give(records, size=[7, 40, 100, 5_000][seed])
    capped.close()
    assert capped.answers == wanted.answers
    due = {f"{alert.carrier_code}:{alert.waybill_no}" for alert in wanted.open_alerts()}
    assert capped.opened() | capped.waiting() == due
    assert not capped.opened() & capped.waiting()
    assert capped.waiting()
    lifted = load_catalogue(overrides={rule.id: {"budget": 1.0} for rule in catalogue().rules})
    capped.push(lifted)
    alerts = [msgspec.structs.replace(alert, catalogue=lifted.fingerprint) for alert in wanted.open_alerts()]
    assert not difference(open_alerts(capped), comparable(alerts))


def test_a_worker_publishes_it(tmp_path: Path) -> None:
    """In the transaction of what it stands for: messages, notice and metric; and it can be switched off."""

    def published(**settings: Any) -> tuple[dict[str, list[bytes]], bytes]:
        with workbench(tmp_path / str(len(settings)), **settings) as bench:
            split = Recorded(Settings(home_adcodes=HOME), partitions=bench.worker.settings.partitions)
            asyncio.run(bench.settle(split.batches(parcels(0, 80, goods_name="海洛因"))))
            found: dict[str, list[bytes]] = {}
            for topic, _, _, value in bench.effects.published:
                found.setdefault(topic, []).append(value)
            return found, bench.worker.metrics.render()

    found, metrics = published(flood_window_rows=100)
    assert topics.ALERTS not in found
    assert {msgspec.json.decode(value, type=Shadow).status for value in found[topics.SHADOW]} == {"open"}
    notices = [msgspec.json.decode(value, type=Notice) for value in found[topics.NOTICES]]
    assert {notice.rule for notice in notices} >= {SLIP}
    assert f'waybill_rule_held{{rule="{SLIP}"}} 1.0'.encode() in metrics
    assert f'waybill_rule_answers_total{{answer="yes",mode="live",rule="{SLIP}"}}'.encode() in metrics
    found, _ = published(flood_window_rows=100, flood_share_max=0)
    assert topics.SHADOW not in found
    assert len({msgspec.json.decode(value)["waybill_no"] for value in found[topics.ALERTS]}) == 80
