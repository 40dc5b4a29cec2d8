"""Stations with known error rates answer, and the desk's measures are held against what is so.

A station that looks into a guilty parcel finds it with the probability SENSITIVITY, into an innocent one finds nothing
with SPECIFICITY, and answers at all with ANSWERED. So of a rule that is right in a share p of alerts, answers say that
it is right in p · SENSITIVITY + (1 − p) · (1 − SPECIFICITY) of them; solved for p it is the estimator of Rogan and
Gladen (1978).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec
import xxhash

from benchmarks.detection.measure import Rate, rate
from benchmarks.detection.play import Played, ranked
from desk.clues.acts import Act
from desk.clues.clue import Clue
from desk.clues.deadlines import Calendar
from desk.clues.fold import step
from desk.measures.report import Lift, measure
from schemas import clues as log
from schemas.records import Alert

SENSITIVITY: Final = 0.9
SPECIFICITY: Final = 0.98
ANSWERED: Final = 0.85
LOOKED_SHARE: Final = 1e-3  # of the parcels, by score
ARM_SHARE: Final = 1e-3  # by chance


class RuleAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: how often it is right where stations answered, and how often their answers say so.

    corrected: what the answers say, without the stations' errors (Rogan–Gladen).
    covered: the interval of the answers holds what stations with these error rates say on average.
    """

    rule: str
    truth: Rate
    answers: Rate
    corrected: float | None
    covered: bool


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What stations answered. found, truth: of alerts with a reason of suspicion, finds said and guilty parcels."""

    asked: int
    answered: int
    found: Rate
    truth: Rate
    lift: Lift | None
    rules: list[RuleAnswers]

    @property
    def covered(self) -> Rate:
        """Rules whose interval is right, of those with one: 95 % are to be expected."""
        return rate(sum(each.covered for each in self.rules), len(self.rules))


def answer(played: Played, right: Mapping[str, frozenset[str]], guilty: Mapping[str, str], seed: int) -> Answers:
    """Stations look into the parcels with the highest scores, and into some by chance.

    right: by guilty parcel, the rules that are right about it. guilty: by guilty parcel, its category.
    """
    chance = Random(seed)
    chosen = ranked(played, played.alerts)[: max(round(LOOKED_SHARE * played.parcels), 50)]
    arm = [*_arm(played, guilty)]
    drawn = set(arm)
    clues = [_clue(played.alerts[parcel], parcel, right, chance, parcel in drawn) for parcel in chosen]
    began = min(clue.opened_at for clue in clues)
    both = {clue.parcel for clue in clues} & drawn
    clues += [_of_chance(parcel, parcel in guilty, chance, began) for parcel in arm if parcel not in both]
    now = max(clue.changed_at for clue in clues) + 1
    found = measure(clues, {}, {}, Calendar({}), now)
    looked = {clue.parcel for clue in clues if clue.answer is not None and clue.alert is not None}
    rules = []
    for each in (*found.suspicion.rules, *found.compliance.rules):
        if each.precision.share is None:
            continue
        named = [parcel for parcel in looked if each.rule in played.standing[parcel].rules]
        truth = rate(sum(each.rule in right.get(parcel, ()) for parcel in named), len(named))
        rules.append(_rule(each.rule, truth, rate(each.credited, each.precision.of)))
    of_suspicion = [p for p in looked if any(r.category == "suspicion" for r in played.alerts[p].reasons)]
    return Answers(
        asked=len(clues),
        answered=sum(clue.answer is not None for clue in clues),
        found=rate(found.suspicion.found.found, found.suspicion.found.of),
        truth=rate(sum(guilty.get(parcel) == "suspicion" for parcel in of_suspicion), len(of_suspicion)),
        lift=found.suspicion.lift,
        rules=rules,
    )


def _rule(rule: str, truth: Rate, said: Rate) -> RuleAnswers:
    assert truth.share is not None
    assert said.share is not None
    assert said.low is not None
    assert said.high is not None
    expected = truth.share * SENSITIVITY + (1 - truth.share) * (1 - SPECIFICITY)
    corrected = (said.share + SPECIFICITY - 1) / (SENSITIVITY + SPECIFICITY - 1)
    return RuleAnswers(
        rule=rule, truth=truth, answers=said, corrected=min(max(corrected, 0.0), 1.0),
        covered=said.low <= expected <= said.high,
    )  # fmt: skip


def _clue(alert: Alert, parcel: str, right: Mapping[str, frozenset[str]], chance: Random, drawn: bool) -> Clue:
    """The clue of an alert, with its answer or without. Each rule is judged by itself. drawn: by chance as well."""
    opened = {
        "origin": "alert", "parcel": parcel, "tier": alert.tier, "adcode": alert.jurisdiction_adcode, "alert": alert,
        "limit": 40,
    }  # fmt: skip
    clue = _sent(alert.alert_id, opened, alert.detected_at)
    if drawn:
        order = {"origin": "order", "revision": alert.revision, "adcode": alert.jurisdiction_adcode, "p": ARM_SHARE}
        clue = _applied(clue, clue.clue_id, log.Joined, order, clue.changed_at)
    if chance.random() >= ANSWERED:
        return clue
    rules = right.get(parcel, frozenset())
    reasons = [reason.rule for reason in alert.reasons]
    credited = [rule for rule in reasons if chance.random() < (SENSITIVITY if rule in rules else 1 - SPECIFICITY)]
    category = {reason.rule: reason.category for reason in alert.reasons}
    outcome = "no_finding"
    if credited:
        outcome = "seizure" if any(category[rule] == "suspicion" for rule in credited) else "violation"
    return _said(clue, outcome, tuple(credited))


def _of_chance(parcel: str, guilty: bool, chance: Random, at: int) -> Clue:
    opened = {
        "origin": "order",
        "parcel": parcel,
        "tier": "medium",
        "adcode": "430421",
        "arm": "random",
        "p": ARM_SHARE,
    }
    clue = _sent(f"wo-{xxhash.xxh64_hexdigest(parcel.encode())}", opened, at)
    if chance.random() >= ANSWERED:
        return clue
    found = chance.random() < (SENSITIVITY if guilty else 1 - SPECIFICITY)
    return _said(clue, "violation" if found else "no_finding", None)


def _arm(played: Played, guilty: Mapping[str, str]) -> Iterator[str]:
    """Parcels of the random arm, by hash. Of those that are neither planted nor alerted only the number matters."""
    known = sorted({*guilty, *played.standing})
    drawn = [parcel for parcel in known if xxhash.xxh64_intdigest(b"arm" + parcel.encode()) / 2**64 < ARM_SHARE]
    yield from drawn
    yield from (f"QN:ORDINARY{n}" for n in range(max(round(ARM_SHARE * played.parcels) - len(drawn), 0)))


def _sent(clue_id: str, opened: Mapping[str, Any], at: int) -> Clue:
    to = {"to": "S", "adcode": opened["adcode"], "accept_by": at + 1, "check_by": at + 2, "answer_by": at + 3}
    return _applied(_applied(_applied(None, clue_id, log.Opened, opened, at), clue_id, log.Dispatched, to, at),
                    clue_id, log.Accepted, {}, at)  # fmt: skip


def _said(clue: Clue, outcome: str, rules: Sequence[str] | None) -> Clue:
    fields = {"feedback_id": f"f-{clue.clue_id}", "outcome": outcome, "rules": rules}
    return _applied(clue, clue.clue_id, log.Answered, fields, clue.changed_at)


def _applied(clue: Clue | None, clue_id: str, kind: type[log.ClueEvent], fields: Mapping[str, Any], at: int) -> Clue:
    after = step(clue, Act(kind, clue_id, dict(fields)).event(clue, "u1", "S", at))
    assert isinstance(after, Clue), after
    return after
