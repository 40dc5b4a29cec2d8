"""What single pages read from the topics by themselves, when somebody opens them: measures."""

from __future__ import annotations

import threading
import time
from typing import Final

from desk.log import Client
from desk.survey import Survey, surveyed

FRESH_S: Final = 300.0
"""So long a survey is shown again before the topics are read anew."""


class Sources:
    """Topics on a broker. Threads share it; one reads at a time. Raises ClientError."""

    def __init__(self, servers: str, client: Client) -> None:
        self._servers, self._client = servers, client
        self._lock = threading.Lock()
        self._survey: Survey | None = None
        self._read_at = 0.0

    def survey(self) -> Survey:
        """What the topics held, five minutes ago at most."""
        with self._lock:
            if self._survey is None or time.monotonic() > self._read_at + FRESH_S:
                self._survey = surveyed(self._servers, self._client)
                self._read_at = time.monotonic()
            return self._survey
