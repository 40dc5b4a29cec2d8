"""The patterns of planted cases, by the family of the rules they are made for. See `planted` for how they are used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streams.generate import journey
from streams.generate.people import PROVINCES, id_numbers
from streams.generate.planted import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Pattern, Plant, Stage
from streams.generate.world import enterprise
from streams.settings import PRIORITY_COUNTRIES

GUANGZHOU, HANGZHOU, SHANGHAI, NANJING, BEIJING = 440111, 330102, 310104, 320102, 110105
FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789X"}
POWDERS = (
    ("奶粉", None),
    ("蛋 白 粉", None),
    ("滑石粉", "powder"),
    ("样件", "powder"),
    ("香水", None),
    ("試劑", "liquid"),
)
CONTROLLED = (
    "冰毒", "海洛因", "氯胺酮", "麻黄素", "胡椒醛", "醋酸酐", "神仙水", "咔哇潮饮", "彩虹烟", "依托咪酯烟油",
    "依託咪酯", "神 仙 水", "神\u200b仙水", "氷毒", "麻·黄·素",
)  # fmt: skip
HINTED = ("ytmz 5g", "冰", "绿案桶", "JJBBA", "YTMZ")
VAGUE = ("样品", "其他", "货物", "无", "test", "", "ＴＥＳＴ", "樣品", "...")
PLACEHOLDERS = ("张三", "李四", "先生", "女士", "老板", "客户", "匿名", "test", "李 四", "王王王", "123", "。。。")


def _export(country: str) -> dict[str, object]:
    return {"direction": "export", "dest_country": country, "dest_adcode": None}


def priority_origin(stage: Stage) -> Iterator[Plant]:
    yield stage.plant(outlet=stage.outlet(priority=True), rules=("route.priority_origin",),
                      quiet=("goods.on_priority_route",))  # fmt: skip


def priority_lane(stage: Stage) -> Iterator[Plant]:
    country = stage.variant("lane", PRIORITY_COUNTRIES)
    yield stage.plant(fields=_export(country), rules=("route.priority_lane",), quiet=("route.priority_origin",))
    yield stage.plant(fields=_export("JP"), quiet=("route.priority_lane",))


def powder_or_liquid(stage: Stage) -> Iterator[Plant]:
    name, form = stage.variant("powder", POWDERS)
    yield stage.plant(fields={"goods_name": name, "goods_form": form}, rules=("goods.powder_or_liquid",),
                      quiet=("goods.on_priority_route",))  # fmt: skip
    yield stage.plant(fields={"goods_name": name, "goods_form": "solid"}, quiet=("goods.powder_or_liquid",))


def ants(stage: Stage) -> Iterator[Plant]:
    """A ring: small lots of powder from one priority origin to one lane, each sender once, through agents."""
    outlet, country = stage.outlet(priority=True), stage.variant("ants", PRIORITY_COUNTRIES)
    rules = ("route.priority_origin", "route.priority_lane", "goods.powder_or_liquid", "goods.on_priority_route",
             "sender.first_seen", "sender.agent_or_street")  # fmt: skip
    for n in range(3):
        fields = _export(country) | {
            "goods_name": "蛋白粉",
            "goods_form": "powder",
            "weight_g": 15,
            "agent_submitted": True,
        }
        yield stage.plant(at=n * 4 * HOUR_MS, outlet=outlet, fields=fields, rules=rules)


def controlled_term(stage: Stage) -> Iterator[Plant]:
    name = stage.variant("controlled", CONTROLLED)
    yield stage.plant(fields={"goods_name": name, "goods_form": None}, rules=("goods.controlled_term",))
    yield stage.plant(fields={"goods_name": stage.variant("hinted", HINTED)}, rules=("goods.hinted_term",),
                      quiet=("goods.controlled_term",))  # fmt: skip


def vague_name(stage: Stage) -> Iterator[Plant]:
    name = stage.variant("vague", VAGUE)
    yield stage.plant(fields={"goods_name": name, "goods_form": None}, rules=("goods.vague_name",),
                      quiet=("goods.controlled_term",))  # fmt: skip


def missing_identity(stage: Stage) -> Iterator[Plant]:
    ways: tuple[dict[str, object], ...] = (
        {"sender_id_no": None}, {"sender_id_no": ""}, {"realname_method": "none"}, {"realname_check": "fail"},
    )  # fmt: skip
    yield stage.plant(fields=stage.variant("missing", ways), rules=("identity.missing",))
    yield stage.plant(
        fields={"sender_id_no": None, "customer_type": "agreement", "realname_method": "none"},
        quiet=("identity.missing",),
    )


def invalid_number(stage: Stage) -> Iterator[Plant]:
    good = str(stage.people.ids(np.array([stage.person()], dtype=np.int64))[0])
    later, order = divmod(stage.serial(), 900)

    def made(region: int, birth: str) -> str:
        born = np.full(1, np.datetime64(birth) + np.timedelta64(later, "D"))
        return str(id_numbers(np.array([region]), born, np.array([order + 1], dtype=np.int64))[0])

    ways = (
        good[:-1] + ("0" if good[-1] != "0" else "1"),  # check digit
        good[:-1],  # length
        good[:10] + "1332" + good[14:],  # no such date
        made(380000, "1985-03-04"),  # region never assigned
        made(440000, "2090-01-01"),  # not yet born
        made(440000, "1880-01-01"),  # over 110 years
        good[:8] + "A" + good[9:],  # character
    )
    yield stage.plant(fields={"sender_id_no": stage.variant("invalid", ways)}, rules=("identity.number_invalid",))
    written = (good.lower(), f"{good[:6]} {good[6:14]}-{good[14:]}", good.translate(FULL_WIDTH))
    yield stage.plant(fields={"sender_id_no": stage.variant("written", written)}, quiet=("identity.number_invalid",))


def placeholder_name(stage: Stage) -> Iterator[Plant]:
    name = stage.variant("placeholder", PLACEHOLDERS)
    yield stage.plant(fields={"sender_name": name}, rules=("identity.placeholder_name",))
    yield stage.plant(fields={"sender_name": "王**"}, quiet=("identity.placeholder_name",))


def many_names(stage: Stage) -> Iterator[Plant]:
    """The third distinct name on one ID; a masked name and a repeated one in between do not count."""
    outlet, sender, rule = stage.outlet(), stage.person(), "identity.many_names"
    for n, name in enumerate(("林建军", "何秀兰", "何**", "何秀兰", "梁思雨")):
        last = n == 4
        yield stage.plant(at=n * 5 * HOUR_MS, outlet=outlet, sender=sender, fields={"sender_name": name},
                          rules=(rule,) if last else (), quiet=() if last else (rule,))  # fmt: skip


def phone_many_ids(stage: Stage) -> Iterator[Plant]:
    """The fourth ID on one phone, written in several ways."""
    outlet, rule = stage.outlet(), "identity.phone_many_ids"
    phone = str(stage.people.phones(np.array([stage.person()], dtype=np.int64))[0])
    for n, form in enumerate(("{}", "+86 {}", "{}", "0086{}")):
        yield stage.plant(at=n * 6 * HOUR_MS, outlet=outlet, fields={"sender_phone": form.format(phone)},
                          rules=(rule,) if n == 3 else (), quiet=() if n == 3 else (rule,))  # fmt: skip


def impossible_travel(stage: Stage) -> Iterator[Plant]:
    """Guangzhou, one hour later Beijing (1,900 km); then back in a night's time."""
    sender, rule = stage.person(), "identity.impossible_travel"
    there, here = stage.outlet_in(BEIJING), stage.outlet_in(GUANGZHOU)
    yield stage.plant(outlet=here, sender=sender)
    yield stage.plant(at=HOUR_MS, outlet=there, sender=sender, rules=(rule,))
    yield stage.plant(at=12 * HOUR_MS, outlet=here, sender=sender, quiet=(rule,))


def three_provinces(stage: Stage) -> Iterator[Plant]:
    """Three neighbouring provinces in 12 hours, at a speed that is possible."""
    sender, rule = stage.person(), "identity.three_provinces"
    for n, adcode in enumerate((HANGZHOU, SHANGHAI, NANJING)):
        yield stage.plant(at=n * 6 * HOUR_MS, outlet=stage.outlet_in(adcode), sender=sender,
                          rules=(rule,) if n == 2 else (),
                          quiet=("identity.impossible_travel",) if n == 2 else (rule,))  # fmt: skip


def sequential_numbers(stage: Stage) -> Iterator[Plant]:
    """Three IDs that differ in the order number only, at one outlet."""
    outlet, rule, serial = stage.outlet(), "identity.sequential_numbers", stage.serial()
    # Born later than anyone in ordinary traffic: the 14 digits are this case's own.
    birth = np.datetime64("2005-01-01") + np.timedelta64(serial % 1_000, "D")
    province = PROVINCES[(serial // 1_000 + 18) % len(PROVINCES)]
    numbers = id_numbers(np.full(3, province * 10_000), np.full(3, birth), np.array([101, 102, 103]))
    for n, number in enumerate(numbers):
        yield stage.plant(at=n * 20 * MINUTE_MS, outlet=outlet, fields={"sender_id_no": number},
                          rules=(rule,) if n == 2 else (), quiet=() if n == 2 else (rule,))  # fmt: skip


def staff_as_sender(stage: Stage) -> Iterator[Plant]:
    """A courier's own ID number on a third parcel of the day."""
    outlet, sender, rule = stage.outlet(), stage.person(), "identity.staff_as_sender"
    courier = stage.courier(outlet)
    own = stage.world.planted_couriers[-1]["id_no"]
    for n in range(3):
        yield stage.plant(at=n * HOUR_MS, outlet=outlet, sender=sender,
                          fields={"courier_id": courier, "sender_id_no": own},
                          rules=(rule,) if n == 2 else (), quiet=() if n == 2 else (rule,))  # fmt: skip


def velocity(stage: Stage) -> Iterator[Plant]:
    """The 20th and 21st parcel of one ID within a day."""
    outlet, sender, rule = stage.outlet(), stage.person(), "sender.velocity"
    for n in range(21):
        yield stage.plant(at=n * 40 * MINUTE_MS, outlet=outlet, sender=sender,
                          rules=(rule,) if n >= 19 else (), quiet=() if n >= 19 else (rule,))  # fmt: skip


def first_seen(stage: Stage) -> Iterator[Plant]:
    outlet, sender, rule = stage.outlet(), stage.person(), "sender.first_seen"
    yield stage.plant(outlet=outlet, sender=sender, rules=(rule,))
    yield stage.plant(at=DAY_MS // 2, outlet=outlet, sender=sender, quiet=(rule,))


def agent_or_street(stage: Stage) -> Iterator[Plant]:
    ways: tuple[dict[str, object], ...] = ({"agent_submitted": True}, {"pickup_place": "non_fixed"})
    yield stage.plant(fields=stage.variant("agent", ways), rules=("sender.agent_or_street",))


def freight_exceeds_value(stage: Stage) -> Iterator[Plant]:
    rule = "sender.freight_exceeds_value"
    yield stage.plant(fields={"declared_value_fen": 1_200, "freight_fen": 1_200}, rules=(rule,))
    yield stage.plant(fields={"declared_value_fen": 0, "freight_fen": 1_200}, quiet=(rule,))


def fan_in(stage: Stage) -> Iterator[Plant]:
    """The fifth sender from priority origins to one recipient; a sixth from elsewhere is not from one."""
    recipient, rule = stage.person(), "recipient.fan_in"
    for n in range(5):
        yield stage.plant(at=n * 4 * HOUR_MS, outlet=stage.outlet(priority=True), recipient=recipient,
                          rules=(rule,) if n == 4 else (), quiet=() if n == 4 else (rule,))  # fmt: skip
    yield stage.plant(at=17 * HOUR_MS, recipient=recipient, quiet=(rule,))


def burst(stage: Stage) -> Iterator[Plant]:
    """Seven IDs within a minute; the next courier takes seven in 90 seconds."""
    outlet, rule = stage.outlet(), "courier.burst"
    for gap, fires in ((8, True), (15, False)):
        courier = stage.courier(outlet)
        for n in range(7):
            yes = fires and n == 6
            yield stage.plant(at=n * gap * SECOND_MS, outlet=outlet, fields={"courier_id": courier},
                              rules=(rule,) if yes else (), quiet=() if yes else (rule,))  # fmt: skip


def cloned_entries(stage: Stage) -> Iterator[Plant]:
    """Ten parcels of one courier in an hour with the same weight, goods and destination, each with its own ID."""
    outlet, rule = stage.outlet(), "courier.cloned_entries"
    courier, place = stage.courier(outlet), stage.place_far_from(outlet)
    for n in range(10):
        yield stage.plant(at=n * 5 * MINUTE_MS, outlet=outlet, place=place,
                          fields={"courier_id": courier, "weight_g": 500, "goods_name": "袜子"},
                          rules=(rule,) if n == 9 else (), quiet=() if n == 9 else (rule,))  # fmt: skip


def unregistered_courier(stage: Stage) -> Iterator[Plant]:
    outlet, rule = stage.outlet(), "courier.unregistered"
    left = stage.courier(outlet, left_at=stage.start_at - DAY_MS)
    yield stage.plant(outlet=outlet, fields={"courier_id": left}, rules=(rule,))
    yield stage.plant(outlet=outlet, fields={"courier_id": f"NOBODY{stage.serial()}"}, rules=(rule,))
    yield stage.plant(outlet=outlet, fields={"courier_id": stage.courier(outlet)}, quiet=(rule,))


def licence(stage: Stage) -> Iterator[Plant]:
    """Outlets of enterprises whose licence has run out, is for another place, or is for domestic parcels only."""
    cases: tuple[tuple[str, dict[str, object], dict[str, object]], ...] = (
        ("licence.invalid", {"licence_to": stage.start_at - DAY_MS}, {}),
        ("licence.out_of_area", {"licence_adcodes": ["99"]}, {}),
        ("licence.out_of_area", {"licence_scopes": ["domestic"]}, _export("JP")),
    )
    for rule, changes, fields in cases:
        outlet, number = stage.outlet(), stage.serial()
        place = int(stage.world.outlet_places[outlet])
        prefix = str(stage.world.outlet_ids[outlet])
        own = f"{prefix}L{number}"
        area = [str(stage.world.adcodes[place] // 10_000)]
        record = enterprise(f"EP{number}", 50_000 + number, stage.start_at, area) | changes
        stage.world.planted_enterprises.append(record)
        stage.world.planted_outlets.append(stage.world.outlet(own, f"EP{number}", place))
        yield stage.plant(outlet=outlet, fields={"outlet_id": own} | fields, rules=(rule,))


def journeys(stage: Stage) -> Iterator[Plant]:
    """One parcel per way a journey can go wrong, and one for which all goes well."""
    inspected, unresolved = "journey.departed_uninspected", "journey.unresolved_departed"
    yield stage.plant(flags=journey.UNINSPECTED, rules=(inspected,), quiet=(unresolved,))
    yield stage.plant(flags=journey.UNRESOLVED, rules=(unresolved,), quiet=(inspected,))
    yield stage.plant(flags=journey.WEIGHT_CHANGED, fields={"pieces": 1}, rules=("journey.weight_changed",),
                      quiet=(inspected,))  # fmt: skip
    yield stage.plant(flags=journey.GHOST, rules=("journey.ghost",))
    yield stage.plant(flags=journey.TOO_FAST, rules=("journey.too_fast",), quiet=("journey.ghost",))
    yield stage.plant(flags=journey.FORMALITY, rules=("journey.open_box_formality",), quiet=("journey.too_fast",))
    yield stage.plant(recorded=False, rules=("journey.unregistered",))
    yield stage.plant(quiet=("journey.weight_changed", "journey.ghost", "journey.too_fast", "journey.unregistered"))


def second_xray_missing(stage: Stage) -> Iterator[Plant]:
    """From a priority origin to a home place, with and without the second X-ray."""
    if not len(stage.home_places):
        return
    home, rule = int(stage.home_places[0]), "journey.second_xray_missing"
    for flags, rules, quiet in ((journey.NO_SECOND_XRAY, (rule,), ()), (0, (), (rule,))):
        yield stage.plant(outlet=stage.outlet(priority=True), place=home, flags=flags, rules=rules, quiet=quiet)


PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        ants, priority_origin, priority_lane, powder_or_liquid, controlled_term, vague_name, missing_identity,
        invalid_number, placeholder_name, many_names, phone_many_ids, impossible_travel, three_provinces,
        sequential_numbers, first_seen, agent_or_street, freight_exceeds_value, fan_in, burst, cloned_entries, velocity,
        journeys, second_xray_missing, staff_as_sender, unregistered_courier, licence,
    )
}  # fmt: skip
