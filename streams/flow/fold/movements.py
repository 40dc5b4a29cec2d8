"""Folds movements into dossiers: a set by event id, in order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.flow import layout
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.runs import SPAN, runs
from streams.flow.layout import MOVEMENT

Rows = NDArray[np.void]
Ints = NDArray[np.int64]

MOVEMENTS_MAX = 256
_APART = np.uint64(0x9E3779B97F4A7C15)


def fold_movements(dossiers: Dossiers, owner: Ints, rows: Rows) -> None:
    """Append movements that are newer than all others of their dossier; merge late or repeated ones carefully."""
    if len(rows) == 0:
        return
    if (library := dossiers.library) is not None:
        found = library.fold_movements(dossiers.movements, owner.tobytes(), rows.tobytes(), MOVEMENTS_MAX)
        changed, lengths = np.frombuffer(found[0], dtype=np.int64), np.frombuffer(found[1], dtype=np.uint16)
        dossiers.heads["movements"][changed] = lengths
        dossiers.changed[changed] = dossiers.moved[changed] = True
        return
    by = np.argsort(owner * SPAN + rows["at"], kind="stable")
    rows, owner = rows.take(by), owner[by]
    starts = runs(owner)[1]
    touched = owner[starts]
    careful = _doubtful(owner, rows)
    raw, ids, size = rows.tobytes(), rows["id"].tobytes(), MOVEMENT.itemsize
    movements, full, from_bytes = dossiers.movements, MOVEMENTS_MAX * size, int.from_bytes
    ends = [*starts[1:].tolist(), len(rows)]
    for i, at, start, end in zip(touched.tolist(), rows["at"][starts].tolist(), starts.tolist(), ends, strict=True):
        kept, more = movements[i], raw[size * start : size * end]
        # The bytes of an id may also match across two fields; the careful way finds out.
        if (
            len(kept) + len(more) > full
            or (
                kept
                and (
                    at <= from_bytes(kept[-size : 8 - size], "little")  # time of the last movement, its first field
                    or any(ids[8 * row : 8 * row + 8] in kept for row in range(start, end))
                )
            )
        ):
            careful.add(i)
        elif i not in careful:
            movements[i] = kept + more
    if careful:
        _merge_movements(dossiers, owner, rows, careful)
    sizes = np.array([len(movements[i]) // size for i in touched.tolist()])
    grown = touched[sizes > dossiers.heads["movements"][touched]]
    dossiers.heads["movements"][touched] = sizes
    dossiers.changed[grown] = dossiers.moved[grown] = True


def _doubtful(owner: Ints, rows: Rows) -> set[int]:
    """The owners of which two of these rows, in order, have one time or one id."""
    once = rows["id"] ^ (owner.astype(np.uint64) * _APART)
    in_order = np.sort(once)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    doubtful = owner[np.isin(once, twice)] if len(twice) else owner[:0]
    together = owner[1:][(owner[1:] == owner[:-1]) & (rows["at"][1:] == rows["at"][:-1])]
    return {*doubtful.tolist(), *together.tolist()}


def _merge_movements(dossiers: Dossiers, owner: Ints, rows: Rows, careful: set[int]) -> None:
    """Sort by time and id, one row per id; keep the earliest MOVEMENTS_MAX of each dossier."""
    touched = np.array(sorted(careful), dtype=np.int64)
    mine = np.isin(owner, touched)
    own = np.searchsorted(touched, owner[mine])
    kept = [dossiers.movements[i] for i in touched.tolist()]
    lengths = np.array([len(raw) for raw in kept], dtype=np.int64) // MOVEMENT.itemsize
    group = np.concatenate([np.repeat(np.arange(len(touched)), lengths), own])
    everything = layout.joined([*kept, rows.compress(mine)], MOVEMENT)
    by = np.lexsort((everything["at"], everything["id"], group))
    first = np.ones(len(by), dtype=np.bool_)
    first[1:] = (group[by][1:] != group[by][:-1]) | (everything["id"][by][1:] != everything["id"][by][:-1])
    by = by[first]
    by = by[np.lexsort((everything["id"][by], everything["at"][by], group[by]))]
    sizes = np.bincount(group[by], minlength=len(touched))
    if sizes.max() > MOVEMENTS_MAX:
        rank = np.arange(len(by)) - (np.cumsum(sizes) - sizes)[group[by]]
        by = by[rank < MOVEMENTS_MAX]
        sizes = np.minimum(sizes, MOVEMENTS_MAX)
    raw = everything.take(by).tobytes()
    start = 0
    for i, before, end in zip(touched.tolist(), kept, (np.cumsum(sizes) * MOVEMENT.itemsize).tolist(), strict=True):
        dossiers.movements[i] = raw[start:end]
        start = end
        if dossiers.movements[i] != before:
            dossiers.changed[i] = dossiers.moved[i] = True
