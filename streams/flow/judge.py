"""Judging: builds the columns that rules read, and evaluates every rule over every changed dossier in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rules import UNKNOWN, YES, Catalogue, coded, evaluate, score
from rules.engine.sql import DTYPES
from schemas.columns import COLUMNS, JOURNEY, REFERENCE
from streams.flow import layout
from streams.flow.batches import untail
from streams.flow.columns import nullable, where
from streams.flow.describe.terms import Term, term_of
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.journey import Journeys
from streams.flow.layout import FACT_COLUMNS, FLAGS, HOUR_MS, SENDER
from streams.flow.reference import EMPTY, Joined, Reference
from streams.flow.revision import changes

Rows = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Answers, score and tier of the judged dossiers; `rows` are their positions among the dossiers."""

    catalogue: Catalogue
    rows: NDArray[np.int64]
    answers: pl.DataFrame
    said: NDArray[np.uint8]  # the answers, coded
    score: NDArray[np.int32]
    tier: NDArray[np.uint8]
    absent: NDArray[np.int64]  # how many absences are decided
    due_at: NDArray[np.int64]  # event time after which the dossier must be judged again, epoch ms, or NEVER
    touched: NDArray[np.int64]  # what reference data and rule sets add to the revision
    journeys: Journeys
    joined: Joined  # columns of reference data
    read: pl.DataFrame  # the columns that rules read
    show: Callable[[NDArray[np.int64], frozenset[str]], pl.DataFrame]  # only evidence; few rows need it

    def evidence(self, at: NDArray[np.int64], names: frozenset[str]) -> pl.DataFrame:
        """These of the columns that rules read or show, for the verdicts at these positions."""
        read = [name for name in self.read.columns if name in names]
        found = self.read.select(read)[at].get_columns() if read else []
        shown = names - set(read)
        return pl.DataFrame(found + (self.show(at, shown).get_columns() if shown else []))


def judge(
    dossiers: Dossiers,
    catalogue: Catalogue,
    reference: Reference,
    event_time: NDArray[np.int64],
    *,
    home: tuple[str, ...],
    rule_set: int = 0,
    followed: bool = False,
) -> Verdicts:
    """The verdicts on all dossiers that may have a new one: a pure function of dossiers, catalogue and reference data.

    event_time: the watermark for each dossier, epoch ms. Absences that it decides are noted in the dossier.
    home: prefixes of the deployment's home places. rule_set: number of the newest set known, 0 for rules of files.
    followed: parcels are counted or drawn, so their journeys and reference data matter whatever rules read.
    """
    heads = dossiers.heads
    # If no rule reads the journey, a movement matters only to a parcel about which something was sent.
    asked = followed or bool(catalogue.columns & _JOURNEY)
    sent = (heads["emitted"] != 0) | (heads["shadowed"] != 0)
    due = dossiers.judge | (dossiers.moved & (asked | sent | (heads["present"] == 0)))
    rows = np.flatnonzero(due & ((heads["present"] == 1) | (heads["movements"] > 0)))
    tails = [dossiers.tails[row] for row in rows.tolist()]
    movements = [dossiers.movements[row] for row in rows.tolist()]
    judged, now = heads.take(rows), event_time[rows]
    journeys = Journeys(judged, movements, now, home=home, wanted=catalogue.columns)
    joined = reference.columns(judged) if followed or catalogue.reads & _JOINED else {}
    read = columns(judged, tails, journeys, catalogue.reads, joined)

    def show(at: NDArray[np.int64], wanted: frozenset[str]) -> pl.DataFrame:
        few, part_of = at.tolist(), judged.take(at)
        part = Journeys(part_of, [movements[i] for i in few], now[at], home=home, wanted=catalogue.columns)
        again = reference.columns(part_of) if wanted & _JOINED else {}
        return columns(part_of, [tails[i] for i in few], part, wanted, again)

    answers = evaluate(read, catalogue)
    said = coded(answers)
    points, tier = score(said, catalogue)
    dossiers.decided(rows, journeys.decided_at)
    # An earlier rule set may have counted reference data, and the revision must not fall.
    counts = rule_set or joins(catalogue)
    touched = changes(dossiers, rows, reference if counts else EMPTY, rule_set)
    return Verdicts(
        catalogue,
        rows,
        answers,
        said,
        points,
        tier,
        journeys.absent,
        journeys.due_at,
        touched,
        journeys,
        joined,
        read,
        show,
    )


def count_answers(said: NDArray[np.uint8], catalogue: Catalogue) -> Counter[tuple[str, str, str]]:
    """How often each rule said yes, no and unknown, by rule, mode and answer; without zeros."""
    counts: Counter[tuple[str, str, str]] = Counter()
    all_yes, all_unknown = ((said == code).sum(axis=0).tolist() for code in (YES, UNKNOWN))
    for rule, yes, unknown in zip(catalogue.rules, all_yes, all_unknown, strict=True):
        for answer, n in (("yes", yes), ("no", len(said) - yes - unknown), ("unknown", unknown)):
            if n:
                counts[rule.id, rule.mode, answer] = n
    return counts


def joins(catalogue: Catalogue) -> bool:
    """Whether any rule reads or shows reference data."""
    return not _JOINED.isdisjoint(catalogue.columns)


def columns(
    heads: Rows, tails: Sequence[bytes], journeys: Journeys, wanted: frozenset[str], joined: Joined
) -> pl.DataFrame:
    """The documented columns named in `wanted`, from HEAD rows, tails, journeys and reference data."""
    if len(heads) == 0:
        return pl.DataFrame(schema={name: DTYPES[COLUMNS[name].type] for name in COLUMNS if name in wanted})
    strings = [untail(tail) for tail in tails] if wanted & _TAIL.keys() else []
    present = None if journeys.present.all() else pl.Series(journeys.present)
    out = []
    for name in COLUMNS:
        if name not in wanted:
            continue
        if name in _JOURNEY:
            out.append(journeys.column(name))
            continue
        if name in _TAIL:
            position = _TAIL[name]
            series = pl.Series(name, [parts[position] for parts in strings], dtype=pl.String)
        elif name in joined:
            series = nullable(*joined[name]).alias(name)
        else:
            series = _BUILD[name](heads).alias(name)
        out.append(series if present is None else where(series, present))
    return pl.DataFrame(out) if out else pl.DataFrame({"picked_up_at": heads["picked_up_at"].copy()})


_JOURNEY = frozenset(column.name for column in JOURNEY)
_JOINED = frozenset(column.name for column in REFERENCE)
_TAIL = {"carrier_code": 1, "outlet_id": 3, "courier_id": 4}


def _label(labels: tuple[str, ...], field: str) -> Callable[[Rows], pl.Series]:
    table = pl.Series([*labels, None], dtype=pl.String)
    # `gather` would plan a query each time, and a numpy index is converted at a cost.
    return lambda heads: table[pl.Series(np.minimum(heads[field], len(labels)).astype(np.uint32))]


def _texts(texts: Iterable[str | None]) -> pl.Series:
    return pl.Series(list(texts), dtype=pl.String)


def _whole(field: str) -> Callable[[Rows], pl.Series]:
    return lambda heads: nullable(heads[field].astype(np.int64))


def _given(field: str) -> Callable[[Rows], pl.Series]:
    return lambda heads: nullable(heads[field].astype(np.int64), heads[field] >= 0)


def _flag(name: str, only: str | None = None) -> Callable[[Rows], pl.Series]:
    def build(heads: Rows) -> pl.Series:
        flags = heads["flags"]
        return nullable((flags & FLAGS[name]) != 0, None if only is None else (flags & FLAGS[only]) != 0)

    return build


def _adcode(field: str) -> Callable[[Rows], pl.Series]:
    return lambda heads: nullable(heads[field].astype(np.int64), heads[field] > 0).cast(pl.String)


def _answered(kind: int, column: str) -> Callable[[Rows], pl.Series]:
    return lambda heads: nullable(heads[column].astype(np.int64), heads["known"][:, kind] > 0)


def _previous_km(heads: Rows) -> pl.Series:
    km = heads["previous_km"].astype(np.float64)
    return nullable(km, (heads["known"][:, SENDER] > 0) & ~np.isnan(km))


def _previous_h(heads: Rows) -> pl.Series:
    gap = heads["previous_ms"]
    return nullable(gap / HOUR_MS, (heads["known"][:, SENDER] > 0) & (gap >= 0))


def _goods_terms(heads: Rows) -> list[Term | None]:
    return [term_of(ref) if ref else None for ref in heads["goods_term"].tolist()]


def _goods_trick(heads: Rows) -> pl.Series:
    return where(_label(layout.GOODS_TRICKS, "goods_trick")(heads), pl.Series(heads["goods_term"] != 0))


_RETAIL = layout.CUSTOMERS.index("retail")

_BUILD: dict[str, Callable[[Rows], pl.Series]] = {
    "picked_up_at": _whole("picked_up_at"),
    "pickup_adcode": _adcode("pickup_adcode"),
    "pickup_place": _label(layout.PLACES, "pickup_place"),
    "customer_type": _label(layout.CUSTOMERS, "customer_type"),
    "retail": lambda heads: nullable(heads["customer_type"] == _RETAIL),
    "direction": _label(layout.DIRECTIONS, "direction"),
    "dest_country": lambda heads: nullable(heads["dest_country"].astype("U2")).cast(pl.String),
    "dest_adcode": _adcode("dest_adcode"),
    "realname_method": _label(layout.METHODS, "realname_method"),
    "realname_check": _label(layout.CHECKS, "realname_check"),
    "sender_id_type": _label(layout.ID_TYPES, "sender_id_type"),
    "sender_id_valid": _flag("sender_id_valid", only="sender_id_checked"),
    "sender_id_fault": _label(layout.ID_FAULTS, "sender_id_fault"),
    "sender_name_masked": _flag("sender_name_masked", only="sender_name_given"),
    "sender_name_placeholder": _flag("sender_name_placeholder", only="sender_name_given"),
    "goods_class": _label(layout.GOODS_CLASSES, "goods_class"),
    "goods_term": lambda heads: _texts(term and term.name for term in _goods_terms(heads)),
    "goods_term_kind": lambda heads: _texts(term and term.kind for term in _goods_terms(heads)),
    "goods_trick": _goods_trick,
    "declared_value_fen": _given("declared_value_fen"),
    "freight_fen": _given("freight_fen"),
    "weight_g": _whole("weight_g"),
    "pieces": _whole("pieces"),
    "sender_previous_km": _previous_km,
    "sender_previous_h": _previous_h,
    "saturated": lambda heads: nullable(heads["saturated"] != 0, np.asarray((heads["known"] > 0).any(axis=1))),
    **{
        name: _flag(name)
        for name in (
            "agent_submitted",
            "sender_id_given",
            "sender_id_masked",
            "sender_name_given",
            "goods_controlled",
            "goods_hinted",
            "goods_vague",
            "priority_origin",
            "priority_lane",
        )
    },
    **{column: _answered(kind, column) for kind, names in FACT_COLUMNS.items() for column in names},
}
