"""The native front end: a Rust library that makes packed rows of plain records. Python is its reference, and does alone
what the library does not.

Plain are records that hold each known field at most once, of the right type, form and range, in valid UTF-8 and within
the limits. All others are *strange*: the library hands them back, and `streams.flow.decode` says what is wrong with
them, if anything. So what the library accepts is a part of what Python accepts; that both make the same rows is tested.

It also fetches, produces the changelog, folds histories and dossiers, keeps timers, and has what stores keep in memory:
there it does all that Python does, with the same bytes.

The library is built by `make setup` where there is a Rust toolchain (`build.py`). It carries a fingerprint of the
definitions and a digest of the sources that it was built with, and is not used with others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from schemas.errors import WaybillError
from streams.native.build import ADVICE as ADVICE
from streams.native.build import COST as COST
from streams.native.build import sources

NOT_BUILT = "is not built"

_library: Any | None = None
_missing = ""
try:
    _library = import_module("streams.native._front")
except ImportError as error:
    _missing = NOT_BUILT if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"

Switch = Literal["auto", "1", "0"]


class NativeError(WaybillError):
    """The native front end was asked for and cannot be used; the message says why, and what to do."""


def library(switch: Switch, fingerprint: str) -> Any | None:
    """The library, where it is to be used and was built with the definitions of this fingerprint; else Python does all.

    Raises NativeError where it must be used (`1`) and cannot be.
    """
    why = missing(fingerprint)
    if switch == "1" and why:
        raise NativeError(f"native: 1 was given, but the native front end {why}: {ADVICE}")
    return None if switch == "0" or why else _library


def state(switch: Switch, fingerprint: str) -> str:
    """Whether the library is in use, for people."""
    why = missing(fingerprint)
    return "off, as native is 0" if switch == "0" else f"off, as it {why}" if why else "in use"


def missing(fingerprint: str) -> str:
    """What keeps the library from use; empty if nothing does."""
    if _library is not None and fingerprint != _library.FINGERPRINT:
        return "was built with other definitions of records and rows"
    if _library is not None and sources() not in ("", getattr(_library, "SOURCES", None)):
        return "was built from other sources than are here"
    return _missing
