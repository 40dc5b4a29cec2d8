"""Pages to look at: measures, rules, who read what; on a real broker and server."""

from __future__ import annotations

import pytest

from tests.broker.test_desk import alert_on
from tests.broker.test_desk_pages import Browser
from tests.desk_site import served

pytestmark = pytest.mark.broker


def test_what_the_pages_to_look_at_say(fresh_kafka: str) -> None:
    clue = alert_on(1).alert_id
    with served(fresh_kafka) as site, Browser(site, "supervisor") as browser, Browser(site, "auditor") as auditor:
        assert "No entry fits." in auditor.get("/desk/audit")
        seen = browser.get(f"/desk/clues/{clue}")
        assert "Solid lines are the way so far" in seen
        assert seen.count('<circle class="stop"') == 2  # where it was inspected, and its destination
        assert "Since it was dispatched" in seen
        assert "names_90d_min" in seen
        with Browser(site, "u1") as station:
            assert station.send(station.get("/desk/station"), "accept").status_code == 200
        page = auditor.get("/desk/audit", clue=clue)
        assert f"<td>{clue}</td>" in page
        assert "✓ 0" in page
        assert "✗" not in page
        assert "No entry fits." in auditor.get("/desk/audit", user="u2")

        measures = browser.get("/desk/measures", days="7")
        assert '<path class="curve accept"' in measures
        assert '<path class="curve answer"' not in measures  # nobody has answered
        assert "too few answers for a figure" in measures
        assert "一" not in measures
        assert "各规则的准确率" in browser.get("/desk/measures", lang="zh")

        rules = browser.get("/desk/rules", lang="en")
        assert "One ID number, several names" in rules
        assert "names_90d_min" in rules
    with served(fresh_kafka) as site, Browser(site, "viewer") as viewer:
        for path in ("/desk/rules", f"/desk/clues/{clue}"):
            page = viewer.get(path)
            assert "One ID number, several names" in page
            assert "names_90d_min" not in page
