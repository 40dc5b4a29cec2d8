"""The revision of a verdict: a number that rises with everything that the verdict stands on.

    revision = 2 * (8 * (facts + rule_set) + reference + absences) + full

facts: events of the parcel, and what its histories counted for each upload that it had. They only grow.
rule_set: number of the newest rule set known; 0 for rules of files. It weighs as much as a fact, because other rules
may decide fewer absences.
reference: number of the newest reference record that affects the parcel; see `Reference.touched`.
absences: how many are decided. They weigh less than a fact: a late event that takes an absence back is itself a fact
more, so the revision rises.
full: 0 while held rules may still add to the score without a new fact, else 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.flow.fold.dossiers import Dossiers
from streams.flow.layout import VERSION
from streams.flow.reference import Reference

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

BETWEEN_FACTS: Final = 8  # more than there are absences


def changes(dossiers: Dossiers, rows: Ints, reference: Reference, rule_set: int) -> Ints:
    """What rule sets and reference data add, for the dossiers at `rows`."""
    return rule_set * BETWEEN_FACTS + dossiers.touched(reference, rows)


def revisions(dossiers: Dossiers, rows: Ints, absences: Ints, changed: Ints, full: Mask) -> list[int]:
    """The revision of the verdict on each of the dossiers at `rows`. changed: as of `changes`."""
    heads = dossiers.heads.take(rows)
    facts = heads["known"].sum(axis=1, dtype=np.int64) + heads["present"] + heads["versions"] + heads["movements"]
    for position in np.flatnonzero(heads["versions"]).tolist():
        facts[position] += int(np.frombuffer(dossiers.versions[rows[position]], dtype=VERSION)["known"].sum())
    found: list[int] = (2 * (facts * BETWEEN_FACTS + changed + absences) + full).tolist()
    return found
