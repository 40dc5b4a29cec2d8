"""What the desk writes: threads share one transactional writer, which is made anew after an error."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from desk.log import Client, new_name
from desk.watch import Unwatched, Watch
from streams.kafka.errors import ClientError
from streams.kafka.transactions import Outgoing, TransactionalWriter


class Pen:
    """A writer with an id of its own."""

    def __init__(self, servers: str, client: Client, name: str | None = None, watch: Watch | None = None) -> None:
        self.name = name or new_name("desk")
        self._servers, self._client, self._watch = servers, client, watch or Unwatched()
        self._writer: TransactionalWriter | None = None
        self._lock = threading.Lock()

    def write(self, records: Sequence[Outgoing]) -> list[tuple[str, int, int]]:
        """Write records in one transaction; topic, partition and offset of each. Raises ClientError, as WriteError."""
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = TransactionalWriter(self._servers, self.name, self._client)
                written = self._writer.write(records)
            except ClientError:
                self._writer = None  # where the broker was away for long, the old one stays broken
                self._watch.wrote(ok=False)
                raise
            self._watch.wrote(ok=True)
            return written
