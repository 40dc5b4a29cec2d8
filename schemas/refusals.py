"""Why a document is refused, in a fixed vocabulary that never quotes the document.

The messages of msgspec may quote the document (`Invalid enum value 'xyz'`). `explain` keeps what comes from the
definition of the record (the path of field names, the expected type or bound) and drops the rest. For a message that it
does not know it gives a reason only.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from schemas.terms import RejectReason

# `$.reasons[0].rule`; keys of free-form objects are shown by msgspec as `[...]`.
_PATH: Final = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\[(?:\d+|\.\.\.)\])*")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_WRONG_TYPE: Final = re.compile(r"Expected `[a-z0-9 |]+`, got `[a-z0-9]+`")
_OUT_OF_BOUNDS: Final = re.compile(
    r"Expected `[a-z]+` (?:[<>]=? \S+|of length (?:[<>]=?|==) \d+|that's a multiple of \S+|matching regex '.*')"
)
_TOO_LARGE: Final = ("Integer value out of range", "Number out of range")
_SYNTAX: Final = re.compile(r"JSON is malformed: [a-z0-9 '\":,-]+ \(byte \d+\)|Input data was truncated")

UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding any bytes into a record may raise: the last for arrays that are nested a thousand deep."""


class UnreadableError(Exception):
    """One document was refused: the reason, and where and what was expected."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: RejectReason = reason
        self.detail = detail


def explain(error: BaseException) -> UnreadableError:
    """The refusal for an error that decoding or validating a document raised."""
    if isinstance(error, UnicodeDecodeError):
        return UnreadableError("invalid_utf8", "the bytes are not UTF-8")
    if isinstance(error, RecursionError):
        return UnreadableError("too_deep", "nested too deep")
    if isinstance(error, msgspec.ValidationError):
        return _explain_validation(str(error))
    sentence = str(error)
    if sentence in _TOO_LARGE:
        return UnreadableError("out_of_range", "a number is too large")
    return UnreadableError("invalid_json", sentence if _SYNTAX.fullmatch(sentence) else "not JSON")


def _explain_validation(sentence: str) -> UnreadableError:
    # The path comes last; a value quoted before it may imitate one.
    what, found, path = sentence.rpartition(" - at `")
    if not found:
        what, path = sentence, "$`"
    path = path.removesuffix("`")
    if _PATH.fullmatch(path) is None:
        path = "$"
    if missing := _MISSING.fullmatch(what):
        return UnreadableError("missing_field", f"{path}.{missing[1]}: required")
    if what.startswith("Invalid enum value") or what.startswith("Invalid value"):
        return UnreadableError("unknown_value", f"{path}: not one of the values defined")
    if what in _TOO_LARGE:
        return UnreadableError("out_of_range", f"{path}: number too large")
    if _WRONG_TYPE.fullmatch(what):
        return UnreadableError("wrong_type", f"{path}: e{what[1:]}")
    if _OUT_OF_BOUNDS.fullmatch(what):
        return UnreadableError("out_of_range", f"{path}: e{what[1:]}")
    return UnreadableError("wrong_type", f"{path}: not valid")
