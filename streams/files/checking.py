"""What a set of rules must pass before it may be pushed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rules import RuleError
from rules.engine.catalogue import load_files
from rules.engine.folder import read_files
from rules.lint.lint import Report, lint
from streams.files.cases import Played, count, play
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """A folder of rules that was looked at. `fingerprint`: empty if it does not load."""

    files: Mapping[str, str]
    report: Report
    fingerprint: str = ""
    rules: int = 0
    played: tuple[Played, ...] = ()

    @property
    def failed(self) -> list[Played]:
        """Cases whose answers are not those expected."""
        return [outcome for outcome in self.played if not outcome.passed]

    @property
    def passed(self) -> bool:
        """It may be pushed."""
        return bool(self.fingerprint) and not self.failed

    def refusals(self) -> list[str]:
        """Why it may not be pushed, a line each."""
        found = [each for each in self.report.findings if each.severity == "error"]
        lines = [": ".join(filter(None, (each.file, each.field, each.message))) for each in found]
        return lines + [f"{each.rule}: the case `{each.case}` fails" for each in self.failed]


def check(
    folder: Path,
    settings: Settings,
    advance: Callable[[float, int], None] = lambda part, n: None,
    *,
    passed: Mapping[str, bytes] = MappingProxyType({}),
) -> Checked:
    """Lint a folder, load it with the deployment's overrides, and play its cases as they are written.

    advance: told of the part that is played, and how many cases. passed: files that have passed; where one is the same,
    its cases are not played again. Raises RuleError if there is nothing to look at.
    """
    data = read_files(folder)
    report = lint(folder, settings.rule_overrides)
    try:
        files = {rule_id: content.decode() for rule_id, content in data.items()}
    except UnicodeDecodeError as error:
        raise RuleError(str(folder), "", f"a file is not UTF-8: {error}") from None
    if report.count("error"):
        return Checked(files, report)
    catalogue = load_files(data, settings.rule_overrides, folder=folder)
    fresh = {rule_id: content for rule_id, content in data.items() if passed.get(rule_id) != content}
    if not fresh:
        return Checked(files, report, catalogue.fingerprint, len(data))
    written = load_files(fresh, folder=folder, with_off=True)  # from these bytes: a file may be saved meanwhile
    total, played = count(written), []
    for outcome in play(written):
        played.append(outcome)
        advance(len(played) / total, len(played))
    return Checked(files, report, catalogue.fingerprint, len(data), tuple(played))
