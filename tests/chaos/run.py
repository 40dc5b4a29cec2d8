"""One run: a seed's faults over a seed's traffic, and what came of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.topics import ALERTS, HISTORIES_CHANGELOG, ORDERS, PARCELS_CHANGELOG, REJECTS, TALLIES
from streams.kafka import admin
from tests.chaos import verdict
from tests.chaos.cluster import Cluster
from tests.chaos.full import kills
from tests.chaos.logs import Listener, ends, unread, whole
from tests.chaos.schedule import Fault, schedule
from tests.chaos.slot import GROUP
from tests.chaos.traffic import Player, lines, records
from tests.chaos.verdict import Outcome
from tests.ordering import drawn
from tests.runs import Alerts
from tests.tallies import recount
from tests.worlds import Record

EVENTS_PER_S = 800
IDLE_S = 6.0  # of silence until idle partitions have met their deadlines, and committed what follows
REST_S = 4.0  # of traffic after the last fault began
HEAL_S = 120.0  # without progress, until it is given up that all is mended and committed
HEAL_S_MAX = 900.0  # with progress
OUTPUTS = (ALERTS, REJECTS)
CHANGELOGS = (PARCELS_CHANGELOG, HISTORIES_CHANGELOG)
PROTOCOLS = ("classic", "consumer")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played. The same plan is the same schedule and the same traffic; times are best effort."""

    seed: int
    faults: int = 25
    slots: int = 3
    minutes: float | None = None  # instead of a number of faults
    events_per_s: int = EVENTS_PER_S
    protocol: str | None = None  # of the group, of PROTOCOLS; None: the seed decides
    kills: int = 0  # instead of faults: so many workers killed while a backlog of `events` is worked off unpaced
    events: int = 0


def run(plan: Plan, folder: Path, say: Say) -> tuple[bool, str]:
    """Play the plan in an empty folder, which keeps the logs. Whether all held, and the line of counts."""
    began = time.monotonic()
    partitions, settings = _settings(plan)
    faults = [] if plan.kills else schedule(plan.seed, faults=plan.faults, slots=plan.slots, minutes=plan.minutes)
    seconds = faults[-1].at_s + REST_S if faults else 0.0
    played = lines(plan.seed, plan.events or int(plan.events_per_s * seconds))
    what = f"{plan.kills} kills at full load" if plan.kills else f"{len(faults)} faults in {seconds:.0f} s"
    protocol = settings[0]["group_protocol"]
    say(f"seed {plan.seed}: {what}, {len(played):,} events, {partitions} partitions, protocol {protocol}")
    outcome = Outcome(events=len(played))
    cluster = Cluster(folder, slots=plan.slots, partitions=partitions, settings=settings, say=say)
    try:
        cluster.kafka.start()
        admin.create(cluster.servers, partitions)
        listener = Listener(cluster.servers, OUTPUTS, partitions)
        player = Player(cluster.servers, played, seconds, plan.seed)
        listener.start()
        if plan.kills:
            kinds = kills(cluster, player, plan.kills, plan.seed, say)
        else:
            cluster.begin()
            player.start()
            kinds = _play(cluster, faults, say)
        if _heal(cluster, player, outcome, say):
            cluster.stop()
            wanted = verdict.judged(played, folder / "events")
            _check(cluster, listener, player, wanted, outcome)
            _check_counted(cluster, records(played), wanted, outcome)
        outcome.wrong += cluster.wrong
    finally:
        cluster.close()
    outcome.unrestored = sum(slot.revoked_in_restore() for slot in cluster.slots)
    for why, times in cluster.ended.most_common():
        say(f"{times:4} x a worker ended: {why}")
    for line in outcome.wrong[:20]:
        say(f"WRONG: {line}")
    return not outcome.wrong, _line(plan, f"{protocol}", kinds, outcome, time.monotonic() - began)


def _settings(plan: Plan) -> tuple[int, list[dict[str, object]]]:
    """Partitions, and the settings of each worker."""
    rng = random.Random(f"settings {plan.seed}")
    partitions = rng.choice((4, 12))
    found: list[dict[str, object]] = [
        {
            "epoch_ms_max": rng.choice((20, 200, 500)),
            "batch_rows_max": rng.choice((50, 1_000, 20_000)),
            "fetch_timeout_ms": rng.choice((5, 20, 100)),
        }
        for _ in range(plan.slots)
    ]
    protocol = rng.choice(PROTOCOLS) if plan.protocol is None else plan.protocol
    return partitions, [{**each, "group_protocol": protocol} for each in found]


def _play(cluster: Cluster, faults: list[Fault], say: Say) -> Counter[str]:
    """Faults at their times, each mended at its own; how many of each kind."""
    start = time.monotonic()
    for fault in faults:
        while time.monotonic() - start < fault.at_s:
            cluster.tend()
            time.sleep(0.02)
        say(str(fault))
        cluster.inflict(fault)
    return Counter(fault.kind for fault in faults)


def _heal(cluster: Cluster, player: Player, outcome: Outcome, say: Say) -> bool:
    """Wait until all is mended, published, read and committed, and nothing more is written: sweeps have ended, too.

    False, noting what is missing, when nothing has moved for too long.
    """
    start = moved_at = time.monotonic()
    left: dict[tuple[str, int], int] = {("", 0): -1}
    quiet_at: float | None = None  # since when all is committed
    before: tuple[object, ...] = ()
    while (now := time.monotonic()) - moved_at < HEAL_S and now - start < HEAL_S_MAX:
        cluster.tend()
        if cluster.whole and player.done:
            at = ends(cluster.servers, (*OUTPUTS, *CHANGELOGS), cluster.partitions)
            left = unread(cluster.servers, GROUP, cluster.partitions)
            if (state := (at, left)) != before or quiet_at is None:
                before, quiet_at = state, time.monotonic()
                moved_at = quiet_at
            if not left and time.monotonic() - quiet_at > IDLE_S:
                say(f"          all is committed {time.monotonic() - start:.0f} s after the last fault began")
                return True
        elif (delivered := (player.delivered,)) != before:
            before, quiet_at, moved_at = delivered, None, time.monotonic()
        time.sleep(0.2)
    outcome.wrong.append(
        f"not all is committed {time.monotonic() - start:.0f} s after the last fault began: {player.delivered:,} of "
        f"{outcome.events:,} events published, unread (-1: transaction open) {dict(list(left.items())[:8])}"
    )
    return False


def _check(cluster: Cluster, listener: Listener, player: Player, wanted: Alerts, outcome: Outcome) -> None:
    servers, partitions = cluster.servers, cluster.partitions
    committed = {topic: whole(servers, topic, partitions) for topic in (*OUTPUTS, *CHANGELOGS)}
    every = {topic: whole(servers, topic, partitions, "read_uncommitted") for topic in OUTPUTS}
    outputs = {place: message for topic in OUTPUTS for place, message in committed[topic].items()}
    listener.finish(len(outputs))
    if listener.error is not None:
        outcome.wrong.append(f"the reader that was there all along ended: {listener.error}")
    if player.errors:
        outcome.wrong.append(f"events not published: {dict(player.errors)}")
    verdict.check_readers(
        outputs, {place: message for log in every.values() for place, message in log.items()}, listener.seen, outcome
    )
    verdict.check_alerts(committed[ALERTS], wanted, outcome)
    verdict.count_astray(every[ALERTS], committed[ALERTS], wanted, outcome)
    verdict.check_rejects(committed[REJECTS], player.garbage, outcome)
    folders = {slot.folder.name: slot.state for slot in cluster.slots}
    verdict.check_state(
        folders, {topic: committed[topic] for topic in CHANGELOGS}, servers, partitions, outcome, cluster.harmed
    )


def _check_counted(cluster: Cluster, played: list[Record], wanted: Alerts, outcome: Outcome) -> None:
    """Tallies and the random arm, against a recount and the formula of the draw."""
    tallies, orders = (whole(cluster.servers, topic, cluster.partitions) for topic in (TALLIES, ORDERS))
    verdict.check_tallies(tallies, recount(played, wanted.values()), outcome)
    verdict.check_orders(orders, drawn(played), outcome)


def _line(plan: Plan, protocol: str, kinds: Counter[str], outcome: Outcome, seconds: float) -> str:
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return (
        f"seed {plan.seed}: {kinds.total()} faults ({said}), protocol {protocol}, {outcome.events:,} events, "
        f"{outcome.open:,} alerts open of {outcome.alerts:,} messages, {outcome.rejects:,} rejects, "
        f"{outcome.tallies:,} messages of tallies, {outcome.orders:,} of orders, "
        f"{outcome.aborted:,} aborted messages unseen, {outcome.unrestored} restores revoked, "
        f"{'equal' if not outcome.wrong else 'WRONG'}; {outcome.lost:,} lost, {outcome.doubled:,} doubled, "
        f"{outcome.astray:,} astray uncommitted, state {outcome.state_bytes / 1e6:.1f} MB, in {seconds:.0f} s"
    )
