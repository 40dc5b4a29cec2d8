"""What threads share of the projection: which tables are in use, how far they are, and what is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from desk.store.tables import Tables
from schemas.errors import WaybillError

Place = tuple[str, int]
_HEARD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """Records applied of those that are to be."""

    done: int
    total: int


class Projection:
    """The state of a projection. tables None: it is being built.

    unread: records that are not in the tables yet, by topic, as far as that is known; nothing where another process
    writes.
    """

    def __init__(self) -> None:
        self.tables: Tables | None = None
        self.progress = Progress(0, 0)
        self.trouble: WaybillError | None = None
        self.unread: Mapping[str, int] = {}
        self._current_at = time.monotonic()
        self._positions: Mapping[Place, int] = {}
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function after each change, on the thread that makes it."""
        self._listeners.append(listener)

    def built_so_far(self, progress: Progress) -> None:
        """Note how far the building is."""
        self._set(None, {}, progress, None)

    def applied(self, tables: Tables, positions: Mapping[Place, int]) -> None:
        """Note that tables are in use and hold what stands before these offsets."""
        self._set(tables, dict(positions), self.progress, None)
        for listener in self._listeners:
            listener()

    def looked(self, unread: Mapping[str, int]) -> None:
        """Note what is still to be read."""
        self.unread = unread
        if not any(unread.values()):
            self._current_at = time.monotonic()

    @property
    def behind_s(self) -> float:
        """For how many seconds the tables have not had all that there was."""
        return time.monotonic() - self._current_at

    def failed(self, error: WaybillError) -> None:
        """Note why nothing is read now; what was read stays."""
        self._set(self.tables, self._positions, self.progress, error)

    def wait_for(self, place: Place, offset: int, timeout_s: float) -> bool:
        """Wait until the record there is applied; False: it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self.has(place, offset), timeout_s)

    def has(self, place: Place, offset: int) -> bool:
        """Whether the record there is applied."""
        return self._positions.get(place, 0) > offset

    def wait_until_built(self, told: Callable[[Progress], None]) -> None:
        """Wait until there are tables, and tell the progress. Raises what keeps them from being built."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.tables or self.trouble, _HEARD)
                if self.tables is not None:
                    return
                if self.trouble is not None:
                    raise self.trouble
            told(self.progress)

    def _set(
        self, tables: Tables | None, positions: Mapping[Place, int], progress: Progress, trouble: WaybillError | None
    ) -> None:
        with self._changed:
            self.tables, self._positions, self.progress, self.trouble = tables, positions, progress, trouble
            self._changed.notify_all()
