"""Honest parcels that look like cases. An alert on one is a false hit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streams.generate import journey
from streams.generate.patterns import BEIJING, SHANGHAI
from streams.generate.planted import HOUR_MS, MINUTE_MS, SECOND_MS, Plant, Stage

HARMLESS = (
    "冰糖雪梨", "老冰糖", "天津大麻花", "小麻花", "麻辣香锅", "病毒学教材", "冰箱贴", "大麻哈鱼", "麻黄鸡", "面粉",
    "果冻粉", "绿萝", "白面馒头", "糖冰块模具", "草莓酱",
)  # fmt: skip


def family_phone(stage: Stage) -> Iterator[Plant]:
    """Three of a family, one phone."""
    outlet = stage.outlet()
    phone = str(stage.people.phones(np.array([stage.person()], dtype=np.int64))[0])
    for n in range(3):
        yield stage.plant(at=n * 7 * HOUR_MS, outlet=outlet, fields={"sender_phone": phone})


def coffee_shop(stage: Stage) -> Iterator[Plant]:
    """A roaster of a priority origin: coffee powder, day by day, to his customers."""
    outlet, sender = stage.outlet(priority=True), stage.person()
    for n in range(5):
        yield stage.plant(at=n * 9 * HOUR_MS, outlet=outlet, sender=sender,
                          fields={"goods_name": "咖啡粉", "goods_form": "powder", "weight_g": 500})  # fmt: skip


def four_growers(stage: Stage) -> Iterator[Plant]:
    """Four growers of priority origins and one dealer."""
    recipient = stage.person()
    for n in range(4):
        yield stage.plant(at=n * 8 * HOUR_MS, outlet=stage.outlet(priority=True), recipient=recipient,
                          fields={"goods_name": "茶叶", "goods_form": "solid"})  # fmt: skip


def seven_growers(stage: Stage) -> Iterator[Plant]:
    """Seven of them."""
    recipient = stage.person()
    for n in range(7):
        yield stage.plant(at=n * 8 * HOUR_MS, outlet=stage.outlet(priority=True), recipient=recipient,
                          fields={"goods_name": "茶叶", "goods_form": "solid"})  # fmt: skip


def traveller(stage: Stage) -> Iterator[Plant]:
    """Shanghai, and by plane to Beijing, three hours from counter to counter."""
    sender = stage.person()
    yield stage.plant(outlet=stage.outlet_in(SHANGHAI), sender=sender)
    yield stage.plant(at=3 * HOUR_MS, outlet=stage.outlet_in(BEIJING), sender=sender)


def misread_name(stage: Stage) -> Iterator[Plant]:
    """One person, whose name the camera reads in two ways."""
    outlet, sender = stage.outlet(), stage.person()
    for n, name in enumerate(("梁思雨", "粱思雨", "梁思雨")):
        yield stage.plant(at=n * 10 * HOUR_MS, outlet=outlet, sender=sender, fields={"sender_name": name})


def busy_counter(stage: Stage) -> Iterator[Plant]:
    """Before the festival: a parcel every twelve seconds."""
    outlet = stage.outlet()
    courier = stage.courier(outlet)
    for n in range(10):
        yield stage.plant(at=n * 12 * SECOND_MS, outlet=outlet, fields={"courier_id": courier})


def wedding_gifts(stage: Stage) -> Iterator[Plant]:
    """One sender, twelve boxes alike within the hour."""
    outlet, sender = stage.outlet(), stage.person()
    courier, place = stage.courier(outlet), stage.place_far_from(outlet)
    for n in range(12):
        yield stage.plant(at=n * 4 * MINUTE_MS, outlet=outlet, sender=sender, place=place,
                          fields={"courier_id": courier, "goods_name": "喜糖", "weight_g": 800})  # fmt: skip


def harmless_name(stage: Stage) -> Iterator[Plant]:
    """Names that hold or sound like a controlled term."""
    yield stage.plant(fields={"goods_name": stage.variant("harmless", HARMLESS), "goods_form": "solid"})


def damp_goods(stage: Stage) -> Iterator[Plant]:
    """Some grams heavier on a later scale."""
    yield stage.plant(flags=journey.DAMP, fields={"goods_name": "大米", "weight_g": 2_500, "pieces": 1})


def outlet_offline(stage: Stage) -> Iterator[Plant]:
    """All is done, scanned and inspected in time; the outlet was offline, and its uploads come half a day late."""
    yield stage.plant(flags=journey.UPLOADED_LATE)


def waits_for_a_lorry(stage: Stage) -> Iterator[Plant]:
    """40 hours at the outlet."""
    yield stage.plant(flags=journey.WAITS)


def by_air(stage: Stage) -> Iterator[Plant]:
    """In another province after twelve to twenty hours."""
    yield stage.plant(flags=journey.QUICK)


def for_grandmother(stage: Stage) -> Iterator[Plant]:
    """A neighbour hands in the parcel of one who has never sent any."""
    yield stage.plant(fields={"agent_submitted": True, "goods_name": "腊肉", "goods_form": "solid"})


def courier_s_own(stage: Stage) -> Iterator[Plant]:
    """A courier sends two parcels of his own."""
    outlet, sender = stage.outlet(), stage.person()
    courier = stage.courier(outlet)
    own = stage.world.planted_couriers[-1]["id_no"]
    for n in range(2):
        yield stage.plant(at=n * HOUR_MS, outlet=outlet, sender=sender,
                          fields={"courier_id": courier, "sender_id_no": own})  # fmt: skip


LOOKALIKES = {
    pattern.__name__: pattern
    for pattern in (
        family_phone, coffee_shop, four_growers, seven_growers, traveller, misread_name, busy_counter, wedding_gifts,
        harmless_name, damp_goods, outlet_offline, waits_for_a_lorry, by_air, for_grandmother, courier_s_own,
    )
}  # fmt: skip
