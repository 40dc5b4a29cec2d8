"""A folder of rule files: where rules lie, and which files would be overlooked.

`<family>/<name>.yaml` is the rule `family.name`. Links are followed, because Kubernetes mounts a ConfigMap by links.
Hidden files (their names begin with a dot) are ignored. Any other file that looks like a rule is a fault, because a
rule that is left out would look like one that says no.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from rules.engine.contract import RuleError
from schemas.rulefile import SCHEMA_FILE
from schemas.terms import WORD_FORM

SHIPPED: Final = Path(__file__).parents[1]
"""Where the catalogue of the package lies, in a checkout and in a wheel."""

NAME: Final = re.compile(WORD_FORM)
_LIKE_A_RULE: Final = re.compile(r"\.(ya?ml|json)", re.IGNORECASE)
_BESIDE_RULES: Final = (".md",)  # what else may lie in a family


def rule_files(folder: Path) -> list[Path]:
    """The rule files below a folder, sorted. Raises RuleError if there is no such folder."""
    return [path for path in _files(folder) if _is_rule(path, folder)]


def rule_ids(folder: Path) -> list[str]:
    """The ids of the rules below a folder, sorted. Raises RuleError if there is no such folder."""
    return [rule_id(path) for path in rule_files(folder)]


def rule_id(path: Path) -> str:
    """The id of the rule in a file."""
    return f"{path.parent.name}.{path.stem}"


def read_files(folder: Path, only: Collection[str] | None = None) -> dict[str, bytes]:
    """The bytes of the rule files below a folder, by rule id. Raises RuleError if one cannot be read.

    only: families or rule ids; files of other rules are not opened.
    """
    paths = {rule_id(path): path for path in rule_files(folder)}
    return {name: read_file(path) for name, path in paths.items() if only is None or _is_among(name, only)}


def _is_among(name: str, only: Collection[str]) -> bool:
    return name in only or name.partition(".")[0] in only


def read_file(path: Path) -> bytes:
    """The bytes of a rule file. Raises RuleError."""
    try:
        if path.exists() and not path.is_file():
            raise RuleError(str(path), "", "is not a file")
        return path.read_bytes()
    except OSError as error:
        problem = "this link leads nowhere" if path.is_symlink() and not path.exists() else error.strerror
        raise RuleError(str(path), "", f"cannot be read: {problem}") from None


def overlooked(folder: Path) -> list[RuleError]:
    """Files below a folder that look like rules and are not loaded. Raises RuleError if there is no such folder."""
    paths = _files(folder)
    families = {path.parent for path in paths if _is_rule(path, folder)}
    return [
        RuleError(str(path), "", _advice(path, folder))
        for path in paths
        if not _is_rule(path, folder) and path != folder / SCHEMA_FILE
        if _LIKE_A_RULE.search(path.name)
        or (path.parent in families and path.suffix not in _BESIDE_RULES)
        or _is_lost_family(path, folder)
    ]


def hidden(folder: Path) -> list[Path]:
    """Hidden files in families that would be rules without their dot."""
    families = {path.parent for path in rule_files(folder)}
    found = (path for family in families for path in family.glob(".*.yaml"))
    return sorted(path for path in found if NAME.fullmatch(path.stem.removeprefix(".")))


def _is_rule(path: Path, folder: Path) -> bool:
    right = path.parent.parent == folder and path.suffix == ".yaml"
    return right and bool(NAME.fullmatch(path.parent.name) and NAME.fullmatch(path.stem))


def _is_lost_family(path: Path, folder: Path) -> bool:
    """Whether it is a link to a family that is not there, such as a mount that failed."""
    return path.parent == folder and path.is_symlink() and not path.exists() and bool(NAME.fullmatch(path.name))


def _advice(path: Path, folder: Path) -> str:
    """Why a file is overlooked, and what to do."""
    if _is_lost_family(path, folder):
        return "this link leads nowhere: a family may be missing"
    if path.parent.parent == folder and path.suffix == ".yaml":
        return "family and name are lower case letters, digits and underscores"
    return "a rule lies at <family>/<name>.yaml, this would be overlooked: rename it, or move it out of the folder"


def _files(folder: Path) -> list[Path]:
    """Every file below a folder that is not hidden, links followed, sorted. Raises RuleError without such a folder.

    A folder with the name of a rule counts as a file: containers make one where the file to mount is missing.
    """
    if not folder.is_dir():
        raise RuleError(str(folder), "", "not a folder")
    return sorted(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link to a folder above it
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise RuleError(str(folder), "", f"cannot be read: {error.strerror}") from None
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if path.is_dir() and not _LIKE_A_RULE.search(path.name):
            yield from _walk(path, above | {real})
        else:
            yield path
