"""The result of a step of the parcels, for the code that publishes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from schemas.apart import Notice, Shadow
from schemas.records import Alert, Reject
from streams.flow.batches import untail
from streams.flow.fold import dossiers
from streams.flow.judge import Verdicts
from streams.flow.orders import Ordered
from streams.flow.sampling import Told
from streams.flow.upsert import Upsert


@dataclass(slots=True)
class Judged:
    """The result of a step of the parcels: messages by partition, alerts, rejects, and counts."""

    observations: list[tuple[int, bytes]] = field(default_factory=list)
    facts: list[tuple[int, bytes]] = field(default_factory=list)
    alerts: list[Upsert[Alert]] = field(default_factory=list)
    shadows: list[Upsert[Shadow]] = field(default_factory=list)
    orders: list[Ordered] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by rule, mode and answer
    rejects: list[Reject] = field(default_factory=list)
    verdicts: Verdicts | None = None
    events: Counter[str] = field(default_factory=Counter)
    touched: dossiers.Dossiers | None = None
    strange: int = 0  # events that the native front end left to Python
    due: int = 0  # parcels that were judged because their timers fired
    behind: bool = False  # there are more of them
    told: Told | None = None  # for OpenTelemetry

    def named_answers(self) -> dict[str, dict[str, bool | None]]:
        """The answers of this step by parcel, for callers that need the answers of rules."""
        if self.verdicts is None or self.touched is None:
            return {}
        tails = (untail(self.touched.tails[row]) for row in self.verdicts.rows.tolist())
        return {
            f"{carrier}:{number}": row
            for (_, carrier, number, *_), row in zip(tails, self.verdicts.answers.to_dicts(), strict=True)
        }
