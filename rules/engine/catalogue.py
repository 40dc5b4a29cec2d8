"""The rules in force: every file of a folder, checked, with the overrides of the deployment.

The folder is the registry: `<family>/<name>.yaml` is the rule `family.name`, and nothing else registers it. Any fault
stops the whole catalogue, because a rule that is left out would look like one that says no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rules.engine.contract import SETTABLE, RuleError
from rules.engine.folder import NAME, SHIPPED, overlooked, read_files
from rules.engine.reach import needs_record, reach
from rules.engine.reading import read_yaml
from rules.engine.sql import compile_when
from schemas.columns import COLUMNS, NO_RECORD
from schemas.rulefile import PROSE, Rule, missing_languages

_OVERRIDES = "overrides"
_NONE: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The rules that are live or in shadow, sorted by id, with what is needed to run them."""

    rules: tuple[Rule, ...]
    expressions: tuple[pl.Expr, ...]
    """One per rule: its `when` with the values of the limits, named after the rule."""
    reads: frozenset[str]
    """Columns read by `when`."""
    columns: frozenset[str]
    """Columns read by `when` or shown as evidence."""
    fingerprint: str
    """16 hex digits that change whenever an answer, a score or what goes out could."""

    @cached_property
    def points(self) -> NDArray[np.int32]:
        """What a yes adds, per rule: its points; 0 for rules in shadow."""
        return np.array([rule.points if rule.mode == "live" else 0 for rule in self.rules], dtype=np.int32)

    @cached_property
    def total(self) -> pl.Expr:
        """What a row of answers earns, without a bound; where any rule has points. Equal ones count together."""
        equal: dict[int, list[str]] = {}
        for rule, points in zip(self.rules, self.points.tolist(), strict=True):
            equal.setdefault(points, []).append(rule.id)
        earned = [pl.sum_horizontal(ids).cast(pl.Int32) * points for points, ids in equal.items() if points]
        return pl.sum_horizontal(earned).cast(pl.Int32)

    @cached_property
    def shadow(self) -> tuple[str, ...]:
        """Ids of the rules in shadow."""
        return tuple(rule.id for rule in self.rules if rule.mode == "shadow")

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        return MappingProxyType({rule.id: rule for rule in self.rules})

    def alone(self, rule_id: str) -> Catalogue:
        """One of its rules by itself: its answers are the same, for a fraction of the cost."""
        place = next(place for place, rule in enumerate(self.rules) if rule.id == rule_id)
        return _assemble([self.rules[place]], [self.expressions[place]])


def load_catalogue(
    root: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] = _NONE,
    *,
    only: Collection[str] | None = None,
    with_off: bool = False,
) -> Catalogue:
    """Every rule below `root` (default: those shipped), checked and compiled.

    overrides: by rule id, values for its limits by name, and for `points`, `mode` and `budget`.
    only: families or rule ids to keep; the others are checked, too.
    with_off: also keep rules whose mode is off, for callers that show or check rules instead of running them.

    Raises RuleError, naming file and field, for any fault in a rule or an override.
    """
    folder = SHIPPED if root is None else root
    for fault in overlooked(folder):
        raise fault
    return load_files(read_files(folder), overrides, folder=folder, only=only, with_off=with_off)


def load_files(
    files: Mapping[str, bytes],
    overrides: Mapping[str, Mapping[str, Any]] = _NONE,
    *,
    folder: Path,
    only: Collection[str] | None = None,
    with_off: bool = False,
) -> Catalogue:
    """The same from the bytes of files by rule id. `folder`: how errors name the place where they come from."""
    rules = {}
    compiled = {}
    for rule_id, data in sorted(files.items()):
        family, dot, name = rule_id.partition(".")
        if not (dot and NAME.fullmatch(family) and NAME.fullmatch(name)):
            raise RuleError(str(folder), rule_id, "not the id of a rule: family.name")
        file = str(folder / family / f"{name}.yaml")
        rule, expression = load_rule(rule_id, data, file, overrides.get(rule_id, {}))
        rules[rule_id], compiled[rule_id] = rule, expression
    if not rules:
        raise RuleError(str(folder), "", "no rules here (<family>/<name>.yaml)")
    for name in overrides:
        if name not in rules:
            raise RuleError(_OVERRIDES, name, "no such rule")
    _check_titles(rules.values(), folder)
    chosen = [rule for rule in _choose(rules.values(), only) if with_off or rule.mode != "off"]
    return _assemble(chosen, [compiled[rule.id] for rule in chosen])


def load_rule(
    rule_id: str, data: bytes, file: str, overrides: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Rule, pl.Expr]:
    """One rule from its file's bytes, with its expression named after it. Raises RuleError."""
    rule, expression = _as_written(rule_id, data, file)  # an override must not hide a fault of the file
    if overrides:
        rule = _override(rule, overrides)
        expression = compile_when(rule.when, rule.limits, f"{_OVERRIDES} of {file}")
        _check_unknown(rule, expression, file)
    return rule, expression.alias(rule_id)


@lru_cache(512)  # a push, a comparison and lint load the same files again and again
def _as_written(rule_id: str, data: bytes, file: str) -> tuple[Rule, pl.Expr]:
    """The rule of a file and its expression, without overrides."""
    fields = read_yaml(data, file)
    if "id" in fields:
        raise RuleError(file, "id", "not written in a rule: its place is its id")
    try:
        rule = msgspec.convert({**fields, "id": rule_id}, Rule)
    except msgspec.ValidationError as error:
        problem, field = told(error)
        raise RuleError(file, field, problem) from None
    _check_languages(rule, file)
    check_rule(rule, file)
    expression = compile_when(rule.when, rule.limits, file)
    _check_unknown(rule, expression, file)
    return rule, expression


def _check_unknown(rule: Rule, expression: pl.Expr, file: str) -> None:
    if rule.never_unknown and reach(rule, expression).unknown:
        raise RuleError(file, "never_unknown", _why_unknown(expression))


def _why_unknown(expression: pl.Expr) -> str:
    """Why a rule that reads these columns can be unknown."""
    reads = sorted(set(expression.meta.root_names()))
    for name in reads:
        if COLUMNS[name].null:
            return f"{name} can be null: {COLUMNS[name].null}"
    name = next(name for name in reads if needs_record(name))
    return f"{name} can be null: a parcel may have scans and {NO_RECORD}. Leave never_unknown out, and add such a case"


def _check_languages(rule: Rule, file: str) -> None:
    for name in ("title", *PROSE):
        for language in missing_languages(getattr(rule, name)):
            raise RuleError(file, f"{name}.{language}", "missing")


def check_rule(rule: Rule, file: str) -> None:
    """Check what the types of the contract cannot express."""
    for name, limit in rule.limits.items():
        if not NAME.fullmatch(name) or name in SETTABLE:
            raise RuleError(file, f"limits.{name}", "not a name for a limit")
        _check_limit(limit, file, f"limits.{name}")
    for name in rule.evidence:
        if name not in COLUMNS:
            raise RuleError(file, "evidence", f"{name} is not among the documented columns")
    for field, values in (
        ("evidence", rule.evidence),
        ("actions", rule.actions),
        ("cases", [case.name for case in rule.cases]),
    ):
        if len(set(values)) < len(values):
            raise RuleError(file, field, "holds something twice")


def _check_limit(limit: object, file: str, field: str) -> None:
    if isinstance(limit, list):
        if not limit or len({type(item) for item in limit}) > 1 or isinstance(limit[0], list):
            raise RuleError(file, field, "a list holds one kind of value, and at least one")
        for item in limit:
            _check_limit(item, file, field)
    elif isinstance(limit, float) and not np.isfinite(limit):
        raise RuleError(file, field, "not a finite number")
    elif isinstance(limit, bool) or not isinstance(limit, int | float | str):
        raise RuleError(file, field, "a limit is a number, a text, or a list of these")


def _override(rule: Rule, overrides: Mapping[str, Any]) -> Rule:
    """The rule with a deployment's values; each must be of the kind that the rule itself has."""
    changes: dict[str, Any] = {}
    limits = dict(rule.limits)
    for name, value in overrides.items():
        field = f"{rule.id}.{name}"
        if name in SETTABLE:
            changes[name] = value
            continue
        if name not in limits:
            known = ", ".join([*limits, *SETTABLE])
            raise RuleError(_OVERRIDES, field, f"no such limit, the rule has {known}")
        _check_limit(value, _OVERRIDES, field)
        before = limits[name]
        if type(value) is not type(before) and not (isinstance(before, float) and isinstance(value, int)):
            raise RuleError(_OVERRIDES, field, f"is {type(value).__name__}, the rule has {type(before).__name__}")
        if isinstance(value, list) and isinstance(before, list) and type(value[0]) is not type(before[0]):
            raise RuleError(_OVERRIDES, field, f"holds {type(value[0]).__name__}, the rule {type(before[0]).__name__}")
        limits[name] = value
    try:  # structs.replace does not validate
        return msgspec.convert({**msgspec.to_builtins(rule), **changes, "limits": limits}, Rule)
    except msgspec.ValidationError as error:
        problem, field = told(error)
        raise RuleError(_OVERRIDES, f"{rule.id}.{field}", problem) from None


def told(error: msgspec.ValidationError) -> tuple[str, str]:
    """The problem that msgspec found, and its field: "Expected `int`, got `str` - at `$.points`"."""
    problem, _, path = str(error).partition(" - at ")
    if path.startswith("`key` in ") and (name := problem.partition("Invalid enum value ")[2]):
        problem = f"{name} is no name here; a text with a comma in it stands in quotes"  # {en: Scanned, and gone}
    return problem, path.removeprefix("`key` in ").strip("`").removeprefix("$").removeprefix(".")


def _check_titles(rules: Collection[Rule], folder: Path) -> None:
    seen: dict[str, str] = {}
    for rule in rules:
        for language, title in rule.title.items():
            other = seen.setdefault(f"{language}:{title.casefold().strip()}", rule.id)
            if other != rule.id:
                file = str(folder / (rule.id.replace(".", "/") + ".yaml"))
                raise RuleError(file, f"title.{language}", f"the same as that of {other}")


def _choose(rules: Collection[Rule], only: Collection[str] | None) -> list[Rule]:
    if isinstance(only, str):
        raise TypeError("only: a collection of families or rule ids, not one text")
    known = {rule.id for rule in rules} | {rule.id.partition(".")[0] for rule in rules}
    for name in only or ():
        if name not in known:
            raise RuleError("only", name, "no such rule or family")
    return sorted(
        (rule for rule in rules if only is None or rule.id in only or rule.id.partition(".")[0] in only),
        key=lambda rule: rule.id,
    )


def _assemble(rules: list[Rule], expressions: list[pl.Expr]) -> Catalogue:
    reads = frozenset(name for expression in expressions for name in expression.meta.root_names())
    parts = [
        [rule.id, rule.version, rule.mode, rule.when, dict(sorted(rule.limits.items())), rule.points, rule.category]
        + ([] if rule.budget is None else [rule.budget])
        for rule in rules
        if rule.mode != "off"
    ]
    return Catalogue(
        rules=tuple(rules),
        expressions=tuple(expressions),
        reads=reads,
        columns=reads | {name for rule in rules for name in rule.evidence},
        fingerprint=hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16],
    )
