"""What tests of the backtest share: traffic, rules that differ from the shipped ones, and both compared."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from rules.engine.folder import SHIPPED, rule_files
from streams.files.backtest.difference import Difference, Parcel
from streams.files.backtest.run import backtest, load_pair
from streams.generate import generate, write
from streams.settings import Settings

HOME = "430421"


def traffic(folder: Path, parcels: int = 700) -> Path:
    """Events of which three tenths are planted."""
    write(generate(parcels, 11, days=3, planted_share=0.3, home_adcodes=(HOME,)), folder, force=True)
    return folder


def changed_rules(folder: Path) -> Path:
    """The shipped rules with every kind of change; together they make every kind of difference."""
    for path in rule_files(SHIPPED):
        target = folder / path.relative_to(SHIPPED)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    edit(folder / "goods/on_priority_route.yaml", "points: 25", "points: 5")
    edit(folder / "identity/phone_many_ids.yaml", "points: 25", "points: 5")
    edit(folder / "identity/many_names.yaml", "names_90d_min: 3", "names_90d_min: 2")
    edit(folder / "identity/missing.yaml", "version: 1", "version: 2\nmode: shadow")
    edit(folder / "sender/velocity.yaml", "version: 1", "version: 1\nmode: off")
    (folder / "route/priority_lane.yaml").unlink()
    added = (folder / "sender/first_seen.yaml").read_text(encoding="utf-8")
    added = re.sub(r"(?m)^(title: \{zh: ).*$", r"\1新规则, en: A new rule}", added).replace("points: 5", "points: 20")
    (folder / "sender/unseen.yaml").write_text(added, encoding="utf-8")
    return folder


def compared(
    source: Path, new: Path, old: Path | None = None, processes: int = 1, **given: Any
) -> tuple[Difference, dict[str, Parcel]]:
    """The report, and every parcel that differs, in their order."""
    settings, out = Settings(**given), Path("differing.ndjson").resolve()
    difference = backtest(source, *load_pair(old, new, settings), settings, out=out, processes=processes)
    parcels = [msgspec.json.decode(line, type=Parcel) for line in out.read_bytes().splitlines()]
    assert len({parcel.parcel for parcel in parcels}) == len(parcels)
    return difference, {parcel.parcel: parcel for parcel in parcels}


@cache
def compared_once(source: Path, new: Path, **given: Any) -> tuple[Difference, dict[str, Parcel]]:
    """The same, for tests that compare the same folders."""
    return compared(source, new, **given)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text, path
    path.write_text(text.replace(before, after), encoding="utf-8")


def put(folder: Path, lines: dict[str, list[bytes]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, each in lines.items():
        (folder / f"{name}.ndjson").write_bytes(b"".join(line + b"\n" for line in each))
    return folder
