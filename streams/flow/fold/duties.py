"""What one parcel counts for in the tallies: its kind, duties due and done, and what is notable, each as one bit.

A function of the parcel's dossier and of reference data, and of no clock: a duty that goes by the journey is due once
the parcel has departed, and an inspection that is reported later makes it done. What cannot be known is in neither
count. The one exception is `ghost`, which comes with `unmoved_48h` and its deadline.
"""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from rules import THRESHOLDS
from schemas.terms import CustomerType, Duty, Tier
from streams.flow import layout
from streams.flow.fold.journey import NEVER, Journeys
from streams.flow.layout import FLAGS, HOUR_MS, OPEN
from streams.flow.reference import Joined

Mask = NDArray[np.bool_]
Bits = NDArray[np.uint32]

FORMAL_MS: Final = 3_000
"""Nobody opens a parcel, looks through it and closes it within less."""
TOO_FAST_MS: Final = 12 * HOUR_MS
"""No parcel is delivered in another province within less."""
LATE_MS: Final = HOUR_MS

DUTIES: Final[tuple[Duty, ...]] = get_args(Duty)
MARKS: Final = ("formal_open_box", "powder_liquid", "priority_lane", "ghost", "too_fast", "late_upload")
ALERTED: Final[tuple[Tier, ...]] = get_args(Tier)
KINDS: Final[tuple[CustomerType, ...]] = get_args(CustomerType)
COUNTED: Final = (
    *(f"parcels.{kind}" for kind in KINDS),
    *(f"{duty}.{state}" for duty in DUTIES for state in ("due", "done")),
    *MARKS,
    *(f"alerts.{tier}" for tier in ALERTED),
)
"""What is counted, by bit. Every parcel that counts has the bit of its kind."""
BITS: Final = 32

_RETAIL, _LETTER = layout.CUSTOMERS.index("retail"), layout.CUSTOMERS.index("letter")
_PASS = layout.CHECKS.index("pass")
_FORMS = [layout.GOODS_CLASSES.index(name) for name in ("powder", "liquid")]


def counted(journeys: Journeys, joined: Joined, emitted: NDArray[np.uint8], sent: NDArray[np.uint8]) -> Bits:
    """The bits of each parcel that `journeys` has; 0 where no shipment stands.

    joined: columns of reference data. emitted, sent: whether an alert is open, and its score, as of now.
    """
    kinds, tier = journeys.heads["customer_type"], np.searchsorted(THRESHOLDS, sent, side="right")
    columns = {
        **{f"parcels.{name}": kinds == code for code, name in enumerate(KINDS)},
        **_marks(journeys),
        **{f"alerts.{name}": (emitted == OPEN) & (tier == code) for code, name in enumerate(ALERTED, 1)},
    }
    for duty, (due, done) in _duties(journeys, joined).items():
        columns |= {f"{duty}.due": due, f"{duty}.done": due & done}
    flags = np.zeros((len(kinds), BITS), dtype=np.bool_)
    for bit, name in enumerate(COUNTED):
        flags[:, bit] = columns[name]
    bits = np.packbits(flags, axis=1, bitorder="little").view("<u4").reshape(-1)
    return np.where(journeys.present, bits, np.uint32(0))


def _duties(journeys: Journeys, joined: Joined) -> dict[Duty, tuple[Mask, Mask]]:
    """By duty, for which parcels it is due as far as is known, and for which it is done."""
    heads, flags = journeys.heads, journeys.heads["flags"]
    possible = (flags & FLAGS["sender_id_checked"] == 0) | (flags & FLAGS["sender_id_valid"] != 0)
    identified = (heads["realname_check"] == _PASS) & (flags & FLAGS["sender_id_given"] != 0) & possible
    left = (journeys.departed_at != NEVER) & (heads["customer_type"] != _LETTER)
    delivered = (journeys.home_delivery_at != NEVER) & (flags & FLAGS["priority_origin"] != 0)
    in_force, known = joined["licence_in_force"]
    covered = joined["licence_covers_place"][0] & joined["licence_covers_service"][0]
    return {
        "realname": (heads["customer_type"] == _RETAIL, identified),
        "open_box": (left, journeys.opened_at(FORMAL_MS) <= journeys.departed_at),
        "xray": (left, journeys.xray_at <= journeys.departed_at),
        "second_xray": (delivered, journeys.second_xray_at < journeys.home_delivery_at),
        "licensed": (np.ones_like(in_force) if known is None else known, in_force & covered),
        "registered": (joined["couriers_loaded"][0], joined["courier_registered"][0]),
    }


def _marks(journeys: Journeys) -> dict[str, Mask]:
    heads = journeys.heads
    return {
        "formal_open_box": journeys.opened_within(FORMAL_MS),
        "powder_liquid": np.isin(heads["goods_class"], _FORMS),
        "priority_lane": heads["flags"] & FLAGS["priority_lane"] != 0,
        "ghost": journeys.decided("unmoved_48h"),
        "too_fast": journeys.delivered_elsewhere_at < heads["picked_up_at"] + TOO_FAST_MS,
        "late_upload": heads["version_at"] - heads["picked_up_at"] > LATE_MS,
    }
