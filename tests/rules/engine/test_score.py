"""Points, tiers and what to do."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from rules import ACTIONS, THRESHOLDS, TIERS, Catalogue, actions, coded, load_catalogue, score
from schemas.rulefile import Action
from tests.rules.rulefile import Load

SHIPPED = load_catalogue()
IDS = [rule.id for rule in SHIPPED.rules]


def answers(*rows: dict[str, bool | None]) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(IDS, False), **row} for row in rows], schema=dict.fromkeys(IDS, pl.Boolean))


def scored(said: pl.DataFrame, catalogue: Catalogue) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    return score(coded(said), catalogue)


def test_only_a_yes_earns_points() -> None:
    points, tier = scored(
        answers(
            {},
            {"sender.first_seen": True, "goods.controlled_term": None},
            {"route.priority_origin": True, "sender.first_seen": True},
            dict.fromkeys(IDS),
        ),
        SHIPPED,
    )
    assert points.tolist() == [0, 5, 20, 0]
    assert [TIERS[i] for i in tier] == ["none", "none", "low", "none"]
    assert points.dtype == np.int32
    assert tier.dtype == np.uint8


def test_the_sum_ends_at_100() -> None:
    points, tier = scored(answers(dict.fromkeys(IDS, True)), SHIPPED)
    assert (points.tolist(), tier.tolist()) == ([100], [4])


@pytest.mark.parametrize(
    ("points", "name"),
    [
        (19, "none"),
        (20, "low"),
        (39, "low"),
        (40, "medium"),
        (59, "medium"),
        (60, "high"),
        (79, "high"),
        (80, "extreme"),
    ],
)
def test_tiers_begin_at_their_threshold(load: Load, points: int, name: str) -> None:
    catalogue = load(points=points)
    total, tier = scored(pl.DataFrame({"identity.one": [True]}), catalogue)
    assert total.tolist() == [points]
    assert TIERS[tier[0]] == name


def test_thresholds_are_those_of_the_contract() -> None:
    assert TIERS == ("none", "low", "medium", "high", "extreme")
    assert THRESHOLDS == (20, 40, 60, 80)


def test_a_shadow_rule_earns_nothing(load: Load) -> None:
    total, tier = scored(pl.DataFrame({"identity.one": [True, None]}), load(mode="shadow"))
    assert (total.tolist(), tier.tolist()) == ([0, 0], [0, 0])


def test_no_rows() -> None:
    total, tier = scored(answers().clear(), SHIPPED)
    assert (total.shape, tier.shape) == ((0,), (0,))


@pytest.mark.parametrize(
    ("tier", "reasons", "expected"),
    [
        ("none", [], ()),
        ("low", [], ()),
        ("medium", [], ("open_box",)),
        ("high", [], ("open_box", "second_xray")),
        ("extreme", [], ("hold", "open_box", "second_xray")),
        ("low", ["identity.missing"], ("identity_check", "visit_outlet")),
        ("medium", ["identity.missing", "recipient.fan_in"], ACTIONS),
        ("extreme", ["courier.burst", "identity.missing"], ACTIONS),
    ],
)
def test_actions(tier: str, reasons: list[str], expected: tuple[str, ...]) -> None:
    assert actions(tier, reasons, SHIPPED) == expected


def test_every_action_has_its_place_in_the_order() -> None:
    assert sorted(ACTIONS) == sorted(Action.__args__)  # type: ignore[attr-defined]
    assert ACTIONS[0] == "hold"
