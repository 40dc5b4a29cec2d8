"""The dispatcher: opens clues from alerts and orders, and does what is due about each until a station has it.

It stores nothing. At its start it reads topics: the clue log, alerts, traces, orders, reference data, and what the desk
has published. Only one runs at a time: if a second one starts, it takes over and the first one stops.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, get_args

import msgspec

from desk.clues.acts import Act
from desk.clues.book import Taken
from desk.clues.dispatch import NOTHING, Seen, of_alert, of_order, owed
from desk.clues.fold import step
from desk.clues.register import Register
from desk.keeping import copies
from desk.log import Client, ClueLog
from desk.queue import OPEN, late
from desk.spans import ClueSpans
from desk.standing import Standing
from schemas import clues as events
from schemas import topics
from schemas.desk import Order, Trace
from schemas.records import Alert
from schemas.refusals import UNREADABLE
from schemas.terms import Step
from streams.flow.emit import alert_id
from streams.kafka import naming
from streams.kafka.log_reader import Entry, LogReader

log = logging.getLogger(__name__)

NAME: Final = "waybill-dispatcher"  # who acts, in the log
_BATCH: Final = 500  # events of one transaction
_KEEP_S: Final = 86_400.0  # how often the dispatcher looks for clues to write again
_SCAN_S: Final = 5.0  # how often deadlines are checked
_ROUNDS_MAX: Final = 8  # a clue needs three at most; more would be two dispatchers at odds
_alert = msgspec.json.Decoder(Alert).decode
_trace = msgspec.json.Decoder(Trace).decode
_order = msgspec.json.Decoder(Order).decode
News = dict[tuple[str, str], Alert | Order | None]
"""By clue and topic. None: an order that was taken back."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Open clues by their state, and overdue ones by the step that is due."""

    states: Mapping[str, int]
    overdue: Mapping[str, int]


class Dispatcher:
    """One dispatcher on a broker; a context manager.

    limit   points from which workers send alerts, to find out which rules were decisive.
    group   of the workers: dispatchers of one group take each other's place.
    spans   tells OpenTelemetry what becomes of clues.
    """

    def __init__(
        self, servers: str, client: Client, limit: int, group: str = naming.GROUP, spans: ClueSpans | None = None
    ) -> None:
        self.register = Register()
        self.seen: dict[str, Seen] = {}  # by parcel
        self.log = ClueLog(servers, client, naming.of(group, "dispatcher"))
        self.standing = Standing()
        self._inputs = LogReader(
            servers,
            [topics.REFERENCE, topics.TRACES, topics.ALERTS, topics.ORDERS, topics.FEEDBACK, topics.HOLDS],
            client=client,
        )
        self._servers, self._client, self._limit = servers, client, limit
        self._spans = spans
        self._dirty: set[str] = set()
        self._scanned = 0.0
        self._kept: float | None = None

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.__exit__(None, None, None)
        self._inputs.close()

    def start(self) -> None:
        """Take over from any other dispatcher, and read the topics to their ends. Raises ClientError, WriteError."""
        self.log.start_writing()
        self.log.catch_up()
        orders: News = {}  # by themselves: only all of the topic tells which still stand
        entries = self._inputs.to_end()
        while batch := list(islice(entries, 5_000)):
            news = self._news(batch)
            orders |= {what: news.pop(what) for what in [*news] if what[1] == topics.ORDERS}
            self._open(news)
        self._open(orders)
        self._dirty |= self.log.open | {clue_id for clue_id, clue in self.log.book.clues.items() if clue.hold}
        self._settle()

    def step(self, timeout_s: float = 0.2) -> None:
        """Read what comes within `timeout_s`, and do what is due. Raises ClientError, WriteError."""
        self._heard(self.log.poll(0.0))
        self._open(self._news(self._inputs.poll(timeout_s)))
        if time.monotonic() > self._scanned + _SCAN_S:
            self._scanned = time.monotonic()
            self._dirty |= self.log.open
        if self._kept is None or time.monotonic() > self._kept + _KEEP_S:
            self._kept = time.monotonic()
            self.keep(_now())
        self._settle()
        if wrong := self.standing.owed(self.log.book.clues, time.monotonic()):
            self.log.write_beside(wrong)
            log.info("put back what stands of %d parcels: an act that lost a race had written there", len(wrong))

    def keep(self, now_ms: int) -> int:
        """Write clues under `kept` again if that was last done a month ago. Returns how many. Raises as `step`."""
        kept = {clue_id for clue_id, clue in self.log.book.clues.items() if (clue.kept_until or 0) > now_ms}
        if not kept:
            return 0
        with LogReader(self._servers, [topics.CLUES], client=self._client) as reader:
            written = list(copies(reader.to_end(), kept, now_ms))
        for records in written:
            self.log.write_beside(records)
        return len(written)

    def unread(self) -> dict[str, int]:
        """Records of each topic that were not read yet, as far as that is known without asking."""
        return self._inputs.unread() | self.log.unread()

    def counts(self) -> Counts:
        """What there is of open clues. Those under controlled delivery, which only some may see, are never overdue."""
        open_clues = [self.log.book.clues[clue_id] for clue_id in self.log.open]
        states: Counter[str] = Counter(dict.fromkeys(OPEN, 0))
        states.update(clue.state for clue in open_clues)
        overdue: Counter[str] = Counter(dict.fromkeys(get_args(Step), 0))
        overdue.update(step for _, step, _ in late(open_clues, "", _now()))
        return Counts(states, overdue)

    def _news(self, entries: Iterable[Entry]) -> News:
        """What others have written about clues; only the newest of each counts."""
        news: News = {}
        for entry in entries:
            try:
                self._read(entry, news)
            except UNREADABLE:
                log.warning("%s is no message of this version; left out", entry.place)
        return news

    def _read(self, entry: Entry, news: News) -> None:
        if entry.topic == topics.REFERENCE:
            if self.register.add(entry.key, entry.value):
                self._dirty |= self.log.open
        elif entry.topic in (topics.FEEDBACK, topics.HOLDS):
            self.standing.heard(entry)
        elif entry.topic == topics.ORDERS:
            news[alert_id(entry.key.decode()), entry.topic] = _order(entry.value) if entry.value else None
        elif entry.value and entry.topic == topics.TRACES:
            trace = _trace(entry.value)
            self.seen[trace.key] = Seen.of(trace)
            if self._spans is not None:
                self._spans.traced(trace)
            self._dirty.add(trace.alert_id)
        elif entry.value:
            alert = _alert(entry.value)
            news[alert.alert_id, entry.topic] = alert

    def _open(self, news: News) -> None:
        """Add events to the log: open clues of alerts and orders, and say what has changed of them.

        Alerts first: of a parcel with both, the log then tells each once its clue is there.
        """
        for topic in (topics.ALERTS, topics.ORDERS):
            acts = (self._act(clue_id, said) for (clue_id, of), said in news.items() if of == topic)
            self._add(act for act in acts if act is not None)

    def _act(self, clue_id: str, said: Alert | Order | None) -> Act | None:
        clue = self.log.book.clues.get(clue_id)
        if isinstance(said, Alert):
            return of_alert(clue, said, self._limit, _now())
        return of_order(clue, said, _now())

    def _settle(self) -> None:
        """Do what is due about clues that have changed, until nothing is."""
        for _ in range(_ROUNDS_MAX):
            dirty, self._dirty = self._dirty, set()
            if not dirty:
                return
            now = _now()
            clues = (clue for clue_id in sorted(dirty) if (clue := self.log.book.clues.get(clue_id)) is not None)
            acts = (owed(clue, self.seen.get(clue.parcel, NOTHING), self.register, now) for clue in clues)
            self._add(act for act in acts if act is not None)

    def _add(self, acts: Iterable[Act]) -> None:
        for batch in _batches(acts):
            now = _now()
            made = [(clue := self.log.book.clues.get(act.clue_id), act.event(clue, NAME, None, now)) for act in batch]
            self._heard(self.log.add([event for clue, event in made if not isinstance(step(clue, event), str)]))

    def _heard(self, taken: Iterable[Taken]) -> None:
        for each in taken:
            self._dirty.add(each.event.clue_id)
            if self._spans is not None and each.clue is not None and each.why is None and not each.repeat:
                self._spans.acted(each.clue, each.event)
            if each.why is None and isinstance(each.event, events.Dispatched):
                log.info("clue %s goes to station %s", each.event.clue_id, each.event.to)


def _batches(acts: Iterable[Act]) -> Iterator[list[Act]]:
    rest = iter(acts)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _now() -> int:
    return int(time.time() * 1_000)
