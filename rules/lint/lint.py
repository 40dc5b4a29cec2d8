"""Reads rule files as a reviewer does: reports every fault at once, and what loads but is probably a mistake.

Errors are what the loader refuses, what is still to fill in, and missing cases. Warnings may be intended: a rule that
never says yes, a text that its column never holds. A folder without errors loads.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rules.engine.contract import RuleError
from rules.engine.folder import SHIPPED, hidden, overlooked, read_file, rule_files, rule_id
from rules.lint.draft import OVERRIDES, Draft, Finding, Severity
from schemas.errors import readable

__all__ = ["Finding", "Report", "Severity", "lint"]


@dataclass(frozen=True, slots=True)
class Report:
    """The rules that were read, and the findings, sorted by file."""

    rules: tuple[str, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def lint(
    root: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    only: Collection[str] | None = None,
) -> Report:
    """Check every rule file below `root` (default: those shipped), or those in `only` (families or rule ids).

    overrides: as for `load_catalogue`. A rule is checked as written, and with its overrides.
    Raises RuleError if there are no rule files.
    """
    folder = SHIPPED if root is None else root
    found = [Finding(shown(Path(error.file)), "", error.field, "error", error.problem) for error in overlooked(folder)]
    found += [
        Finding(shown(path), "", "", "warning", "hidden by its dot, so it is not loaded") for path in hidden(folder)
    ]
    drafts = [_draft(path) for path in rule_files(folder)]
    if not drafts and not found:
        raise RuleError(str(folder), "", "no rules here (<family>/<name>.yaml)")
    ids = {draft.id for draft in drafts}
    known = ids | {name.partition(".")[0] for name in ids}
    for name in only or ():
        if name not in known:
            raise RuleError("only", name, "no such rule or family")
    chosen = [draft for draft in drafts if only is None or {draft.id, draft.id.partition(".")[0]} & set(only)]
    for draft in drafts:
        if not draft.findings:
            draft.read()
    for draft in chosen:
        draft.check(overrides.get(draft.id, {}))
    _compare(drafts)
    found += [Finding(OVERRIDES, "", name, "error", "no such rule") for name in overrides if name not in ids]
    found += [finding for draft in chosen for finding in draft.findings]
    found = sorted(dict.fromkeys(found), key=lambda finding: (finding.file, finding.severity))
    return Report(tuple(draft.id for draft in chosen), tuple(found))


def _draft(path: Path) -> Draft:
    draft = Draft(rule_id(path), shown(path), b"")
    try:
        draft.data = read_file(path)
    except RuleError as error:
        draft.refused(error)
    return draft


def shown(path: Path) -> str:
    """The path as you would type it here; bytes that are not UTF-8 as `readable` shows them."""
    return readable(str(near(path)))


def near(path: Path) -> Path:
    """The path relative to the current folder, if it lies below it."""
    full, here = Path(os.path.abspath(path)), Path.cwd()  # links keep their names
    return full.relative_to(here) if full.is_relative_to(here) else path


def _compare(drafts: list[Draft]) -> None:
    """Report what two rules must not share: a title, or their condition."""
    seen: dict[str, str] = {}
    for draft in drafts:
        texts = {f"title.{name}": text.casefold().strip() for name, text in draft.values.get("title", {}).items()}
        texts["when"] = draft.says()
        for where, text in texts.items():
            other = seen.setdefault(f"{where}: {text}", draft.id) if text else draft.id
            if other != draft.id:
                draft.add("warning" if where == "when" else "error", where, f"the same as that of {other}")
