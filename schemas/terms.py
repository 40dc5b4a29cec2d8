"""The vocabulary of the records: bounded types and enumerations, each defined once.

Lengths and bounds are checked by msgspec while it decodes. The forms of codes (`pattern`) are published in the JSON
Schemas, but msgspec does not check those in `DEFERRED`: a regular expression per field would take three times as long
as the rest of decoding. Instead, `streams.flow.decode` checks each distinct code of a batch once, and looks for control
characters only if a byte suggests one. Both read the pattern from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta


def _form(pattern: str) -> dict[str, Any]:
    return {"pattern": pattern}


# ECMA-262 syntax, where `$` is the very end of the text; in Python use `re.fullmatch`.
ADCODE_FORM: Final = "^[1-9][0-9]{5}$"
COUNTRY_FORM: Final = "^[A-Z]{2}$"
HS6_FORM: Final = "^[0-9]{6}$"
ID_FORM: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
CARRIER_FORM: Final = "^[^:\\u0000-\\u001f\\u007f-\\u009f]*$"
RULE_FORM: Final = "^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$"
WORD_FORM: Final = "^[a-z][a-z0-9_]*$"
TOKEN_FORM: Final = "^[A-Za-z0-9_.-]{1,32}:[0-9a-f]{32}$"

DAY_FORM: Final = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
HASH_FORM: Final = "^[0-9a-f]{64}$"
CELL_FORM: Final = "^[a-z][a-z0-9_]*:[A-Za-z0-9_.-]+:[1-9][0-9]{5}:[a-z0-9_.]+$"

TIME_MS_MIN: Final = 946_684_800_000  # 2000-01-01: no event is older; an earlier time comes from a wrong clock
TIME_MS_END: Final = 4_102_444_800_000  # 2100-01-01: a later time comes from a wrong clock or a wrong unit
INT_SAFE_MAX: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact

Millis = Annotated[int, Meta(ge=TIME_MS_MIN, lt=TIME_MS_END)]
Count = Annotated[int, Meta(ge=0, lt=2**31)]
Money = Annotated[int, Meta(ge=0, le=INT_SAFE_MAX)]
Offset = Annotated[int, Meta(ge=0)]

Adcode = Annotated[str, Meta(min_length=6, max_length=6, extra_json_schema=_form(ADCODE_FORM))]
Country = Annotated[str, Meta(min_length=2, max_length=2, extra_json_schema=_form(COUNTRY_FORM))]
Hs6 = Annotated[str, Meta(min_length=6, max_length=6, extra_json_schema=_form(HS6_FORM))]
CarrierCode = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_form(CARRIER_FORM))]
Id = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_form(ID_FORM))]
EventId = Annotated[str, Meta(min_length=1, max_length=128, extra_json_schema=_form(ID_FORM))]
AlertId = Annotated[str, Meta(min_length=1, max_length=160, extra_json_schema=_form(ID_FORM))]
DEFERRED: Final = (ADCODE_FORM, COUNTRY_FORM, HS6_FORM, CARRIER_FORM, ID_FORM)

Text = Annotated[str, Meta(max_length=512)]
RuleId = Annotated[str, Meta(max_length=128, pattern=RULE_FORM)]
Word = Annotated[str, Meta(max_length=64, pattern=WORD_FORM)]
Token = Annotated[str, Meta(pattern=TOKEN_FORM)]
ClueId = Annotated[str, Meta(min_length=1, max_length=160, extra_json_schema=_form(ID_FORM))]
UserId = Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_form(ID_FORM))]
Day = Annotated[str, Meta(pattern=DAY_FORM, max_length=10)]
ChainHash = Annotated[str, Meta(pattern=HASH_FORM, max_length=64)]
CellKey = Annotated[str, Meta(pattern=CELL_FORM, max_length=160)]
Probability = Annotated[float, Meta(gt=0, le=1)]
PhotoHash = Annotated[str, Meta(pattern="^[0-9a-fA-F]{16}$", max_length=16)]

PickupPlace = Literal["outlet", "door", "fixed_site", "non_fixed", "locker", "stall"]
CustomerType = Literal["retail", "agreement", "letter"]
SenderIdType = Literal["resident_id", "hmt_permit", "passport", "military", "uscc", "other"]
RealnameMethod = Literal["reader", "ocr", "manual", "reuse", "agreement", "none"]
RealnameCheck = Literal["pass", "fail", "not_done"]
Direction = Literal["domestic", "export", "import", "hmt"]
GoodsForm = Literal["powder", "liquid", "solid", "gas", "mixed", "unknown"]

ScanType = Literal[
    "picked_up",
    "arrived",
    "sorted",
    "departed",
    "forwarded",
    "out_for_delivery",
    "at_locker",
    "delivered",
    "failed",
    "refused",
    "returning",
    "returned",
    "held",
    "released",
]
SealState = Literal["ok", "broken", "replaced"]

InspectionType = Literal["open_box", "xray", "second_xray", "canine", "trace_swab", "identity_check"]
Stage = Literal["pickup", "hub", "station"]
Result = Literal["pass", "suspicious", "reject", "inconclusive"]
DeclaredMatch = Literal["yes", "no", "partial"]

Status = Literal["open", "withdrawn"]
Tier = Literal["low", "medium", "high", "extreme"]
Level = Literal["none", "low", "medium", "high", "extreme"]
NoticeKind = Literal["rule_flood"]
Category = Literal["suspicion", "compliance"]
Outcome = Literal["seizure", "violation", "no_finding", "wrong_alert", "transferred"]
Scope = Literal["domestic", "international", "hmt"]

StationKind = Literal["police", "postal", "enterprise"]
FacilityKind = Literal["outlet", "hub", "locker", "station"]
ReviewStatus = Literal["reviewed", "pending", "overdue"]

Arm = Literal["selected", "random", "both"]
Origin = Literal["alert", "order", "reported"]
CheckKind = Literal["open_box", "xray", "second_xray", "canine", "trace_swab", "identity_check", "visit", "documents"]
NoiseReason = Literal["data_error", "known_sender", "rule_too_wide", "duplicate", "other"]
ClosedFor = Literal["answered", "withdrawn", "too_late", "duplicate", "out_of_reach"]
Step = Literal["accept", "check", "answer"]
HoldAction = Literal["request", "effective", "breached", "extend", "second", "release"]
Duty = Literal["realname", "open_box", "xray", "second_xray", "licensed", "registered"]
EntryKind = Literal["cell", "sign_off"]
EnforcementKind = Literal[
    "visit",
    "interview",
    "onsite_warning",
    "rectify",
    "rectified",
    "reinspect",
    "suspend",
    "seal",
    "unseal",
    "close",
    "ban",
    "fine",
    "reward",
    "filing_issued",
    "training",
    "internal_accountability",
    "objection",
    "correction",
]
Colour = Literal["red", "yellow", "green"]
Met = Literal["met", "not_met", "unknown"]

RejectReason = Literal[
    "empty",
    "oversized",
    "invalid_utf8",
    "invalid_json",
    "too_deep",
    "wrong_type",
    "missing_field",
    "unknown_value",
    "out_of_range",
]
