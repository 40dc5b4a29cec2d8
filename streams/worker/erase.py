"""Erases a person: the tokens go out of the state, and alerts and traces out again without them, in one transaction.

So a run that is killed has done all of it or nothing, and is run again. What was read long ago is deleted after it:
observations, and shipment records of that person where this is asked for. Whatever could bring the tokens back is
looked for first: a record of that person that nobody has judged yet, or one that might be judged again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from schemas import topics
from schemas.desk import Trace
from schemas.errors import WaybillError
from schemas.records import Alert, Shipment, encode
from streams.flow import erasure
from streams.flow.decode import Limits, decode
from streams.flow.describe.tokens import Tokeniser, tokeniser
from streams.flow.erasure import Given, Persons
from streams.kafka.cluster import Place
from streams.kafka.log_reader import Entry, LogReader
from streams.kafka.roles import SEARCHED
from streams.settings import Settings
from streams.worker.epoch import Epoch
from streams.worker.stopped import Advance, Stopped

_READ = (topics.SHIPMENTS, topics.OBSERVATIONS)
_STATES = (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)
_KEY_ID = re.compile(rb'"sender_token":"([^":]+):')
_SHOWING: Mapping[str, type[Alert] | type[Trace]] = {topics.ALERTS: Alert, topics.TRACES: Trace}


class EraseError(WaybillError):
    """What stands against erasing now; the message says what to do, and never of whom."""


@dataclass(slots=True)
class Found:
    """What holds the persons. records: by topic, those that hold them; the state's older values, and deletions, go when
    the broker compacts. own, others: histories; open: parcels of which an alert is open."""

    records: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SEARCHED, 0))
    own: int = 0
    others: int = 0
    parcels: int = 0
    open: int = 0
    messages: int = 0
    shipments: dict[Place, int] = field(default_factory=dict)
    """Where the last of their shipment records ends that the broker still has, by partition."""
    newest_ms: int = 0

    @property
    def nothing(self) -> bool:
        """There is nothing to erase."""
        return not (self.own or self.others or self.parcels or self.messages or self.shipments)


class Erasure(Stopped):
    """Erases some persons from a deployment whose workers are stopped."""

    def __init__(
        self, settings: Settings, given: Iterable[tuple[Given, str]], *, say: Callable[[str], None], advance: Advance
    ) -> None:
        """given: see `persons_of`. Raises RequestError, KeyFileError."""
        self._tokens: Tokeniser = tokeniser(settings)
        self._persons = erasure.persons_of(given, self._tokens)
        super().__init__(settings, say=say, advance=advance)
        self._limits = Limits(bytes_max=settings.event_bytes_max)
        self._epoch = Epoch()
        self._judged: dict[Place, int] = {}

    def look(self, *, alone: bool = True) -> Found:
        """Find all that holds them, and prepare what is to be written. Changes nothing.

        alone: as for `Growth.look`. Raises EraseError where something would bring them back.
        """
        self._say("looking: members of the group, and all that is kept")
        if alone:
            self._await_empty()
            self._start_committing()
        count = self._cluster.topic(topics.PARCELS_CHANGELOG).partitions
        places = [(topic, number) for topic in _READ for number in range(count)]
        # What a worker had read when it stopped, and the state is of that moment.
        self._judged = self._cluster.committed(self._settings.group, places, stable=True)
        if not self._judged:
            raise EraseError(
                f"group {self._settings.group} has committed nothing: give the `group` of the workers, or there is no "
                "state to erase from"
            )
        self._restore(count, parted=count)
        self._persons = self._resolved(count)
        found = Found()
        self._erase_state(found, count)
        self._say("looking: what is on the topics")
        self._search(found)
        return found

    def run(self, found: Found, *, delete_events: bool) -> None:
        """Write what `look` has prepared, and delete what was judged. It may be done again.

        delete_events: shipment records up to the last of theirs, which are those of other parcels, too. Raises
        EraseError where there are some, and they are not to go.
        """
        if found.shipments and not delete_events:
            at, count = datetime.fromtimestamp(found.newest_ms / 1_000, UTC), found.records[topics.SHIPMENTS]
            raise EraseError(
                f"{topics.SHIPMENTS}: still has {count:,} records of this person, the last of {at:%Y-%m-%d %H:%M} UTC: "
                "run this again when its retention.ms has taken them, or with --delete-events, which deletes all "
                "records of these partitions up to there"
            )
        self._say("erasing: state, alerts and traces, in one transaction")
        # The broker takes offsets of whoever is no member only while there is none: no worker has started meanwhile.
        self._epoch.stand_at(self._judged)
        self._commit(self._epoch)
        self._say("deleting: what was judged")
        read = {place: at for place, at in self._judged.items() if place[0] == topics.OBSERVATIONS}
        self._cluster.delete_before({**read, **found.shipments})

    def _resolved(self, count: int) -> Persons:
        kept = [self._stores[name] for name in _STATES]
        known = (some for number in range(count) for some in erasure.known_tokens(kept[0], kept[1], number))
        return erasure.resolved(self._persons, self._tokens, known) if self._persons.shown else self._persons

    def _erase_state(self, found: Found, count: int) -> None:
        """In the epoch that is open; it is dropped unless it is committed."""
        parcels, histories = (self._stores[name] for name in _STATES)
        touched_max = self._cluster.bounds([(topics.REFERENCE, 0)])[topics.REFERENCE, 0][1]
        for number in range(count):
            own, others = erasure.erase_histories(histories, number, self._persons)
            changed, opened = erasure.erase_parcels(parcels, number, self._persons, touched_max)
            found.own, found.others = found.own + own, found.others + others
            found.parcels, found.open = found.parcels + changed, found.open + opened
            self._advance("looking through state", (number + 1) / count, found.parcels)

    # Topics

    def _search(self, found: Found) -> None:
        for entries in self._pieces(topics.SHIPMENTS):
            self._name(entries, found)
        forms, key_ids = self._persons.forms(), set[bytes]()
        for topic in (name for name in SEARCHED if name != topics.SHIPMENTS):
            newest: dict[tuple[int, bytes], Entry] = {}  # of each key the last one counts
            for entry in (entry for entries in self._pieces(topic) for entry in entries):
                newest.pop((entry.partition, entry.key), None)
                key_ids |= {*_KEY_ID.findall(entry.value or b"")} if topic == topics.ALERTS else set()
                if any(form in entry.key or form in (entry.value or b"") for form in forms):
                    found.records[topic] += 1
                    newest[entry.partition, entry.key] = entry
                    if topic == topics.OBSERVATIONS:
                        self._refuse_unread(entry)
            if key_ids and key_ids.isdisjoint(each.encode() for each in self._tokens.publish_key_ids):
                raise EraseError(
                    "no alert carries a token under a key of token_key_file, so these are not the keys of the workers, "
                    "and nobody would be found: give the settings of the workers"
                )
            if topic in _SHOWING:
                self._show(newest.values(), _SHOWING[topic], found)

    def _pieces(self, topic: str) -> Iterator[list[Entry]]:
        with LogReader(str(self._config["bootstrap.servers"]), [topic], client=self._settings.kafka) as reader:
            for entries in reader.pieces_to_end():
                yield entries
                at, end = sum(reader.positions.values()), sum(high for _, high in reader.bounds.values())
                self._advance(f"looking through {topic}", min(at / max(end, 1), 1), at)

    def _name(self, entries: Sequence[Entry], found: Found) -> None:
        """Note the shipment records that name them."""
        decoded = decode(Shipment, [entry.value for entry in entries], self._limits)
        named = erasure.named_in(decoded.rows, self._persons, self._tokens)
        for row, theirs in zip(decoded.indices, named.tolist(), strict=True):
            if theirs:
                entry = entries[row]
                self._refuse_unread(entry)
                found.records[topics.SHIPMENTS] += 1
                found.shipments[entry.topic, entry.partition] = entry.offset + 1
                found.newest_ms = max(found.newest_ms, entry.at_ms)

    def _refuse_unread(self, entry: Entry) -> None:
        if entry.offset >= self._judged.get((entry.topic, entry.partition), 0):
            raise EraseError(
                f"{entry.topic}: has records of this person that are not judged yet, and would bring the tokens back: "
                "start the workers, wait until `waybill offsets show` says lag 0, stop them and run this again"
            )

    def _show(self, newest: Iterable[Entry], record: type[Alert] | type[Trace], found: Found) -> None:
        """Have these messages go out again without them, each where it stands."""
        for entry in newest:
            if entry.value is None:
                continue
            said = erasure.without(msgspec.json.decode(entry.value, type=record), self._persons)
            if said is not None:
                self._epoch.messages[entry.topic, entry.partition].append({"key": entry.key, "value": encode(said)})
                found.messages += 1
