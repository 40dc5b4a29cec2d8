"""Reveals: one field of one parcel's record, for one person, after a second person has agreed.

This is the guard that stands before the records, in the tracer: it asks nobody else who agreed, how long ago, or which
parcels have an alert. It keeps in memory who asked for what, and nothing of the record, which is fetched anew each time
that the field is shown. Every step is on `waybill.access` before it has an effect; if that fails, it has none.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final, Literal, Protocol

import msgspec

from desk.access import Reads
from desk.clues.acts import ActError
from desk.limits import Limiter
from desk.verbs import impersonal
from schemas.desk import Parcel
from schemas.errors import WaybillError
from schemas.records import Shipment
from schemas.terms import ClueId, Text, UserId
from streams.kafka.errors import ClientError

log = logging.getLogger(__name__)

Field = Literal["sender_name", "sender_phone", "sender_id_no", "agent_id_no", "recipient_name", "recipient_phone"]
"""Fields of a shipment record that can be shown: those that name a person."""

SHOWN_MS: Final = 10 * 60_000
"""How long a field is shown after the second person has agreed."""
ASKED_MS: Final = 60 * 60_000
"""How long a second person has to agree; a choice of ours."""
ASKS_MAX: Final = 10
ALL_MAX: Final = 60
ASKS_S: Final = 3_600.0
"""How often one person may ask within an hour, and how often all may; a choice of ours."""


class RevealError(WaybillError):
    """A step that is not possible. status: as of HTTP. The message says why, and holds nothing of a record."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Records(Protocol):
    """Shipment records of parcels that have an alert."""

    def of(self, parcel: str) -> Shipment | None:
        """The record behind the newest alert of a parcel; None: it is past retention. Raises RevealError: no alert."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for: one field of a clue's parcel, by whom, and for what purpose."""

    clue: ClueId
    parcel: Parcel
    field: Field
    user: UserId
    why: Text


class Reveal(msgspec.Struct, frozen=True, kw_only=True):
    """An ask, and how far it is. Times: epoch ms UTC. second: who agreed; None: nobody yet."""

    reveal_id: str
    ask: Ask
    asked_at: int
    second: str | None = None
    granted_at: int | None = None
    shown: bool = False

    @property
    def until(self) -> int:
        """When it is over."""
        return self.asked_at + ASKED_MS if self.granted_at is None else self.granted_at + SHOWN_MS


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A field, for as long as it may be seen. value None: the record leaves it out."""

    value: str | None
    left_ms: int


class Reveals:
    """All that are not over. Threads share it. clock: epoch ms UTC. Raises RevealError, ClientError."""

    def __init__(self, reads: Reads, records: Records, clock: Callable[[], int]) -> None:
        self._reads, self._records, self._clock = reads, records, clock
        self._limit = Limiter(ASKS_MAX, ASKS_S, lambda: clock() / 1_000)
        self._all = Limiter(ALL_MAX, ASKS_S, lambda: clock() / 1_000)
        self._open: dict[str, Reveal] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Reveal]:
        """Those that are not over, in the order in which they were asked for."""
        with self._lock:
            self._lapse()
            return list(self._open.values())

    def tidy(self) -> None:
        """Put on record what is over, also if nobody asks for anything any more."""
        with self._lock:
            try:
                self._lapse()
            except ClientError as error:  # the next time
                log.warning("%s", error)

    def ask(self, ask: Ask) -> Reveal:
        """Ask for a field. It is not shown yet."""
        try:
            impersonal("why", ask.why)
        except ActError as error:
            raise RevealError(422, str(error)) from None
        with self._lock:
            self._lapse()
            if not (self._limit.allows(ask.user) and self._all.allows("")):
                self._note(ask, ask.user, "asked", ok=False)
                raise RevealError(429, f"at most {ASKS_MAX} an hour, and {ALL_MAX} of all users")
            self._fetched(ask, ask.user, "asked")
            self._limit.note(ask.user)
            self._all.note("")
            made = Reveal(reveal_id=secrets.token_urlsafe(16), ask=ask, asked_at=self._clock())
            self._open[made.reveal_id] = made
            return made

    def decide(self, reveal_id: str, user: str, *, agree: bool) -> None:
        """Agree, as a second person; or refuse, which ends it."""
        with self._lock:
            found = self._found(reveal_id)
            if user == found.ask.user and agree:
                self._note(found.ask, user, "granted", ok=False)
                raise RevealError(403, "nobody agrees with himself: a second person has to")
            if found.second is not None:
                raise RevealError(409, f"{found.second} has agreed already")
            if not agree:
                self._note(found.ask, user, "refused", ok=False)
                del self._open[reveal_id]
                return
            self._note(found.ask, user, "granted")
            granted = msgspec.structs.replace(found, second=user, granted_at=self._clock())
            self._open[reveal_id] = granted

    def show(self, reveal_id: str, user: str) -> Shown:
        """The field, for who asked for it."""
        with self._lock:
            found = self._found(reveal_id)
            if user != found.ask.user or found.second is None:
                self._note(found.ask, user, "shown", ok=False)
                why = "nobody has agreed yet" if found.second is None else "it is for who asked for it"
                raise RevealError(403, why)
            record = self._fetched(found.ask, user, "shown")
            left_ms = found.until - self._clock()
            if left_ms <= 0:  # fetching takes its time, too
                raise RevealError(410, "the ten minutes are over")
            self._open[reveal_id] = msgspec.structs.replace(found, shown=True)
            return Shown(value=getattr(record, found.ask.field), left_ms=left_ms)

    def _fetched(self, ask: Ask, user: str, step: str) -> Shipment:
        """The record, after it is on `waybill.access` that it was fetched, or that it could not be."""
        try:
            record = self._records.of(ask.parcel)
        except RevealError:
            self._note(ask, user, step, ok=False)
            raise
        self._note(ask, user, step, ok=record is not None)
        if record is None:
            raise RevealError(410, "the record is past retention")
        return record

    def _found(self, reveal_id: str) -> Reveal:
        self._lapse()
        if reveal_id not in self._open:
            raise RevealError(410, "it is over, or nobody has asked for it")
        return self._open[reveal_id]

    def _lapse(self) -> None:
        """End what is over. What was never shown is on record, too."""
        for reveal_id, each in list(self._open.items()):
            if self._clock() >= each.until:
                if not each.shown:
                    self._note(each.ask, each.ask.user, "unused", ok=False)
                del self._open[reveal_id]

    def _note(self, ask: Ask, user: str, step: str, *, ok: bool = True) -> None:
        self._reads.note(user, ask.clue, (f"reveal_{step}", ask.field), self._clock(), ask.why, ok=ok)
