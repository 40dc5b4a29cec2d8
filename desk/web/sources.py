"""What single pages read from the topics by themselves, when somebody opens them: measures, and who read what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from desk.log import Client
from desk.survey import Survey, surveyed
from desk.web.chains import AccessLog
from schemas import topics
from streams.kafka.log_reader import Entry, LogReader

FRESH_S: Final = 300.0
"""So long a survey is shown again before the topics are read anew."""

_QUIET_S: Final = 0.5  # nothing for so long: all has been read


class Sources:
    """Topics on a broker. Threads share it; one reads at a time. Raises ClientError."""

    def __init__(self, servers: str, client: Client) -> None:
        self._servers, self._client = servers, client
        self._lock = threading.Lock()
        self._survey: Survey | None = None
        self._read_at = 0.0
        self._access: tuple[LogReader, AccessLog] | None = None

    def close(self) -> None:
        """Give connections back."""
        with self._lock:
            if self._access is not None:
                self._access[0].close()
                self._access = None

    def survey(self) -> Survey:
        """What the topics held, five minutes ago at most."""
        with self._lock:
            if self._survey is None or time.monotonic() > self._read_at + FRESH_S:
                self._survey = surveyed(self._servers, self._client)
                self._read_at = time.monotonic()
            return self._survey

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
