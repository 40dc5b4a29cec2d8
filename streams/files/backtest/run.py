"""Running a backtest: files in, report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO

from rules import TIERS, Catalogue, load_catalogue
from rules.engine.folder import SHIPPED, read_files
from rules.lint.lint import shown
from schemas.errors import readable
from streams.files import reading, writing
from streams.files.backtest.compare import CompareSteps, Tally, named_tiers
from streams.files.backtest.difference import CAUSES_MAX, Cause, Difference, Side, by_tier, rule_lines
from streams.files.backtest.page import page
from streams.files.bulk import Bulk, Progress, opened
from streams.files.checking import check
from streams.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Rules:
    """A catalogue to compare: as it runs, and with the rules that are off, to tell what was changed."""

    folder: str
    running: Catalogue
    whole: Catalogue
    refusals: tuple[str, ...] = ()
    """Why `waybill rules push` would refuse these rules; none where nobody asked."""


def load_pair(old: Path | None, new: Path, settings: Settings) -> tuple[Rules, Rules]:
    """Both catalogues with the deployment's overrides. `old` None: the one in force by setting, else as shipped.

    The new one is also held against what a push demands. Raises RuleError for a fault in either, and SettingsError for
    an override of a rule that neither has.
    """
    overrides = settings.rule_overrides
    pair = [_load(folder, overrides) for folder in (old or settings.rules_dir, new)]
    for name in overrides:
        if not any(name in rules.whole.by_id for rules in pair):
            raise SettingsError(f"rule_overrides: {name}: no such rule, neither in {pair[0].folder} nor {new}")
    known = read_files(old or settings.rules_dir or SHIPPED)
    return pair[0], replace(pair[1], refusals=tuple(check(new, settings, passed=known).refusals()))


def backtest(
    source: Path,
    old: Rules,
    new: Rules,
    settings: Settings,
    *,
    html: Path | None = None,
    out: Path | None = None,
    examples_max: int = 3,
    progress: Progress = lambda *_: None,
    processes: int = 1,
) -> Difference:
    """Judge the events in `source`, a folder or a file, under both catalogues, and tell the difference.

    html: gets the report as a page; out: every parcel that differs, as NDJSON. processes: that may share the work,
    fewer if that pays. Raises FilesError for files that cannot be read or written.
    """
    paths = reading.given(source)
    writing.spare(paths, [target for target in (html, out) if target])
    tally = Tally()
    with _whole(html) as page_file, _whole(out) as listed:
        catalogues = [old.running, new.running]
        with opened(paths, processes, CompareSteps, settings, catalogues) as bulk:
            for _ in bulk.read(settings.event_bytes_max, progress):
                pass  # they are counted
            arguments = TIERS.index(settings.emit_from), examples_max, listed is not None
            for some, lines in bulk.conclude(CompareSteps.compare, *arguments, progress=progress):
                tally.add(some, examples_max)
                if listed:
                    listed.write(lines)
        difference = _report(source, old, new, settings, bulk, tally)
        if page_file:
            page_file.write(page(difference).encode())
    return difference


def _whole(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return writing.whole(path) if path else nullcontext()


def _load(folder: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Rules:
    known = load_catalogue(folder, with_off=True).by_id
    mine = {name: values for name, values in overrides.items() if name in known}
    whole = load_catalogue(folder, mine, with_off=True)
    return Rules(shown(folder) if folder else "as shipped", load_catalogue(folder, mine), whole)


def _report(source: Path, old: Rules, new: Rules, settings: Settings, bulk: Bulk, tally: Tally) -> Difference:
    tiers = {was: dict(row) for was, row in named_tiers(tally.tiers).items()}
    causes: list[Cause] = []
    every = list(tally.causes())
    for _, some in groupby(every, key=lambda cause: cause.change):
        causes += islice(some, CAUSES_MAX)
    emitted = TIERS[TIERS.index(settings.emit_from) :]
    sides = [
        Side(rules.folder, rules.running.fingerprint, len(rules.running.rules), {tier: row[tier] for tier in emitted})
        for rules, row in zip((old, new), by_tier(tiers), strict=True)
    ]
    return Difference(
        source=shown(source),
        events=bulk.events.total(),
        rejects={f"{topic}: {reason}": count for (topic, reason), count in sorted(Counter(bulk.rejects).items())},
        missing=bulk.missing,
        unreadable=bulk.unreadable,
        parcels=bulk.parcels,
        emit_from=settings.emit_from,
        old=sides[0],
        new=sides[1],
        changes=tally.changes(),
        tiers=tiers,
        rules=rule_lines(old.whole, new.whole, tally.counts(old.running, new.running)),
        causes=causes,
        causes_left_out=len(every) - len(causes),
        push_refuses=[readable(why) for why in new.refusals],
    )
