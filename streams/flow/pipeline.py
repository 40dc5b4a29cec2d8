"""The way of an event, without a broker: raw batches in, messages to publish out.

The worker, `judge` and the cases of rules all run these two steps. Only their input and output differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rules import TIERS, Catalogue
from schemas import topics
from schemas.inputs import INPUT_TOPICS, MOVEMENTS, SHIPMENTS
from schemas.records import Reject
from schemas.rulesets import Held
from streams.flow import layout
from streams.flow.batches import Answers, Batch, Movements, Uploads, pack, unpack
from streams.flow.decode import Limits, Rejected
from streams.flow.describe.describer import Describer
from streams.flow.emit import emit
from streams.flow.flood import Flood, Gate
from streams.flow.fold import dossiers, histories, natively, parcels
from streams.flow.fold.duties import counted
from streams.flow.fold.tallies import Tallies
from streams.flow.front.reader import Front
from streams.flow.judge import Verdicts, count_answers, judge
from streams.flow.judged import Judged
from streams.flow.orders import Orders
from streams.flow.reference import EMPTY
from streams.flow.reference.reading import Reader
from streams.flow.reject_cipher import RejectCipher, drop
from streams.flow.shadow import shadow
from streams.flow.time.expiry import Expiry, Retention
from streams.flow.time.timers import PartitionTimers, ReadProgress, TimerService, restore_timers
from streams.native import Switch
from streams.state.store import Store

DUE_MAX = 20_000  # parcels judged in one step because their timers fired


class Parcels:
    """Judge parcels: decode, describe, fold, judge, emit."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        describer: Describer,
        histories: Histories | None = None,
        *,
        partitions: int,
        emit_from: str,
        event_bytes_max: int,
        flood: Flood | None = None,
        retention: Retention | None = None,
        settle_ms: int = 0,
        tally_ms: int = 0,
        orders: Orders | None = None,
    ) -> None:
        """flood: holds back rules that open far too many alerts; None: every alert goes out.
        retention: how long state is kept; None: for ever. settle_ms: see `streams.flow.time.timers`.
        tally_ms: how often a tally is published at most; 0: parcels are not counted. orders: None: none are drawn.
        """
        self.store = store
        self.catalogue = catalogue
        self._limits = Limits(bytes_max=event_bytes_max)
        self.front = Front(describer, self._limits)
        self.tallies = Tallies(store, every_ms=tally_ms, library=self.front.library) if tally_ms else None
        self._orders = orders
        self._describer = self._counting(describer)
        self._histories = histories
        self.co_located: frozenset[int] = frozenset()
        """Partitions whose histories this worker holds: they answer within the step. For other partitions the answer
        takes two more topics and two more transactions. The result is the same, since state is a set of facts.
        """
        self._partitions = partitions
        self._emit_from = TIERS.index(emit_from)
        self._flood = flood
        self.timers = TimerService(settle_ms, self.front.library)
        self.expiry: Expiry | None = None
        if retention is not None and histories is not None:
            self.expiry = histories.expiry = Expiry(
                store, histories.store, retention, self.timers, self.tallies, self.front.library
            )
        self.reference = EMPTY  # outlets and couriers; replaced between two steps, then `rejudge`
        self.rule_set = 0  # number of the newest one known, a part of the revision; 0: rules of files

    def read_ahead(self, batch: Batch) -> Batch:
        """The batch, with what the native front end can read of it. May run on another thread, before the step."""
        return self.front.ahead(batch)

    def reference_reader(self) -> Reader:
        """A reader of records of `waybill.reference` that makes the same tokens as for senders."""
        return Reader(self.front)

    def adopt(self, catalogue: Catalogue, rule_set: int) -> None:
        """Judge by these rules from now on. Call it between two steps; `rejudge` applies them to stored parcels."""
        self.catalogue, self.rule_set = catalogue, rule_set
        self._describer = self._counting(self._describer.reading(catalogue.columns))
        self.front = Front(self._describer, self._limits)

    def _counting(self, describer: Describer) -> Describer:
        """A describer that also looks up what tallies need."""
        return describer if self.tallies is None else replace(describer, joins=True)

    @property
    def held(self) -> tuple[Held, ...]:
        """Rules that are held back now."""
        return self._flood.holds() if self._flood is not None else ()

    @property
    def kinds(self) -> frozenset[int]:
        """The kinds of history that the rules in force need."""
        return self._describer.kinds

    @property
    def joins(self) -> bool:
        """Whether the rules in force or tallies need reference data."""
        return self._describer.joins

    def step(self, batches: Sequence[Batch], now_ms: int) -> Judged:
        """Judge every parcel that these batches touch. It decides no absences; `settle` does."""
        out = Judged()
        uploads, movements = self.read(batches, out)
        late = self._read_times(uploads, movements, now_ms)
        answers = _answers([batch for batch in batches if batch.topic == topics.FACTS])
        touched = parcels.fold(self.store, uploads, movements, answers, library=self.front.library)
        if self.expiry is not None:
            self.expiry.begin(touched)
        self._ask(touched, out)
        self._finish(touched, out, now_ms, late=late)
        return out

    def settle(self, progress: Mapping[int, ReadProgress], clock_ms: int, now_ms: int) -> Judged:
        """Move the watermarks, and judge the parcels whose timers fire: what has not come is missing.

        It judges DUE_MAX parcels at most; if `Judged.behind`, there are more, and `settle` must be called again.
        progress, clock_ms: see `PartitionTimers.settle`. now_ms: the wall clock.
        """
        self.timers.settle(progress, clock_ms, now_ms)
        out = Judged()
        if due := self.timers.due(DUE_MAX):
            out.due, out.behind = len(due), self.timers.behind
            touched = parcels.fold(
                self.store, Uploads.none(), Movements.none(), Answers.none(), due, self.front.library
            )
            self._finish(touched, out, now_ms, event_time=self.timers.event_time(touched.numbers))
        return out

    def rejudge(
        self, partition: int, kept: Sequence[tuple[bytes, bytes]], now_ms: int, *, since: int | None = None
    ) -> Judged:
        """Judge stored dossiers again.

        kept: dossiers of a partition as stored, key and value. since: only those that reference records after the first
        `since` touch; None: all.
        """
        out = Judged()
        touched = dossiers.stored(partition, kept)
        rows = np.arange(len(kept))
        touched.judge[:] = True if since is None else touched.touched(self.reference, rows) > since
        self._finish(touched, out, now_ms)
        return out

    def _ask(self, touched: dossiers.Dossiers, out: Judged) -> None:
        """Ask the histories: co-located ones answer at once, the others over their topic."""
        observed = touched.observations()
        partitions = (observed["entity"] % self._partitions).astype(np.int64)
        if self._histories is not None and self.co_located:
            held = np.array(sorted(self.co_located))
            co_located = np.isin(partitions, held)
            facts = self._histories.answer(observed.compress(co_located), partitions[co_located])
            here = np.isin(facts.partitions, held)
            out.facts = pack(facts.rows.compress(~here), facts.partitions[~here])
            mine = np.flatnonzero(here)
            mine = mine[np.argsort(facts.partitions[mine], kind="stable")]  # parcels are looked up by partition
            parcels.answer(touched, self.store, Answers(facts.partitions[mine].tolist(), facts.rows.take(mine)))
            observed, partitions = observed.compress(~co_located), partitions[~co_located]
        out.observations = pack(observed, partitions)

    def close(self) -> None:
        """Partitions are gone: drop what memory holds of them."""
        self.co_located = frozenset()
        self.timers.close()
        if self.expiry is not None:
            self.expiry.close()
        if self.tallies is not None:
            self.tallies.close()

    def restore(
        self, number: int, pieces: Iterable[Sequence[tuple[bytes, bytes]]], cancelled: Callable[[], bool]
    ) -> PartitionTimers:
        """What is held in memory of the parcels of a partition, from their stored values, some thousands at a time."""
        if self.tallies is None:
            return self.restore_timers(pieces, cancelled)
        counted = self.tallies.restored(number, pieces)
        timers = self.restore_timers(counted, cancelled)
        while not cancelled() and next(counted, None):
            pass
        return timers

    def restore_timers(
        self, dossiers_of: Iterable[Sequence[tuple[bytes, bytes]]], cancelled: Callable[[], bool]
    ) -> PartitionTimers:
        """The timers of a partition, from its stored parcels, some thousands at a time."""
        home, library, wanted = self._describer.home_adcodes, self.front.library, self.catalogue.columns
        return restore_timers(dossiers_of, home=home, wanted=wanted, cancelled=cancelled, library=library)

    def read(self, batches: Sequence[Batch], out: Judged) -> tuple[Uploads, Movements]:
        """Read and describe what these batches hold; rejects and counts go to `out`."""
        found = self.front.read(batches)
        out.rejects += [refused(batch, bad, self._describer.reject_cipher) for batch, bad in found.rejected]
        for batch in batches:
            if batch.topic in INPUT_TOPICS:
                out.events[batch.topic] += len(batch.values)
        out.strange += found.strange
        return found.uploads, found.movements

    def _read_times(self, uploads: Uploads, movements: Movements, now_ms: int) -> set[bytes]:
        """Note the times of these events. Returns the parcels of late events, see `TimerService.read`."""
        everything: list[tuple[str, Uploads | Movements, NDArray[np.int64], NDArray[np.intp]]] = [
            (SHIPMENTS.topic, uploads, uploads.rows["picked_up_at"], np.arange(len(uploads.rows)))
        ]
        for each in MOVEMENTS:
            rows = np.flatnonzero(layout.kinds_of(each.record, movements.rows["kind"]))
            everything.append((each.topic, movements, movements.rows["at"], rows))
        late = set()
        for topic, events, at, rows in everything:
            partitions = np.array(events.partitions, dtype=np.int64)[rows]
            came_late = self.timers.read(topic, partitions, at[rows])
            late |= {events.parcels[row] for row in rows[came_late].tolist()}
            if self.expiry is not None:
                self.expiry.read(topic, partitions, at[rows], now_ms)
        return late

    def _finish(
        self,
        touched: dossiers.Dossiers,
        out: Judged,
        now_ms: int,
        *,
        event_time: NDArray[np.int64] | None = None,
        late: Collection[bytes] = (),
    ) -> None:
        """Judge these dossiers, save them, and set their timers.

        event_time: as of `conclude`; None: no absence is decided. late: parcels with events that came late.
        """
        undecided = np.zeros(len(touched.parcels), dtype=np.int64)
        verdicts = self.conclude(touched, out, now_ms, undecided if event_time is None else event_time)
        if self.tallies is not None:
            self._count(self.tallies, touched, verdicts)
        if self._orders is not None:
            out.orders = self._orders.draw(touched, verdicts)
        touched.save(self.store)
        rows = verdicts.rows.tolist()
        self.timers.set(
            [touched.partitions[row] for row in rows],
            [touched.parcels[row] for row in rows],
            verdicts.due_at,
            late,
        )

    def _count(self, tallies: Tallies, touched: dossiers.Dossiers, verdicts: Verdicts) -> None:
        """Count these dossiers for what they say now."""
        rows, heads = verdicts.rows, verdicts.journeys.heads
        bits = counted(verdicts.journeys, verdicts.joined, touched.heads["emitted"][rows], touched.heads["sent"][rows])
        tallies.count(touched, rows, bits, heads["picked_up_at"], heads["outlet"])

    def conclude(self, touched: dossiers.Dossiers, out: Judged, now_ms: int, event_time: NDArray[np.int64]) -> Verdicts:
        """Judge these dossiers and put messages that have changed into `out`: alerts and shadow messages.

        event_time: the watermark for each, epoch ms.
        """
        out.touched = touched
        out.verdicts = verdicts = self.judge(touched, event_time)
        out.answers = count_answers(verdicts.said, self.catalogue)
        gate = Gate.open(verdicts)
        if self._flood is not None:
            gate = self._flood.gate(touched, verdicts, self.catalogue, now_ms)
            out.notices = self._flood.notices()
        out.alerts = emit(
            touched,
            verdicts,
            gate=gate,
            emit_from=self._emit_from,
            published=self._describer.tokens.published,
            now_ms=now_ms,
        )
        out.shadows = shadow(touched, verdicts, gate=gate, emit_from=self._emit_from, now_ms=now_ms)
        return verdicts

    def judge(self, touched: dossiers.Dossiers, event_time: NDArray[np.int64]) -> Verdicts:
        """The verdicts on these dossiers; event_time: as for `conclude`."""
        home = self._describer.home_adcodes
        return judge(
            touched, self.catalogue, self.reference, event_time,
            home=home, rule_set=self.rule_set, followed=self.tallies is not None or self._orders is not None,
        )  # fmt: skip


class Histories:
    """Answer facts about parcels from the histories of sender, phone, recipient, courier and outlet."""

    def __init__(self, store: Store, *, bucket_rows_max: int, native: Switch = "auto") -> None:
        """native: whether the native library folds them."""
        self.store = store
        self._bucket_rows_max = bucket_rows_max
        self._library = natively.library_of(native, bucket_rows_max)
        self.expiry: Expiry | None = None  # None: nothing expires

    def step(self, batches: Sequence[Batch]) -> list[tuple[int, bytes]]:
        """Facts to send, by the partition of the parcel."""
        rows, partitions = unpack(batches, layout.OBSERVATION)
        if self.expiry is not None:
            self.expiry.watermarks.hear(topics.OBSERVATIONS, rows["partition"], rows["at"])
        facts = self.answer(rows, np.array(partitions, dtype=np.int64))
        return pack(facts.rows, facts.partitions)

    def answer(self, observed: NDArray[np.void], partitions: NDArray[np.int64]) -> histories.Facts:
        """Facts about the parcels of these OBSERVATION rows. partitions: those of the histories."""
        begun = self.expiry.observed if self.expiry is not None else None
        if self._library is not None and len(observed):
            return natively.fold(self._library, self.store, observed, partitions, begun=begun)
        return histories.fold(self.store, observed, partitions, bucket_rows_max=self._bucket_rows_max, begun=begun)


def _answers(batches: Sequence[Batch]) -> Answers:
    rows, partitions = unpack(batches, layout.FACT)
    return Answers(partitions, rows)


def refused(batch: Batch, bad: Rejected, cipher: RejectCipher = drop) -> Reject:
    """The reject that is published for a record that could not be read. cipher: makes its `raw`."""
    return Reject(
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.offsets[bad.index],
        reason=bad.reason,
        detail=bad.detail,
        received_at=batch.timestamps[bad.index],
        raw=cipher(batch.values[bad.index]),
    )
