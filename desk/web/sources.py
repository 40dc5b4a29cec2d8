"""What single pages read from the topics by themselves, when somebody opens them: measures, and who read what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from desk.clues.deadlines import DAY_MS
from desk.log import Client
from desk.measures.report import Measures
from desk.scope import Scope
from desk.survey import Surveyor
from desk.web.chains import AccessLog
from desk.web.figures import Figures
from schemas import topics
from streams.kafka.log_reader import Entry, LogReader

_QUIET_S: Final = 0.5  # nothing for so long: all has been read


class Sources:
    """Topics on a broker. Threads share it; one reads at a time. Raises ClientError.

    now: the wall clock, epoch ms UTC.
    """

    def __init__(self, servers: str, client: Client, now: Callable[[], int]) -> None:
        self._servers, self._client, self._now = servers, client, now
        self._lock = threading.Lock()
        self._surveyor = Surveyor(servers, client)
        self.figures = Figures(self._measures)
        self._access: tuple[LogReader, AccessLog] | None = None

    def close(self) -> None:
        """Give connections back."""
        self._surveyor.stop()
        self.figures.close()
        self._surveyor.close()
        with self._lock:
            if self._access is not None:
                self._access[0].close()
                self._access = None

    def _measures(self, days: int, scope: Scope) -> Measures:
        now_ms = self._now()
        since_ms = now_ms - days * DAY_MS if days else 0
        return self._surveyor.survey().measures(now_ms, since_ms, scope.has)

    def access(self) -> AccessLog:
        """Who read what, up to now."""
        with self._lock:
            if self._access is None:
                self._access = LogReader(self._servers, [topics.ACCESS], client=self._client), AccessLog()
                _take(self._access[1], self._access[0].to_end())
            reader, log = self._access
            while entries := reader.poll(_QUIET_S):
                _take(log, entries)
            return log


def _take(log: AccessLog, entries: Iterable[Entry]) -> None:
    for entry in entries:
        try:
            log.take(entry.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.unreadable += 1
