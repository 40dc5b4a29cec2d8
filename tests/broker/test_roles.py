"""Each role as its own principal with exactly the rights that `waybill acl` prints, on a broker with an authorizer.

That nothing is missing shows in the work. That nothing is too much shows in the broker's own log: each right was gone
by. They come through different listeners: logins, certificates and tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from desk import standing, tallies
from desk.access import Reads
from desk.dispatcher import Dispatcher
from desk.log import ClueLog, new_name
from desk.pen import Pen
from desk.scope import Scope
from desk.store.chains import AccessLog, Wanted
from desk.survey import survey
from desk.traces.records import ShipmentRecords
from desk.traces.tracer import Tracer
from desk.verbs import Accept, Answer, Hold, Judge, act
from desk.web.app import application
from desk.web.users import Users
from desk.webhook import Webhook
from schemas import topics
from schemas.desk import Trace
from schemas.inputs import CONSUMED_TOPICS
from schemas.records import Source, encode
from schemas.rulesets import RuleSet
from streams.flow.decode import Limits
from streams.flow.describe.tokens import Tokeniser, tokeniser
from streams.kafka import admin, naming, saving
from streams.kafka.alerts import AlertReader
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError, DeniedError
from streams.kafka.group_reader import GroupReader
from streams.kafka.log_reader import LogReader
from streams.kafka.naming import GROUP
from streams.kafka.offsets import OffsetReader
from streams.kafka.replay import Replay, opened
from streams.kafka.rights import Right
from streams.kafka.roles import SAVED, role
from streams.kafka.transactions import Outgoing, TransactionalWriter
from streams.ops import offsets, preflight
from streams.rulesets.board import Board
from streams.settings import Settings
from streams.worker.erase import Erasure
from tests.broker.test_desk import STATIONS, alert_on, do, now_ms, on_topic, publish, settle
from tests.desk_accounts import account
from tests.desk_site import desk_of
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT, wire
from tests.secured import Secured
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker

Way = Callable[..., dict[str, Any]]
SET = RuleSet(number=1, fingerprint="f" * 16, at=1_762_099_200_000, note="", by="", files={})
WAYS: dict[str, Way] = {
    "tracer": Secured.by_token, "door": Secured.by_scram, "dispatcher": Secured.by_certificate,
    "webhook": Secured.by_token, "clues": Secured.as_user, "desk": Secured.by_scram,
    "analyst": Secured.by_certificate, "publisher": Secured.by_token, "producer": Secured.by_scram,
    "operator": Secured.by_certificate, "saver": Secured.by_scram, "loader": Secured.by_token,
    "eraser": Secured.by_certificate,
}  # fmt: skip
CHECKED = ("tracer", "door", "dispatcher", "webhook", "clues", "desk")
"""Roles whose processes check them when they start, as workers do."""


def allow(secured: Secured, *roles: str) -> tuple[str, dict[str, Any]]:
    """Give the user of a role what it needs, and no more; the broker and properties for that user."""
    for each in roles:
        secured.allow_role(each, GROUP, user=roles[0])
    given = WAYS[roles[0]](secured, roles[0])
    return given["bootstrap_servers"], given["kafka"]


def unused(secured: Secured, *roles: str) -> set[str]:
    """Rights that the broker had no use for."""
    used = secured.used(roles[0])
    return {str(right) for each in roles for right in role(each).rights(GROUP) if right not in used}


def events(secured: Secured, waybill_no: str, folder: Path) -> tuple[Source, ...]:
    """One event of each kind about a parcel, and reference data, sent by their producers; where they are."""
    for name, record in (("shipments", SHIPMENT), ("scans", SCAN), ("inspections", INSPECTION)):
        (folder / f"{name}.ndjson").write_bytes(wire({**record, "waybill_no": waybill_no}) + b"\n")
    (folder / "reference.ndjson").write_bytes(msgspec.json.encode(STATIONS[0]) + b"\n")
    servers, client = allow(secured, "producer", "registry")
    with opened(folder, "time", lambda *_: None) as index:
        Replay(index, servers, client).run(None, lambda *_: None)
    assert unused(secured, "producer", "registry") == set()
    with LogReader(secured.servers, [topics.SHIPMENTS, topics.SCANS, topics.INSPECTIONS]) as reader:
        ours = [entry for entry in reader.to_end() if entry.key.decode() == f"SF:{waybill_no}"]
    return tuple(Source(topic=each.topic, partition=each.partition, offset=each.offset) for each in ours)


def race(servers: str, clue_id: str, other_id: str) -> None:
    """An answer and a hold that came too late: the dispatcher takes back what went out with them."""
    with ClueLog(servers, {}) as one, ClueLog(servers, {}) as other:
        one.catch_up()
        do(one, clue_id, Accept())
        other.catch_up()
        seen, second = other.book.clues[clue_id], other.book.clues[other_id]
        do(one, clue_id, Answer(outcome="seizure", found_g=3))
        late = act(Answer(outcome="no_finding"), seen, now_ms(), seen.station)
        other.add([late.event(seen, "u2", seen.station, now_ms())])
        do(one, other_id, Accept())
        do(one, other_id, Answer(outcome="no_finding"))
        verb = Hold(reason="样品待检", basis="快递暂行条例 33", until=now_ms() + 3_600_000)
        other.add([act(verb, second, now_ms(), second.station).event(second, "u2", second.station, now_ms())])


def test_what_leads_from_events_to_answers_uses_exactly_its_rights(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert, second = alert_on(1), alert_on(2)
    alert = replace(alert, sources=events(secured, alert.waybill_no, tmp_path))
    publish(secured.servers, *STATIONS, alert, second)

    servers, client = allow(secured, "tracer")
    with Tracer(servers, client, Tokeniser(bytes(32), {"k1": bytes(32)}, "k1"), Limits()) as tracer:
        until(lambda: tracer.step() > 0)
    assert any(key == "SF:0000000000001" for key, _ in on_topic(secured.servers, topics.TRACES))
    assert unused(secured, "tracer") == set()

    servers, client = allow(secured, "door")
    with closing(ShipmentRecords(servers, client, Limits())) as records:
        assert records.of("SF:0000000000001") is not None
    Reads(Pen(servers, client, new_name("door"))).note("u2", alert.alert_id, ("reveal_shown",), now_ms())
    assert unused(secured, "door") == set()

    monkeypatch.setattr(standing, "GRACE_S", 0.0)
    servers, client = allow(secured, "dispatcher")
    with Dispatcher(servers, client, 40) as dispatcher:
        dispatcher.start()
        assert dispatcher.log.book.clues[alert.alert_id].station == "ST-1"
        race(secured.servers, alert.alert_id, second.alert_id)
        settle(dispatcher, lambda: unused(secured, "dispatcher") == set())

    servers, client = allow(secured, "webhook")
    told: list[str] = []

    def send(url: str, body: bytes, headers: dict[str, str]) -> int:
        told.append(url)
        return 200

    with Webhook(servers, client, "http://127.0.0.1:1", bytes(32), send=send) as hook:
        until(lambda: hook.step() > 0)  # there may be others, of other tests
    assert told
    assert unused(secured, "webhook") == set()


def test_those_who_answer_and_those_who_count_use_exactly_their_rights(secured: Secured) -> None:
    one, other = alert_on(11), alert_on(12)
    publish(secured.servers, *STATIONS, one, other)
    with Dispatcher(secured.servers, {}, 40) as dispatcher:
        dispatcher.start()

    servers, client = allow(secured, "clues")
    until_ms = now_ms() + 3_600_000
    with ClueLog(servers, client) as log:
        log.catch_up()
        do(log, one.alert_id, Accept())
        do(log, one.alert_id, Hold(reason="样品待检", basis="快递暂行条例 33", until=until_ms))
        do(log, one.alert_id, Answer(outcome="violation"))
        do(log, one.alert_id, Judge(rules=("identity.many_names",)))
    assert any(key == "SF:0000000000011" for key, _ in on_topic(secured.servers, topics.FEEDBACK))
    assert unused(secured, "clues") == set()
    with pytest.raises(DeniedError, match="READ on topic waybill"):
        survey(servers, client, now_ms())

    servers, client = allow(secured, "desk")
    users = Users([account("u2", "x" * 40, "ST-1", "station")])
    bearer = {"Authorization": f"Bearer {'x' * 40}"}
    with desk_of(servers, client) as desk, TestClient(application(desk, users), headers=bearer) as asked:
        assert asked.get(f"/clues/{one.alert_id}").json()["state"] == "answered"
        assert asked.post(f"/clues/{one.alert_id}/confirm").json()["state"] == "closed"
        clue = f"/clues/{other.alert_id}"
        hold = {"reason": "样品待检", "basis": "快递暂行条例 33", "until": until_ms}
        assert [asked.post(f"{clue}/{verb}", json=body).status_code for verb, body in (
            ("accept", {}), ("hold", hold), ("answer", {"outcome": "violation"}),
        )] == [200] * 3  # fmt: skip
        measures, _ = desk.sources.figures.of(0, Scope("u2"), PATIENCE_S)
        assert measures is not None
        assert measures.flow.answered >= 2
        until(lambda: {each.user for each in AccessLog(desk.store).page(Wanted(), None, 9)[0]} >= {"u2"})
        until(lambda: unused(secured, "desk") == set(), lambda: str(unused(secured, "desk")))
    with closing(OffsetReader(servers, client)) as reader, pytest.raises(DeniedError, match=topics.SHIPMENTS):
        reader.fetch([(topics.SHIPMENTS, 0, 0)])  # only at the tracer's door

    servers, client = allow(secured, "analyst")
    for shadow in (False, True):
        with AlertReader(servers, client=client, shadow=shadow) as alerts:
            assert [*alerts.to_end()] or shadow
    assert survey(servers, client, now_ms()).flow.answered > 0
    tallies.read(servers, client, "", None)
    board = Board(servers, client, GROUP)
    board.sets(), board.acks(), board.members()
    with LogReader(servers, [topics.NOTICES], client=client) as notices:
        list(notices.to_end())
    with closing(GroupReader(servers, [topics.ALERTS], naming.one_of(GROUP, "analyst", "me"), client)) as mine:
        until(lambda: bool(mine.poll(10, 0.5)))
    assert unused(secured, "analyst") == set()


def test_rules_and_topics_are_for_those_who_keep_them(secured: Secured) -> None:
    servers, client = allow(secured, "publisher")
    board = Board(servers, client, GROUP)
    board.publish(lambda before: SET)
    assert board.sets().kept.keys() == {1}
    board.acks(), board.members()
    assert unused(secured, "publisher") == set()

    admin.delete(secured.servers)  # and no other test meets that set
    servers, client = allow(secured, "operator")
    assert len(admin.create(servers, 2, client=client)) == len(topics.TOPICS)
    assert not any(state.hidden for state in admin.show(servers, client=client))
    assert {each.committed for each in offsets.show(Cluster({**client, "bootstrap.servers": servers}), GROUP)} == {None}
    assert unused(secured, "operator") == set()
    with (
        pytest.raises(DeniedError, match=r"READ on topic waybill\.shipments"),
        LogReader(servers, [topics.SHIPMENTS], client=client),
    ):
        pass


def test_topics_are_saved_by_one_who_reads_and_loaded_by_one_who_makes_them(secured: Secured, tmp_path: Path) -> None:
    for name in SAVED:
        TransactionalWriter(secured.servers, "test-filler", {}).write([Outgoing(name, "key", b"value")])
    servers, client = allow(secured, "saver")
    saving.save({**client, "bootstrap.servers": servers}, tmp_path / "saved", SAVED, lambda *_: None)
    assert unused(secured, "saver") == set()

    admin.delete(secured.servers)
    servers, client = allow(secured, "loader")
    for _ in range(2):  # the second time to see what is there
        config = {**client, "bootstrap.servers": servers}
        saving.load(config, tmp_path / "saved", 1, lambda *_: None, writer=naming.of(GROUP, "load"))
    assert unused(secured, "loader") == set()
    admin.delete(secured.servers)
    admin.create(secured.servers, 2)


def test_a_person_is_erased_by_one_who_reads_what_carriers_send(secured: Secured, tmp_path: Path) -> None:
    tokens = tokeniser(Settings())
    phone = SHIPMENT["sender_phone"]
    shown = tokens.publish(int(tokens.tokens("phone", [phone])[0]))
    alert = replace(alert_on(31), sender_token=shown)
    alert = replace(alert, sources=events(secured, alert.waybill_no, tmp_path))
    trace = Trace(alert_id=alert.alert_id, revision=1, carrier_code="SF", waybill_no=alert.waybill_no,
                  sender_phone_tokens=(shown,))  # fmt: skip
    writer = TransactionalWriter(secured.servers, "test-filler", {})
    writer.write([Outgoing(topics.ALERTS, trace.key, encode(alert)), Outgoing(topics.TRACES, trace.key, encode(trace))])
    cluster = Cluster({"bootstrap.servers": secured.servers})
    places = [(topic, number) for topic in CONSUMED_TOPICS for number in range(2)]
    cluster.set_committed(GROUP, {place: end for place, (_, end) in cluster.bounds(places).items()})

    servers, client = allow(secured, "eraser")
    given = Settings(bootstrap_servers=servers, kafka=client, group=GROUP, state_dir=tmp_path)
    with Erasure(given, [("phone", phone)], say=lambda _: None, advance=lambda *_: None) as erasure:
        erasure.run(erasure.look(), delete_events=True)
    assert unused(secured, "eraser") == set()
    admin.delete(secured.servers)
    admin.create(secured.servers, 2)


@pytest.mark.parametrize("name", CHECKED)
def test_a_process_names_each_right_that_it_lacks(secured: Secured, name: str) -> None:
    given = Settings(**WAYS[name](secured, name))
    rights = role(name).rights(GROUP)
    for missing in rights:
        if missing.kind == "transactional id" or missing.prefixed:
            continue
        secured.deny_all()
        secured.allow_role(name, GROUP, but=[missing])
        with pytest.raises(DeniedError) as told:
            preflight.permitted(given, name)
        assert f" {missing};" in str(told.value)
    secured.allow_role(name, GROUP)
    assert preflight.permitted(given, name)


def test_who_may_not_write_is_told_what_to_grant(secured: Secured) -> None:
    def nobody(name: str, *lacking: Right) -> tuple[str, dict[str, Any]]:
        secured.deny_all()
        secured.allow_role(name, GROUP, but=lacking, user="nobody")
        given = secured.as_user("nobody")
        return given["bootstrap_servers"], given["kafka"]

    def said(do: Callable[[], object], right: Right) -> None:
        with pytest.raises(ClientError, match=re.escape(f"User:nobody {right};")):
            do()

    alone = Right("WRITE", "transactional id", naming.of(GROUP, "dispatcher"))
    servers, client = nobody("dispatcher", alone)
    with Dispatcher(servers, client, 40) as dispatcher:
        said(dispatcher.start, alone)
    alone = Right("WRITE", "transactional id", naming.of(GROUP, "rules"))
    board = Board(*nobody("publisher", alone), GROUP)
    said(lambda: board.publish(lambda before: SET), alone)
    topic = Right("WRITE", "topic", topics.FEEDBACK)
    servers, client = nobody("clues", topic)
    writer = TransactionalWriter(servers, new_name("clues"), client)
    said(lambda: writer.write([Outgoing(topics.CLUES, "a", b"{}"), Outgoing(topics.FEEDBACK, "a", b"{}")]), topic)
    group = Right("READ", "group", naming.of(GROUP, "webhook"))
    servers, client = nobody("webhook", group)
    with closing(GroupReader(servers, [topics.CLUES], group.name, client)) as reader:
        said(lambda: [reader.poll(1, 0.5) for _ in range(20)], group)
