"""The rules of a worker: follows their topic on a thread, applies new sets between two steps, acknowledges them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from schemas import topics
from schemas.errors import WaybillError
from schemas.rulesets import Ack
from streams.flow.layout import KINDS, READ
from streams.flow.pipeline import Parcels
from streams.kafka.global_table import GlobalTable
from streams.rulesets.board import Acker
from streams.rulesets.reading import Source, Standing
from streams.worker.host import Host

log = logging.getLogger(__name__)

_FILES = Standing()


class RuleSetError(WaybillError):
    """No set on the topic can be used, and none is in force. The message names rule file and field."""


class RulesInput:
    """Follows `waybill.rules` for one worker, unless the setting rules_from says files."""

    def __init__(self, worker: Host, config: Mapping[str, object]) -> None:
        self._worker = worker
        self._config = config
        self._table: GlobalTable[Standing | None] | None = None
        if worker.settings.rules_from == "topic":
            self._table = GlobalTable(config, topics.RULES, Source(worker.settings), None)
        self._acker: Acker | None = None
        self._began = False  # partitions were taken over at least once
        self._seen: Standing | None = None
        self._taken = Standing()  # the set in force
        self._said: Ack | None = None
        self._begin_metrics()

    def start(self, changed: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """Start to follow."""
        self._acker = Acker(self._config)
        if self._table is not None:
            self._table.start(changed, failed)

    def stop(self) -> None:
        """Tell the thread to end."""
        if self._table is not None:
            self._table.stop()

    def catch_up(self, cancelled: Callable[[], bool], timeout_s: float) -> None:
        """Wait until everything on the topic now has been read. Call it on another thread. Raises FollowError."""
        if self._table is not None:
            self._table.catch_up(cancelled, timeout_s)

    async def take_over(self) -> None:
        """Apply the newest set before partitions are taken over, because timers depend on the rules."""
        async with self._worker.step([]):
            self.exchange(assigned=True)

    def exchange(self, *, assigned: bool = False) -> bool:
        """Judge by the newest usable set from now on, between two steps. Returns whether the rules have changed.

        assigned: the topic has been read and partitions are taken over. The first time, this raises RuleSetError if
        there are sets and none of them can be used.
        """
        standing = self._table.latest if self._table is not None else _FILES
        if standing is None:  # nothing has been read yet, or the topic is empty
            if not assigned:
                return False
            standing = _FILES
        first = assigned and not self._began
        if standing == self._seen and not first:  # the same catalogue object
            return False
        self._began, self._seen = self._began or assigned, standing
        if standing.catalogue is not None:
            self._taken = standing
        elif standing.newest and first:
            raise RuleSetError(f"{standing.reason}; push a set that can be used, or set rules_from to files")
        worker, parcels = self._worker, self._worker.parcels
        kinds, joins = parcels.kinds, parcels.joins
        new = standing.catalogue or parcels.catalogue  # the set in force stays when nothing can take its place
        other = new.fingerprint != parcels.catalogue.fingerprint
        parcels.adopt(new, max(standing.newest, parcels.rule_set))
        self._tell(standing, () if first else begins(parcels, kinds, joins))
        self._begin_metrics()
        worker.metrics.rule_set.set(self._taken.in_force)
        return other

    def _begin_metrics(self) -> None:
        catalogue = self._worker.parcels.catalogue
        self._worker.metrics.begin_rules(catalogue.fingerprint, ((rule.id, rule.mode) for rule in catalogue.rules))

    def _tell(self, standing: Standing, warnings: tuple[str, ...]) -> None:
        """Report in the log and in the acknowledgement what became of the newest set."""
        settings, metrics, fingerprint = (
            self._worker.settings,
            self._worker.metrics,
            self._worker.parcels.catalogue.fingerprint,
        )
        taken = self._taken
        if taken.pushed and taken.pushed != fingerprint:
            warnings = (*warnings, f"pushed as {taken.pushed}; other rule_overrides here, or another version")
        if taken.in_force != standing.newest:
            log.error("rule set %s refused, %s: %s", standing.newest, _stays(taken), standing.reason)
            metrics.rule_sets.labels("refused").inc()
        elif standing.newest:
            log.info("rule set %s in force (%s)", standing.newest, fingerprint)
            metrics.rule_sets.labels("applied").inc()
        for warning in warnings:
            log.warning("rule set %s: %s", taken.in_force, warning)
        self._acknowledge(
            Ack(
                group=settings.group,
                instance=settings.instance,
                newest=standing.newest,
                in_force=taken.in_force,
                fingerprint=fingerprint,
                follows=self._table is not None,
                reason=standing.reason,
                warnings=warnings,
                rules=len(self._worker.parcels.catalogue.rules),
                held=self._worker.parcels.held,
                at=int(time.time() * 1000),
            )
        )

    def tell_held(self) -> None:
        """Acknowledge again if the held rules have changed. Call it after a step."""
        held, said = self._worker.parcels.held, self._said
        if said is not None and {each.rule for each in held} != {each.rule for each in said.held}:
            self._acknowledge(msgspec.structs.replace(said, held=held, at=int(time.time() * 1000)))

    def _acknowledge(self, said: Ack) -> None:
        self._said = said
        if self._acker is not None:
            self._acker.say(said)


def begins(parcels: Parcels, kinds: frozenset[int], joins: bool) -> tuple[str, ...]:
    """Warnings about what the rules in force read and was not kept before. kinds, joins: what was kept before."""
    found = []
    for kind in sorted(parcels.kinds - kinds):
        names = parcels.catalogue.columns.intersection(READ[kind])
        found.append(
            f"history by {KINDS[kind]} begins now: of earlier parcels {', '.join(sorted(names))} stay unknown, "
            "and counts are lower bounds at first"
        )
    if parcels.joins and not joins:
        found.append("reference data are looked up from now on: earlier parcels are not found in them")
    return tuple(found)


def _stays(taken: Standing) -> str:
    return f"set {taken.in_force} stays in force" if taken.in_force else "rule files stay in force"
