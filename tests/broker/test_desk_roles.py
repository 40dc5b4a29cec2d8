"""Every route of the desk with every role: what is refused, and to whom. What is tried here changes no state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from starlette.routing import Mount, Route

from desk.verbs import VERBS
from desk.web.bulk import ACTS as SEVERAL
from desk.web.roles import MAY
from tests.broker.test_desk import alert_on, now_ms
from tests.desk_site import TOKENS, Site, served
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

STATION, SUPERVISOR = frozenset({"station"}), frozenset({"supervisor"})
JUDGES = frozenset({"analyst", "supervisor"})
READERS = JUDGES | STATION | {"viewer"}
# Whom each route serves; a new route needs a line here.
PAGES = {
    **dict.fromkeys(("/desk", "/desk/live", "/desk/clues/{clue}", "/desk/holds", "/desk/overdue"), READERS),
    **dict.fromkeys(("/clues", "/clues/{clue}", "/overdue"), READERS),
    "/desk/station": STATION,
    "/desk/rules": READERS,
    "/desk/bulk": READERS,
    "/desk/search": JUDGES,
    "/desk/reveals": JUDGES,
    "/desk/measures": READERS - STATION,
    "/desk/audit": frozenset({"auditor"}),
    "/desk/accounts": frozenset({"admin"}),
}
ACTS = {
    **dict.fromkeys(("accept", "refuse", "transfer", "check", "answer", "judge"), STATION),
    **dict.fromkeys(("claim", "confirm", "dispute", "hold", "release", "note"), STATION | JUDGES),
    **dict.fromkeys(("extend", "grade", "close", "reopen"), JUDGES),
    **dict.fromkeys(("second", "escalate", "due", "monitor", "keep"), SUPERVISOR),
}
FREE = {
    "/",
    "/openapi.json",
    "/desk/login",
    "/desk/login/oidc",
    "/desk/login/oidc/back",
    "/desk/logout",
    "/desk/static",
}
ACTING = {
    "/desk/reveals/{reveal}/show",
    "/desk/reveals/{reveal}/{step}",
    "/desk/bulk/{act}",
    "/clues/{clue}/{verb}",
    "/desk/clues/{clue}/{verb}",
}
OWN = {"Sec-Fetch-Site": "same-origin"}
HERE = "supervisor of 31"
ACTS_OF_STATION = {verb for verb, served_to in ACTS.items() if served_to == STATION}
_SOON = now_ms() + 3_600_000
_HOLD = {"reason": "x", "basis": "33", "until": _SOON}
# What is asked of each verb; the last one hides the clue.
BODIES: dict[str, dict[str, object]] = {
    **{verb: {} for verb in ("accept", "claim", "confirm", "second")},
    **{verb: {"why": "x"} for verb in ("refuse", "dispute")},
    **dict.fromkeys(("hold", "extend"), _HOLD),
    "transfer": {"to_adcode": "310115", "why": "x"},
    "check": {"check_kind": "xray"},
    "answer": {"outcome": "no_finding"},
    "judge": {"rules": []},
    "release": {"reason": "x"},
    "note": {"note": "x"},
    "grade": {"tier": "low", "why": "x"},
    "escalate": {"step": "accept"},
    "due": {"step": "accept", "due": _SOON, "why": "x"},
    "keep": {"until": _SOON, "why": "x"},
    "close": {"reason": "duplicate"},
    "reopen": {"why": "x"},
    "monitor": {"why": "x", "users": ["u9"]},
}


@pytest.fixture
def site(fresh_kafka: str) -> Iterator[Site]:
    with served(fresh_kafka) as site:
        yield site


def test_every_route_serves_whom_it_is_for_and_refuses_the_others(site: Site) -> None:
    assert {
        route.path for route in site.application.routes if isinstance(route, Route | Mount)
    } == FREE | ACTING | PAGES.keys()
    assert set(ACTS) == set(VERBS)
    clue = alert_on(1).alert_id
    wrong: list[tuple[str, str, int]] = []
    for role in MAY:
        with browser(site, role) as client:
            for path, served_to in PAGES.items():
                with client.stream("GET", path.format(clue=clue)) as answer:  # some never end
                    status = answer.status_code
                if status != (200 if role in served_to else 403):
                    wrong.append((role, path, status))
            for act, (verb, _) in SEVERAL.items():  # without any clue
                status = client.post(f"/desk/bulk/{act}", data={}, headers=OWN).status_code
                if status != (422 if role in ACTS[verb] else 403):
                    wrong.append((role, act, status))
            for step in ("", "/x/show", "/x/grant", "/x/refuse"):  # without a door
                status = client.post(f"/desk/reveals{step}", data={"clue": clue, "why": "x"}, headers=OWN).status_code
                if status not in ({422, 503} if role in JUDGES else {403}):
                    wrong.append((role, step, status))
            for verb, served_to in ACTS.items():
                answers = (
                    client.post(f"/desk/clues/{clue}/{verb}", data={"expects": "999"}, headers=OWN),
                    client.post(f"/clues/{clue}/{verb}", headers={"If-Match": '"999"'}),
                )
                # With an older version nothing counts but a claim, which is not exclusive.
                free = {200, 303} if verb == "claim" else set()
                expected = {409, 422} | free if role in served_to else {403}
                wrong += [(role, verb, each.status_code) for each in answers if each.status_code not in expected]
    assert wrong == []


def test_a_role_ends_where_its_place_does(site: Site) -> None:
    there, elsewhere = alert_on(1).alert_id, alert_on(3).alert_id  # in 440111 and 310115
    with browser(site, "analyst of 44") as client:
        assert [each["clue_id"] for each in client.get("/clues").json()] == [alert_on(2).alert_id, there]
        assert [client.get(f"/clues/{clue}").status_code for clue in (there, elsewhere)] == [200, 404]
        assert client.post(f"/clues/{elsewhere}/note", json={"note": "x"}).status_code == 404
    with browser(site, "viewer, analyst of 31") as client:
        said = [client.post(f"/clues/{clue}/note", json={"note": "x"}).status_code for clue in (there, elsewhere)]
        assert said == [403, 200]
        page = client.get(f"/desk/clues/{there}").text
        assert f'action="/desk/clues/{there}/' not in page
    with browser(site, "station") as client:  # sees its own clues only
        assert {each["clue_id"] for each in client.get("/clues").json()} == {there, alert_on(2).alert_id}


def test_both_ends_of_a_transfer_see_the_clue_and_only_the_place_where_it_is_acts(site: Site) -> None:
    clue = alert_on(1).alert_id  # from ST-1 in 440111 to 310115
    seen_by = {"station": 200, "analyst of 44": 200, "supervisor of 11": 404, HERE: 200}
    with browser(site, "station") as station, browser(site, HERE) as theirs:
        assert theirs.get(f"/clues/{clue}").status_code == 404
        assert station.post(f"/clues/{clue}/accept").status_code == 200
        assert station.post(f"/clues/{clue}/transfer", json=BODIES["transfer"]).status_code == 200
        for name, seen in seen_by.items():
            with browser(site, name) as client:
                assert [client.get(f"{path}/{clue}").status_code for path in ("/clues", "/desk/clues")] == [seen] * 2
                listed = [clue in client.get(path).text for path in ("/clues", "/desk", "/desk/bulk")]
                assert listed == [seen == 200] * 3, name
                assert f'action="/desk/clues/{clue}/' not in client.get(f"/desk/clues/{clue}").text or name == HERE
                refused = {403} if seen == 200 else {403, 404}
                for verb, body in BODIES.items():
                    status = client.post(f"/clues/{clue}/{verb}", json=body).status_code
                    assert status in (refused if name != HERE or verb in ACTS_OF_STATION else {200, 409}), (name, verb)
        assert {each.get(f"/clues/{clue}").status_code for each in (station, theirs)} == {404}


@contextmanager
def browser(address: str, name: str) -> Iterator[httpx2.Client]:
    """A client that is logged in, and has the token at hand."""
    bearer = {"Authorization": f"Bearer {TOKENS[name]}"}
    with httpx2.Client(base_url=address, headers=bearer, timeout=PATIENCE_S) as client:
        assert client.post("/desk/login", data={"token": TOKENS[name]}, headers=OWN).status_code == 303
        yield client
