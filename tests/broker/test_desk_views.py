"""Pages to look at: measures, rules, who read what; on a real broker and server."""

from __future__ import annotations

import re
from html import unescape

import msgspec
import pytest

from rules import load_catalogue
from schemas import topics
from schemas.desk import Access
from schemas.rulefile import PROSE, in_language
from tests.broker.test_desk import alert_on, feedback_on, on_topic
from tests.broker.test_desk_pages import Browser, clues_of
from tests.desk_site import served
from tests.schemas.desk_samples import TRACE
from tests.waiting import until

pytestmark = pytest.mark.broker
SHIPPED = load_catalogue().by_id


def test_what_the_pages_to_look_at_say(fresh_kafka: str) -> None:
    clue = alert_on(1).alert_id
    with served(fresh_kafka) as site, Browser(site, "supervisor") as browser, Browser(site, "auditor") as auditor:
        assert "No entry fits." in auditor.get("/desk/audit", clue=clue)
        seen = browser.get(f"/desk/clues/{clue}")
        assert "Solid lines are the way so far" in seen
        assert seen.count('<circle class="stop"') == 2  # where it was inspected, and its destination
        assert "Since it was dispatched" in seen
        assert "names_90d_min" in seen
        with Browser(site, "u1") as station:
            assert station.send(station.get("/desk/station"), "accept").status_code == 200
        until(lambda: f"<td>{clue}</td>" in auditor.get("/desk/audit", clue=clue))
        page = auditor.get("/desk/audit", clue=clue)
        assert "✓ 0" in page
        assert "✗" not in page
        assert "No entry fits." in auditor.get("/desk/audit", user="u2")
        assert auditor.look(auditor._client.get("/desk/audit?since=yesterday")).status_code == 422
        until(lambda: auditor.get("/desk/audit", kind="audit").count("<td>audit") > 3)  # who looks here is here, too
        values = [value or b"" for _, value in on_topic(fresh_kafka, topics.ACCESS)]
        looked = [each for value in values if (each := msgspec.json.decode(value, type=Access)).what[0] == "audit"]
        assert {each.user for each in looked} == {"auditor"}
        asked = {(each.what, each.fields) for each in looked}
        assert asked >= {(("audit",), ("audit", "user")), (("audit", clue), ("audit", "clue"))}

        until(lambda: "New figures are being made" not in browser.get("/desk/measures", days="7"))
        measures = browser.get("/desk/measures", days="7")
        assert '<path class="curve accept"' in measures
        assert '<path class="curve answer"' not in measures  # nobody has answered
        assert "too few answers for a figure" in measures
        assert "一" not in measures
        until(lambda: "各规则的准确率" in browser.get("/desk/measures", lang="zh"))

        rules = browser.get("/desk/rules", lang="en")
        assert "One ID number, several names" in rules
        assert "names_90d_min" in rules
    with served(fresh_kafka) as site, Browser(site, "viewer") as viewer:
        for path in ("/desk/rules", f"/desk/clues/{clue}"):
            page = viewer.get(path, lang="en")
            assert "One ID number, several names" in page
            assert "names_90d_min" not in page
            page, zh = unescape(page), unescape(viewer.get(path, lang="zh"))
            for name in PROSE:
                texts = [in_language(getattr(rule, name), "en") for rule in SHIPPED.values()]
                told = getattr(SHIPPED["identity.many_names"], name)
                assert in_language(told, "en") in page
                assert in_language(told, "zh") in zh
                assert [text for text in texts if text in zh] == []


def test_a_search_by_token_takes_purpose_and_clue_is_on_record_and_has_a_limit(fresh_kafka: str) -> None:
    clue, token = alert_on(1).alert_id, TRACE["sender_tokens"][0]
    asked = {"token": token, "clue": clue, "why": "which parcels are of one sender"}

    def searched() -> list[tuple[str, tuple[str, ...], str, bool]]:
        values = [value or b"" for _, value in on_topic(fresh_kafka, topics.ACCESS)]
        entries = [msgspec.json.decode(value, type=Access) for value in values]
        return [(each.user, each.what, each.why, each.ok) for each in entries if "token_search" in each.fields]

    with served(fresh_kafka) as site, Browser(site, "analyst") as browser, Browser(site, "analyst of 44") as other:
        for wrong in ({"why": " "}, {"why": "asks 13800000000"}, {"token": "440000199001010011"}):
            assert browser.post("/desk/search", {**asked, **wrong}).status_code == 422
        assert browser.post("/desk/search", {**asked, "clue": "nobody's"}).status_code == 404
        assert other.post("/desk/search", {**asked, "clue": alert_on(3).alert_id}).status_code == 404
        assert searched() == []
        found = browser.post("/desk/search", asked)
        assert clues_of(found.text) == ["SF:0000000000001"]
        assert "the sender&#39;s ID" in found.text
        for _ in range(19):
            nothing = browser.post("/desk/search", {**asked, "token": f"other:{'0' * 32}"})
        assert clues_of(nothing.text) == []
        assert browser.post("/desk/search", asked).status_code == 429
        assert clues_of(other.post("/desk/search", asked).text) == ["SF:0000000000001"]
    said = searched()
    assert [each[3] for each in said if each[0] == "analyst"] == [True] * 20 + [False]
    assert set(said) >= {("analyst", (clue,), asked["why"], ok) for ok in (True, False)}


def test_several_clues_at_once_and_never_a_find(fresh_kafka: str) -> None:
    with served(fresh_kafka) as site, Browser(site, "u1") as browser:

        def all_of(page: str) -> list[str]:
            return re.findall(r'name="clue" value="([^"]+)"', page)

        page = browser.get("/desk/bulk", station="ST-1")
        assert len(all_of(page)) == 2
        accepted = browser.post("/desk/bulk/accept", {"clue": all_of(page)})
        assert (accepted.text.count("✓"), accepted.text.count("✗")) == (2, 0)
        again = browser.post("/desk/bulk/accept", {"clue": all_of(page)})  # as they were before
        assert (again.text.count("✓"), again.text.count("✗")) == (0, 2)
        chosen = all_of(browser.get("/desk/bulk", station="ST-1"))
        said: dict[str, str | list[str]] = {"clue": chosen, "check_kind": "xray", "outcome": "seizure", "found_g": "7"}
        answered = browser.post("/desk/bulk/no_finding", said)
        assert answered.text.count("✓") == 2
        assert browser.post("/desk/bulk/seizure", said).status_code == 404
        assert browser.post("/desk/bulk/note", {"clue": ["x:1"] * 101, "note": "x"}).status_code == 422
        assert browser.post("/desk/bulk/grade", {"tier": "huge", "clue": chosen}).status_code == 422
    assert [(each.outcome, each.found_g) for each in feedback_on(fresh_kafka)] == [("no_finding", None)] * 2
