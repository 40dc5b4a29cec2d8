"""What single pages read from the topics by themselves: measures."""

from __future__ import annotations

from collections.abc import Callable

from desk.clues.deadlines import DAY_MS
from desk.log import Client
from desk.measures.report import Measures
from desk.scope import Scope
from desk.survey import Surveyor
from desk.web.figures import Figures


class Sources:
    """Topics on a broker. Threads share it. Raises ClientError.

    now: the wall clock, epoch ms UTC.
    """

    def __init__(self, servers: str, client: Client, now: Callable[[], int]) -> None:
        self._now = now
        self._surveyor = Surveyor(servers, client)
        self.figures = Figures(self._measures)

    def close(self) -> None:
        """Give connections back."""
        self._surveyor.stop()
        self.figures.close()
        self._surveyor.close()

    def _measures(self, days: int, scope: Scope) -> Measures:
        now_ms = self._now()
        since_ms = now_ms - days * DAY_MS if days else 0
        return self._surveyor.survey().measures(now_ms, since_ms, scope.has)
