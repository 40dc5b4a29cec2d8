"""Values that mean what a definition asks for, written in another way: codes behind marks, numbers such as 1.0."""

from __future__ import annotations

import msgspec

from schemas.terms import CARRIER_FORM, ID_FORM
from streams.flow.describe.text import cleaned


def coded(record: type[msgspec.Struct]) -> frozenset[str]:
    """The required fields of codes: those of a form other than an id's, and those of few words."""
    properties = msgspec.json.schema(record)["$defs"][record.__name__]["properties"]
    return frozenset(
        name
        for name, about in properties.items()
        if about.get("pattern") not in (None, ID_FORM, CARRIER_FORM) or "enum" in about or about.get("type") == "array"
    )


def as_normal(raw: bytes, *, option: bool) -> msgspec.Raw | None:
    """A string, or an array of strings, in normal form, null for an empty option; None if it is in it, or no string."""
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
    """A number written with a fraction or an exponent as the integer that it is; all else as it was."""
    text = bytes(raw)
    if text[:1] not in b"-0123456789":
        return raw
    number = float(text)
    return msgspec.Raw(b"%d" % int(number)) if number.is_integer() and abs(number) < 2**63 else raw
