"""Compiles a rule's `when` into one polars expression, and refuses what would not keep three-valued logic.

`polars.sql_expr` parses. Before it, the values of limits are inserted and the text is read token by token; after it,
the tree of the expression is checked node by node. Both guard against behaviour of polars 2.1:

- `b IS TRUE` becomes `b = TRUE`: null where SQL says false. Refused.
- `1_000` and `a AS b` become an alias that is dropped, so that `n > 1_000` compares with 1. Refused.
- `1.5` becomes a Decimal, and its products can overflow with an error at run time. As `1.5e0` it is a Float64.
- `MAX(n)`, `COUNT(*)`, `ROW_NUMBER()`, sub-queries: the answer would depend on the batch. Refused.
- `CURRENT_TIMESTAMP` is the time of compiling. Refused.
- Products of Int64 wrap around without an error. Refused unless one side is a decimal; sums cannot reach 2**63.
- `x / 0` is infinite, `0 / 0` is NaN, and NaN is greater than all numbers. A divisor must be a literal other than zero.
- `flag = 'true'`, `n > TRUE` and `NOT n` compare by casting. Refused.
- `GREATEST`, `LEAST` and `CONCAT` skip nulls, `LENGTH` is unsigned, casts fail on some values. Refused.
- LIKE has no escape character; `%` and `_` always stand for any characters, line breaks included.

COALESCE, CASE and IS [NOT] NULL work as in SQL: with them an author decides what a null means.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from rules.engine.contract import RuleError
from schemas.columns import COLUMNS
from schemas.rulefile import Limit

DTYPES: Final[dict[str, pl.DataType]] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
}
INTEGER_MAX: Final = 2**53
"""No documented column exceeds it. Integers up to it are exact as Float64, and a thousand of them can be added."""

_SAMPLE: Final[dict[str, Any]] = {"string": "x", "integer": 1, "number": 1.0, "boolean": True}
_PROBE: Final = pl.DataFrame(
    {name: [None, _SAMPLE[column.type]] for name, column in COLUMNS.items()},
    schema={name: DTYPES[column.type] for name, column in COLUMNS.items()},
)
"""A row of nulls and one of values: an expression that fails at run time fails on them when it is compiled."""


def compile_when(when: str, limits: Mapping[str, Limit], file: str) -> pl.Expr:
    """The expression of `when` with its limits put in: Boolean, null where it cannot be answered.

    Raises RuleError for what does not parse, is not Boolean, reads an undocumented column, or is refused (see above).
    """
    try:
        expression = pl.sql_expr(_substitute(when, limits, file))
    except pl.exceptions.PolarsError as error:
        raise RuleError(file, "when", _told(error)) from None
    unknown = sorted(set(expression.meta.root_names()) - COLUMNS.keys())
    if unknown:
        raise RuleError(file, "when", f"reads {', '.join(unknown)}: not among the documented columns")
    if not expression.meta.root_names():
        raise RuleError(file, "when", "reads no column")
    try:
        _check(expression, file)
        for probe in (_PROBE.clear(), _PROBE):
            dtype = probe.select(expression.alias("answer")).schema["answer"]
            if dtype != pl.Boolean:
                raise RuleError(file, "when", f"is {dtype}, not a predicate")
    except pl.exceptions.PolarsError as error:
        raise RuleError(file, "when", _told(error)) from None
    except RecursionError:
        raise RuleError(file, "when", "nested too deeply") from None
    return expression


_TOKENS: Final = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:[^']|'')*'(?!'))
    | (?P<limit>(?<!:):[A-Za-z_]\w*)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<word>[A-Za-z_]\w*(?!['\w]))
    | (?P<comment>--|/\*)
    | (?P<sign><=>|<=|>=|<>|!=|!~~\*|!~~|~~\*|~~|!~\*|!~|~\*|~|//|\^@|[-+*/%=<>(),])
    """,
    re.VERBOSE | re.ASCII,
)
_IS_TRUTH: Final = re.compile(r"\bIS\s+(?:NOT\s+)?(?:TRUE|FALSE|UNKNOWN)\b", re.IGNORECASE)


_AFTER_IN: Final = re.compile(r"\bIN\s*(?:\([^()]*)?$", re.IGNORECASE)


def tokens(when: str, file: str) -> Iterator[tuple[str, str, int]]:
    """The tokens of `when` in order: kind, text, position. Joined, the texts are `when` again.

    Kinds are space, string, limit, number, word and sign. Raises RuleError for anything else.
    """
    position = 0
    while position < len(when):
        match = _TOKENS.match(when, position)
        if match is None or match.lastgroup == "comment":
            raise RuleError(file, "when", f"cannot read {when[position : position + 12]!r} at character {position + 1}")
        yield str(match.lastgroup), match.group(), position
        position = match.end()


def spelled_out(when: str, limits: Mapping[str, Limit], file: str) -> str:
    """`when` with the values of its limits, for readers; a limit without a value stays `:name`."""
    return "".join(text for _, text in spelled(when, limits, file))


def spelled(when: str, limits: Mapping[str, Limit], file: str) -> Iterator[tuple[str, str]]:
    """The same token by token, as kind and text. The kind is `limit` where `when` says `:name`."""
    for kind, text, position in tokens(when, file):
        if kind == "limit" and text[1:] in limits:
            yield kind, _literal(limits[text[1:]], inside=_in_parentheses(when, position), exact=False)
        else:
            yield kind, text


def _substitute(when: str, limits: Mapping[str, Limit], file: str) -> str:
    """`when` with each `:name` written as a literal of its limit, and fractions as Float64 literals."""
    out: list[str] = []
    used: set[str] = set()
    bare: list[str] = []  # the same without string literals, to search for what is only refused outside of them
    for kind, text, position in tokens(when, file):
        literal = text
        if kind == "limit":
            name = text[1:]
            if name not in limits:
                raise RuleError(file, f"limits.{name}", "missing, `when` asks for it")
            used.add(name)
            if isinstance(limits[name], list) and not _AFTER_IN.search(when[:position]):
                raise RuleError(file, f"limits.{name}", "a list, which is looked into with IN")
            literal = _literal(limits[name], inside=_in_parentheses(when, position))
        elif kind == "number":
            literal = _float64(text)
        elif kind == "word" and text.upper() == "SELECT":
            raise RuleError(file, "when", "a sub-query is not allowed in a rule")
        out.append(literal)
        bare.append("''" if kind in {"string", "limit"} else literal)
    unused = sorted(limits.keys() - used)
    if unused:
        raise RuleError(file, f"limits.{unused[0]}", "unused, `when` does not ask for it")
    if found := _IS_TRUTH.search("".join(bare)):
        words = " ".join(found.group().split())
        raise RuleError(file, "when", f"{words} is not three-valued: write the column, NOT, or COALESCE")
    return "".join(out)


def _in_parentheses(when: str, position: int) -> bool:
    return when[:position].rstrip().endswith("(")


def _literal(limit: Limit, *, inside: bool = False, exact: bool = True) -> str:
    """SQL text of a limit. A list is written for IN, with parentheses unless it already stands inside some (`inside`).

    exact: write fractions as Float64 literals, to compile; readers see the plain number.
    """
    if isinstance(limit, list):
        items = ", ".join(_literal(item, exact=exact) for item in limit)
        return items if inside else f"({items})"
    if isinstance(limit, str):
        return "'" + limit.replace("'", "''") + "'"
    # parentheses keep `a -:n` from becoming a comment
    text = _float64(repr(limit)) if exact else repr(limit)
    return f"({text})" if limit < 0 else text


def _float64(number: str) -> str:
    """A fraction with an exponent. Without one, polars makes it a Decimal."""
    return number + "e0" if "." in number and "e" not in number.lower() else number


# --- the tree -----------------------------------------------------------------------------------------------------

_LOGIC: Final = {"And", "Or", "Xor"}
_COMPARISONS: Final = {"Eq", "NotEq", "Lt", "LtEq", "Gt", "GtEq", "EqValidity", "NotEqValidity"}
_TEXT_WITH_LITERALS: Final = {"StartsWith", "EndsWith", "Contains", "Slice"}
_ANY_INPUT: Final = {"IsNull", "IsNotNull", "Uppercase", "Lowercase", "Coalesce", "Abs"}


def _check(expression: pl.Expr, file: str) -> None:
    """Refuse every node that is not known to keep three-valued logic row by row."""
    kind, body = _head(expression)
    inputs = expression.meta.pop()[::-1]
    kinds = [_kind(part) for part in inputs]
    for part in inputs:
        _check(part, file)
    if problem := _problem(kind, body, inputs, kinds):
        raise RuleError(file, "when", problem)


def _problem(kind: str, body: Any, inputs: list[pl.Expr], kinds: list[str]) -> str | None:
    if kind == "Column":
        return None
    if kind == "Literal":
        return _literal_problem(body)
    if kind == "BinaryExpr":
        return _operator_problem(body["op"], kinds)
    if kind == "Function":
        return _function_problem(_function_name(body["function"]), inputs, kinds)
    if kind == "Ternary":
        return None  # CASE, whose conditions polars itself wants Boolean
    if kind == "Cast":
        return _cast_problem(body["dtype"], kinds[0])
    return f"{_NAMES.get(kind, kind)} is not allowed in a rule"


_NAMES: Final = {
    "Agg": "an aggregate",
    "Len": "an aggregate",
    "Alias": "a name (AS, or digits after an underscore)",
    "SubPlan": "a sub-query",
    "Selector": "a selection of columns",
}


def _literal_problem(body: Any) -> str | None:
    if "Series" in body:
        return None
    ((kind, value),) = body.get("Dyn", body.get("Scalar", {"": None})).items()
    if kind == "Int":
        return None if abs(value) <= INTEGER_MAX else f"{value} is beyond 2**53"
    if kind == "Float":
        return None if value is not None and math.isfinite(value) else "a number is not finite"
    if kind == "Decimal":
        return "a number is beyond 2**53"
    if kind in {"Boolean", "String", "Null"}:
        return None
    return f"a value of type {kind or 'list'} is not allowed in a rule"


def _operator_problem(operator: str, kinds: list[str]) -> str | None:
    given = {kind for kind in kinds if kind != "null"}
    families = {"number" if kind == "integer" else kind for kind in given}
    if operator in _LOGIC:
        return None if given <= {"boolean"} else f"{operator.upper()} joins {' and '.join(kinds)}, not conditions"
    if operator in _COMPARISONS:
        if "null" in kinds and not operator.endswith("Validity"):
            return "compares with NULL, which is never known: write IS NULL"
        return None if len(families) <= 1 else f"compares {' with '.join(kinds)}"
    if operator in {"Plus", "Minus"}:
        return None if families <= {"number"} else f"adds {' and '.join(kinds)}"
    return f"operator {operator} is not allowed in a rule"


def _function_problem(name: str, inputs: list[pl.Expr], kinds: list[str]) -> str | None:
    if name == "Not":
        return None if kinds[0] in {"boolean", "null"} else f"NOT of {kinds[0]}, not a condition"
    if name == "IsIn":
        families = {"number" if kind == "integer" else kind for kind in kinds} - {"null"}
        return None if len(families) <= 1 else f"looks for {kinds[0]} IN a list of {kinds[1]}"
    if name == "Mul":
        if set(kinds) - {"number", "integer"}:
            return f"multiplies {' and '.join(kinds)}"
        return None if "number" in kinds else "a product of integers wraps round: write the factor as a decimal (2.0)"
    if name in {"Div", "IntDiv", "Rem"}:
        kind, body = _head(inputs[1])
        divisor = next(iter(body.get("Dyn", {}).values()), 0) if kind == "Literal" else 0
        if not divisor:
            return "divides by what may be zero: multiply the other side instead"
        return "// and % are for integers" if name != "Div" and set(kinds) != {"integer"} else None
    if name in _TEXT_WITH_LITERALS:  # a pattern from a column could fail, or stop the worker, on one parcel's value
        literal = all(_head(part)[0] == "Literal" for part in inputs[1:])
        return None if literal else "a text is compared with a pattern written in the rule, not with a column"
    return None if name in _ANY_INPUT else f"function {name} is not allowed in a rule"


def _cast_problem(dtype: Any, kind: str) -> str | None:
    target = dtype.get("Literal")
    if target == "Boolean" and kind in {"boolean", "null"}:  # written by polars itself, for NOT and a null in IN
        return None
    if target == "Boolean":
        return f"NOT of {kind}, not a condition"
    if target == "Float64" and kind in {"integer", "number"}:
        return None
    return "a cast is not allowed in a rule; only CAST(number AS DOUBLE) is"


def _head(expression: pl.Expr) -> tuple[str, Any]:
    tree = json.loads(expression.meta.serialize(format="json"))
    if isinstance(tree, str):  # a node without content, such as Len
        return tree, {}
    ((kind, body),) = tree.items()
    return kind, body


def _function_name(function: Any) -> str:
    """The innermost name: {"Sql": {"Binary": "Mul"}} -> Mul, {"StringExpr": {"Contains": {...}}} -> Contains."""
    while isinstance(function, dict):
        name, inner = next(iter(function.items()))
        if name not in {"Boolean", "StringExpr", "Sql", "Binary"}:
            return str(name)
        function = inner
    return str(function)


def _kind(expression: pl.Expr) -> str:
    """string, integer, number, boolean or null, as in the documented columns; any other dtype by its polars name.

    For a list, the kind of its items.
    """
    dtype = _PROBE.lazy().select(expression.alias("part")).collect_schema()["part"]
    if isinstance(dtype, pl.List):
        dtype = dtype.inner  # type: ignore[assignment]
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "number"
    return {pl.String: "string", pl.Boolean: "boolean", pl.Null: "null"}.get(type(dtype), str(dtype))


def _told(error: Exception) -> str:
    """The message of polars on one line, without the expression that it prints."""
    return " ".join(str(error).partition("\n\n")[0].split())[:300]
