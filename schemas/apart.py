"""Records that go out beside alerts: rules that do not count into alerts yet, and notices about rules."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records import Reason, Record, _about
from schemas.terms import INT_SAFE_MAX, AlertId, CarrierCode, Count, Id, Level, Millis, NoticeKind, RuleId, Status


class Shadow(Record, frozen=True, kw_only=True):
    """Rules that do not count into the verdict on a parcel, and the verdict that it would have with them. Upserted."""

    alert_id: Annotated[AlertId, _about("The id of the parcel's alert, whether or not there is one.")]
    revision: Annotated[
        Annotated[int, Meta(ge=0, le=INT_SAFE_MAX)],
        _about("Rises with each change of the verdict, and by one when an alert that was held back goes out."),
    ]
    status: Annotated[Status, _about("withdrawn = none of these rules says yes any more.")]
    opens: Annotated[bool, _about("With these rules there would be an alert, without them there is none.")]
    rises: Annotated[bool, _about("With these rules the tier would be higher.")]
    tier: Annotated[Level, _about("Tier without them.")]
    score: Annotated[Annotated[int, Meta(ge=0, le=100)], _about("Score without them.")]
    tier_with: Annotated[Level, _about("Tier with them.")]
    score_with: Annotated[Annotated[int, Meta(ge=0, le=100)], _about("Score with them.")]
    reasons: Annotated[
        tuple[Reason, ...],
        _about("Rules in shadow, and rules held back, that say yes; `points` is what they would add. Sorted by rule."),
    ]
    held: Annotated[
        tuple[RuleId, ...],
        _about("Rules among `reasons` that exceed their budget, so that the alert is held back. Sorted."),
    ]
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    waybill_no: Annotated[Id, _about("Waybill number.")]
    detected_at: Annotated[Millis, _about("Wall clock at the verdict, epoch ms UTC.")]
    catalogue: Annotated[str, _about("Fingerprint of the rules in force.")]


class Notice(Record, frozen=True, kw_only=True):
    """A notice for operators about a rule: one worker holds it back, or has released it."""

    kind: Annotated[NoticeKind, _about("rule_flood = the rule opens far more alerts than its budget allows.")]
    rule: Annotated[RuleId, _about("The rule.")]
    version: Annotated[Annotated[int, Meta(ge=1)], _about("Its version.")]
    held: Annotated[bool, _about("true = it is held back now; false = it is released.")]
    share: Annotated[
        Annotated[float, Meta(ge=0)],
        _about("Share of the latest verdicts for which it opened an alert, or would have."),
    ]
    budget: Annotated[Annotated[float, Meta(ge=0, le=1)], _about("The share that it may have at most.")]
    judged: Annotated[Count, _about("Verdicts weighed.")]
    since: Annotated[Millis, _about("Wall clock when it was held back, epoch ms UTC.")]
    at: Annotated[Millis, _about("Wall clock of this notice, epoch ms UTC.")]
    instance: Annotated[str, _about("The worker that sent it: each worker counts the verdicts that it judges itself.")]
    catalogue: Annotated[str, _about("Fingerprint of the rules in force.")]

    @property
    def key(self) -> str:
        """Key of the message."""
        return f"{self.kind}:{self.rule}:{self.instance}"
