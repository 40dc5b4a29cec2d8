"""Measures: what a history says about an observation, declared.

A history holds the observations of one entity: a sender's parcels, say. A measure is one figure about an observation,
over those in the trailing window that ends with it, by event time: t - window < o <= t. What a later upload superseded
does not count. Nor does an observation whose attribute is not given, if the measure is over one.

| figure | what it is |
|---|---|
| `count` | how many observations |
| `distinct` | how many different values of the attribute |
| `sum`, `min`, `max` | of the values |
| `span` | the largest value less the smallest |
| `previous` | the value less that of the observation before; nothing if there is none in the window |
| `distance` | km from the place of the observation before; likewise |

What is kept of an observation, and what an attribute of it is called, is in `ATTRIBUTES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Figure = Literal["count", "distinct", "sum", "min", "max", "span", "previous", "distance"]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_EVERYWHERE: Final = ("at", "place", "province")  # time of pickup (epoch ms), adcode of pickup, its first two digits
ATTRIBUTES: Final = MappingProxyType(
    {
        "sender": (*_EVERYWHERE, "name", "outlet"),
        "phone": (*_EVERYWHERE, "person"),
        "recipient": (*_EVERYWHERE, "person"),  # the sender's ID, if the parcel is from a priority origin
        "courier": (*_EVERYWHERE, "person", "clone"),  # clone: weight, goods name and destination together
        "outlet_prefix": (*_EVERYWHERE, "person"),
    }
)
"""The attributes that the history of each entity keeps. Names and persons are tokens."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. Raises ValueError for one that cannot be.

    name: what a dossier calls the figure. entity: whose history. attribute: what the figure is over; for `count` it may
    be empty. same: only observations with the same value of this attribute. earlier: without the observation itself,
    which only a count may ask for.
    """

    name: str
    entity: str
    figure: Figure
    window_ms: int
    attribute: str = ""
    same: str = ""
    earlier: bool = False

    def __post_init__(self) -> None:
        kept = ATTRIBUTES.get(self.entity, ())
        for attribute in (self.attribute, self.same):
            if attribute and attribute not in kept:
                raise ValueError(f"{self.name}: the history of {self.entity} does not keep {attribute}")
        if not self.attribute and self.figure != "count":
            raise ValueError(f"{self.name}: {self.figure} of what? attribute is missing")
        if self.figure == "distance" and self.attribute != "place":
            raise ValueError(f"{self.name}: a distance is between places, not between values of {self.attribute}")
        if self.earlier and self.figure != "count":
            raise ValueError(f"{self.name}: earlier is for counts")
        if self.window_ms <= 0:
            raise ValueError(f"{self.name}: the window must be longer than 0")


MEASURES: Final = (
    Measure("sender_parcels_24h", "sender", "count", DAY_MS),
    Measure("sender_earlier_90d", "sender", "count", 90 * DAY_MS, earlier=True),
    Measure("sender_names_90d", "sender", "distinct", 90 * DAY_MS, "name"),
    Measure("sender_outlets_90d", "sender", "distinct", 90 * DAY_MS, "outlet"),
    Measure("sender_provinces_24h", "sender", "distinct", DAY_MS, "province"),
    Measure("previous_km", "sender", "distance", 90 * DAY_MS, "place"),
    Measure("previous_ms", "sender", "previous", 90 * DAY_MS, "at"),
    Measure("phone_ids_30d", "phone", "distinct", 30 * DAY_MS, "person"),
    Measure("phone_parcels_24h", "phone", "count", DAY_MS),
    Measure("recipient_senders_14d", "recipient", "distinct", 14 * DAY_MS, "person"),
    Measure("courier_ids_60s", "courier", "distinct", MINUTE_MS, "person"),
    Measure("courier_clones_1h", "courier", "count", HOUR_MS, same="clone"),
    Measure("courier_clone_ids_1h", "courier", "distinct", HOUR_MS, "person", same="clone"),
    Measure("outlet_prefix_ids_24h", "outlet_prefix", "distinct", DAY_MS, "person"),
)
"""The measures that this version keeps."""
