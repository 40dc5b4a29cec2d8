"""The dashboards that are kept are those that the code makes, in both languages."""

from __future__ import annotations

import json
from typing import Any

from deploy.grafana import dashboards


def test_what_is_kept_is_what_the_code_makes() -> None:
    made = dict(dashboards.files())
    assert {path: path.read_text(encoding="utf-8") for path in dashboards.FOLDER.glob("*/*.json")} == made


def test_every_panel_has_a_place_of_its_own_and_a_query() -> None:
    for _, text in dashboards.files():
        panels = [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]
        assert all(target["expr"] for panel in panels for target in panel["targets"])
        cells = [cell for panel in panels for cell in _cells(panel["gridPos"])]
        assert len(cells) == len(set(cells))


def test_both_languages_ask_the_same() -> None:
    asked: dict[str, list[Any]] = {}
    for path, text in dashboards.files():
        panels = json.loads(text)["panels"]
        asked.setdefault(path.name, []).append([panel.get("targets") for panel in panels])
    assert all(english == chinese for english, chinese in asked.values())


def _cells(at: dict[str, int]) -> list[tuple[int, int]]:
    return [(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])]
