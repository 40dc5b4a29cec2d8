"""A rule file to fill in. As written it loads and its cases pass; lint lists what is left to fill in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from rules.engine.contract import RuleError
from rules.engine.folder import SHIPPED
from rules.lint.draft import TODO
from schemas.rulefile import SCHEMA_FILE, SCHEMA_LINE
from schemas.terms import RULE_FORM


def write_blank(folder: Path, rule_id: str) -> Path:
    """Write `folder/family/name.yaml`. Raises RuleError for a wrong id, FileExistsError if the file is there."""
    if not re.fullmatch(RULE_FORM, rule_id):
        raise RuleError(rule_id, "", "not FAMILY.NAME: lower case letters, digits and underscores")
    family, _, name = rule_id.partition(".")
    path = folder / family / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(SCHEMA_LINE + _BLANK.replace("{id}", rule_id).replace("{todo}", TODO))
    write_schema(folder)
    return path


def write_schema(folder: Path) -> None:
    """Write the JSON Schema of rule files where the files of this folder look for it. Replaces an older one."""
    (folder / SCHEMA_FILE).write_bytes((SHIPPED / SCHEMA_FILE).read_bytes())


_BLANK: Final = """\
# Fill in what says {todo}. `waybill rules lint {id}` tells what is left, `waybill rules test {id}` plays the
# cases, `waybill rules columns` lists what `when` and `evidence` may name.
title: {zh: '{todo} {id} 的中文名称', en: '{todo} name of {id}'}
category: suspicion  # or compliance: a duty that was not met
points: 10           # 1 to 100; a parcel's score is their sum: low from 20, medium 40, high 60, extreme 80
version: 1           # rises when the meaning of the rule changes
mode: shadow         # answered on waybill.shadow, without points; live when it has proved itself, off to leave it out
budget: null         # 0 to 1: share of verdicts with which it may open alerts before it is held back; null: as set
why:  # as misses and triage: in both languages, or one text for all readers
  zh: '{todo} 这种情形说明什么，从哪些做法或案例得知？'
  en: '{todo} What does the pattern tell, and from which practice or case is it known?'
misses:
  zh: '{todo} 哪些情形发现不了？'
  en: '{todo} Who gets past the rule?'
triage:
  zh: '{todo} 对快件或网点首先做什么。'
  en: '{todo} What to do first with the parcel or the outlet.'
actions: [open_box]  # of hold, open_box, second_xray, identity_check, visit_outlet
limits: {todo_min: 100000}
when: declared_value_fen >= :todo_min  # SQL; :name stands for a limit
evidence: [declared_value_fen, freight_fen]  # columns shown with a yes
never_unknown: false  # true if it asks only of scans and inspections what they always say; then no case is unknown
# Events say what differs from a quiet retail parcel of books; `after: 2 d` is counted from the first event.
cases:
  - name: "{todo} the least that fires"
    events: [{shipment: {declared_value_fen: 100000}}]
    expect: yes
  - name: "{todo} its nearest neighbour that does not"
    events: [{shipment: {declared_value_fen: 99999}}]
    expect: no
  - name: "{todo} what cannot be known"
    events: [{shipment: {declared_value_fen: null}}]
    expect: unknown
"""
