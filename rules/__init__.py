"""Rules over parcels: a library that judges any frame of the documented columns, live or from files.

    catalogue = load_catalogue()
    answers = evaluate(frame, catalogue)      # one nullable Boolean column per rule: yes, no, unknown
    points, tier = score(answers, catalogue)

`<family>/<name>.yaml` holds the rule `family.name`: `rules.contract` has its fields, `rules.sql` what `when` may say,
`rules.cases` how its cases become events.
"""

from rules.catalogue import Catalogue, load_catalogue, load_rule
from rules.contract import Rule, RuleError
from rules.evaluation import evaluate
from rules.score import ACTIONS, SCORE_MAX, THRESHOLDS, TIERS, actions, score, tier_of

__all__ = [
    "ACTIONS",
    "SCORE_MAX",
    "THRESHOLDS",
    "TIERS",
    "Catalogue",
    "Rule",
    "RuleError",
    "actions",
    "evaluate",
    "load_catalogue",
    "load_rule",
    "score",
    "tier_of",
]
