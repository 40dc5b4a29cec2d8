"""What must hold in the end, each as a list of complaints that is empty where it does."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from schemas import topics
from schemas.desk import Order
from schemas.records import Alert, Reject
from streams.files.bulk import judge_folder
from streams.kafka.restore import restore
from streams.settings import Settings
from streams.state.rocks import RocksStore
from streams.state.tuning import Shared
from tests.chaos import traffic
from tests.chaos.logs import Log
from tests.ordering import Drawn, standing
from tests.runs import Alerts, catalogue, comparable, difference
from tests.tallies import Counts, published
from tests.worlds import HOME

# A worker's folder holds each partition's newest values and what compaction has not yet taken away, together up to so
# many times their size; and by partition and store what RocksDB writes beside them: logs, manifests, a table per start.
OVERHEAD = 4
BESIDE_BYTES = 1_500_000

_ALERT = msgspec.json.Decoder(Alert)
_REJECT = msgspec.json.Decoder(Reject)
_ORDER = msgspec.json.Decoder(Order)


@dataclass(slots=True)
class Outcome:
    """Counts of a run and what was wrong with it."""

    events: int = 0
    alerts: int = 0
    open: int = 0
    lost: int = 0
    doubled: int = 0
    rejects: int = 0
    tallies: int = 0
    orders: int = 0
    aborted: int = 0  # alerts and rejects of transactions that were aborted
    astray: int = 0  # parcels of which a reader of uncommitted records is left with something else
    unrestored: int = 0  # workers that lost their partitions while they restored them
    state_bytes: int = 0  # of the largest folder
    wrong: list[str] = field(default_factory=list)


def judged(played: Iterable[traffic.Line], folder: Path) -> Alerts:
    """What `waybill judge` makes of the same lines."""
    traffic.write(played, folder)
    out = folder / "alerts.ndjson"
    judge_folder(folder, out, Settings(home_adcodes=HOME), catalogue())
    return comparable(_ALERT.decode(line) for line in out.read_bytes().splitlines())


def check_alerts(log: Log, wanted: Alerts, outcome: Outcome) -> None:
    """Newest per key, the open ones are those wanted; and no message says what the one before it said."""
    newest: dict[bytes, Alert] = {}
    said: Counter[str] = Counter()
    for key, alert in _alerts(log):
        plain = _plain(alert)
        before = newest.get(key)
        if before is not None and before == plain:
            said[alert.alert_id] += 1
        if before is not None and before.revision >= plain.revision:
            outcome.wrong.append(f"{alert.alert_id}: revision {plain.revision} came after {before.revision}")
        newest[key] = plain
    found = {alert.alert_id: alert for alert in newest.values() if alert.status == "open"}
    outcome.alerts, outcome.open = len(log), len(found)
    outcome.lost = sum(found.get(key) != alert for key, alert in wanted.items())
    outcome.doubled = said.total()
    if differs := difference(found, wanted):
        outcome.wrong.append(f"alerts differ from those of `waybill judge`: {differs}")
    if said:
        outcome.wrong.append(f"{said.total()} alerts repeat the one before: {', '.join(list(said)[:5])}")


def check_tallies(log: Log, wanted: Counts, outcome: Outcome) -> None:
    """Newest per key, added up over partitions, they are those of a recount."""
    outcome.tallies = len(log)
    try:
        found = published((key or b"", value or b"") for _, (key, value) in sorted(log.items()))
    except msgspec.ValidationError as error:  # counts below 0, for one
        outcome.wrong.append(f"a tally is none: {error}")
        return
    differ = [place for place in found.keys() | wanted.keys() if found.get(place) != wanted.get(place)]
    if differ:
        first = min(differ)
        outcome.wrong.append(
            f"{len(differ)} of {len(wanted)} tallies differ: {first} is {found.get(first)}, wanted {wanted.get(first)}"
        )


def check_orders(log: Log, wanted: Drawn, outcome: Outcome) -> None:
    """Newest per key, they are those that the formula draws."""
    found = standing((key or b"", value) for _, (key, value) in sorted(log.items()))
    outcome.orders = len(log)
    newest: dict[bytes | None, Order | None] = {}
    for _, (key, value) in sorted(log.items()):
        said = None if value is None else msgspec.structs.replace(_ORDER.decode(value), revision=0)
        if key in newest and newest[key] == said:
            outcome.wrong.append(f"an order repeats the one before: {(key or b'').decode()}")
        newest[key] = said
    if found != wanted:
        outcome.wrong.append(
            f"orders: {len(wanted.keys() - found.keys())} missing, {len(found.keys() - wanted.keys())} too many, "
            f"{sum(found[key] != wanted[key] for key in found.keys() & wanted.keys())} differ, of {len(wanted)}"
        )


def check_readers(committed: Log, all_of_it: Log, listened: Log, outcome: Outcome) -> None:
    """Who read along saw what a reader from the start sees, no more and no less; that is less than was written."""
    if listened != committed:
        more, less = listened.keys() - committed.keys(), committed.keys() - listened.keys()
        changed = [place for place in listened.keys() & committed.keys() if listened[place] != committed[place]]
        outcome.wrong.append(
            f"a reader of what is committed saw {len(more)} messages that are not, missed {len(less)}, and "
            f"{len(changed)} changed: {sorted(more)[:3]} {sorted(less)[:3]} {sorted(changed)[:3]}"
        )
    if missing := committed.keys() - all_of_it.keys():
        outcome.wrong.append(f"{len(missing)} committed messages are not in the log: {sorted(missing)[:3]}")
    outcome.aborted += len(all_of_it) - len(committed)


def count_astray(all_of_it: Log, committed: Log, wanted: Alerts, outcome: Outcome) -> None:
    """How many parcels look otherwise to a reader of uncommitted records that keeps the highest revision of each.

    None of which a committed alert is open: an aborted verdict knew no more. Of one that is withdrawn nothing is said
    any more, so what was aborted may have known other facts, and more of them.
    """
    kept: dict[bytes, Alert] = {}
    for key, alert in _alerts(all_of_it):
        if key not in kept or alert.revision >= kept[key].revision:
            kept[key] = _plain(alert)
    found = {alert.alert_id: alert for alert in kept.values() if alert.status == "open"}
    outcome.astray = sum(found.get(key) != wanted.get(key) for key in found.keys() | wanted.keys())
    newest = {key: _plain(alert) for key, alert in _alerts(committed)}
    differs_at = [key for key, alert in newest.items() if kept[key] != alert and alert.status == "open"]
    strayed = [newest[key].alert_id for key in differs_at]
    if strayed:
        first = differs_at[0]
        differs = difference({"": kept[first]}, {"": newest[first]})
        outcome.wrong.append(f"{len(strayed)} committed alerts are not the highest revision written: {differs}")


def check_rejects(log: Log, garbage: Iterable[traffic.Place], outcome: Outcome) -> None:
    """One per garbage line, none for others."""
    rejects = [_REJECT.decode(value or b"") for _, value in log.values()]
    found = Counter((each.topic, each.partition, each.offset) for each in rejects)
    wanted = Counter(garbage)
    outcome.rejects = len(rejects)
    outcome.lost += (wanted - found).total()
    outcome.doubled += sum(count - 1 for count in found.values())
    if found != wanted:
        outcome.wrong.append(
            f"rejects: {len(wanted - found)} missing {sorted(wanted - found)[:3]}, "
            f"{(found - wanted).total()} too many {sorted(found - wanted)[:3]}"
        )


def check_state(
    folders: Mapping[str, Path],
    logs: Mapping[str, Log],
    servers: str,
    partitions: int,
    outcome: Outcome,
    harmed: Collection[Path] = (),
) -> None:
    """Every folder is small, and brought to the end of the changelog it holds what the changelog holds.

    folders: of workers that have ended, by name. logs: the changelogs, by topic. harmed: folders of which a file may be
    found damaged, in a partition that the worker did not read any more.
    """
    newest: dict[str, dict[int, dict[bytes, bytes | None]]] = {}  # None: the key was deleted
    for topic, log in logs.items():
        newest[topic] = {number: {} for number in range(partitions)}
        for (_, partition, _), (key, value) in sorted(log.items()):
            newest[topic][partition][key or b""] = value
    held = (pair for each in newest.values() for one in each.values() for pair in one.items())
    size = sum(len(key) + len(value or b"") for key, value in held)
    bound = OVERHEAD * size + 2 * partitions * BESIDE_BYTES
    for name, folder in folders.items():
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        outcome.state_bytes = max(outcome.state_bytes, used)
        if used > bound:
            outcome.wrong.append(f"state of worker {name}: {used:,} bytes, more than {bound:,}: {folder}")
        outcome.wrong += _contents(name, folder, newest, servers, may_be_damaged=folder in harmed)


def _contents(
    name: str,
    folder: Path,
    newest: Mapping[str, Mapping[int, Mapping[bytes, bytes | None]]],
    servers: str,
    *,
    may_be_damaged: bool,
) -> list[str]:
    cache = Shared.of(8, 64)
    names = {topics.PARCELS_CHANGELOG: "parcels", topics.HISTORIES_CHANGELOG: "histories"}
    stores = {topic: RocksStore(names[topic], folder, cache, hot_bytes_max=1 << 20) for topic in names}
    # Only partitions that it has had, which have folders; the others would be read from the start.
    had = {int(path.name) for each in names.values() for path in (folder / each).glob("*") if path.is_dir()}
    client: dict[str, object] = {"bootstrap.servers": servers, "log_level": 0}
    wrong = []
    try:
        if had:
            restore(client, stores, had, cancelled=lambda: False)
        for topic, store in stores.items():
            for number in sorted(had):
                wanted = newest[topic][number]
                found = store.get([number] * len(wanted), list(wanted))
                differ = sum(one != other for one, other in zip(found, wanted.values(), strict=True))
                if differ:
                    wrong.append(f"state of worker {name}: {differ} of {len(wanted)} keys of {topic}[{number}] differ")
    except Exception as error:
        if may_be_damaged and "is damaged" in str(error):
            return wrong
        wrong.append(f"state of worker {name} cannot be brought up to date: {error}")
    finally:
        for store in stores.values():
            store.close_all()
    return wrong


def _alerts(log: Log) -> Iterable[tuple[bytes, Alert]]:
    """Keys and alerts in the order of the log; a key keeps its partition."""
    by_partition: defaultdict[int, list[tuple[int, bytes, bytes]]] = defaultdict(list)
    for (_, partition, offset), (key, value) in log.items():
        by_partition[partition].append((offset, key or b"", value or b""))
    for rows in by_partition.values():
        for _, key, value in sorted(rows):
            yield key, _ALERT.decode(value)


def _plain(alert: Alert) -> Alert:
    return next(iter(comparable([alert]).values()))


def counts(outcome: Outcome) -> dict[str, int]:
    """Its numbers by name."""
    return {name: value for name, value in dataclasses.asdict(outcome).items() if isinstance(value, int)}
