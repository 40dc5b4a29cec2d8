"""Who read which clue, on `waybill.access`. The entries of a process are a chain, so that none can go unseen."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import Final

from desk.clues.ids import uuid7
from desk.pen import Pen
from schemas import topics
from schemas.desk import Access
from schemas.records import encode
from streams.kafka.transactions import Outgoing

FIRST: Final = "0" * 64  # what the first entry of a process names as the one before it


class Reads:
    """The chain of one process."""

    def __init__(self, pen: Pen) -> None:
        self._pen = pen
        self._prev = FIRST
        self._lock = threading.Lock()

    def note(
        self,
        user: str,
        clue_id: str,
        fields: tuple[str, ...],
        at_ms: int,
        why: str = "clue",
        *,
        ok: bool = True,
        also: tuple[str, ...] = (),
    ) -> None:
        """Write that a user reads a clue, or searches because of it. Raises WriteError: then nothing may be shown.

        also: ids of what else is read.
        """
        with self._lock:
            entry = Access(
                event_id=uuid7(at_ms), writer=self._pen.name, prev=self._prev, user=user, what=(clue_id, *also),
                fields=fields, why=why, ok=ok, at=at_ms,
            )  # fmt: skip
            value = encode(entry)
            self._pen.write([Outgoing(topics.ACCESS, entry.key, value)])
            self._prev = sha256(value).hexdigest()
