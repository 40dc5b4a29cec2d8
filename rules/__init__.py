"""Rules over parcels: a library that judges any frame of the documented columns, live or from files.

    catalogue = load_catalogue()
    answers = evaluate(frame, catalogue)      # one nullable Boolean column per rule: yes, no, unknown
    points, tier = score(coded(answers), catalogue)

`<family>/<name>.yaml` holds the rule `family.name`. `schemas.rulefile` has its fields, `rules.engine.sql` what
`when` may say, `rules.engine.cases` how its cases become events.
"""

from rules.engine.catalogue import Catalogue, load_catalogue, load_rule
from rules.engine.contract import RuleError
from rules.engine.evaluation import NO, UNKNOWN, YES, coded, evaluate
from rules.engine.score import ACTIONS, SCORE_MAX, THRESHOLDS, TIERS, actions, score, tier_of
from schemas.rulefile import Rule

__all__ = [
    "ACTIONS",
    "NO",
    "SCORE_MAX",
    "THRESHOLDS",
    "TIERS",
    "UNKNOWN",
    "YES",
    "Catalogue",
    "Rule",
    "RuleError",
    "actions",
    "coded",
    "evaluate",
    "load_catalogue",
    "load_rule",
    "score",
    "tier_of",
]
