"""The desk's processes, each as its own principal with exactly the rights of its role, on a broker with rights."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from desk.access import Reads
from desk.dispatcher import Dispatcher
from desk.log import ClueLog, new_name
from desk.pen import Pen
from desk.scope import Scope
from desk.store.chains import AccessLog, Wanted
from desk.survey import survey
from desk.traces.records import ShipmentRecords
from desk.traces.tracer import Tracer
from desk.verbs import Accept, Answer, Judge
from desk.web.app import application
from desk.web.users import Users
from desk.webhook import Webhook
from schemas import topics
from schemas.records import Source
from streams.flow.decode import Limits
from streams.flow.describe.tokens import Tokeniser
from streams.kafka.errors import DeniedError
from streams.kafka.naming import GROUP
from streams.kafka.offsets import OffsetReader
from tests.broker.test_desk import STATIONS, alert_on, do, now_ms, on_topic, publish
from tests.desk_accounts import account
from tests.desk_site import desk_of
from tests.schemas.samples import SHIPMENT, wire
from tests.secured import Secured
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher

pytestmark = pytest.mark.broker


def allow(secured: Secured, role: str) -> tuple[str, dict[str, Any]]:
    """Give the user of a role what it needs, and no more; the broker and properties for that user."""
    secured.allow_role(role, GROUP)
    given = secured.as_user(role)
    return given["bootstrap_servers"], given["kafka"]


def test_each_process_does_its_work_with_the_rights_that_are_listed(secured: Secured) -> None:
    events = Publisher(secured.servers)
    events.raw(topics.SHIPMENTS, b"SF:1", wire({**SHIPMENT, "waybill_no": alert_on(1).waybill_no}))
    events.flush()
    topic, partition, offset = events.last
    alert = replace(alert_on(1), sources=(Source(topic=topic, partition=partition, offset=offset),))
    publish(secured.servers, *STATIONS, alert)

    servers, client = allow(secured, "tracer")
    with Tracer(servers, client, Tokeniser(bytes(32), {"k1": bytes(32)}, "k1"), Limits()) as tracer:
        until(lambda: tracer.step() > 0)
    assert any(key == "SF:0000000000001" for key, _ in on_topic(secured.servers, topics.TRACES))
    servers, client = allow(secured, "door")
    with closing(ShipmentRecords(servers, client, Limits())) as records:
        assert records.of("SF:0000000000001") is not None
    Reads(Pen(servers, client, new_name("door"))).note("u2", alert.alert_id, ("reveal_shown",), now_ms())

    servers, client = allow(secured, "dispatcher")
    with Dispatcher(servers, client, 40) as dispatcher:
        dispatcher.start()
        assert dispatcher.log.book.clues[alert.alert_id].station == "ST-1"

    servers, client = allow(secured, "webhook")
    told: list[str] = []

    def send(url: str, body: bytes, headers: dict[str, str]) -> int:
        told.append(url)
        return 200

    with Webhook(servers, client, "http://127.0.0.1:1", bytes(32), send=send) as hook:
        until(lambda: hook.step() > 0)  # there may be others, of other tests
    assert told

    servers, client = allow(secured, "clues")
    with ClueLog(servers, client) as log:
        log.catch_up()
        do(log, alert.alert_id, Accept())
        do(log, alert.alert_id, Answer(outcome="violation"))
        do(log, alert.alert_id, Judge(rules=("identity.many_names",)))
    assert any(key == "SF:0000000000001" for key, _ in on_topic(secured.servers, topics.FEEDBACK))

    servers, client = allow(secured, "desk")
    users = Users([account("u2", "x" * 40, "ST-1", "station")])
    bearer = {"Authorization": f"Bearer {'x' * 40}"}
    with desk_of(servers, client) as desk, TestClient(application(desk, users), headers=bearer) as asked:
        assert asked.get(f"/clues/{alert.alert_id}").json()["state"] == "answered"
        assert asked.post(f"/clues/{alert.alert_id}/confirm").json()["state"] == "closed"
        measures, _ = desk.sources.figures.of(0, Scope("u2"), PATIENCE_S)
        assert measures is not None
        assert measures.flow.answered == 1
        until(lambda: [each.user for each in AccessLog(desk.store).page(Wanted(), None, 9)[0]] == ["u2"] * 2)
    with closing(OffsetReader(servers, client)) as reader, pytest.raises(DeniedError, match=topics.SHIPMENTS):
        reader.fetch([(topic, partition, offset)])  # only at the tracer's door

    servers, client = allow(secured, "clues")
    with pytest.raises(DeniedError, match="READ on topic waybill"):
        survey(servers, client, now_ms())
    servers, client = allow(secured, "analyst")
    assert survey(servers, client, now_ms()).flow.answered > 0
