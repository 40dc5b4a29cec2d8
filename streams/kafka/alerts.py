"""Reading the alert topic, or the shadow topic, as an analyst does: the newest message of a parcel holds the truth.

Only committed messages are read, and nothing is committed for the reader: it joins no group and leaves no trace.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, get_args

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import topics
from schemas.apart import Shadow
from schemas.records import Alert
from schemas.terms import Level, Tier

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_SILENCE_S = 30.0
_ROWS = 5_000
_TIERS: tuple[Tier, ...] = get_args(Tier)
_LEVELS: tuple[Level, ...] = get_args(Level)
# What no waiting mends. Others, such as a broker that restarts, librdkafka gets over.
_FINAL = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_shadow = msgspec.json.Decoder(Shadow).decode


class AlertError(RuntimeError):
    """The alert topic cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One message. `alert`, or on the shadow topic `shadow`, None: the parcel was forgotten. `raw`: as on the wire."""

    parcel: str
    alert: Alert | None
    raw: bytes
    at_ms: int  # of the broker, epoch ms
    shadow: Shadow | None = None


class AlertReader:
    """Reads all partitions from the beginning, or from the end; a context manager.

    client   further librdkafka properties.
    latest   begin at the end instead.
    shadow   read the shadow topic.

    Raises AlertError when the broker does not answer or has no such topic.
    """

    def __init__(
        self, bootstrap_servers: str, *, client: Mapping[str, str | int | float | bool] | None = None,
        latest: bool = False, shadow: bool = False,
    ) -> None:  # fmt: skip
        self.topic = topics.SHADOW if shadow else topics.ALERTS
        self.unreadable = 0
        self._consumer = Consumer(
            {
                **(client or {}),
                "bootstrap.servers": bootstrap_servers,
                "group.id": "waybill-alerts",  # never joins: partitions are assigned by hand
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )
        try:
            self._pending = self._assign(latest)
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def to_end(self) -> Iterator[Change]:
        """All changes up to the end of each partition as it is when reached. Raises AlertError."""
        heard = time.monotonic()
        while self._pending:
            waiting = len(self._pending)
            changes = self.poll(0.5)
            yield from changes
            if changes or len(self._pending) < waiting:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise AlertError(f"{self.topic}: nothing came for {_SILENCE_S:.0f} s")

    def poll(self, timeout_s: float) -> list[Change]:
        """Changes that have come, at the latest after `timeout_s`. Raises AlertError."""
        changes = []
        for message in self._consumer.consume(_ROWS, timeout_s):
            error = message.error()
            if error is None:
                change = self._change(message)
                if change is not None:
                    changes.append(change)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._pending.discard(message.partition() or 0)
            elif error.fatal() or error.code() in _FINAL:
                raise AlertError(f"{self.topic}: {error.str()}")
        return changes

    def _assign(self, latest: bool) -> set[int]:
        try:
            listed = self._consumer.list_topics(timeout=_TIMEOUT_S).topics  # of all: asking by name may create it
        except KafkaException as error:
            raise AlertError(f"the broker does not answer: {error.args[0].str()}") from None
        if self.topic not in listed:
            raise AlertError(f"no topic {self.topic}; run `waybill topics create`")
        numbers = set(listed[self.topic].partitions)
        places = [TopicPartition(self.topic, number, OFFSET_BEGINNING) for number in sorted(numbers)]
        if latest:  # fixed now: "the end" would be wherever the first fetch finds it
            for place in places:
                place.offset = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)[1]
        self._consumer.assign(places)
        return numbers

    def _change(self, message: Message) -> Change | None:
        key, raw = message.key(), message.value()
        parcel = key.decode("utf-8", "replace") if isinstance(key, bytes) else ""
        if not raw:
            return Change(parcel, None, b"", message.timestamp()[1])
        try:
            at_ms = message.timestamp()[1]
            if self.topic == topics.SHADOW:
                return Change(parcel, None, bytes(raw), at_ms, _decode_shadow(raw))
            return Change(parcel, _decode_alert(raw), bytes(raw), at_ms)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            log.warning("%s is no message of this version; left out", place)
            return None


class NewestShadows:
    """What the shadow topic comes to: what does not count now, by parcel, where it would be at or above a tier."""

    def __init__(self, tier: Tier = "low") -> None:
        self._from = _TIERS.index(tier)
        self.open: dict[str, Change] = {}

    def take(self, change: Change) -> bool:
        """Note a change; whether it is one to what is shown."""
        known = self.open.pop(change.parcel, None) is not None
        said = change.shadow
        if said is not None and said.status == "open" and _LEVELS.index(said.tier_with) > self._from:
            self.open[change.parcel] = change
            return True
        return known

    def sorted(self) -> list[Change]:
        """What is open, newest first."""
        return sorted(self.open.values(), key=lambda change: change.at_ms, reverse=True)


class Newest:
    """What the changes read so far come to: the open alerts at or above a tier, by parcel."""

    def __init__(self, tier: Tier = "low") -> None:
        self._from = _TIERS.index(tier)
        self.open: dict[str, Change] = {}

    def take(self, change: Change) -> tuple[Change | None, Change | None]:
        """Note a change; what was shown of its parcel before, and what is to be shown now."""
        before = self.open.pop(change.parcel, None)
        alert = change.alert
        if alert is not None and alert.status == "open" and _TIERS.index(alert.tier) >= self._from:
            self.open[change.parcel] = change
            return before, change
        return before, None

    def sorted(self) -> list[Change]:
        """The open alerts, newest first."""
        return sorted(self.open.values(), key=_detected_at, reverse=True)


def same_verdict(before: Change | None, now: Change | None) -> bool:
    """Whether two alerts of one parcel say the same of it; one that was scanned on its way has a new place only."""
    if before is None or now is None or before.alert is None or now.alert is None:
        return before is now
    return _verdict(before.alert) == _verdict(now.alert)


def _verdict(alert: Alert) -> tuple[object, ...]:
    return alert.status, alert.tier, alert.score, tuple(reason.rule for reason in alert.reasons)


def _detected_at(change: Change) -> int:
    return change.alert.detected_at if change.alert is not None else 0
