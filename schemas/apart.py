"""The records that go out beside alerts: what does not count into them, and what is to be known of rules."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from schemas.records import Reason, Record, _about
from schemas.terms import INT_SAFE_MAX, AlertId, CarrierCode, Count, Id, Level, Millis, NoticeKind, RuleId, Status


class Shadow(Record, frozen=True, kw_only=True):
    """What does not count into the verdict on one parcel, and what the verdict would be with it. Upserted by parcel."""

    alert_id: Annotated[AlertId, _about("That of the parcel's alert, whether or not there is one.")]
    revision: Annotated[
        Annotated[int, Meta(ge=0, le=INT_SAFE_MAX)],
        _about("Rises with each change; twice that of the verdict, and one more unless an alert is held back."),
    ]
    status: Annotated[Status, _about("withdrawn = no such rule says yes any more.")]
    opens: Annotated[bool, _about("With these rules an alert stands, without them none does.")]
    rises: Annotated[bool, _about("With these rules the tier is higher.")]
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
        _about("Rules among `reasons` that fire above their budget, so that the alert is held back. Sorted."),
    ]
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    waybill_no: Annotated[Id, _about("Waybill number.")]
    detected_at: Annotated[Millis, _about("Wall clock at the verdict, epoch ms UTC.")]
    catalogue: Annotated[str, _about("Fingerprint of the rules in force.")]


class Notice(Record, frozen=True, kw_only=True):
    """What an operator must know of a rule itself: one worker holds it back, or does so no more."""

    kind: Annotated[NoticeKind, _about("rule_flood = the rule opens far more alerts than its budget allows.")]
    rule: Annotated[RuleId, _about("The rule.")]
    version: Annotated[Annotated[int, Meta(ge=1)], _about("Its version.")]
    held: Annotated[bool, _about("It is held back now; false: released.")]
    share: Annotated[
        Annotated[float, Meta(ge=0)], _about("Alerts that it opened, or would have, among the verdicts weighed.")
    ]
    budget: Annotated[Annotated[float, Meta(ge=0, le=1)], _about("The share that it may have.")]
    judged: Annotated[Count, _about("Verdicts weighed.")]
    since: Annotated[Millis, _about("Wall clock when it was held back, epoch ms UTC.")]
    at: Annotated[Millis, _about("Wall clock of this notice, epoch ms UTC.")]
    instance: Annotated[str, _about("The worker that says so: each weighs what it judges itself.")]
    catalogue: Annotated[str, _about("Fingerprint of the rules in force.")]

    @property
    def key(self) -> str:
        """Key of the message."""
        return f"{self.kind}:{self.rule}:{self.instance}"
