"""The random arm from end to end: drawn by a worker, dispatched, answered, and measured against alerts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from desk.dispatcher import Dispatcher
from desk.log import ClueLog
from desk.queue import shown
from desk.survey import survey
from desk.verbs import Accept, Answer, Judge
from schemas import topics
from schemas.records import Scan, Shipment
from schemas.reference import Outlet
from tests.broker.test_cli_clues import Station
from tests.broker.test_desk import STATIONS, do, now_ms, publish
from tests.ordering import ORDER_KEY, ORDER_SHARE, drawn
from tests.schemas.samples import SCAN, SHIPMENT
from tests.workers import Publisher, Reader, Worker, expect_orders, expect_tallies
from tests.worlds import MINUTE, Record

pytestmark = pytest.mark.broker

PARCELS = 36
OUTLET = Outlet(
    id="o", outlet_id=SHIPMENT["outlet_id"], enterprise_id="e", adcode="440111", lon=113.3, lat=23.2, fixed=True
)


def arriving(at: int) -> list[Record]:
    """Parcels that come to a home place now; every third names a drug."""
    records: list[Record] = []
    for number in range(PARCELS):
        waybill = {"waybill_no": f"{number:013d}", "event_id": f"{number}"}
        goods = "海洛因" if number % 3 == 0 else "书"
        sent = {
            "picked_up_at": at - 30 * MINUTE,
            "recorded_at": at,
            "pickup_adcode": "440111",
            "goods_name": goods,
        }
        seen = {"scanned_at": at, "recorded_at": at, "facility_adcode": "440111", "scan_type": "arrived"}
        records.append(msgspec.convert({**SHIPMENT, **waybill, **sent}, Shipment))
        records.append(msgspec.convert({**SCAN, **waybill, **seen, "event_id": f"s{number}"}, Scan))
    return records


def test_from_the_draw_to_the_lift(fresh_kafka: str, tmp_path: Path) -> None:
    """A station answers without knowing which parcels chance has chosen; then the measures compare both."""
    records = arriving(now_ms())
    chosen = drawn(records)
    alerted = {record.parcel for record in records if isinstance(record, Scan) and drug(record.parcel)}
    assert 0 < len(chosen) < PARCELS
    assert 0 < len(alerted & chosen.keys()) < len(chosen)
    publish(fresh_kafka, *STATIONS)
    Publisher(fresh_kafka)(records[:2])
    with Worker(fresh_kafka, tmp_path / "state", tally_every_s=3_600) as worker:
        first = Reader(fresh_kafka, topic=topics.TALLIES)
        assert first.until(lambda: bool(first.values)), worker.told()  # and then none for an hour
        Publisher(fresh_kafka)(records)
        expect_orders(fresh_kafka, records, worker)
        alerts = Reader(fresh_kafka)
        assert alerts.until(lambda: len(alerts.open()) == PARCELS // 3), worker.told()
        assert worker.stop() == 0
        expect_tallies(fresh_kafka, records, alerts.open(), worker)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        clues = [*log.book.clues.values()]
        assert {clue.parcel for clue in clues if clue.p is not None} == chosen.keys()
        assert len(clues) == len({clue.parcel for clue in clues}) == len({*chosen, *alerted}), "one of each parcel"
        blind = [shown(clue, clue.opened_at) for clue in clues]
        assert not any({"arm", "p"} & each.keys() for each in blind), "nobody is told before the answer"
        of_chance = next(clue.clue_id for clue in clues if clue.arm == "both")
        (one,) = Station(fresh_kafka).json("clues", "show", of_chance)
        assert not any({"arm", "p"} & said["event"].keys() for said in one["log"])
        for clue in clues:
            do(log, clue.clue_id, Accept())
            answered = do(log, clue.clue_id, Answer(outcome="violation" if drug(clue.parcel) else "no_finding")).clue
            if clue.alert:
                do(log, clue.clue_id, Judge(rules=("goods.controlled_term",)))
            assert ("arm" in shown(answered, answered.opened_at)) == (clue.parcel in chosen)

    publish(fresh_kafka, OUTLET)
    measures = survey(fresh_kafka, {}, now_ms())
    arm, found = measures.random_arm, measures.suspicion
    assert (arm.found.found, arm.found.of) == (sum(map(drug, chosen)), len(chosen))
    assert (found.found.found, found.found.of) == (PARCELS // 3, PARCELS // 3)
    assert found.lift is not None
    assert found.lift.low > 0
    assert (arm.missed, arm.recall) == (None, None), "whatever chance found had an alert as well"
    assert arm.missed_below == pytest.approx(3 / ORDER_SHARE)
    (province,) = measures.disparity.provinces
    assert province.alerted is not None
    assert (province.province, province.alerted.found, province.alerted.of) == ("44", PARCELS // 3, PARCELS)
    (day,) = Station(fresh_kafka).json("tallies", "--since", "7d", "--outlet", SHIPMENT["outlet_id"])
    assert sum(day["parcels"].values()) == PARCELS
    assert sum(day["alerts"].values()) == PARCELS // 3
    code, out, _ = Station(fresh_kafka)("measures", "--lang", "en")
    assert code == 0
    assert "lift" in out


def drug(parcel: str) -> bool:
    return int(parcel.partition(":")[2]) % 3 == 0


def test_seeds_are_shown_of_days_that_are_over_alone(tmp_path: Path) -> None:
    waybill, path = Station("nowhere:1"), tmp_path / "order.key"
    setting = ("--set", f"order_key_file={path}")
    assert waybill("orders", "key", *setting) == (0, f"the key of the random arm is in {path}\n", "")
    assert path.stat().st_mode & 0o777 == 0o600
    code, _, said = waybill("orders", "key", *setting)
    assert (code, "is there already" in said) == (1, True)
    path.write_text(ORDER_KEY.hex())
    code, out, _ = waybill("orders", "seed", "--day", "2026-11-01", *setting)
    assert (code, len(out.strip())) == (0, 32)
    for day, why in (("2999-01-01", "is not over"), ("soon", "is no day")):
        code, _, said = waybill("orders", "seed", "--day", day, *setting)
        assert code == 2
        assert why in said
