"""Histories folded by the native library. `streams.flow.fold.histories` is the reference, and answers the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.measures import MEASURES, Measure
from streams import native
from streams.flow.describe.place import distance_km
from streams.flow.fold.histories import KEY, Begun, Facts, ends, place_of
from streams.flow.front.tables import fingerprint
from streams.flow.layout import FACT, KEPT, KINDS, SPAN_MS
from streams.state.store import Store

Rows = NDArray[np.void]
Ints = NDArray[np.int64]


def library_of(switch: native.Switch, bucket_rows_max: int, measures: Sequence[Measure] = MEASURES) -> Any | None:
    """What folds histories by these measures; None where Python does."""
    library = native.library(switch, fingerprint())
    if library is None:
        return None
    declared = [[_declared(each) for each in measures if each.entity == entity] for entity in KINDS]
    return library.Histories(SPAN_MS.tolist(), declared, bucket_rows_max)


def fold(library: Any, store: Store, observations: Rows, partitions: Ints, *, begun: Begun | None = None) -> Facts:
    """As `histories.fold`. library: see `library_of`."""
    found, stored, far = library.fold(observations.tobytes(), partitions.tolist(), store.load)
    numbers, keys, values, new = stored
    store.put(numbers, keys, values)
    if begun is not None:
        named = np.array([keys[i] for i in new], dtype=f"V{KEY.itemsize}").view(KEY)
        kinds = named["kind"].astype(np.int64)
        begun([numbers[i] for i in new], [keys[i] for i in new], kinds, ends(named))
    facts = np.frombuffer(found[0], dtype=FACT)
    rows, from_here, to = (np.frombuffer(each, dtype="<i4") for each in far)
    facts["previous_km"][rows] = distance_km(from_here, to)
    return Facts(facts, np.frombuffer(found[1], dtype=np.uint16))


def _declared(measure: Measure) -> tuple[object, ...]:
    kept = KEPT[measure.entity]
    over, same = (kept.get(attribute) for attribute in (measure.attribute, measure.same))
    return measure.figure, measure.window_ms, over, same, measure.earlier, place_of(measure)
