"""State of earlier formats, brought to the present one, value by value.

A step leads from one format to the next. It is a pure function of a value and of the kind of its record, and it knows
the layouts that it is about by itself: those of `streams.flow.layout` are of the present. Where a step has nothing to
say of a kind, only the format changes. Keys stay as they are.

What is read goes through `upgrade`, in `streams.state.partition`, and is written anew, so that the changelog holds
nothing of an earlier format some minutes later, and the next format need not know this one's predecessor.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, Literal

from schemas import topics
from streams.flow.fold import histories, tallies
from streams.state.format import FORMAT
from streams.state.store import END, FIRST

Kind = Literal["dossier", "listed", "base", "owed", "bucket", "note"]
Step = Mapping[Kind, Callable[[bytes], bytes]]


def upgrade(store: str, key: bytes, value: bytes) -> bytes:
    """A value of a store in the present format. store: its changelog topic."""
    kind = kind_of(store, key)
    while (number := value[0]) < FORMAT:
        change = STEPS[number].get(kind)
        value = bytes([number + 1]) + (change(value) if change else value)[1:]
    return value


def kind_of(store: str, key: bytes) -> Kind:
    """What a record is."""
    if store == topics.HISTORIES_CHANGELOG and key < END and len(key) == histories.KEY_BYTES:
        return "bucket"
    if key < FIRST:
        return "note"
    if key < END:
        return "dossier"
    if key.startswith(tallies.BASE):
        return "base"
    return "owed" if key.startswith(tallies.OWED) else "listed"


# 10 to 11: a dossier says with which probability the random arm chose it, and not only that it did.

_ORDERED_10: Final = slice(60, 61)
_DRAWN_10: Final = slice(52, 60)
_DRAW_AGAIN: Final = bytes(8) + struct.pack("<d", 1.0)  # by no scan yet; and chosen, so that its order can be withdrawn


def _dossier_10(value: bytes) -> bytes:
    """The probability is that of the share in force then, which nobody kept. So whoever was chosen is drawn again with
    its next event, by the same seed: with the same share the draw is the same."""
    drawn = _DRAW_AGAIN if value[_ORDERED_10] != b"\0" else value[_DRAWN_10] + bytes(8)
    return value[: _DRAWN_10.start] + drawn + value[_ORDERED_10.stop :]


STEPS: Final[Mapping[int, Step]] = {10: {"dossier": _dossier_10}}
"""By the format from which a step leads to the next."""
