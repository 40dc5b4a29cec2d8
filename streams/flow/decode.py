"""Bytes to records: valid rows, and the others with their reasons.

Whatever the bytes are, nothing is raised: each value becomes a row or a `Rejected`. A UTF-8 JSON object within the
limits is accepted if the published JSON Schema accepts it. It is also accepted if the schema would accept it with codes
in their normal form (`streams.flow.describe.text`): an adcode behind an invisible mark, an option that is only white
space and so counts as absent. Event id, carrier and waybill number stay as written, because the message's key repeats
them.

There are two ways to read. The quick way reads a batch as a whole: a few scans of the joined bytes, one pass of
msgspec, one look at the distinct codes. Values that stop the quick way, or that it may wrongly accept, are read one by
one in the careful way, and only the careful way decides on reasons. So only rejected rows cost more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar, cast

import msgspec
import polars as pl
from msgspec.structs import fields

from schemas.records import Record
from schemas.refusals import UnreadableError, explain
from schemas.terms import DEFERRED, ID_FORM, RejectReason
from streams.flow.spellings import as_integer, as_normal, coded, has_marks, unmarked

T = TypeVar("T", bound=Record)

CHUNK_ROWS: Final = 512  # joined, a chunk of ordinary records stays in the processor's cache
KNOWN_CODES_MAX: Final = 65_536

# Bytes without which no string can hold a control character: an escape, DEL, and the lead byte of U+0080 to U+00BF.
_CONTROL_HINTS: Final = (0x5C, 0x7F, 0xC2)
_FRAME_MAGIC: Final = 0  # Confluent's JSON Schema framing: this byte, then four bytes of schema id
_FRAME_BYTES: Final = 5
# Possessive, and it also matches a string that does not end: takes linear time for any text.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a record: bytes of the message, and levels of nesting, also within unknown fields."""

    bytes_max: int = 65_536
    depth_max: int = 32


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value that could not be read. `detail` says where and what was expected, never what the record held."""

    index: int
    reason: RejectReason
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """The rows of a batch in order, `rows[i]` from `values[indices[i]]`, and the rejects in order of their index."""

    rows: list[T]
    indices: list[int]
    rejected: list[Rejected]


def decode(record: type[T], values: Sequence[bytes | None], limits: Limits = Limits()) -> Decoded[T]:
    """Read message values (None for a tombstone) as records of this class. Never raises for what the values hold."""
    reader: _Reader[T] = _reader(record)
    decoded: Decoded[T] = Decoded([], [], [])
    for start in range(0, len(values), CHUNK_ROWS):
        reader.read(values[start : start + CHUNK_ROWS], start, limits, decoded)
    return decoded


class _Reader(Generic[T]):
    """Reads one kind of record. The forms of its fields come from its published schema."""

    def __init__(self, record: type[T]) -> None:
        self.record = record
        either = record | _Other if record.__struct_config__.tag else record
        self._decode = msgspec.json.Decoder(cast("type[T]", either)).decode
        patterns, self._integers = _forms(record)
        options = [field.name for field in fields(record) if field.default is None]
        # A quote inside a string is escaped, so this matches only a member whose value is an empty string.
        self._blank = re.compile(rb'("(?:%s)"\s*:\s*)""' % "|".join(options).encode()) if options else None
        self._options = frozenset(options)
        self._coded = coded(record)
        self._forms = {field: re.compile(pattern) for field, pattern in patterns.items()}
        self._ids = [attrgetter(field) for field, pattern in patterns.items() if pattern == ID_FORM]
        self._codes = [_Codes(field, self._forms[field]) for field, pattern in patterns.items() if pattern != ID_FORM]

    def read(self, values: Sequence[bytes | None], start: int, limits: Limits, into: Decoded[T]) -> None:
        """Append the rows and rejects of `values`. start: the index of the first value."""
        texts = [value or b"" for value in values]
        whole = b"\n".join(texts)
        if _FRAME_MAGIC in whole:
            texts = [unframed(text) for text in texts]
            whole = b"\n".join(texts)
        rows, suspects = self._quick(texts)
        suspects |= _over(texts, whole, limits, all_objects=not suspects) | self._misformed(rows, whole)
        if has_marks(whole):
            suspects |= {i for i, text in enumerate(texts) if unmarked(text) is not text}
        for index in sorted(suspects):
            try:
                rows[index] = self._careful(values[index], limits)
            except UnreadableError as refusal:
                rows[index] = None
                into.rejected.append(Rejected(start + index, refusal.reason, refusal.detail))
        if suspects:
            into.indices.extend(start + index for index, row in enumerate(rows) if row is not None)
            into.rows.extend(row for row in rows if row is not None)
        else:
            into.indices.extend(range(start, start + len(rows)))
            into.rows.extend(cast("list[T]", rows))

    def _quick(self, texts: Sequence[bytes]) -> tuple[list[T | None], set[int]]:
        """One row per text, None if msgspec refused it; and the indices of those that it refused."""
        rows: list[T | None] = []
        refused: set[int] = set()
        rest = iter(texts)
        while len(rows) < len(texts):
            try:
                # An exception leaves what came before it in `rows`, and `rest` behind the text that raised it.
                rows.extend(map(self._decode, rest))
            except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, so are Python's on text and digits
                row = self._without_blanks(texts[len(rows)])
                if row is None:
                    refused.add(len(rows))
                rows.append(row)
        return rows, refused

    def _without_blanks(self, text: bytes) -> T | None:
        """The record in a text that was refused, if only empty strings for options were wrong; else None."""
        if self._blank is None or b'""' not in text:
            return None
        try:
            return self._decode(self._blank.sub(rb"\1null", text))
        except (ValueError, RecursionError):
            return None

    def _misformed(self, rows: Sequence[T | None], whole: bytes) -> set[int]:
        """Indices of the rows with a code or an id that may have a wrong form."""
        found: set[int] = set()
        present = [row for row in rows if row is not None]
        for codes in self._codes:
            if not codes.known.issuperset(map(codes.get, present)):
                found.update(i for i, row in enumerate(rows) if row is not None and not codes.check(codes.get(row)))
        if any(hint in whole for hint in _CONTROL_HINTS):
            for get in self._ids:
                found.update(i for i, row in enumerate(rows) if row is not None and not (get(row) or "").isprintable())
        return found

    def _careful(self, value: bytes | None, limits: Limits) -> T:
        """The record in `value`; raises UnreadableError."""
        text = _plain(value, limits)
        try:
            return self._strict(text)
        except UnreadableError:
            normal = self._normalised(text)
            if normal is None:
                raise
            return self._strict(normal)

    def _normalised(self, text: bytes) -> bytes | None:
        """The text with codes and options in their normal form, empty ones null; None if they are in it already."""
        try:
            members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            changed = {
                name: value
                for name in (self._options | self._coded) & members.keys()
                if (value := as_normal(bytes(members[name]), option=name in self._options)) is not None
            }
            return msgspec.json.encode({**members, **changed}) if changed else None
        except (ValueError, RecursionError):
            return None

    def _strict(self, text: bytes) -> T:
        """The record in a text that follows its definition; raises UnreadableError."""
        try:
            row = self._decode(text)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise explain(error) from None
            row = self._integral(text)
        except (ValueError, RecursionError) as error:
            raise explain(error) from None
        for field, form in self._forms.items():
            given = getattr(row, field)
            if given is not None and form.fullmatch(given) is None:
                raise UnreadableError("out_of_range", f"$.{field}: expected `str` matching {form.pattern}")
        return row

    def _integral(self, text: bytes) -> T:
        """The record, with numbers such as `1.0` read as integers, as JSON Schema defines them."""
        try:
            members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            for name in self._integers & members.keys():
                members[name] = as_integer(members[name])
            return self._decode(msgspec.json.encode(members))
        except (ValueError, RecursionError) as error:
            raise explain(error) from None


class _Other(msgspec.Struct, tag_field="kind", tag="(none)"):
    """Makes a union with a kind of reference record: without a union, msgspec would not require the tag."""

    nothing: Annotated[int, msgspec.Meta(gt=0, lt=0)]  # no record is one of these


class _Codes:
    """A field with few distinct values; each value is checked against its form once."""

    def __init__(self, field: str, form: re.Pattern[str]) -> None:
        self.field = field
        self.get = attrgetter(field)
        self.known: set[str | None] = {None}
        self._form = form

    def check(self, code: str | None) -> bool:
        if code in self.known:
            return True
        if self._form.fullmatch(cast("str", code)) is None:
            return False
        if len(self.known) >= KNOWN_CODES_MAX:
            self.known = {None}
        self.known.add(code)
        return True


def _forms(record: type[msgspec.Struct]) -> tuple[dict[str, str], frozenset[str]]:
    """By field, the form that this module must check; and the fields that hold integers."""
    schema = msgspec.json.schema(record)
    patterns: dict[str, str] = {}
    integers: set[str] = set()
    for field, about in schema["$defs"][record.__name__]["properties"].items():
        for variant in about.get("anyOf", [about]):
            if variant.get("pattern") in DEFERRED:
                patterns[field] = variant["pattern"]
            if variant.get("type") == "integer" or 1 in variant.get("enum", ()):
                integers.add(field)
    return patterns, frozenset(integers)


def _over(texts: Sequence[bytes], whole: bytes, limits: Limits, *, all_objects: bool) -> set[int]:
    """Indices of texts that msgspec may have accepted although they are too long, nested too deep, or not UTF-8."""
    found: set[int] = set()
    if max(map(len, texts)) > limits.bytes_max:
        found.update(i for i, text in enumerate(texts) if len(text) > limits.bytes_max)
    # If all are objects, with one brace each and no bracket, nothing is nested.
    if not all_objects or whole.count(b"{") > len(texts) or b"[" in whole:
        found.update(i for i, text in enumerate(texts) if _openings(text) > limits.depth_max)
    # msgspec does not check text that it skips, so an unknown field may hold bytes that are not UTF-8.
    if not whole.isascii() and not _is_utf8_fast(whole):
        found.update(i for i, text in enumerate(texts) if not _is_utf8(text))
    return found


def _plain(value: bytes | None, limits: Limits) -> bytes:
    """The JSON text in a message value, within the limits; raises UnreadableError."""
    if not value:
        raise UnreadableError("empty", "no value")
    if len(value) > limits.bytes_max:
        raise UnreadableError("oversized", f"{len(value)} bytes, at most {limits.bytes_max}")
    text = unframed(value)
    if not text:
        raise UnreadableError("empty", "nothing behind the frame")
    text = unmarked(text)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise UnreadableError("invalid_utf8", f"not UTF-8 (byte {error.start})") from None
    if _openings(text) > limits.depth_max and _depth(text) > limits.depth_max:
        raise UnreadableError("too_deep", f"nested deeper than {limits.depth_max} levels")
    return text


def unframed(value: bytes) -> bytes:
    """A message value without the frame of Confluent's serializers, if it has one."""
    return value[_FRAME_BYTES:] if value[:1] == b"\0" else value


def _openings(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _depth(text: bytes) -> int:
    """Levels of nesting in a JSON text. For a malformed text, at least as many as a parser would enter."""
    depth = deepest = 0
    for mark in _BRACKETS.findall(_STRING.sub(b"", text)):
        depth += 1 if mark in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8_fast(text: bytes) -> bool:
    """polars validates several times faster than Python decodes; it pays from some kilobytes on."""
    try:
        pl.Series([text], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True


@cache
def _reader(record: type[Any]) -> _Reader[Any]:
    return _Reader(record)
