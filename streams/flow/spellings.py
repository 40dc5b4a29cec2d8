"""Other spellings of valid values: byte order marks in JSON, codes with invisible marks, 1.0 for 1."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from schemas.terms import CARRIER_FORM, ID_FORM
from streams.flow.describe.text import cleaned

# Exports leave byte order marks before the object and around the names of members. A quote inside a string is escaped,
# so a name followed by a colon is never part of a string.
_MARK: Final = rb"(?:\xef\xbb\xbf|\\u[fF][eE][fF][fF])"
_MARKED: Final = re.compile(rb'\A(?:\s*\xef\xbb\xbf)+|"%(m)s+\w+%(m)s*"\s*:|"\w+%(m)s+"\s*:' % {b"m": _MARK})
_MARKS: Final = re.compile(_MARK)


def has_marks(text: bytes) -> bool:
    """Whether a text may hold byte order marks, plain or escaped."""
    # A single byte is found ten times as fast as three, and most texts have neither of these two.
    return (b"\xef" in text and b"\xef\xbb\xbf" in text) or (
        b"\\" in text and (b"\\ufeff" in text or b"\\uFEFF" in text)
    )


def unmarked(text: bytes) -> bytes:
    """A JSON text without the byte order marks before it and around names of members; the same text if it has none."""
    return _MARKED.sub(lambda found: _MARKS.sub(b"", found[0]), text) if _MARKED.search(text) else text


def coded(record: type[msgspec.Struct]) -> frozenset[str]:
    """The required fields that hold codes: with a form other than an id's, or one of a few words."""
    properties = msgspec.json.schema(record)["$defs"][record.__name__]["properties"]
    return frozenset(
        name
        for name, about in properties.items()
        if about.get("pattern") not in (None, ID_FORM, CARRIER_FORM) or "enum" in about or about.get("type") == "array"
    )


def as_normal(raw: bytes, *, option: bool) -> msgspec.Raw | None:
    """A string or an array of strings in normal form, null for an empty option; None if nothing needs to change."""
    if raw[:1] not in (b'"', b"["):
        return None
    given = msgspec.json.decode(raw)
    if isinstance(given, str):
        normal: str | list[str] | None = cleaned(given) or (None if option else "")
    elif all(isinstance(each, str) for each in given):
        normal = [text for each in given if (text := cleaned(each))]
    else:
        return None
    return None if normal == given else msgspec.Raw(msgspec.json.encode(normal))


def as_integer(raw: msgspec.Raw) -> msgspec.Raw:
    """A whole number that is written with a fraction or an exponent, as an integer; anything else unchanged."""
    text = bytes(raw)
    if text[:1] not in b"-0123456789":
        return raw
    number = float(text)
    return msgspec.Raw(b"%d" % int(number)) if number.is_integer() and abs(number) < 2**63 else raw
