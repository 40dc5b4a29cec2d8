"""The desk over HTTP, on a real broker: who may act, races by ETag, and a document that says what is so."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from desk.dispatcher import Dispatcher
from desk.verbs import VERBS
from desk.web.app import application
from desk.web.openapi import document
from desk.web.users import Users
from schemas import topics
from tests.broker.test_desk import STATIONS, alert_on, feedback_on, now_ms, on_topic, order_of, publish
from tests.desk_accounts import account
from tests.desk_site import desk_of
from tests.waiting import until

pytestmark = pytest.mark.broker

TOKENS = {name: f"{name}-{'x' * 40}" for name in ("u1", "u2", "u9")}


def header(name: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}", **more}


@pytest.fixture
def users() -> Users:
    stations = {"u1": "ST-1", "u2": "ST-1", "u9": None}
    return Users(
        account(name, TOKENS[name], station, "supervisor", *["station"][: station is not None])
        for name, station in stations.items()
    )


@pytest.fixture
def desk(fresh_kafka: str, users: Users) -> Iterator[TestClient]:
    publish(fresh_kafka, *STATIONS, alert_on(1), alert_on(2))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    with desk_of(fresh_kafka) as desk, TestClient(application(desk, users)) as client:
        yield client


def test_from_queue_to_answer(desk: TestClient, fresh_kafka: str) -> None:
    first, second = desk.get("/clues", headers=header("u1"), params={"station": "ST-1"}).json()
    clue = first["clue_id"]
    assert (first["state"], first["owed"]["step"]) == ("dispatched", "accept")
    assert not {"arm", "p", "ids"} & first.keys()
    assert desk.get("/clues", headers=header("u1"), params={"station": "ST-2"}).json() == []
    accepted = desk.post(f"/clues/{clue}/accept", headers=header("u1"))
    assert (accepted.status_code, accepted.json()["state"], accepted.headers["etag"]) == (200, "accepted", '"2"')
    assert desk.post(f"/clues/{clue}/check", headers=header("u1"), json={"check_kind": "xray"}).status_code == 200
    said = {"outcome": "violation", "found_g": 3}
    answered = desk.post(f"/clues/{clue}/answer", headers=header("u1"), json=said).json()
    assert answered["state"] == "answered"
    rules = [reason["rule"] for reason in answered["alert"]["reasons"]]  # seen only now
    judged = desk.post(f"/clues/{clue}/judge", headers=header("u1"), json={"rules": rules})
    assert (judged.json()["state"], judged.json()["answer"]["rules"]) == ("answered", rules)
    own = desk.post(f"/clues/{clue}/confirm", headers=header("u1"))
    assert (own.status_code, own.json()["title"]) == (409, "confirmed: nobody confirms his own answer")
    assert desk.post(f"/clues/{clue}/confirm", headers=header("u2")).json()["state"] == "closed"
    assert [each.outcome for each in feedback_on(fresh_kafka)] == ["violation", "violation"]
    assert [each["clue_id"] for each in desk.get("/clues", headers=header("u1")).json()] == [second["clue_id"]]
    assert desk.get("/overdue", headers=header("u1")).json() == []


def test_a_station_cannot_tell_an_alert_from_an_order_before_it_has_answered(
    desk: TestClient, fresh_kafka: str
) -> None:
    publish(fresh_kafka, order_of(7))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    until(lambda: [c["state"] for c in desk.get("/clues", headers=header("u9")).json()] == ["dispatched"] * 3)
    everything = desk.get("/clues", headers=header("u9")).json()
    assert {each["origin"] for each in everything} == {"alert", "order"}
    assert not any({"arm", "p"} & each.keys() for each in everything)
    listed = desk.get("/clues", headers=header("u1")).json()
    assert len(listed) == len(everything) == 3
    single = [desk.get(f"/clues/{each['clue_id']}", headers=header("u1")).json() for each in listed]
    for each in (listed, single):
        assert len({tuple(clue) for clue in each}) == 1, "the same fields for all"
        assert not {"origin", "tier", "alert", "arm", "p", "standing", "revision"} & each[0].keys()
    for filters in ({"rule": "identity.many_names"}, {"tier": "high"}):
        assert desk.get("/clues", headers=header("u1"), params=filters).json() == []
    for clue in listed:
        acted = desk.post(f"/clues/{clue['clue_id']}/accept", headers=header("u1"))
        assert not {"origin", "tier", "alert"} & acted.json().keys()
        for rules in ({"rules": ["identity.many_names"]}, {"rules": ["a.b"]}):
            said = desk.post(
                f"/clues/{clue['clue_id']}/answer", headers=header("u1"), json={"outcome": "seizure", **rules}
            )
            assert (said.status_code, said.json()["title"]) == (422, "rules: are judged after the answer, by `judge`")
    reads = [json.loads(value or b"")["fields"] for _, value in on_topic(fresh_kafka, topics.ACCESS)]
    assert reads == [["log"]] * 3
    for clue in listed:
        done = desk.post(
            f"/clues/{clue['clue_id']}/answer", headers=header("u1"), json={"outcome": "no_finding"}
        ).json()
        assert ("arm" in done) == (done["origin"] == "order")


def test_who_has_seen_an_older_version_comes_too_late(desk: TestClient) -> None:
    clue = desk.get("/clues", headers=header("u1")).json()[0]["clue_id"]
    seen = desk.get(f"/clues/{clue}", headers=header("u1")).headers["etag"]
    refused = {"why": "not ours"}
    assert desk.post(f"/clues/{clue}/accept", headers=header("u1", **{"If-Match": seen})).status_code == 200
    late = desk.post(f"/clues/{clue}/refuse", headers=header("u2", **{"If-Match": seen}), json=refused)
    assert late.status_code == 409
    assert "acceptance by ST-1 came before it" in late.json()["title"]
    assert desk.post(f"/clues/{clue}/accept", headers=header("u1", **{"If-Match": "x"})).status_code == 422


def test_a_clue_is_graded_and_closed_by_hand(fresh_kafka: str, desk: TestClient) -> None:
    clue = desk.get("/clues", headers=header("u1")).json()[0]["clue_id"]
    raised = desk.post(f"/clues/{clue}/grade", headers=header("u9"), json={"tier": "extreme", "why": "a tip"})
    assert (raised.status_code, raised.json()["tier"]) == (200, "extreme")
    assert desk.get("/clues", headers=header("u9")).json()[0]["clue_id"] == clue
    closed = desk.post(f"/clues/{clue}/close", headers=header("u1"), json={"reason": "duplicate"})
    assert (closed.json()["state"], closed.json()["closed_for"]) == ("closed", "duplicate")
    assert desk.post(f"/clues/{clue}/close", headers=header("u1"), json={"reason": "too_late"}).status_code == 422
    assert feedback_on(fresh_kafka) == []


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer short", f"Bearer {'y' * 45}", "Basic dTpw"])
def test_nobody_is_let_in_without_a_token(desk: TestClient, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for answer in (desk.get("/clues", headers=headers), desk.post("/clues/x/accept", headers=headers)):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_what_is_wrong_is_said(desk: TestClient) -> None:
    clue = desk.get("/clues", headers=header("u1")).json()[0]["clue_id"]

    def post(verb: str, body: bytes = b"{}", name: str = "u1", of: str = clue) -> tuple[int, str]:
        answer = desk.post(f"/clues/{of}/{verb}", headers=header(name), content=body)
        return answer.status_code, str(answer.json()["title"])

    assert post("sing")[0] == 404
    assert post("accept", of="nothing")[0] == 404
    assert post("accept", b'{"x":1}')[0] == 422
    assert post("accept", b"{")[0] == 422
    assert post("accept", b"[" * 70_000)[0] == 413
    assert post("accept", name="u9")[0] == 403
    assert post("transfer", b'{"to_adcode":"4401","why":"x"}')[0] == 422
    assert post("transfer", b'{"to_adcode":"440303","why":" "}') == (422, "why: is empty")
    status, said = post("note", '{"note":"致电 13800000000"}'.encode())
    assert (status, "13800000000" in said) == (422, False)
    assert post("answer", b'{"outcome":"seizure","rules":["goods.none"]}')[0] == 422
    assert desk.get("/clues", headers=header("u1"), params={"tier": "huge"}).status_code == 422
    assert desk.get("/clues", headers=header("u1"), params={"state": "none"}).status_code == 422


def test_a_report_opens_a_clue_that_is_claimed_and_kept(desk: TestClient, fresh_kafka: str) -> None:
    said = {"parcel": "SF:9", "adcode": "440111", "note": "气味异常"}
    made = desk.post("/clues", headers=header("u1"), json=said)
    assert (made.status_code, made.json()["state"]) == (201, "new")
    assert not {"origin", "tier", "note"} & made.json().keys()  # nor does its station see why, whoever reported it
    clue = f"/clues/{made.json()['clue_id']}"
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    until(lambda: desk.get(clue, headers=header("u9")).json()["state"] == "dispatched")
    seen = desk.get(clue, headers=header("u9")).json()
    assert (seen["origin"], seen["note"], seen["state"], seen["station"]) == (
        "reported", "气味异常", "dispatched", "ST-1",
    )  # fmt: skip
    for wrong in ({"parcel": "9"}, {"adcode": "44"}, {"note": "13800000000"}):
        assert desk.post("/clues", headers=header("u1"), json={**said, **wrong}).status_code == 422
    assert desk.post(f"{clue}/claim", headers=header("u1")).json()["claimed_by"] == "u1"
    late = desk.post(f"{clue}/claim", headers=header("u2"))
    assert (late.status_code, late.json()["title"]) == (409, "claimed: u1 looks at it")
    end = now_ms() + 10**10
    kept = desk.post(f"{clue}/keep", headers=header("u9"), json={"until": end, "why": "court"})
    assert kept.json()["kept_until"] == end


def test_a_clue_under_controlled_delivery_is_there_only_for_those_named(desk: TestClient) -> None:
    clue = desk.get("/clues", headers=header("u1")).json()[0]["clue_id"]
    begun = desk.post(f"/clues/{clue}/monitor", headers=header("u9"), json={"why": "order 7", "users": ["u9"]})
    assert begun.status_code == 200
    assert clue not in [each["clue_id"] for each in desk.get("/clues", headers=header("u1")).json()]
    assert desk.get(f"/clues/{clue}", headers=header("u1")).status_code == 404
    assert desk.post(f"/clues/{clue}/accept", headers=header("u1")).status_code == 404
    assert desk.get(f"/clues/{clue}", headers=header("u9")).status_code == 200


def test_the_document_describes_every_verb_and_what_is_given(desk: TestClient) -> None:
    said = desk.get("/openapi.json").json()
    assert said == json.loads(msgspec.json.encode(document()))
    assert {f"/clues/{{clue}}/{name}" for name in VERBS} < said["paths"].keys()
    root = {"$ref": "#/components/schemas/Clue", "components": said["components"]}
    for name in ("u1", "u9"):
        clue = desk.get("/clues", headers=header(name)).json()[0]
        assert list(Draft202012Validator(root).iter_errors(clue)) == []
    for name, kind in VERBS.items():
        body = said["paths"][f"/clues/{{clue}}/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        about = said["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        assert set(about["properties"]) == set(kind.__struct_encode_fields__)
