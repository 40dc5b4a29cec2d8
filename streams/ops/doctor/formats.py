"""Which formats the state has, on the changelogs and in the folders here, and what a worker of this version does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from schemas import topics
from streams.kafka.reader import Reader
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.settings import Settings
from streams.state.damage import StateError
from streams.state.format import FORMAT, OLDEST, refused
from streams.state.partition import stands

CHANGELOGS = (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)
_ROWS = 200  # of either end of a partition: what is oldest stands first, and what was written last
_WHAT = "format"


def on_changelogs(config: Mapping[str, object], there: Mapping[str, int]) -> Iterator[Finding]:
    """By what stands first and last on each partition. Raises ClientError."""
    for topic in (name for name in CHANGELOGS if there.get(name)):
        found = {number: _formats(config, topic, number) for number in range(there[topic])}
        yield of_changelog(topic, {number: formats for number, formats in found.items() if formats})


def _formats(config: Mapping[str, object], topic: str, number: int) -> set[int]:
    formats: set[int] = set()
    with Reader(config) as reader:
        low, high = reader.bounds(topic, number)
        for start in {low, max(low, high - _ROWS)}:
            reader.assign({(topic, number): start}, {(topic, number): min(start + _ROWS, high)})
            for piece in reader.to_end():
                formats |= {value[0] for message in piece.records if (value := message.value())}
    return formats


def of_changelog(topic: str, found: Mapping[int, Collection[int]]) -> Finding:
    """What is to be said of a changelog. found: formats by partition, where there are any."""
    every = sorted({number for formats in found.values() for number in formats})
    if not every:
        return ok(_WHAT, f"{topic}: nothing is kept yet")
    said = f"{topic}: formats {', '.join(map(str, every))}"
    for number in every:
        if not OLDEST <= number <= FORMAT:
            why, _, what = refused(number).partition(": ")
            return fail(_WHAT, f"{topic}: {why}", f"a worker of this version would not start: {what}")
    older = sorted(number for number, formats in found.items() if min(formats) < FORMAT)
    if older:
        what = (
            f"workers of this version read them, and write them anew as {FORMAT} while they run; then there is no way "
            "back, and until waybill_state_older_partitions is 0 none forward"
        )
        return warn(_WHAT, f"{said}; {len(older)} partitions have values of an earlier one", what)
    return ok(_WHAT, f"{topic}: {FORMAT}, as of this version")


def in_folders(settings: Settings) -> Iterator[Finding]:
    """What the folders of workers on this machine hold, also of those that run."""
    older: defaultdict[str, int] = defaultdict(int)
    foreign: defaultdict[str, set[int]] = defaultdict(set)
    read = 0
    root = settings.state_dir / settings.group
    for path in sorted(path for path in root.glob("*/*/*") if path.name.isdecimal() and (path / "CURRENT").exists()):
        name = str(path.parent.parent)
        try:
            number, upgraded = stands(path)
        except StateError as error:
            yield warn(_WHAT, f"not known: {error}", "a worker that starts there says so, or builds it anew")
            continue
        read += 1
        if not OLDEST <= number <= FORMAT:
            foreign[name].add(number)
        elif not upgraded:
            older[name] += 1
    for name, numbers in foreign.items():
        said = f"{name}: format {', '.join(str(number or 'none') for number in sorted(numbers))}"
        yield warn(_WHAT, said, "a worker that starts there removes it, and builds its state from the changelog")
    for name, count in older.items():
        what = "a worker that starts there uses it as it is, and writes what is older anew while it runs"
        yield warn(_WHAT, f"{name}: {count} partitions may hold values of an earlier format", what)
    if read and not (foreign or older):
        yield ok(_WHAT, f"{root}: {FORMAT} in the folders of {read} partitions")
