"""What a desk tells of itself to whoever watches it: routes and outcomes, never who asked or about what."""

from __future__ import annotations

from typing import Literal, Protocol

Way = Literal["password", "token", "bearer", "provider"]


class Watch(Protocol):
    """Is told; from any thread."""

    def asked(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. seconds: until the answer began."""

    def refused(self, way: Way) -> None:
        """Somebody was not let in."""

    def wrote(self, *, ok: bool) -> None:
        """Something was to be written to the topics."""


class Unwatched:
    """Nobody watches."""

    def asked(self, route: str, method: str, status: int, seconds: float) -> None:
        pass

    def refused(self, way: Way) -> None:
        pass

    def wrote(self, *, ok: bool) -> None:
        pass
