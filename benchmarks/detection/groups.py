"""Documented groups of signs, of which each alone is too weak for an alert."""

from __future__ import annotations

from collections.abc import Iterator

from streams.generate import journey
from streams.generate.planted import HOUR_MS, Plant, Stage


def cautious_sender(stage: Stage) -> Iterator[Plant]:
    """Guangzhou 2017: a driver hands in boxes for an owner he does not know, worth less than their freight."""
    name = stage.variant("cautious", ("样品", "其他", "货物", "配件样品", ""))
    yield stage.plant(
        fields={"agent_submitted": True, "goods_name": name if name != "配件样品" else "樣品", "goods_form": None,
                "declared_value_fen": 1_000, "freight_fen": 1_000 + 100 * (stage.serial() % 20)},
        rules=("goods.vague_name", "sender.agent_or_street", "sender.first_seen", "sender.freight_exceeds_value"),
    )  # fmt: skip


def brushed(stage: Stage) -> Iterator[Plant]:
    """Entries for show: a box "opened" for two seconds, and signed for in another province the same day."""
    yield stage.plant(
        flags=journey.FORMALITY | journey.TOO_FAST, rules=("journey.open_box_formality", "journey.too_fast")
    )


def border_powder(stage: Stage) -> Iterator[Plant]:
    """Powder from a priority origin, from a sender nobody knows, handed in on the street."""
    name = stage.variant("border", ("滑石粉", "石膏粉", "钛白粉", "化工原料粉末"))
    yield stage.plant(
        outlet=stage.outlet(priority=True),
        fields={"goods_name": name, "goods_form": "powder", "pickup_place": "non_fixed", "customer_type": "retail"},
        rules=("route.priority_origin", "goods.powder_or_liquid", "goods.on_priority_route", "sender.first_seen",
               "sender.agent_or_street"),
    )  # fmt: skip


def small_and_often(stage: Stage) -> Iterator[Plant]:
    """Ants move house: one sender, some grams of liquid to a priority lane, every few hours, of which the first is new.

    The later ones are no sender's first.
    """
    sender, outlet = stage.person(), stage.outlet()
    rules = ("route.priority_lane", "goods.powder_or_liquid", "goods.on_priority_route")
    for n in range(4):
        yield stage.plant(
            at=n * 6 * HOUR_MS, outlet=outlet, sender=sender,
            fields={"direction": "export", "dest_country": "NZ", "dest_adcode": None, "goods_name": "精油小样",
                    "goods_form": "liquid", "weight_g": 12 + n},
            rules=rules if n else (*rules, "sender.first_seen"),
        )  # fmt: skip


GROUPS = {pattern.__name__: pattern for pattern in (cautious_sender, brushed, border_powder, small_and_often)}
