"""Reading the alert topic, or the shadow topic, as an analyst does: the newest message of a parcel holds the truth.

Only committed messages are read, and nothing is committed for the reader: it joins no group and leaves no trace.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, get_args

import msgspec

from schemas import topics
from schemas.apart import Shadow
from schemas.records import Alert, Reason
from schemas.refusals import UNREADABLE
from schemas.terms import Level, Tier
from streams.kafka.log_reader import Entry, LogReader

Order = Literal["urgency", "time"]
log = logging.getLogger(__name__)

_TIERS: tuple[Tier, ...] = get_args(Tier)
_LEVELS: tuple[Level, ...] = get_args(Level)
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_shadow = msgspec.json.Decoder(Shadow).decode


@dataclass(frozen=True, slots=True)
class Change:
    """One message. `alert`, or on the shadow topic `shadow`, None: the parcel was forgotten. `raw`: as on the wire."""

    parcel: str
    alert: Alert | None
    raw: bytes
    at_ms: int  # of the broker, epoch ms
    shadow: Shadow | None = None
    partition: int = 0


class AlertReader:
    """Reads all partitions from the beginning, or from the end; a context manager.

    client   further librdkafka properties.
    latest   begin at the end instead.
    shadow   read the shadow topic.

    Raises ClientError when the broker does not answer or has no such topic.
    """

    def __init__(
        self, bootstrap_servers: str, *, client: Mapping[str, str | int | float | bool] | None = None,
        latest: bool = False, shadow: bool = False,
    ) -> None:  # fmt: skip
        self.topic = topics.SHADOW if shadow else topics.ALERTS
        self.unreadable = 0
        self._reader = LogReader(bootstrap_servers, [self.topic], client=client, latest=latest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def to_end(self) -> Iterator[Change]:
        """All changes up to the end of each partition as it is when reached. Raises ClientError."""
        return self._changes(self._reader.to_end())

    def poll(self, timeout_s: float) -> list[Change]:
        """Changes that have come, at the latest after `timeout_s`. Raises ClientError."""
        return list(self._changes(self._reader.poll(timeout_s)))

    def _changes(self, entries: Iterable[Entry]) -> Iterator[Change]:
        for entry in entries:
            parcel = entry.key.decode("utf-8", "replace")
            if not entry.value:
                yield Change(parcel, None, b"", entry.at_ms, partition=entry.partition)
                continue
            try:
                alert = shadow = None
                if self.topic == topics.SHADOW:
                    shadow = _decode_shadow(entry.value)
                else:
                    alert = _decode_alert(entry.value)
                yield Change(parcel, alert, entry.value, entry.at_ms, shadow, entry.partition)
            except UNREADABLE:
                self.unreadable += 1
                log.warning("%s is no message of this version; left out", entry.place)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which alerts someone asks for; what is empty asks for all.

    tier      this one and above
    parcels   CARRIER:NUMBER, or the number alone; then those withdrawn count, too
    places    prefixes of the code of the place where the parcel can next be stopped
    rules     that say yes: any of these, or any of a family (`goods`)
    since_ms  found at this moment or later, epoch ms
    sender    tokens of one sender, see `linked`; then those withdrawn count, too
    """

    tier: Tier = "low"
    parcels: frozenset[str] = frozenset()
    places: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    since_ms: int = 0
    sender: frozenset[str] = frozenset()

    def alert(self, parcel: str, alert: Alert) -> bool:
        """Whether an alert is one of them."""
        return (
            (alert.status == "open" or bool(self.parcels or self.sender))
            and _TIERS.index(alert.tier) >= _TIERS.index(self.tier)
            and alert.jurisdiction_adcode.startswith(self.places or "")
            and alert.detected_at >= self.since_ms
            and self._parcel(parcel)
            and (not self.sender or not self.sender.isdisjoint(_senders(alert)))
            and self._rules(alert.reasons)
        )

    def shadow(self, parcel: str, shadow: Shadow) -> bool:
        """The same of a message of the shadow topic, which names no place."""
        return (
            shadow.status == "open"
            and _LEVELS.index(shadow.tier_with) > _TIERS.index(self.tier)
            and shadow.detected_at >= self.since_ms
            and self._parcel(parcel)
            and self._rules(shadow.reasons)
        )

    def _parcel(self, parcel: str) -> bool:
        return not self.parcels or not self.parcels.isdisjoint((parcel, parcel.partition(":")[2]))

    def _rules(self, reasons: Iterable[Reason]) -> bool:
        return not self.rules or any(
            reason.rule in self.rules or reason.rule.partition(".")[0] in self.rules for reason in reasons
        )


def linked(token: str, changes: Iterable[Change]) -> frozenset[str]:
    """All tokens of the sender that `token` stands for, as far as alerts say: made under one key after another."""
    groups = {_senders(change.alert) for change in changes if change.alert is not None}
    found, before = frozenset({token}), frozenset[str]()
    while found != before:
        before = found
        found = found.union(*(group for group in groups if not group.isdisjoint(found)))
    return found


def _senders(alert: Alert) -> frozenset[str]:
    return frozenset({*([alert.sender_token] if alert.sender_token else []), *alert.earlier_sender_tokens})


class _Places:
    """Where the newest message of each parcel stands. Of a topic that grew, partitions are read in no order, and older
    messages of a parcel lie in another one."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, int]] = {}

    def older(self, change: Change) -> bool:
        """Whether a message is older than one that was read; else it is the newest."""
        partition, at_ms = self._of.get(change.parcel, (change.partition, 0))
        if partition != change.partition and change.at_ms < at_ms:
            return True
        self._of[change.parcel] = change.partition, change.at_ms
        return False


class NewestShadows:
    """What the shadow topic comes to: what does not count now, by parcel, of what is asked for."""

    def __init__(self, asked: Asked | None = None) -> None:
        self._asked = asked or Asked()
        self._places = _Places()
        self.open: dict[str, Change] = {}

    def take(self, change: Change) -> bool:
        """Note a change; whether it is one to what is shown."""
        if self._places.older(change):
            return False
        known = self.open.pop(change.parcel, None) is not None
        if change.shadow is not None and self._asked.shadow(change.parcel, change.shadow):
            self.open[change.parcel] = change
            return True
        return known

    def sorted(self) -> list[Change]:
        """What is open, newest first."""
        return sorted(self.open.values(), key=lambda change: change.at_ms, reverse=True)


class Newest:
    """What the changes read so far come to: the alerts that are asked for, by parcel."""

    def __init__(self, asked: Asked | None = None) -> None:
        self._asked = asked or Asked()
        self._places = _Places()
        self.open: dict[str, Change] = {}

    def take(self, change: Change) -> tuple[Change | None, Change | None]:
        """Note a change; what was shown of its parcel before, and what is to be shown now."""
        if self._places.older(change):
            return self.open.get(change.parcel), self.open.get(change.parcel)
        before = self.open.pop(change.parcel, None)
        if change.alert is not None and self._asked.alert(change.parcel, change.alert):
            self.open[change.parcel] = change
            return before, change
        return before, None

    def sorted(self, by: Order = "time") -> list[Change]:
        """The alerts, newest first, or the most urgent first: by tier and score."""
        return sorted(self.open.values(), key=_urgency if by == "urgency" else _detected_at, reverse=True)


def same_verdict(before: Change | None, now: Change | None) -> bool:
    """Whether two alerts of one parcel say the same of it; one that was scanned on its way has a new place only."""
    if before is None or now is None or before.alert is None or now.alert is None:
        return before is now
    return _verdict(before.alert) == _verdict(now.alert)


def _verdict(alert: Alert) -> tuple[object, ...]:
    return alert.status, alert.tier, alert.score, tuple(reason.rule for reason in alert.reasons)


def _detected_at(change: Change) -> int:
    return change.alert.detected_at if change.alert is not None else 0


def _urgency(change: Change) -> tuple[bool, int, int, int]:
    alert = change.alert
    if alert is None:
        return False, 0, 0, 0
    return alert.status == "open", _TIERS.index(alert.tier), alert.score, alert.detected_at


def evidence(alert: Alert) -> list[dict[str, str | None]]:
    """What the rules of an alert found, as a list that has the same three fields whatever they read.

    One row for each column of each rule; a value is text, as JSON writes it, but without quotes around it. So tools
    that read tables find no column that is null for most alerts, and no column of two types.
    """
    return [
        {"rule": reason.rule, "column": column, "value": _text(value)}
        for reason in alert.reasons
        for column, value in reason.evidence.items()
    ]


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
