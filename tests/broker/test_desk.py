"""The desk on a real broker: from alert to answer, races between processes, and kills in the middle of answers."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from desk.clues.acts import Act
from desk.clues.book import Book
from desk.dispatcher import Dispatcher
from desk.keeping import EVERY_MS
from desk.log import ClueLog
from desk.survey import survey
from desk.verbs import Accept, Answer, Hold, Judge, Keep, Release, Verb, act
from schemas import clues as events
from schemas import topics
from schemas.clues import AnyClueEvent
from schemas.desk import Movement, Order, Trace
from schemas.records import Alert, Feedback, encode
from schemas.reference import Facility, Station
from streams.flow.emit import alert_id
from streams.kafka.log_reader import LogReader
from streams.kafka.transactions import Outgoing, ReplacedError, TransactionalWriter
from tests.desk.logs import ALERTED
from tests.repetition import LONG
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("WAYBILL_TEST_KILLS", "10" if LONG else "3"))


def now_ms() -> int:
    return int(time.time() * 1_000)


def station(station_id: str, adcode: str, **more: Any) -> Station:
    return Station(
        id=station_id, station_id=station_id, name="示例派出所", station_kind="police", adcode=adcode, **more
    )


STATIONS = (station("ST-1", "440111"), station("ST-2", "310115"), station("ST-44", "440000", capacity=12))


def alert_on(number: int, **fields: Any) -> Alert:
    parcel = f"SF:{number:013d}"
    given = {"alert_id": alert_id(parcel), "waybill_no": f"{number:013d}", "detected_at": now_ms(), **fields}
    return replace(ALERTED, **given)


def trace_of(alert: Alert, *movements: Movement) -> Trace:
    return Trace(
        alert_id=alert.alert_id, revision=3, carrier_code="SF", waybill_no=alert.waybill_no, movements=movements
    )


def publish(servers: str, *records: Any) -> None:
    writer = TransactionalWriter(servers, "test-publisher", {})
    writer.write([Outgoing(topic_of(each), key_of(each), encode(each)) for each in records])


def topic_of(record: Any) -> str:
    if isinstance(record, Alert | Order):
        return topics.ALERTS if isinstance(record, Alert) else topics.ORDERS
    return topics.TRACES if isinstance(record, Trace) else topics.REFERENCE


def key_of(record: Any) -> str:
    return f"{record.carrier_code}:{record.waybill_no}" if isinstance(record, Alert) else str(record.key)


def on_topic(servers: str, topic: str) -> list[tuple[str, bytes | None]]:
    with LogReader(servers, [topic]) as reader:
        return [(entry.key.decode(), entry.value) for entry in reader.to_end()]


def order_of(number: int) -> Order:
    parcel = f"SF:{number:013d}"
    return Order(
        order_id=alert_id(parcel), revision=16, arm="random", p=0.5, day="2026-11-30", carrier_code="SF",
        waybill_no=f"{number:013d}", adcode="440111", at=now_ms(),
    )  # fmt: skip


def feedback_on(servers: str) -> list[Feedback]:
    return [msgspec.json.decode(value, type=Feedback) for _, value in on_topic(servers, topics.FEEDBACK) if value]


def do(log: ClueLog, clue_id: str, verb: Verb, by: str = "u1", at: str | None = None) -> Any:
    clue = log.book.clues[clue_id]
    acts_for = at or clue.station
    return log.act(act(verb, clue, now_ms(), acts_for).event(clue, by, acts_for, now_ms()))


def test_from_alert_to_answer_and_the_rule_learns_of_it(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        assert dispatcher.log.book.clues[alert.alert_id].station == "ST-1"
        with ClueLog(fresh_kafka, {}) as log:
            log.catch_up()
            assert do(log, alert.alert_id, Accept()).clue.state == "accepted"
            assert do(log, alert.alert_id, Answer(outcome="violation")).clue.state == "answered"
            assert do(log, alert.alert_id, Judge(rules=("identity.many_names",))).clue.state == "answered"
        dispatcher.step()
        assert dispatcher.log.book.clues[alert.alert_id].state == "answered"
    first, second = feedback_on(fresh_kafka)
    assert [(each.alert_id, each.outcome, each.rules, each.clue_id) for each in (first, second)] == [
        (alert.alert_id, "violation", None, alert.alert_id),
        (alert.alert_id, "violation", ("identity.many_names",), alert.alert_id),
    ]
    assert (first.corrects, second.corrects) == (None, first.feedback_id)
    measures = survey(fresh_kafka, {}, now_ms())
    assert [(rule.rule, rule.credited, rule.precision.of) for rule in measures.suspicion.rules] == [
        ("identity.many_names", 1, 1)
    ]


def test_a_dispatcher_started_again_or_twice_adds_nothing(fresh_kafka: str) -> None:
    publish(fresh_kafka, *STATIONS, *(alert_on(n) for n in range(40)))
    with Dispatcher(fresh_kafka, {}, 40) as first:
        first.start()
        book = first.log.book.encoded()
        with Dispatcher(fresh_kafka, {}, 40) as second:
            second.start()
            assert second.log.book.encoded() == book
            publish(fresh_kafka, alert_on(41))
            with pytest.raises(ReplacedError):
                settle(first, lambda: False)
            second.step(2.0)
            assert len(second.log.book.clues) == 41


def test_a_parcel_that_moves_on_takes_its_clue_along_until_a_station_has_accepted(fresh_kafka: str) -> None:
    here, there = alert_on(1), alert_on(2)
    publish(fresh_kafka, *STATIONS, here, there)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        do(log, there.alert_id, Accept())
        publish(
            fresh_kafka,
            *(replace(each, revision=9, jurisdiction_adcode="310115", tier="high") for each in (here, there)),
        )
        settle(dispatcher, lambda: dispatcher.log.book.clues[here.alert_id].station == "ST-2")
        clues = dispatcher.log.book.clues
        assert clues[here.alert_id].missed == 1
        assert (clues[there.alert_id].station, clues[there.alert_id].state) == ("ST-1", "accepted")
        assert clues[there.alert_id].standing_tier == "high"


def settle(dispatcher: Dispatcher, done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done() and time.monotonic() < deadline:
        dispatcher.step(0.2)
    assert done()


def test_withdrawn_and_delivered_close_what_nobody_has_accepted_and_publish_no_feedback(fresh_kafka: str) -> None:
    withdrawn, delivered, accepted = alert_on(1), alert_on(2), alert_on(3)
    publish(fresh_kafka, *STATIONS, withdrawn, delivered, accepted)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        do(log, accepted.alert_id, Accept())
        gone = Movement(at=now_ms(), kind="delivered", event_id="d1", facility_id="F9", adcode="440111")
        publish(
            fresh_kafka,
            replace(withdrawn, revision=9, status="withdrawn"),
            replace(accepted, revision=9, status="withdrawn"),
            Trace(
                alert_id=delivered.alert_id,
                revision=3,
                carrier_code="SF",
                waybill_no=delivered.waybill_no,
                movements=(gone,),
            ),
        )
        clues = dispatcher.log.book.clues
        settle(dispatcher, lambda: clues[delivered.alert_id].state == clues[withdrawn.alert_id].state == "closed")
        assert (clues[withdrawn.alert_id].closed_for, clues[delivered.alert_id].closed_for) == ("withdrawn", "too_late")
        assert (clues[accepted.alert_id].state, clues[accepted.alert_id].standing) == ("accepted", "withdrawn")
        publish(fresh_kafka, replace(withdrawn, revision=10, status="open"))
        settle(dispatcher, lambda: clues[withdrawn.alert_id].state == "dispatched")
    assert feedback_on(fresh_kafka) == []


def test_an_order_that_was_taken_back_closes_its_clue_without_feedback(fresh_kafka: str) -> None:
    kept, gone, accepted, never = (order_of(number) for number in range(4))
    publish(fresh_kafka, *STATIONS, kept, gone, accepted, never)
    writer = TransactionalWriter(fresh_kafka, "test-worker", {})
    writer.write([Outgoing(topics.ORDERS, never.key, None)])
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        clues = dispatcher.log.book.clues
        assert {clue.parcel for clue in clues.values()} == {kept.key, gone.key, accepted.key}
        log.catch_up()
        do(log, accepted.order_id, Accept())
        writer.write([Outgoing(topics.ORDERS, each.key, None) for each in (gone, accepted)])
        settle(dispatcher, lambda: clues[gone.order_id].state == "closed")
        assert (clues[gone.order_id].closed_for, clues[kept.order_id].state) == ("withdrawn", "dispatched")
        settle(dispatcher, lambda: clues[accepted.order_id].order_standing == "withdrawn")
        assert clues[accepted.order_id].state == "accepted", "who works on it already is told, and may answer"
        publish(fresh_kafka, replace(gone, revision=48))
        settle(dispatcher, lambda: clues[gone.order_id].state == "dispatched")
    assert feedback_on(fresh_kafka) == []


def test_an_order_follows_its_parcel_and_is_one_clue_with_its_alert(fresh_kafka: str) -> None:
    moves, gone, both = (order_of(number) for number in range(3))
    publish(fresh_kafka, *STATIONS, moves, gone, both, alert_on(2, tier="extreme"))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        clues = dispatcher.log.book.clues
        assert [clues[each.order_id].station for each in (moves, gone, both)] == ["ST-1"] * 3
        assert (clues[both.order_id].arm, clues[both.order_id].tier) == ("both", "extreme")
        delivered = Movement(at=now_ms(), kind="delivered", event_id="s9", facility_id="F", adcode="440111")
        publish(
            fresh_kafka,
            replace(moves, revision=32, adcode="310115"),
            Trace(
                alert_id=gone.order_id, revision=32, carrier_code="SF", waybill_no=gone.waybill_no,
                movements=(delivered,),
            ),
            replace(alert_on(2), revision=64, status="withdrawn"),
        )  # fmt: skip
        settle(dispatcher, lambda: clues[moves.order_id].station == "ST-2")
        settle(dispatcher, lambda: clues[gone.order_id].closed_for == "too_late")
        settle(dispatcher, lambda: clues[both.order_id].standing == "withdrawn")
        assert clues[moves.order_id].missed == 1
        assert clues[both.order_id].state == "dispatched", "of its order"
        written = len(on_topic(fresh_kafka, topics.CLUES))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        dispatcher.step()
        assert len(on_topic(fresh_kafka, topics.CLUES)) == written, "nothing is said twice"


def test_the_facility_s_station_comes_before_the_nearest_and_an_inspection_is_a_check(fresh_kafka: str) -> None:
    alert = alert_on(1)
    hub = Facility(id="HUB", facility_id="HUB", facility_kind="hub", adcode="440111", station_id="ST-44")
    scan = Movement(at=now_ms() - 1_000, kind="arrived", event_id="s1", facility_id="HUB", adcode="440111")
    trace = Trace(
        alert_id=alert.alert_id, revision=2, carrier_code="SF", waybill_no=alert.waybill_no, movements=(scan,)
    )
    publish(fresh_kafka, *STATIONS, hub, trace, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        clues = dispatcher.log.book.clues
        assert clues[alert.alert_id].station == "ST-44"
        log.catch_up()
        do(log, alert.alert_id, Accept())
        xray = Movement(
            at=now_ms() + 1_000, kind="xray", event_id="i1", facility_id="HUB", adcode="440111", result="pass"
        )
        publish(fresh_kafka, replace(trace, movements=(scan, xray)))
        settle(dispatcher, lambda: clues[alert.alert_id].state == "checked")
        assert (clues[alert.alert_id].check_kind, clues[alert.alert_id].checked_at) == ("xray", xray.at)
        publish(fresh_kafka, order_of(2), replace(trace, alert_id=order_of(2).order_id, waybill_no=f"{2:013d}"))
        settle(dispatcher, lambda: (clue := clues.get(order_of(2).order_id)) is not None and clue.station == "ST-44")


def test_a_station_that_refuses_does_not_get_the_clue_again(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        clue = log.book.clues[alert.alert_id]
        log.act(Act(events.Refused, clue.clue_id, {"why": "not ours"}).event(clue, "u1", "ST-1", now_ms()))
        settle(dispatcher, lambda: dispatcher.log.book.clues[alert.alert_id].station == "ST-44")


def test_a_clue_that_is_kept_is_written_again_and_is_the_same(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert, alert_on(2))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        do(log, alert.alert_id, Keep(until=now_ms() + 10 * EVERY_MS, why="court"))
        dispatcher.step()
        before, count = log.book.encoded(), len(on_topic(fresh_kafka, topics.CLUES))
        assert (dispatcher.keep(now_ms()), dispatcher.keep(now_ms() + EVERY_MS)) == (0, 1)
        written = [(key, json.loads(value or b"").get("again")) for key, value in on_topic(fresh_kafka, topics.CLUES)]
        assert [each for each in written if each[1] is not None] == [(alert.alert_id, n) for n in range(3)]
        assert len(on_topic(fresh_kafka, topics.CLUES)) == count + 3
        dispatcher.step()
        assert dispatcher.log.book.encoded() == before
        assert do(log, alert.alert_id, Accept()).clue.state == "accepted"


def test_a_hold_tells_the_carrier_in_the_same_transaction_and_its_scan_puts_it_into_effect(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher, ClueLog(fresh_kafka, {}) as log:
        dispatcher.start()
        log.catch_up()
        do(log, alert.alert_id, Hold(reason="样品待检", basis="快递暂行条例 33", until=now_ms() + 3_600_000))
        (key, value), *_ = on_topic(fresh_kafka, topics.HOLDS)
        assert key == "SF:0000000000001"
        assert json.loads(value or b"")["action"] == "request"
        held = Movement(at=now_ms() + 5, kind="held", event_id="h1", facility_id="F9", adcode="440111")
        publish(
            fresh_kafka,
            Trace(
                alert_id=alert.alert_id, revision=3, carrier_code="SF", waybill_no=alert.waybill_no, movements=(held,)
            ),
        )
        clues = dispatcher.log.book.clues
        settle(dispatcher, lambda: (hold := clues[alert.alert_id].hold) is not None and hold.state == "effective")
        log.poll(0.5)
        do(log, alert.alert_id, Release(reason="无异常"))
    assert json.loads(on_topic(fresh_kafka, topics.HOLDS)[-1][1] or b"")["action"] == "release"


def test_an_answer_that_lost_a_race_is_put_right_though_its_writer_is_dead(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    with ClueLog(fresh_kafka, {}) as one, ClueLog(fresh_kafka, {}) as other:
        one.catch_up()
        do(one, alert.alert_id, Accept())
        other.catch_up()
        seen = other.book.clues[alert.alert_id]
        do(one, alert.alert_id, Answer(outcome="seizure", found_g=3))
        late = act(Answer(outcome="no_finding"), seen, now_ms(), seen.station).event(seen, "u2", seen.station, now_ms())
        taken = {each.event.event_id: each for each in other.add([late])}[late.event_id]
        assert "an answer by ST-1 came before it" in str(taken.why)
    # Both are on the topic now, and nobody is left who knows.
    assert [each.outcome for each in feedback_on(fresh_kafka)] == ["seizure", "no_finding"]
    with Dispatcher(fresh_kafka, {}, 40) as again:
        again.start()
        settle(again, lambda: len(feedback_on(fresh_kafka)) > 2)
    assert [each.outcome for each in feedback_on(fresh_kafka)] == ["seizure", "no_finding", "seizure"]


def test_a_hold_that_came_too_late_is_taken_back_from_the_carrier(fresh_kafka: str) -> None:
    alert = alert_on(1)
    publish(fresh_kafka, *STATIONS, alert)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    with ClueLog(fresh_kafka, {}) as one, ClueLog(fresh_kafka, {}) as other:
        one.catch_up()
        other.catch_up()
        seen = other.book.clues[alert.alert_id]
        one.act(Act(events.Closed, seen.clue_id, {"reason": "too_late"}).event(seen, "u1", None, now_ms()))
        verb = Hold(reason="样品待检", basis="快递暂行条例 33", until=now_ms() + 3_600_000)
        late = act(verb, seen, now_ms(), seen.station).event(seen, "u2", seen.station, now_ms())
        taken = {each.event.event_id: each for each in other.add([late])}[late.event_id]
        assert taken.why == "held: the clue is closed"
    with Dispatcher(fresh_kafka, {}, 40) as again:
        again.start()
        settle(again, lambda: len(on_topic(fresh_kafka, topics.HOLDS)) > 1)
    request, gone = on_topic(fresh_kafka, topics.HOLDS)
    assert json.loads(request[1] or b"")["action"] == "request"
    assert gone == (request[0], None)


RACER = """
import sys, time
from desk.clues.acts import Act
from desk.log import ClueLog
from schemas import clues as events

servers, user = sys.argv[1:]
with ClueLog(servers, {}) as log:
    log.catch_up()
    log.start_writing()
    print("ready", flush=True)
    sys.stdin.readline()
    won = 0
    ids = sorted(log.book.clues)
    for start in range(0, len(ids), 20):
        clues = [log.book.clues[each] for each in ids[start : start + 20]]
        now = int(time.time() * 1000)
        made = [Act(events.Accepted, clue.clue_id).event(clue, user, clue.station, now) for clue in clues]
        ours = {event.event_id for event in made}
        taken = log.add(made)
        won += sum(each.why is None for each in taken if each.event.event_id in ours)
    print(won, flush=True)
    sys.stdin.readline()
    log.poll(1.0)
    import hashlib
    print(hashlib.sha256(log.book.encoded()).hexdigest(), flush=True)
"""


def test_of_a_thousand_clues_that_two_processes_accept_at_once_each_has_one_winner(fresh_kafka: str) -> None:
    publish(fresh_kafka, *STATIONS, *(alert_on(n) for n in range(1_000)))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        assert sum(clue.state == "dispatched" for clue in dispatcher.log.book.clues.values()) == 1_000
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, fresh_kafka, user],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for user in ("u1", "u2")
    ]  # fmt: skip
    try:
        assert [said(racer) for racer in racers] == ["ready", "ready"]
        for racer in racers:
            go(racer)
        won = [int(said(racer)) for racer in racers]
        for racer in racers:
            go(racer)
        folds = {said(racer) for racer in racers}
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert sum(won) == 1_000
    again = Book()
    for _, value in on_topic(fresh_kafka, topics.CLUES):
        again.read(value)
    assert folds == {hashlib.sha256(again.encoded()).hexdigest()}
    winners = Counter(clue.accepted_by for clue in again.clues.values())
    assert [winners["u1"], winners["u2"]] == won
    assert sum(clue.refused for clue in again.clues.values()) == 1_000


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


ANSWERER = """
import sys, time
from desk.log import ClueLog
from desk.verbs import Answer, act

with ClueLog(sys.argv[1], {}, "test-answerer") as log:
    log.start_writing()
    log.catch_up()
    for clue in list(log.book.clues.values()):
        if clue.state == "accepted":
            now = int(time.time() * 1000)
            event = act(Answer(outcome="no_finding"), clue, now, clue.station).event(clue, "u1", clue.station, now)
            taken = {each.event.event_id: each for each in log.add([event])}[event.event_id]
            if taken.why is None:
                print(event.event_id, event.feedback_id, flush=True)
print("done", flush=True)
"""


def test_every_answer_that_was_acknowledged_is_there_once_whenever_its_process_is_killed(fresh_kafka: str) -> None:
    publish(fresh_kafka, *STATIONS, *(alert_on(n) for n in range(40 * KILLS)))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        clues = list(dispatcher.log.book.clues.values())
        made = [Act(events.Accepted, clue.clue_id).event(clue, "u1", clue.station, now_ms()) for clue in clues]
        dispatcher.log.add(made)
    chance = random.Random(7)
    acknowledged: list[tuple[str, str]] = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", ANSWERER, fresh_kafka], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        wanted = chance.randint(1, 30)
        lines = [said(process) for _ in range(wanted)]
        time.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        lines += [line for line in rest.splitlines() if len(line.split()) == 2]
        acknowledged += [(line.split()[0], line.split()[1]) for line in lines]
    # One more of the same name ends what the last one left open.
    TransactionalWriter(fresh_kafka, "test-answerer", {})
    on_log = [msgspec.json.decode(value or b"", type=AnyClueEvent) for _, value in on_topic(fresh_kafka, topics.CLUES)]
    answers = Counter((each.event_id, each.feedback_id) for each in on_log if isinstance(each, events.Answered))
    said_too = Counter(each.feedback_id for each in feedback_on(fresh_kafka))
    assert len(acknowledged) >= KILLS
    assert all(answers[pair] == 1 and said_too[pair[1]] == 1 for pair in acknowledged)
    # And of those that nobody was told of, clue and feedback are both there, or neither.
    assert {feedback for _, feedback in answers} == set(said_too)
    assert set(answers.values()) == set(said_too.values()) == {1}
