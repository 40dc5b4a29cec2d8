"""What a clue comes from: an alert, an order of the random arm, or both; a part of the fold.

Both say where their parcel is, each in its own time. They count revisions alike, so the newer one is known.
"""

from __future__ import annotations

from msgspec.structs import replace

from desk.clues.clue import RANK, Clue
from schemas import clues as log
from schemas.terms import Arm


def opened(event: log.Opened) -> Clue:
    """A new clue."""
    alert, ordered = event.alert, event.origin == "order"
    return Clue(
        clue_id=event.clue_id,
        origin=event.origin,
        parcel=event.parcel,
        tier=event.tier,
        adcode=event.adcode,
        alert=alert,
        limit=event.limit,
        arm=event.arm,
        p=event.p,
        outlet_id=event.outlet_id if alert is None else alert.outlet_id or None,
        note=event.note,
        opened_at=event.at,
        changed_at=event.at,
        ids=(event.event_id,),
        standing=None if alert is None else alert.status,
        standing_tier=None if alert is None else alert.tier,
        graded_for=None if alert is None else alert.tier,
        standing_adcode=event.adcode,
        revision=0 if alert is None else alert.revision,
        order_standing="open" if ordered else None,
        order_revision=event.revision if ordered else 0,
    )


def joined(clue: Clue, event: log.Joined) -> Clue | str:
    """With the alert or order that the clue lacks. Its work goes on as it is; an urgent alert makes it urgent."""
    arm: Arm = "both" if event.origin == "order" or clue.p is not None else clue.arm
    if event.origin == "order":
        if clue.order_standing is not None or event.p is None:
            return "joined: no order, or not the first"
        after = replace(clue, arm=arm, p=event.p, order_standing="open", order_revision=event.revision)
    else:
        alert = event.alert
        if clue.alert is not None or alert is None:
            return "joined: no alert, or not the first"
        after = replace(
            clue,
            arm=arm,
            alert=alert,
            limit=event.limit,
            outlet_id=clue.outlet_id or alert.outlet_id or None,
            standing=alert.status,
            standing_tier=alert.tier,
            graded_for=alert.tier,
            tier=min(clue.tier, alert.tier, key=RANK.__getitem__),
            revision=event.revision,
        )
    return _placed(after, event.revision, event.adcode)


def standing(clue: Clue, event: log.Standing) -> Clue | str:
    """After a change of its alert or order."""
    ordered = (event.origin or clue.origin) == "order"
    if event.revision <= (known := clue.order_revision if ordered else clue.revision):
        return f"standing: revision {event.revision} is not newer than {known}"
    if ordered:
        p = clue.p if event.p is None else event.p
        after = replace(clue, p=p, order_revision=event.revision, order_standing=event.status)
    else:
        after = replace(clue, revision=event.revision, standing=event.status, standing_tier=event.tier)
    return _placed(after, event.revision, event.adcode)


def _placed(clue: Clue, revision: int, adcode: str) -> Clue:
    """With the place by an alert or order, unless the other one is newer. A place of a transfer since then stays."""
    if revision < max(clue.revision, clue.order_revision) or adcode == clue.standing_adcode:
        return clue
    return replace(clue, standing_adcode=adcode, adcode=adcode)
