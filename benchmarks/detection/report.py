"""A run as Markdown, for terminals and RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.detection.measure import Hits, Precision, Rate, Recall
from benchmarks.detection.run import GOAL, Detection, Stream
from benchmarks.detection.stations import ANSWERED, SENSITIVITY, SPECIFICITY
from desk.measures.wording import lift, percent


def markdown(found: Detection) -> str:
    """All tables, with the world that they are of."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Detection) -> Iterator[str]:
    yield f"Seed {found.seed}, catalogue {found.catalogue}. Limits set on"
    yield f"{_stream(found.tune)};"
    yield f"everything else measured on {_stream(found.test)}."
    ids = ", ".join(f"{kind} {count}" for kind, count in found.shared.items())
    yield f"Ids in both streams: {ids}. Intervals are Wilson's, 95 %."
    yield "\n### Recall of each rule\n"
    yield from _recalls("rule", found.rules)
    yield "\n### Recall of documented groups: one alert names all their rules\n"
    yield from _recalls("group", found.groups)
    short = ", ".join(found.short) or "none"
    yield f"\nBelow {GOAL}: {short}."
    yield "\n### Precision of the highest scores\n"
    yield from _table(
        ("of", "share of the stream", "by rank", "limit set before", "at that limit"),
        (_precision(each) for each in found.precision),
    )
    yield "\n### Evasion found, cases\n"
    yield from _hits("evasion", found.evasions)
    yield "\n### False hits, cases that are honest\n"
    yield from _hits("look-alike", found.lookalikes)
    yield ""
    seen = found.ordinary
    yield from _table(
        ("ordinary parcels", "low and above", "medium and above", "high and above"),
        [(f"{seen.low.of:,}", _small(seen.low), _small(seen.medium), _small(seen.high))],
    )
    yield "\n### What stations with known error rates answer\n"
    said = found.answers
    yield f"Sensitivity {SENSITIVITY}, specificity {SPECIFICITY}, answered {ANSWERED}: {said.answered:,} answers of"
    yield f"{said.asked:,} clues. Finds among alerts of suspicion {_rate(said.found)}, in truth {_rate(said.truth)};"
    yield f"lift over the random arm {lift(said.lift, 'en')}. Of {said.covered.of} rules with a figure, the intervals"
    yield f"of {said.covered.found} hold what such stations say on average.\n"
    yield from _table(
        ("rule", "right, as answered", "corrected", "right, in truth"),
        (
            (each.rule, _rate(each.answers), "" if each.corrected is None else percent(each.corrected),
             _rate(each.truth))
            for each in said.rules
        ),
    )  # fmt: skip


def _stream(stream: Stream) -> str:
    guilty = " and ".join(f"{count:,} of {kind}" for kind, count in stream.guilty.items())
    return f"{stream.parcels:,} parcels ({stream.events:,} events, {stream.cases:,} cases; guilty: {guilty})"


def _recalls(name: str, found: Sequence[Recall]) -> Iterator[str]:
    head = (name, "points", "recall", "raised at medium", "found before it departs")
    return _table(head, ((each.name, str(each.points or "shadow"), *map(_rate, _shares(each))) for each in found))


def _shares(each: Recall) -> tuple[Rate, Rate, Rate]:
    return each.recall, each.raised, each.before_departure


def _hits(name: str, found: Sequence[Hits]) -> Iterator[str]:
    return _table(
        (name, "low and above", "medium and above"),
        ((each.name, _rate(each.low), _rate(each.medium)) for each in found),
    )


def _precision(each: Precision) -> tuple[str, ...]:
    limit = "none" if each.limit > 100 else str(each.limit)
    return (each.category, f"{each.budget:.0e}", _rate(each.at_rank), limit, _rate(each.at_limit))


def _rate(found: Rate) -> str:
    """`38/40: 95 % (83–99 %)`."""
    if found.share is None or found.low is None or found.high is None:
        return "–"
    return f"{found.found}/{found.of}: {percent(found.share)} ({percent(found.low, '')}–{percent(found.high)})"


def _small(found: Rate) -> str:
    return "–" if found.share is None else f"{found.found:,}: {100 * found.share:.3f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "--:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
