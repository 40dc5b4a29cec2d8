"""The desk's pages on a real broker and a real server: from queue to answer in two languages, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import html5lib
import httpx2
import msgspec
import pytest

from desk.web.users import Account, password_hash
from schemas import topics
from schemas.desk import Access, Hold
from streams.values import CHINA
from tests.broker.test_desk import alert_on, feedback_on, on_topic
from tests.desk_site import HOSTILE, TOKENS, served

pytestmark = pytest.mark.broker

Browse = Callable[..., "Browser"]
RULE = "identity.many_names"
PASSWORD = "correct horse battery"
HASH = password_hash(PASSWORD)
SCRIPT = '<script src="/desk/static/queue.js" defer></script>'  # the only one, and it only adds to a page
KEYS = '<script src="/desk/static/keys.js" defer></script>'
CLOCK = '<script src="/desk/static/clock.js" defer></script>'
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def site(fresh_kafka: str) -> Iterator[str]:
    people = [Account(user=name, roles=("station",), station="ST-1", password=HASH) for name in ("p1", "p2")]
    with served(fresh_kafka, *people) as address:
        yield address


@pytest.fixture
def browse(site: str) -> Iterator[Callable[..., Browser]]:
    """Opens browsers, and closes them at the end."""
    with ExitStack() as opened:
        yield lambda *given: opened.enter_context(Browser(site, *given))


class Browser:
    """One person's browser, without scripts. Every page that it sees is valid HTML and has the headers."""

    def __init__(self, site: str, name: str | None, lang: str = "en-GB,en;q=0.8,zh;q=0.5") -> None:
        self._client = httpx2.Client(base_url=site, follow_redirects=True, headers={"Accept-Language": lang})
        self.site = site
        if name is not None:
            assert self.post("/desk/login", {"token": TOKENS[name]}).status_code == 200

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> str:
        answer = self.look(self._client.get(path, params=query))
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def post(self, path: str, form: Mapping[str, str | list[str]], headers: dict[str, str] = OWN) -> Any:
        return self.look(self._client.post(path, data=form, headers=headers))

    def send(self, page: str, verb: str, form: dict[str, str] | None = None) -> Any:
        """Fill in a form of a page as it is there, and send it."""
        found = re.search(f'action="([^"]+/{verb})".*?name="expects" value="([0-9]+)"', page, re.DOTALL)
        assert found is not None, verb
        return self.post(found[1], {"expects": found[2], **(form or {})})

    def look(self, answer: Any) -> Any:
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        if answer.headers["content-type"].startswith("text/html"):
            html5lib.HTMLParser(strict=True).parse(answer.text)
            assert set(re.findall(r"<script[^>]*>(?:</script>)?", answer.text)) <= {SCRIPT, KEYS, CLOCK}
            assert not re.search(r"\son[a-z]+=|style=|(?:src|href|action)=\"(?!/desk|#)", answer.text)
        return answer


def clues_of(page: str) -> list[str]:
    """Parcels of a queue, in its order."""
    return re.findall(r'href="/desk/clues/[^"]+">([^<]+)<', page)


def in_china(hours: int) -> str:
    """A time from now, as a browser sends it."""
    return f"{datetime.now(CHINA) + timedelta(hours=hours):%Y-%m-%dT%H:%M}"


def path_of(page: str, parcel: str) -> str:
    found = re.search(f'href="(/desk/clues/[^"]+)">{parcel}<', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("lang", "waits", "reason", "found", "asked"),
    [
        (
            "en",
            "waits for a second person",
            "One ID number, several names",
            "a violation was found",
            "check as ordered",
        ),
        ("zh-CN,zh;q=0.9", "待复核", "同一证件多个姓名", "查实违规", "按要求检查"),
    ],
)
def test_from_queue_to_answer(
    browse: Browse, fresh_kafka: str, lang: str, waits: str, reason: str, found: str, asked: str
) -> None:
    browser = browse("u1", lang)
    analyst = browse("analyst", lang)
    queue = analyst.get("/desk")
    assert clues_of(queue) == [f"SF:{number:013d}" for number in (2, 1, 3)]  # the second has the highest tier
    assert reason in queue
    path = path_of(queue, "SF:0000000000001")
    page = analyst.get(path)
    for text in (reason, "names_90d_min", "张*", "HUB-020", "dispatcher"):
        assert text in page, text
    queue, page = browser.get("/desk"), browser.get(path)
    for text in (reason, "names_90d", "张*", "HUB-020", RULE, ">+", "medium", "extreme"):
        assert text not in page + queue.partition("<table>")[2], text
    assert {asked in page, asked in queue} == {True}
    accepted = browser.send(page, "accept")
    assert (accepted.status_code, accepted.url.path) == (200, path)
    said = {"outcome": "violation", "found_g": "3", f"rule:{RULE}": "right"}
    assert browser.send(accepted.text, "answer", said).status_code == 422  # no form of ours asks that yet
    del said[f"rule:{RULE}"]
    answered = browser.send(accepted.text, "answer", said)
    assert answered.status_code == 200
    assert waits in answered.text
    assert found in answered.text
    assert reason in answered.text
    assert browser.send(answered.text, "judge").status_code == 422
    assert browser.send(answered.text, "judge", {f"rule:{RULE}": "right"}).status_code == 200
    assert f'action="{path}/confirm"' not in answered.text  # nobody confirms his own answer
    second = browse("u2", lang)
    assert second.send(second.get(path), "confirm").status_code == 200
    told = feedback_on(fresh_kafka)[-1]
    assert (told.outcome, told.rules, told.found_g) == ("violation", (RULE,), 3)
    assert clues_of(browser.get("/desk")) == ["SF:0000000000002", "SF:0000000000003"]


def test_filters_are_in_the_address(browse: Browse) -> None:
    browser = browse("analyst")

    def shown(**query: str) -> list[str]:
        return [parcel[-1] for parcel in clues_of(browser.get("/desk", **query))]

    assert shown(adcode="3101") == ["3"]
    assert shown(tier="high") == ["2"]
    assert shown(rule="identity.many_names", station="ST-1") == ["2", "1"]
    assert shown(rule="goods.none") == []
    assert shown(state="accepted") == []


def test_who_comes_second_is_told_so_and_keeps_what_was_typed(browse: Browse) -> None:
    first, second = browse("u1"), browse("u2", "zh")
    path = path_of(first.get("/desk"), "SF:0000000000001")
    seen = second.get(path)
    assert first.send(first.get(path), "accept").status_code == 200
    late = second.send(seen, "refuse", {"why": "不是我们的"})
    assert late.status_code == 409
    assert "他人先办理了。线索现在是“已接”，单位 ST-1" in late.text
    wrong = second.send(late.text, "answer", {"outcome": "no_finding", "note": "电话 13800000000", "found_g": "7"})
    assert (wrong.status_code, 'value="7"' in wrong.text) == (422, True)
    assert second.send(late.text, "answer", {"outcome": "nothing"}).status_code == 422
    assert first.send(first.get(path), "claim").status_code == 200
    assert "u1 正在看" in second.get(path)
    assert second.get("/desk").count("u1 正在看") == 1
    others = browse("u3").get(path)  # of another station
    assert not set(re.findall(f'action="{path}/([a-z]+)"', others)) & {"accept", "answer", "refuse", "transfer"}


def test_language_is_switched_by_the_address_and_kept(browse: Browse) -> None:
    browser = browse("u1", "de, en;q=0.4, zh;q=0.6")
    assert '<html lang="zh-CN">' in browser.get("/desk")
    assert '<html lang="en">' in browser.get("/desk", lang="en", tier="high")
    assert '<html lang="en">' in browser.get("/desk")


def test_a_read_is_on_the_topic_before_the_clue_is_shown(browse: Browse, fresh_kafka: str) -> None:
    browser = browse("u1")
    queue = browser.get("/desk")
    assert on_topic(fresh_kafka, topics.ACCESS) == []
    for number in (1, 2):
        browser.get(path_of(queue, f"SF:{number:013d}"))
    values = [value or b"" for _, value in on_topic(fresh_kafka, topics.ACCESS)]
    first, second = (msgspec.json.decode(value, type=Access) for value in values)
    assert (first.user, first.what, first.ok) == ("u1", (alert_on(1).alert_id,), True)
    assert (first.prev, second.prev) == ("0" * 64, sha256(values[0]).hexdigest())


def test_a_hold_from_its_request_to_its_release(browse: Browse, fresh_kafka: str) -> None:
    first, second = browse("u1"), browse("u2")
    path = path_of(first.get("/desk"), "SF:0000000000001")
    why = {"reason": "样品待检", "basis": "快递暂行条例 33"}
    assert first.send(first.get(path), "hold", {**why, "until": "2099-01-01T00:00"}).status_code == 409
    assert first.send(first.get(path), "hold", {**why, "until": "tomorrow"}).status_code == 422
    assert first.send(first.get(path), "hold", {**why, "until": in_china(hours=1)}).status_code == 200
    holds = first.get("/desk/holds")
    assert clues_of(holds) == ["SF:0000000000001"]
    assert "End within two hours" in holds
    longer = first.send(holds, "extend", {**why, "until": in_china(hours=30), "back": "holds"})
    assert longer.url.path == "/desk/holds"
    assert f'action="{path}/second"' not in longer.text  # nobody seconds his own extension
    seconded = second.send(second.get("/desk/holds"), "second", {"back": "holds"})
    assert "Requested" in seconded.text
    released = second.send(seconded.text, "release", {"reason": "无异常", "back": "holds"})
    assert "No parcel is held." in released.text
    ordered = [msgspec.json.decode(value or b"", type=Hold) for _, value in on_topic(fresh_kafka, topics.HOLDS)]
    assert [(each.action, each.by, each.second_by) for each in ordered] == [
        ("request", "u1", None), ("extend", "u1", "u2"), ("release", "u2", "u2"),
    ]  # fmt: skip


def test_a_station_answers_on_its_own_page(browse: Browse, fresh_kafka: str) -> None:
    browser = browse("u1")
    page = browser.get("/desk/station")
    assert set(clues_of(page)) == {"SF:0000000000001", "SF:0000000000002"}
    assert "check as ordered" in page
    words = re.sub("<[^>]*>", " ", page.partition("<main")[2])  # attributes have times, in milliseconds
    assert not re.search(r"several names|extreme|\b90\b", words)  # why it was chosen, it does not say
    accepted = browser.send(page, "accept", {"back": "station"})
    assert accepted.url.path == "/desk/station"
    said = {"outcome": "no_finding", "check_kind": "open_box", "back": "station"}
    answered = browser.send(accepted.text, "answer", said)
    assert (answered.status_code, answered.url.path) == (200, "/desk/station")
    assert [each.outcome for each in feedback_on(fresh_kafka)] == ["no_finding"]
    assert "SF:0000000000003" in browse("u3").get("/desk/station")


def test_what_a_supervisor_does_about_a_clue_that_is_late(browse: Browse) -> None:
    browser = browse("u1")
    path = path_of(browser.get("/desk"), "SF:0000000000001")
    assert "Nothing is overdue." in browser.get("/desk/overdue")
    moved = browser.send(browser.get(path), "due", {"step": "accept", "due": in_china(hours=-3), "why": "a test"})
    assert moved.status_code == 200
    assert "3 h ago" in browser.get("/desk/overdue", station="ST-1")
    assert "Nothing is overdue." in browser.get("/desk/overdue", station="ST-2")
    for _ in range(2):
        assert browser.send(browser.get(path), "escalate", {"step": "accept"}).status_code == 200
    assert "the province" in browser.get("/desk/overdue")
    assert f'action="{path}/escalate"' not in browser.get(path)  # nobody is above it
    assert f'action="{path}/grade"' not in browser.get(path)  # nor does it know the tier
    analyst = browse("analyst")
    assert analyst.send(analyst.get(path), "grade", {"tier": "low", "why": "seen"}).status_code == 200
    monitored = browser.send(browser.get(path), "monitor", {"on": "true", "users": "u2， u4", "why": "an order"})
    assert monitored.status_code == 404
    second = browse("u2")
    assert second.send(second.get(path), "monitor", {"on": "false", "why": "over"}).status_code == 200
    for verb, said in (("close", {"reason": "duplicate"}), ("reopen", {"why": "it is none"})):
        assert browser.send(browser.get(path), verb, said).status_code == 200


FORGED: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "SITE"},
)


def test_forms_of_other_sites_are_refused(browse: Browse) -> None:
    browser = browse("u1")
    path = path_of(browser.get("/desk"), "SF:0000000000001")
    for headers in FORGED:
        sent = {name: value.replace("SITE", browser.site) for name, value in headers.items()}
        for form in (f"{path}/accept", "/desk/login", "/desk/logout"):
            assert browser.post(form, {"expects": "1"}, sent).status_code == 403, (form, headers)
    assert "dispatched" in browser.get(path)
    own = {"Origin": browser.site}
    assert browser.post(f"{path}/note", {"expects": "1", "note": "a remark"}, own).status_code == 200


def test_nobody_sees_a_page_without_a_session(browse: Browse) -> None:
    nobody = browse(None)
    for path in ("/", "/desk", "/desk/clues/x"):
        assert 'name="password"' in nobody.get(path)
    assert nobody.post("/desk/clues/x/accept", {"expects": "1"}).url.path == "/desk/login"
    assert nobody.post("/desk/login", {"token": "y" * 45}).status_code == 401
    browser = browse("u1")
    cookie = browser._client.cookies["desk"]
    browser.post("/desk/logout", {})
    browser._client.cookies.set("desk", cookie)
    assert 'name="password"' in browser.get("/desk")


def test_people_log_in_with_a_password_and_who_guesses_is_stopped(browse: Browse) -> None:
    nobody = browse(None)
    for _ in range(10):
        assert nobody.post("/desk/login", {"user": "p1", "password": "guess"}).status_code == 401
    assert nobody.post("/desk/login", {"user": "p1", "password": PASSWORD}).status_code == 429
    first = nobody.post("/desk/login", {"user": "p2", "password": PASSWORD})
    assert (first.status_code, first.url.path) == (200, "/desk/station")  # the first page of a station
    cookie = nobody._client.cookies["desk"]
    nobody.post("/desk/login", {"user": "p2", "password": PASSWORD})
    assert nobody._client.cookies["desk"] != cookie
    assert browse("analyst").post("/desk/login", {"user": "p2", "password": PASSWORD[:-1]}).status_code == 401


def test_what_is_hostile_in_a_record_is_text_on_the_page(browse: Browse) -> None:
    browser = browse("analyst")
    page = browser.get(path_of(browser.get("/desk"), "SF:0000000000001"))
    assert "evil.example" in page
    assert "{{ 7 * 7 }}粉末" in page
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    assert HOSTILE in [cell.text for cell in tree.iter("dd")]
    assert browser.look(browser._client.get("/desk", params={"rule": HOSTILE})).status_code == 200


def test_what_is_not_there_is_said_on_a_page(browse: Browse) -> None:
    browser = browse("u1")
    for path, status in (("/desk/clues/none", 404), ("/desk?tier=huge", 422), ("/desk/clues/none?lang=zh", 404)):
        answer = browser.look(browser._client.get(path))
        assert (answer.status_code, "<h1>" in answer.text) == (status, True)
    path = path_of(browser.get("/desk"), "SF:0000000000001")
    assert browser.post(f"{path}/sing", {"expects": "1"}).status_code == 404
    for version in ("", "-1", "٣", "9" * 5_000):
        assert browser.post(f"{path}/accept", {"expects": version}).status_code == 422
    assert browser.post(f"{path}/note", {"expects": "1", "note": "x" * 70_000}).status_code == 413
