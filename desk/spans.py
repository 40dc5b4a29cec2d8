"""The desk's part of OpenTelemetry: what became of a clue, in the traces of the events of its parcel.

What is told: that a clue was opened, sent to a station, accepted, looked at, answered and closed, and when. Not by
whom, not with which answer, and nothing of a clue under controlled delivery.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from desk.clues.clue import Clue
from schemas import clues as events
from schemas.desk import Trace
from streams.flow.sampling import Sampler, Send, Span

_TOLD: Final = {
    events.Opened: "opened",
    events.Dispatched: "dispatched",
    events.Accepted: "accepted",
    events.Checked: "checked",
    events.Answered: "answered",
    events.Closed: "closed",
}
_WAITING_MAX: Final = 10_000  # parcels whose clue has begun, and whose trace has not come


class ClueSpans:
    """Tells what people and processes do about clues, from when it was made."""

    def __init__(self, sampler: Sampler, send: Send, since_ms: int) -> None:
        self._sampler, self._send, self._since_ms = sampler, send, since_ms
        self._events: dict[str, Sequence[bytes]] = {}  # digests of sampled events by parcel
        self._waiting: OrderedDict[str, list[tuple[str, int]]] = OrderedDict()

    def traced(self, trace: Trace) -> None:
        """The trace of a parcel names its events."""
        named = [each.event_id for each in trace.movements]
        self._events[trace.key] = self._sampler.digests(named if trace.event_id is None else [trace.event_id, *named])
        for name, at in self._waiting.pop(trace.key, ()):
            self._tell(trace.key, name, at)

    def acted(self, clue: Clue, event: events.ClueEvent) -> None:
        """An event of the log has changed a clue."""
        name = _TOLD.get(type(event))
        if name is None or event.at < self._since_ms or clue.monitor:
            return
        if clue.parcel in self._events:
            self._tell(clue.parcel, name, event.at)
            return
        self._waiting.setdefault(clue.parcel, []).append((name, event.at))
        if len(self._waiting) > _WAITING_MAX:
            self._waiting.popitem(last=False)

    def _tell(self, parcel: str, name: str, at_ms: int) -> None:
        at = at_ms * 1_000_000
        for digest in self._events[parcel]:
            self._send(1, [Span(digest, f"clue {name}", at, at)])
