"""HTML from nested calls. Text is escaped unless it is markup already, so no call can forget to escape it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Part = str | Iterable["Part"]


def tag(name: str, /, *parts: Part, **attributes: str) -> Markup:
    """An element. `class_` stands for class, `data_x` for data-x; an attribute without text is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"' for key, text in attributes.items() if text
    )
    start = f"<{name}{written}>"
    return Markup(start if name in _EMPTY else f"{start}{join(*parts)}</{name}>")


def join(*parts: Part) -> Markup:
    """Parts in order: text is escaped, markup is not, and sequences are joined part by part."""
    return Markup("".join(_written(part) for part in parts))


_EMPTY = {"meta", "br", "hr", "link"}


def _written(part: Part) -> str:
    if isinstance(part, Markup):
        return part
    return escape(part) if isinstance(part, str) else join(*part)
