"""The table that reference records make: kept as packed rows, from which a `Reference` is built.

Whatever way the records are cut into pieces, the same records in the same order give the same `Reference`. Of what a
record says only what rules read is kept, and a record that repeats the one before it of its id changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.flow.reference import ALWAYS, Couriers, Index, Licences, Reference, Touched, place

Ints = NDArray[np.int64]
Refs = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.void]

_RECORD = [("key", "<u8"), ("offset", "<i8"), ("gone", "?")]  # gone: the record was deleted
ENTERPRISE = np.dtype(
    [
        *_RECORD,
        ("enterprise", "<u8"),
        ("since", "<i8"),  # ALWAYS, or epoch ms
        ("until", "<i8"),  # NEVER, or epoch ms
        ("licensed", "?"),
        ("scopes", "u1"),  # bits of SCOPES
        ("area", "<i4"),  # number of the licensed prefixes, see `Areas`
    ]
)
OUTLET = np.dtype([*_RECORD, ("outlet", "<u8"), ("enterprise", "<u8"), ("adcode", "<i4")])
COURIER = np.dtype(
    [
        *_RECORD,
        ("carrier", "<u8"),
        ("courier", "<u8"),
        ("person", "<u8"),  # tokens; 0: none that can be used
        ("phone", "<u8"),
        ("left", "<i8"),  # NEVER, or epoch ms
    ]
)
DTYPES = {"enterprise": ENTERPRISE, "outlet": OUTLET, "courier": COURIER}


class Areas:
    """Numbers for lists of prefixes; there are few different ones."""

    def __init__(self) -> None:
        self.prefixes: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}

    def number(self, prefixes: tuple[str, ...]) -> int:
        """The number of these prefixes, in whatever order."""
        prefixes = tuple(sorted(set(prefixes)))
        number = self._numbers.setdefault(prefixes, len(self.prefixes))
        if number == len(self.prefixes):
            self.prefixes.append(prefixes)
        return number

    def hold(self, adcodes: NDArray[np.int32], areas: NDArray[np.int32]) -> Mask:
        """Whether each adcode starts with one of the prefixes of its area."""
        pairs, where = np.unique(np.stack([adcodes, areas]), axis=1, return_inverse=True)
        found = [str(adcode).startswith(self.prefixes[area]) for adcode, area in pairs.T.tolist()]
        return np.array(found, dtype=np.bool_)[where.reshape(-1)]


class Table:
    """Rows of reference records. `add` them in the order of their offsets, then `build`."""

    def __init__(self) -> None:
        self.areas = Areas()
        self._kept = {kind: np.empty(0, dtype=dtype) for kind, dtype in DTYPES.items()}
        self._new: dict[str, list[Rows]] = {kind: [] for kind in DTYPES}
        self._end = 0
        self._touched: dict[str, Index] = {}

    def add(self, kind: str, rows: Rows) -> None:
        """Rows of one of DTYPES."""
        self._new[kind].append(rows)

    def read_to(self, end: int) -> None:
        """Note that all records before this offset have been read."""
        self._end = max(self._end, end)

    def build(self) -> Reference:
        """What is known now."""
        enterprises = self._enterprises()
        outlets = self._outlets()
        couriers = self._couriers()
        changes = self._changes(outlets)
        left = couriers["left"]
        return Reference(
            end=self._end,
            licences=_licences(outlets, enterprises, self.areas),
            couriers=Couriers(
                courier=_newest(couriers["courier"], left),
                person=_newest(couriers["person"], left),
                phone=_newest(couriers["phone"], left),
                carrier=_newest(couriers["carrier"], np.ones_like(left)),
            ),
            changes=changes,
            changed=changes.newest(),
            sizes={kind: len(rows) for kind, rows in self._kept.items()},
        )

    def _enterprises(self) -> Rows:
        """Versions by (enterprise, since), the newest record of each."""
        rows, before, changed = self._take("enterprise")
        self._touch("enterprise", rows, before, changed, "enterprise")
        # A deleted record removes its versions; so does a newer record of the same id without `licence_from`.
        new_key = np.ones(len(rows), dtype=np.bool_)
        new_key[1:] = rows["key"][1:] != rows["key"][:-1]
        key = np.cumsum(new_key) - 1
        cut = np.full(len(rows), -1, dtype=np.int64)
        ends = rows["gone"] | (rows["since"] == ALWAYS)
        np.maximum.at(cut, key[ends], rows["offset"][ends])
        rows = rows[(rows["offset"] >= cut[key]) & ~rows["gone"]]
        rows = _last(rows, rows["key"], rows["since"])
        self._kept["enterprise"] = rows
        return _last(rows, rows["enterprise"], rows["since"])

    def _outlets(self) -> Rows:
        rows, before, changed = self._take("outlet")
        self._touch("outlet", rows, before, changed, "outlet")
        rows = _last(rows, rows["key"])
        self._kept["outlet"] = rows = rows[~rows["gone"]]
        return _last(rows, rows["outlet"])

    def _couriers(self) -> Rows:
        living = self._kept["courier"]["carrier"]
        rows, before, changed = self._take("courier")
        for name in ("courier", "person", "phone"):
            self._touch(name, rows, before, changed, name)
        now, was = (np.where(rows["gone"], 0, rows["carrier"])[changed], _past(rows, before, "carrier")[changed])
        moves = np.flatnonzero(now != was)
        offset = rows["offset"][changed][moves]
        carriers = np.concatenate([was[moves], now[moves]])
        steps = np.repeat(np.array([-1, 1]), len(moves))
        some = carriers != 0
        carriers, steps, offset = carriers[some], steps[some], np.concatenate([offset, offset])[some]
        everyone = np.ones(len(carriers), dtype=np.uint64)
        for name, group, base in (
            ("carrier", carriers, living),
            ("everyone", everyone, np.ones(len(living), dtype=np.uint64)),
        ):
            self._note(name, *_steps_count(group, offset, steps, base))
        rows = _last(rows, rows["key"])
        self._kept["courier"] = rows[~rows["gone"]]
        return self._kept["courier"]

    def _take(self, kind: str) -> tuple[Rows, Ints, Mask]:
        """Kept and new rows by (key, offset); the row before each with the same key (-1: none); and which are new.

        A new row that equals the row before it is left out, with its offset: publishing the same data again changes
        nothing. A deleted row counts as no row.
        """
        fresh, self._new[kind] = self._new[kind], []
        rows = np.concatenate([self._kept[kind], *fresh])
        is_new = np.arange(len(rows)) >= len(self._kept[kind])
        by = np.lexsort((rows["offset"], rows["key"]))
        rows, is_new = rows[by], is_new[by]
        before = _before(rows)
        repeats = (before >= 0) | rows["gone"]
        for name in rows.dtype.names or ():
            if name != "offset":
                repeats &= (rows[name] == rows[name][before]) | (before < 0)
        rows, is_new = rows[~(is_new & repeats)], is_new[~(is_new & repeats)]
        before = _before(rows)
        return rows, np.where((before >= 0) & ~rows["gone"][before], before, -1), is_new

    def _touch(self, name: str, rows: Rows, before: Ints, changed: Mask, ref: str) -> None:
        """Note changed rows under the hashes that they name, and those that the rows before them named."""
        now, was = rows[ref][changed & ~rows["gone"]], _past(rows, before, ref)[changed]
        offsets = rows["offset"]
        self._note(
            name, np.concatenate([now, was]), np.concatenate([offsets[changed & ~rows["gone"]], offsets[changed]])
        )

    def _note(self, name: str, refs: Refs, offsets: Ints) -> None:
        old = self._touched.get(name, Index())
        self._touched[name] = _newest(np.concatenate([old.refs, refs]), np.concatenate([old.numbers, offsets + 1]))

    def _changes(self, outlets: Rows) -> Touched:
        touched = self._touched
        # A change of an enterprise is a change of its outlets.
        theirs = touched["enterprise"].get(outlets["enterprise"], 0)
        own = touched["outlet"]
        return Touched(
            outlet=_newest(np.concatenate([own.refs, outlets["outlet"]]), np.concatenate([own.numbers, theirs])),
            **{name: touched[name] for name in ("courier", "person", "phone", "carrier")},
            everyone=int(touched["everyone"].numbers.max(initial=0)),
        )


def _licences(outlets: Rows, versions: Rows, areas: Areas) -> Licences:
    """outlets: sorted by outlet; versions: sorted by (enterprise, since)."""
    first = np.searchsorted(versions["enterprise"], outlets["enterprise"])
    sizes = np.searchsorted(versions["enterprise"], outlets["enterprise"], "right") - first
    outlets, first, sizes = outlets[sizes > 0], first[sizes > 0], sizes[sizes > 0]
    outlet = np.repeat(np.arange(len(outlets)), sizes)
    version = versions[np.arange(len(outlet)) - np.repeat(np.cumsum(sizes) - sizes - first, sizes)]
    times = np.unique(version["since"])
    return Licences(
        outlets=Index(outlets["outlet"], np.arange(len(outlets))),
        times=times,
        order=place(times, outlet, version["since"]),
        outlet=outlet,
        since=version["since"],
        until=version["until"],
        licensed=version["licensed"],
        covered=areas.hold(outlets["adcode"][outlet], version["area"]),
        scopes=version["scopes"],
    )


def _before(rows: Rows) -> Ints:
    """For rows sorted by key: the row before each with the same key; -1: none."""
    before = np.arange(len(rows)) - 1
    before[1:][rows["key"][1:] != rows["key"][:-1]] = -1
    return before


def _past(rows: Rows, before: Ints, name: str) -> Refs:
    """The value of the row before; 0 if there is none."""
    if len(rows) == 0:
        return np.empty(0, dtype=np.uint64)
    return np.where(before >= 0, rows[name][before], 0).astype(np.uint64)


def _last(rows: Rows, *by: Sequence[int] | NDArray[np.generic]) -> Rows:
    """The rows sorted by the columns `by`; of equal ones, the one with the largest offset."""
    order = np.lexsort((rows["offset"], *reversed(by)))
    last = np.zeros(len(rows), dtype=np.bool_)
    last[-1:] = True
    for column in by:
        sorted_ = np.asarray(column)[order]
        last[:-1] |= sorted_[1:] != sorted_[:-1]
    return rows[order[last]]


def _newest(refs: Refs, numbers: Ints) -> Index:
    """The largest number of each; without 0."""
    order = np.lexsort((numbers, refs))
    refs, numbers = refs[order], numbers[order]
    keep = np.ones(len(refs), dtype=np.bool_)
    keep[:-1] = refs[1:] != refs[:-1]
    keep &= refs != 0
    return Index(refs[keep], numbers[keep])


def _steps_count(group: Refs, offset: Ints, steps: Ints, base: Refs) -> tuple[Refs, Ints]:
    """When a group got its first member or lost its last one: the group, and the offset of the change.

    group, offset, steps: one for each change by one. base: the group of each member before the changes.
    """
    order = np.lexsort((offset, group))
    group, offset, steps = group[order], offset[order], steps[order]
    if len(group) == 0:
        return group, offset
    refs, counts = np.unique(base, return_counts=True)
    members = Index(refs, counts.astype(np.int64))
    after = np.cumsum(steps)
    first = np.ones(len(group), dtype=np.bool_)
    first[1:] = group[1:] != group[:-1]
    starts = np.flatnonzero(first)
    after -= np.repeat(after[starts] - steps[starts], np.diff([*starts, len(group)]))
    after += members.get(group, 0)
    # All steps of one record are one change.
    whole = np.ones(len(group), dtype=np.bool_)
    whole[:-1] = (group[1:] != group[:-1]) | (offset[1:] != offset[:-1])
    group, offset, after = group[whole], offset[whole], after[whole]
    new = np.ones(len(group), dtype=np.bool_)
    new[1:] = group[1:] != group[:-1]
    before = np.empty_like(after)
    before[1:] = after[:-1]
    before[new] = members.get(group[new], 0)
    turned = (before == 0) != (after == 0)
    return group[turned], offset[turned]
