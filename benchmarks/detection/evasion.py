"""Cases that know the rules: spellings, split lots, changed senders, late scans, and everything just below a limit.

Every parcel of a case is guilty. Nothing is promised of them: how many are found is what is measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

from streams.generate import journey
from streams.generate.patterns import BEIJING, HANGZHOU, NANJING, SHANGHAI
from streams.generate.people import PROVINCES, id_numbers
from streams.generate.planted import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Plant, Stage
from tests.corpus.tricks import DISGUISES, SPELLINGS, Trick

TERMS = ("氯胺酮", "麻黄素", "醋酸酐", "海洛因", "依托咪酯", "咔哇潮饮", "甲基苯丙胺", "甲卡西酮")


def _written(stage: Stage, tricks: Sequence[Trick], turn: str) -> str:
    """A controlled term as one of the tricks writes it."""
    trick, term = stage.variant(turn, tricks), stage.variant(f"{turn}_term", TERMS)
    return trick(random.Random(stage.serial()), term)


def respelt(stage: Stage) -> Iterator[Plant]:
    """The same characters, written so that they are not found: wide, traditional, with signs between."""
    yield stage.plant(fields={"goods_name": _written(stage, SPELLINGS, "respelt"), "goods_form": None})


def disguised(stage: Stage) -> Iterator[Plant]:
    """Other characters: the same sound, pinyin, initials, swapped, filled, doubled."""
    yield stage.plant(fields={"goods_name": _written(stage, DISGUISES, "disguised"), "goods_form": None})


def split_lot(stage: Stage) -> Iterator[Plant]:
    """300 g of powder in six parcels, from six senders at three outlets of priority origins to three recipients."""
    outlets, recipients = [stage.outlet(priority=True) for _ in range(3)], [stage.person() for _ in range(3)]
    for n in range(6):
        yield stage.plant(
            at=n * 5 * HOUR_MS, outlet=outlets[n % 3], recipient=recipients[n % 3],
            fields={"goods_name": "葛根粉", "goods_form": "powder", "weight_g": 50},
        )  # fmt: skip


def split_and_misdeclared(stage: Stage) -> Iterator[Plant]:
    """The same, called tea."""
    for plant in split_lot(stage):
        plant.fields |= {"goods_name": "茶叶", "goods_form": "solid"}
        yield plant


def changed_senders(stage: Stage) -> Iterator[Plant]:
    """Six senders to one recipient, each parcel with another name and another way to write the phone."""
    recipient = stage.person()
    phone = str(stage.people.phones(np.array([recipient], dtype=np.int64))[0])
    forms = ("{}", "+86{}", "0086 {}", "{}", "86-{}", "+86 {}")
    for n, form in enumerate(forms):
        spaced = f"{phone[:3]} {phone[3:7]}-{phone[7:]}" if n % 2 else phone
        yield stage.plant(
            at=n * 8 * HOUR_MS, outlet=stage.outlet(priority=True), recipient=recipient,
            fields={"recipient_phone": form.format(spaced), "recipient_name": f"收{'甲乙丙丁戊己'[n]}"},
        )  # fmt: skip


def rotated_recipients(stage: Stage) -> Iterator[Plant]:
    """Eight senders from priority origins to two phones in turn: four each."""
    recipients = [stage.person(), stage.person()]
    for n in range(8):
        yield stage.plant(at=n * 5 * HOUR_MS, outlet=stage.outlet(priority=True), recipient=recipients[n % 2])


def borrowed_numbers(stage: Stage) -> Iterator[Plant]:
    """Three borrowed ID numbers on one phone, each with its right name."""
    outlet = stage.outlet()
    phone = str(stage.people.phones(np.array([stage.person()], dtype=np.int64))[0])
    for n in range(3):
        yield stage.plant(at=n * 7 * HOUR_MS, outlet=outlet, fields={"sender_phone": phone})


def two_names(stage: Stage) -> Iterator[Plant]:
    """One number, two names."""
    outlet, sender = stage.outlet(), stage.person()
    for n, name in enumerate(("林建军", "何秀兰", "林建军", "何秀兰")):
        yield stage.plant(at=n * 9 * HOUR_MS, outlet=outlet, sender=sender, fields={"sender_name": name})


def masked_names(stage: Stage) -> Iterator[Plant]:
    """One number, four names, all masked before they are uploaded."""
    outlet, sender = stage.outlet(), stage.person()
    for n, name in enumerate(("林**", "何**", "梁**", "高**")):
        yield stage.plant(at=n * 9 * HOUR_MS, outlet=outlet, sender=sender, fields={"sender_name": name})


def below_the_speed(stage: Stage) -> Iterator[Plant]:
    """Shanghai, and Beijing an hour and twenty minutes later: 800 km/h."""
    sender = stage.person()
    yield stage.plant(outlet=stage.outlet_in(SHANGHAI), sender=sender)
    yield stage.plant(at=80 * MINUTE_MS, outlet=stage.outlet_in(BEIJING), sender=sender)


def two_provinces_a_day(stage: Stage) -> Iterator[Plant]:
    """One number in two provinces a day, in a third on the next."""
    sender = stage.person()
    for at, adcode in ((0, HANGZHOU), (6, SHANGHAI), (30, NANJING)):
        yield stage.plant(at=at * HOUR_MS, outlet=stage.outlet_in(adcode), sender=sender)


def nineteen_a_day(stage: Stage) -> Iterator[Plant]:
    """One below the limit of a day."""
    outlet, sender = stage.outlet(), stage.person()
    for n in range(19):
        yield stage.plant(at=n * 40 * MINUTE_MS, outlet=outlet, sender=sender)


def six_a_minute(stage: Stage) -> Iterator[Plant]:
    """A list entered six a minute, for two minutes."""
    outlet = stage.outlet()
    courier = stage.courier(outlet)
    for n in range(12):
        yield stage.plant(at=n * 11 * SECOND_MS, outlet=outlet, fields={"courier_id": courier})


def varied_copies(stage: Stage) -> Iterator[Plant]:
    """Ten copied entries, some grams apart."""
    outlet = stage.outlet()
    courier, place = stage.courier(outlet), stage.place_far_from(outlet)
    for n in range(10):
        yield stage.plant(at=n * 5 * MINUTE_MS, outlet=outlet, place=place,
                          fields={"courier_id": courier, "weight_g": 500 + 7 * n, "goods_name": "袜子"})  # fmt: skip


def spread_numbers(stage: Stage) -> Iterator[Plant]:
    """Four ID numbers in sequence, at two outlets."""
    outlets, serial = (stage.outlet(), stage.outlet()), stage.serial()
    born = np.datetime64("2005-01-01") + np.timedelta64(serial % 1_000, "D")
    province = PROVINCES[(serial // 1_000 + 18) % len(PROVINCES)]
    numbers = id_numbers(np.full(4, province * 10_000), np.full(4, born), np.arange(201, 205))
    for n, number in enumerate(numbers):
        yield stage.plant(at=n * 25 * MINUTE_MS, outlet=outlets[n % 2], fields={"sender_id_no": number})


def two_own_parcels_a_day(stage: Stage) -> Iterator[Plant]:
    """A courier's own number on two parcels a day, for two days."""
    outlet, sender = stage.outlet(), stage.person()
    courier = stage.courier(outlet)
    own = stage.world.planted_couriers[-1]["id_no"]
    for n in range(4):
        at = (n // 2) * (DAY_MS + HOUR_MS) + (n % 2) * HOUR_MS
        yield stage.plant(at=at, outlet=outlet, sender=sender, fields={"courier_id": courier, "sender_id_no": own})


def late_scans(stage: Stage) -> Iterator[Plant]:
    """Nobody looks into it before it leaves, and all scans come half a day late and more."""
    yield stage.plant(flags=journey.UNINSPECTED | journey.UPLOADED_LATE)


def unscanned_departure(stage: Stage) -> Iterator[Plant]:
    """Nobody looks into it, and the departure is not scanned."""
    yield stage.plant(flags=journey.UNINSPECTED | journey.NO_DEPARTURE)


def doubtful_late(stage: Stage) -> Iterator[Plant]:
    """It leaves in spite of a doubtful X-ray; both are uploaded late."""
    yield stage.plant(flags=journey.UNRESOLVED | journey.UPLOADED_LATE)


def four_second_box(stage: Stage) -> Iterator[Plant]:
    """A box opened for show, for four seconds."""
    yield stage.plant(flags=journey.HURRIED)


def driven_out(stage: Stage) -> Iterator[Plant]:
    """From a priority origin by car, posted elsewhere, to a priority lane, as powder."""
    yield stage.plant(
        fields={"direction": "export", "dest_country": "AU", "dest_adcode": None, "goods_name": "蛋白粉",
                "goods_form": "powder", "weight_g": 40},
    )  # fmt: skip


EVASIONS = {
    pattern.__name__: pattern
    for pattern in (
        respelt, disguised, split_lot, split_and_misdeclared, changed_senders, rotated_recipients, borrowed_numbers,
        two_names, masked_names, below_the_speed, two_provinces_a_day, nineteen_a_day, six_a_minute, varied_copies,
        spread_numbers, two_own_parcels_a_day, late_scans, unscanned_departure, doubtful_late, four_second_box,
        driven_out,
    )
}  # fmt: skip
