"""Every topic: its name, what keys it, what it holds. Names are fixed; producers and analysts depend on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cleanup = Literal["delete", "compact", "compact,delete"]

SHIPMENTS = "waybill.shipments"
SCANS = "waybill.scans"
INSPECTIONS = "waybill.inspections"
ALERTS = "waybill.alerts"
SHADOW = "waybill.shadow"
NOTICES = "waybill.notices"
REJECTS = "waybill.rejects"
FEEDBACK = "waybill.feedback"
REFERENCE = "waybill.reference"
RULES = "waybill.rules"
TRACES = "waybill.traces"
TALLIES = "waybill.tallies"
ORDERS = "waybill.orders"
CLUES = "waybill.clues"
HOLDS = "waybill.holds"
ENFORCEMENT = "waybill.enforcement"
ENTRIES = "waybill.entries"
ACCESS = "waybill.access"
GRADES = "waybill.grades"
LINKS = "waybill.links"
OBSERVATIONS = "waybill.internal.observations"
FACTS = "waybill.internal.facts"
RULE_ACKS = "waybill.internal.rule-acks"
PARCELS_CHANGELOG = "waybill.internal.parcels-changelog"
HISTORIES_CHANGELOG = "waybill.internal.histories-changelog"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    single   it has one partition, as whoever reads it reads it whole
    desk     its count of partitions is its own, and stays; all that are neither share one count, for parcels to meet
    """

    name: str
    key: str
    holds: str
    cleanup: Cleanup
    internal: bool = False
    single: bool = False
    desk: bool = False


TOPICS = (
    Topic(SHIPMENTS, "parcel", "Acceptance record (收寄), one per parcel; a corrected upload replaces it.", "delete"),
    Topic(SCANS, "parcel", "Every track scan.", "delete"),
    Topic(INSPECTIONS, "parcel", "Open-box, X-ray, identity and other checks.", "delete"),
    Topic(ALERTS, "parcel", "The parcel's verdict, newest per key: what analysts subscribe to.", "compact,delete"),
    Topic(SHADOW, "parcel", "What does not count yet: rules in shadow, and rules held back.", "compact,delete"),
    Topic(
        NOTICES, "kind:rule:instance", "What operators must know of rules themselves.", "compact,delete", single=True
    ),
    Topic(REJECTS, "as received", "What could not be read, with topic, partition, offset and reason.", "delete"),
    Topic(FEEDBACK, "parcel", "What was found when someone looked.", "compact,delete", desk=True),
    Topic(
        REFERENCE,
        "kind:id",
        "Enterprises, outlets, couriers, machines, facilities, stations, holidays.",
        "compact",
        single=True,
    ),
    Topic(
        RULES,
        "rule id or set:number",
        "Rule files in force, shadow or off, and the sets they came in.",
        "compact",
        single=True,
    ),
    Topic(
        TRACES, "parcel", "The way of each parcel with an alert or order, newest per key.", "compact,delete", desk=True
    ),
    Topic(TALLIES, "outlet:YYYYMMDD:partition", "Counts over all parcels by outlet and day.", "compact,delete"),
    Topic(ORDERS, "parcel", "Parcels that the random arm chose to be looked at.", "compact,delete"),
    Topic(CLUES, "clue", "The clue log: every act on a clue.", "delete", desk=True),
    Topic(HOLDS, "parcel", "What carriers are asked to stop and to let go.", "compact,delete", desk=True),
    Topic(ENFORCEMENT, "enterprise", "Acts of supervision of enterprises.", "delete", single=True),
    Topic(ENTRIES, "report:period:adcode:cell", "Numbers typed into reports, and sign-offs.", "compact", single=True),
    Topic(ACCESS, "user", "Who read what, and why.", "delete", single=True),
    Topic(GRADES, "enterprise", "How each enterprise stands; derived.", "compact", single=True),
    Topic(LINKS, "clue", "Clues that share a person or a device; derived.", "compact", single=True),
    Topic(
        OBSERVATIONS, "partition", "What parcels tell the histories of entities, in batches.", "delete", internal=True
    ),
    Topic(FACTS, "partition", "What histories answer the parcels, in batches.", "delete", internal=True),
    Topic(RULE_ACKS, "group/instance", "By which rules each worker judges.", "compact", internal=True, single=True),
    Topic(PARCELS_CHANGELOG, "parcel", "State of parcels, newest per key.", "compact", internal=True),
    Topic(HISTORIES_CHANGELOG, "entity", "State of entities, newest per key.", "compact", internal=True),
)
