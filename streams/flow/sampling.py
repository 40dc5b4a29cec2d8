"""Which events are traced for OpenTelemetry, and what is said of them: nothing by which a person or parcel is known.

The trace of an event follows from its id alone: whoever has the id finds the trace, and every process that meets the
event joins it, though no message carries anything for it. The id itself is in no span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from schemas.refusals import UNREADABLE
from streams.flow.batches import Batch, Sampled
from streams.flow.decode import unframed

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that was done about an event. Times: Unix, nanoseconds. root: it is all of the event's way."""

    digest: bytes
    name: str
    begun: int
    ended: int
    attributes: Attributes = field(default_factory=dict)
    root: bool = False


Send = Callable[[int, Iterable[Span]], None]
"""Takes the spans of one event, and how many they are. It may drop them, never waits, and draws them when it likes."""


def digest_of(event_id: str) -> bytes:
    """SHA-256 of the event id. Its first 16 bytes are the trace, the next 8 the span of the event's whole way."""
    return sha256(event_id.encode()).digest()


class Sampler:
    """Samples a share of events, by their ids alone."""

    def __init__(self, share: float) -> None:
        self._bound = round(share * (1 << 64))

    def digest(self, event_id: str) -> bytes | None:
        """The event's digest, if it is sampled: as OpenTelemetry's own sampler by ratio would decide on its trace."""
        digest = digest_of(event_id)
        return digest if int.from_bytes(digest[8:16], "big") < self._bound else None

    def digests(self, event_ids: Iterable[str]) -> tuple[bytes, ...]:
        """The digests of those that are sampled."""
        return tuple(digest for each in event_ids if (digest := self.digest(each)) is not None)

    def of(self, batch: Batch, fetched: int, read: int) -> Iterator[Sampled]:
        """The sampled events of a batch that was fetched and read ahead at these times."""
        for place, value in enumerate(batch.values):
            try:
                head = _head(unframed(value or b""))
                digest = self.digest(head.event_id)
            except UNREADABLE:
                continue  # it will be rejected, or its id is no text that anybody could ask for
            if digest is not None:
                recorded = batch.timestamps[place] * 1_000_000
                parcel = f"{head.carrier_code}:{head.waybill_no}".encode()
                offset = batch.offsets[place]
                yield Sampled(digest, parcel, batch.topic, batch.partition, offset, recorded, fetched, read)


class _Head(msgspec.Struct):
    event_id: str
    carrier_code: str
    waybill_no: str


_head = msgspec.json.Decoder(_Head).decode


@dataclass(frozen=True, slots=True)
class Told:
    """The sampled events of a step: what was done about them until when, and what became of their parcels."""

    events: Sequence[Sampled]
    begun: int
    parts: Sequence[tuple[str, int]]  # name and end of each, in order
    became: Mapping[bytes, Attributes]  # by parcel
    rejected: Mapping[tuple[str, int, int], str]  # why, by topic, partition and offset

    def count(self, event: Sampled) -> int:
        """How many spans `spans` gives."""
        return len(self.parts) + 6 + (event.parcel in self.became)

    def spans(self, event: Sampled, committing: int, committed: int) -> Iterator[Span]:
        """The way of an event whose epoch was committed between these times."""
        where: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.destination.name": event.topic,
            "messaging.destination.partition.id": str(event.partition),
            "messaging.kafka.offset": event.offset,
        }
        if reason := self.rejected.get((event.topic, event.partition, event.offset)):
            where["waybill.rejected"] = reason
        begun = min(event.recorded, event.fetched)  # a producer's clock may be ahead
        yield Span(event.digest, "event", begun, committed, where, root=True)
        parts = [("wait", event.fetched), ("decode", event.read), ("queue", self.begun), *self.parts]
        for name, ended in (*parts, ("hold", committing), ("commit", committed)):
            yield Span(event.digest, name, begun, ended)
            begun = ended
        if (became := self.became.get(event.parcel)) is not None:
            yield Span(event.digest, "alert", self.parts[-1][1], committed, became)
