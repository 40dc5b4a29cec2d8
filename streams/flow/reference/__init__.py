"""Reference data as rules read them: licences of outlets, and who is a courier, at the time of pickup.

A `Reference` never changes; `streams.flow.reference.table` builds it from records. Texts are looked up by hash,
persons by state token, all of a batch at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.terms import Scope
from streams.flow import layout

Ints = NDArray[np.int64]
Refs = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.void]
Joined = Mapping[str, tuple[Mask, Mask | None]]
"""Columns of reference data, each with where it has a value (None: everywhere)."""

ALWAYS, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
# The scope that a direction needs, by its code: a bit of SCOPES.
_SERVICE = np.array(
    [1 << SCOPES.index("international" if name in ("export", "import") else name) for name in layout.DIRECTIONS],
    dtype=np.uint8,
)
_RETAIL = layout.CUSTOMERS.index("retail")


@dataclass(frozen=True, slots=True)
class Index:
    """A number by hash or token; 0 stands for none."""

    refs: Refs = field(default_factory=lambda: np.empty(0, dtype=np.uint64))  # sorted
    numbers: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def get(self, refs: NDArray[np.unsignedinteger], default: int) -> Ints:
        """The number of each, or `default` if there is none."""
        if len(self.refs) == 0:
            return np.full(len(refs), default, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.refs, refs), len(self.refs) - 1)
        return np.where(self.refs[at] == refs, self.numbers[at], default)


@dataclass(frozen=True, slots=True)
class Licences:
    """The licences of outlets: for each outlet those of its enterprise, by the time from which they are valid.

    A row is valid from `since` until the `since` of the next row of its outlet. It is in force if `licensed`, until
    `until`.
    """

    outlets: Index = field(default_factory=Index)  # number of each outlet whose enterprise is known
    times: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # every `since`, sorted, once
    order: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # `place` of each row, hence sorted
    outlet: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    since: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    until: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    licensed: Mask = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    covered: Mask = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    scopes: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    def columns(self, heads: Rows) -> Mapping[str, tuple[Mask, Mask | None]]:
        """The columns on licences, each with where it has a value (None: everywhere)."""
        outlet, at = self.outlets.get(heads["outlet"], -1), heads["picked_up_at"]
        known = outlet >= 0
        if len(self.outlet) == 0:
            none = np.zeros(len(heads), dtype=np.bool_)
            return {"outlet_known": (none, None), **dict.fromkeys(_LICENCE, (none, none))}
        row = np.maximum(np.searchsorted(self.order, place(self.times, outlet, at), "right") - 1, 0)
        holds = known & (self.outlet[row] == outlet) & (self.since[row] <= at)
        in_force = holds & self.licensed[row] & (at < self.until[row])
        service = (self.scopes[row] & _SERVICE[heads["direction"]]) != 0
        return {
            "outlet_known": (known, None),
            "licence_in_force": (in_force, known),
            "licence_covers_place": (in_force & self.covered[row], in_force),
            "licence_covers_service": (in_force & service, in_force),
        }


def place(times: Ints, outlet: Ints, at: Ints) -> Ints:
    """One number for (outlet, time) that sorts like the pair, for the times in `times`."""
    return outlet * (len(times) + 1) + np.searchsorted(times, at, "right")


_LICENCE = ("licence_in_force", "licence_covers_place", "licence_covers_service")


@dataclass(frozen=True, slots=True)
class Couriers:
    """When couriers left (NEVER: they have not), by CARRIER:courier_id and by the tokens of ID number and phone."""

    courier: Index = field(default_factory=Index)
    person: Index = field(default_factory=Index)
    phone: Index = field(default_factory=Index)
    carrier: Index = field(default_factory=Index)  # carriers that have any couriers

    def columns(self, heads: Rows) -> Mapping[str, tuple[Mask, Mask | None]]:
        """The columns on couriers, each with where it has a value (None: everywhere)."""
        at, person, phone = heads["picked_up_at"], heads["person"], heads["entity"][:, layout.PHONE]
        asked = (heads["customer_type"] == _RETAIL) & bool(len(self.courier.refs))
        return {
            "couriers_loaded": (self.carrier.get(heads["carrier"], 0) > 0, None),
            "courier_registered": (self.courier.get(heads["courier"], ALWAYS) > at, None),
            "sender_id_is_courier": (self.person.get(person, ALWAYS) > at, asked & (person != 0)),
            "sender_phone_is_courier": (self.phone.get(phone, ALWAYS) > at, asked & (phone != 0)),
        }


@dataclass(frozen=True, slots=True)
class Touched:
    """By hash or token, the number (from 1) of the newest record that changed what is known about it."""

    outlet: Index = field(default_factory=Index)  # records of its enterprise count, too
    courier: Index = field(default_factory=Index)
    person: Index = field(default_factory=Index)
    phone: Index = field(default_factory=Index)
    carrier: Index = field(default_factory=Index)  # when its first courier came, or its last one left
    everyone: int = 0  # when the very first courier came, or the very last one left

    def newest(self) -> int:
        """The newest of all of them."""
        indexes = (self.outlet, self.courier, self.person, self.phone, self.carrier)
        return max(self.everyone, *(int(index.numbers.max(initial=0)) for index in indexes))


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known after the first `end` records. `sizes`: valid records by kind."""

    end: int = 0
    licences: Licences = field(default_factory=Licences)
    couriers: Couriers = field(default_factory=Couriers)
    changes: Touched = field(default_factory=Touched)
    changed: int = 0  # `changes.newest()`
    sizes: Mapping[str, int] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)  # kinds of which every record was refused, and why

    def faults(self) -> list[str]:
        """One sentence for each kind that is silent, and what to do."""
        return [
            f"every {kind} record was refused ({why}); rules that read them do not know. "
            "Send them as their schema asks, see schemas/json/reference.schema.json"
            for kind, why in self.silent.items()
        ]

    def columns(self, heads: Rows) -> dict[str, tuple[Mask, Mask | None]]:
        """Every column of `schemas.columns.REFERENCE` for HEAD rows, with where it has a value (None: everywhere)."""
        return {**self.licences.columns(heads), **self.couriers.columns(heads)}

    def touched(self, rows: Rows, phone: Refs) -> Ints:
        """The number (from 1) of the newest record that affects each upload; 0 for none.

        rows: HEAD or VERSION rows. phone: their phone tokens. The number is a part of the revision: it never falls when
        records come, and does not depend on how they were read.
        """
        changes = self.changes
        found = np.full(len(rows), changes.everyone, dtype=np.int64)
        for name in ("outlet", "courier", "person", "carrier"):
            np.maximum(found, getattr(changes, name).get(rows[name], 0), out=found)
        return np.maximum(found, changes.phone.get(phone, 0))


EMPTY = Reference()
