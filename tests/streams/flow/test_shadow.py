"""The shadow topic: what rules in shadow say, what would follow, and that nothing of it reaches an alert."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import msgspec
import pytest

from rules import TIERS, Catalogue, load_catalogue
from schemas.apart import Shadow
from schemas.records import Alert, Shipment, encode
from tests.repetition import seeds
from tests.runs import Recorded, run
from tests.schemas.samples import SHIPMENT
from tests.worlds import HOUR, START, world

SHADOWED = ("goods.controlled_term", "route.priority_origin", "sender.first_seen", "journey.departed_uninspected")
MODES = {True: "shadow", False: "off"}
PARTITIONS = (1, 4, 12)
SEEDS = seeds(3)


@cache
def rules(shadow: bool = True) -> Catalogue:
    """As shipped, with some rules in shadow, or off."""
    return load_catalogue(overrides={rule: {"mode": MODES[shadow]} for rule in SHADOWED})


@cache
def played(seed: int) -> Recorded:
    return run(world(seed, 80), rules=rules())


def standing(recorded: Recorded) -> dict[str, Shadow]:
    """What is in shadow in the end, by parcel."""
    return {
        key.decode(): msgspec.structs.replace(said, detected_at=0)
        for key, said in recorded.shadows.items()
        if said.status == "open"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_says_what_follows_from_the_answers(seed: int) -> None:
    recorded = played(seed)
    found = standing(recorded)
    by_id = rules().by_id
    for parcel, answers in recorded.answers.items():
        yes = sorted(rule for rule, answer in answers.items() if answer)
        apart = [rule for rule in yes if rule in SHADOWED]
        if not apart:
            assert parcel not in found
            continue
        said = found.pop(parcel)
        score = min(100, sum(by_id[rule].points for rule in yes if rule not in SHADOWED))
        score_with = min(100, sum(by_id[rule].points for rule in yes))
        tier, tier_with = (min(points // 20, 4) for points in (score, score_with))
        assert (said.score, said.score_with) == (score, score_with)
        assert (said.tier, said.tier_with) == (TIERS[tier], TIERS[tier_with])
        assert (said.opens, said.rises) == (tier < 2 <= tier_with, tier < tier_with)
        assert [reason.rule for reason in said.reasons] == apart
        assert said.held == ()
        assert said.catalogue == rules().fingerprint
        for reason in said.reasons:
            rule = by_id[reason.rule]
            assert (reason.version, reason.points, reason.title.zh) == (rule.version, rule.points, rule.title["zh"])
            assert reason.evidence.keys() == set(rule.evidence)
        sent = recorded.shadows[parcel.encode()]
        assert msgspec.json.decode(encode(sent), type=Shadow) == sent
    assert not found


def test_worlds_show_every_side_of_it() -> None:
    said = [each for seed in SEEDS for each in standing(played(seed)).values()]
    assert {(each.opens, each.rises) for each in said} == {(True, True), (False, True), (False, False)}
    assert {reason.rule for each in said for reason in each.reasons} == set(SHADOWED)


@pytest.mark.parametrize("seed", seeds(2))
def test_alerts_are_those_without_the_rules(seed: int) -> None:
    def content(recorded: Recorded) -> list[Alert]:
        alerts = recorded.open_alerts()
        return [msgspec.structs.replace(each, detected_at=0, sources=(), catalogue="", revision=0) for each in alerts]

    without = run(world(seed, 80), rules=rules(shadow=False))
    assert content(played(seed)) == content(without)
    assert without.shadows == {}


@pytest.mark.parametrize(("seed", "size"), [(1, 30), (2, 5_000)])
def test_what_is_in_shadow_does_not_depend_on_the_way(seed: int, size: int) -> None:
    """Batches, order and partitions change nothing, nor the last revision of what is open."""
    again = run(world(seed, 80), size=size, partitions=PARTITIONS[(seed + size) % 3], order=seed, rules=rules())
    assert standing(again) == standing(played(seed))
    assert standing(again)
    last = {key: messages[-1] for key, messages in played(seed).shadow_messages.items()}
    for key, messages in again.shadow_messages.items():
        assert all(before.revision < after.revision for before, after in pairwise(messages))
        assert ("withdrawn", "withdrawn") not in pairwise(message.status for message in messages)
        if messages[-1].status == "open":
            assert last[key].revision == messages[-1].revision


def test_reading_it_all_again_sends_nothing() -> None:
    records = world(5, 60)
    recorded = run(records, size=20, rules=rules())
    before = {key: len(messages) for key, messages in recorded.shadow_messages.items()}
    recorded.feed(recorded.batches([record for record in records if hasattr(record, "event_id")]))
    assert {key: len(messages) for key, messages in recorded.shadow_messages.items()} == before


def test_is_withdrawn_when_no_rule_holds_any_more() -> None:
    bad = msgspec.convert(
        {
            **SHIPMENT,
            "event_id": "e1",
            "goods_name": "海洛因",
            "pickup_adcode": "310115",
            "picked_up_at": START,
            "recorded_at": START,
        },
        Shipment,
    )
    only = load_catalogue(overrides={"goods.controlled_term": {"mode": "shadow"}}, only=["goods"])
    recorded = run([bad], rules=only)
    (said,) = standing(recorded).values()
    assert [reason.rule for reason in said.reasons] == ["goods.controlled_term"]
    assert (said.tier, said.tier_with, said.opens) == ("none", "high", True)
    good = msgspec.structs.replace(bad, event_id="e2", goods_name="图书", recorded_at=START + HOUR)
    recorded.feed(recorded.batches([good]))
    (messages,) = recorded.shadow_messages.values()
    assert (messages[-1].status, messages[-1].reasons, messages[-1].opens) == ("withdrawn", (), False)
    assert messages[-1].revision > messages[0].revision
    assert recorded.messages == {}
