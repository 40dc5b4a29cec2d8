"""Fixed layouts of stored values and of messages between the two agents.

Rows are packed numpy records: one `join` and one `frombuffer` turn a batch of values into columns, and a slice turns
them back. Every stored value and internal message starts with `FORMAT` of `streams.state.format`; readers refuse any
other format.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.inputs import MOVEMENTS
from schemas.measures import DAY_MS as DAY_MS
from schemas.measures import HOUR_MS as HOUR_MS
from schemas.measures import MEASURES
from schemas.measures import MINUTE_MS as MINUTE_MS
from schemas.records import Inspection, Scan, Shipment

PARCEL_BYTES = 32
PARCEL = f"S{PARCEL_BYTES}"

# Histories are kept by (kind, entity, bucket of event time). A bucket is as wide as the kind's longest window. So the
# window of a parcel lies in its own bucket and the one before, and the parcels that it affects in its own and the next.
# Buckets of different entities begin at different times (`phase`), so that they do not all end and expire at once.
KINDS = ("sender", "phone", "recipient", "courier", "outlet_prefix")
SENDER, PHONE, RECIPIENT, COURIER, OUTLET_PREFIX = range(5)
SPAN_MS = np.array([max(each.window_ms for each in MEASURES if each.entity == kind) for kind in KINDS], dtype=np.int64)


def labels(record: type, field: str) -> tuple[str, ...]:
    """The literal values of a record's field, or of its items, in order."""
    hints = [get_type_hints(record)[field]]
    while hints and get_origin(hints[0]) is not Literal:
        hints = [*get_args(hints[0]), *hints[1:]]
    return tuple(get_args(hints[0]))


CUSTOMERS = labels(Shipment, "customer_type")
PLACES = labels(Shipment, "pickup_place")
DIRECTIONS = labels(Shipment, "direction")
METHODS = labels(Shipment, "realname_method")
CHECKS = labels(Shipment, "realname_check")
ID_TYPES = labels(Shipment, "sender_id_type")
GOODS_CLASSES = labels(Shipment, "goods_form")
SCAN_TYPES = labels(Scan, "scan_type")
INSPECTION_TYPES = labels(Inspection, "inspection_type")
RESULTS = labels(Inspection, "result")
# What is wrong with an ID number that cannot exist: the first of these that applies.
ID_FAULTS = ("length", "characters", "region", "date", "future", "too_old", "check_digit")
NONE = 255  # a code that is not given

# How a controlled term is written in a goods name. State holds the codes: add at the end only.
GOODS_TRICKS = (
    "plain",
    "separated",  # signs, spaces or what cannot be seen between its characters
    "characters",  # wide, traditional, variant or look-alike ones
    "sound",
    "pinyin",
    "mixed",  # partly in pinyin
    "initials",
    "shape",  # a character replaced by one that looks like it
    "order",
    "parts",  # a character written as its parts
    "filler",  # letters or digits between its characters
    "doubled",
    "misspelt",
)

# The kind of a movement says what happened, and which topic told it: each topic has so many kinds, in the order of
# MOVEMENTS. An inspection's kind is FIRST_KIND[Inspection] + its code in INSPECTION_TYPES.
KINDS_EACH = 64
FIRST_KIND: dict[type, int] = {each.record: KINDS_EACH * number for number, each in enumerate(MOVEMENTS)}

MOVEMENT = np.dtype(
    [
        ("at", "<i8"),  # scanned_at or started_at, epoch ms
        ("id", "<u8"),  # hash of the event id
        ("offset", "<i8"),  # where it was read, see `read_at`
        ("value", "<i4"),  # scan: weight_g or -1; inspection: duration ms
        ("adcode", "<i4"),
        ("kind", "u1"),
        ("result", "u1"),  # inspections, else NONE
    ]
)

# The facts that histories answer about a parcel, by kind: those that are counts. Two others, of the sender, have
# columns of their own. `known` counts the observations behind the answer.
FACT_COLUMNS: dict[int, tuple[str, ...]] = {
    kind: tuple(each.name for each in MEASURES if each.entity == entity and each.figure in ("count", "distinct"))
    for kind, entity in enumerate(KINDS)
}
# Columns that rules may read, by kind: the counts, and for the sender the distance from the previous parcel.
READ = {kind: (*names, "saturated") for kind, names in FACT_COLUMNS.items()}
READ[SENDER] += ("sender_previous_km", "sender_previous_h")
READ[PHONE] += ("sender_phone_is_courier",)  # joined by the token that this history is kept for
COUNTS_MAX = max(len(columns) for columns in FACT_COLUMNS.values())

FACT = np.dtype(
    [
        ("parcel", PARCEL),
        ("event", "<u8"),
        ("known", "<u4"),
        ("counts", "<u4", (COUNTS_MAX,)),
        ("previous_km", "<f8"),  # sender only; NaN: no previous parcel or unknown place
        ("previous_ms", "<i8"),  # sender only; -1: no previous parcel
        ("kind", "u1"),
        ("saturated", "u1"),
    ]
)

# One observation as stored. Messages also have `kind` and `entity`.
OBSERVED = np.dtype(
    [
        ("at", "<i8"),  # picked_up_at
        ("parcel", PARCEL),
        ("event", "<u8"),
        ("a", "<u8"),  # see `KEPT`; 0: not given
        ("b", "<u8"),
        ("place", "<i4"),  # pickup_adcode
        ("partition", "<u2"),  # of the parcel, where facts go
        ("live", "u1"),  # 0: superseded by a later upload
    ]
)
# Where the attributes of an observation are kept: the field, and what its value is divided by.
KEPT: dict[str, dict[str, tuple[str, int]]] = {
    kind: {"at": ("at", 1), "place": ("place", 1), "province": ("place", 10_000), **own}
    for kind, own in {
        "sender": {"name": ("a", 1), "outlet": ("b", 1)},
        "phone": {"person": ("a", 1)},
        "recipient": {"person": ("a", 1)},
        "courier": {"person": ("a", 1), "clone": ("b", 1)},
        "outlet_prefix": {"person": ("a", 1)},
    }.items()
}
OBSERVATION = np.dtype(
    [*((name, OBSERVED[name].str) for name in OBSERVED.names or ()), ("entity", "<u8"), ("kind", "u1")]
)

# The valid upload of a parcel, as columns. Strings that only an alert shows are in the tail of the dossier.
SHIPMENT_FIELDS = [
    ("event", "<u8"),  # hash of all the others but `offset`, and of the tail
    ("version_at", "<i8"),  # recorded_at, else picked_up_at
    ("picked_up_at", "<i8"),
    ("offset", "<i8"),  # see `read_at`
    ("declared_value_fen", "<i8"),  # -1: not given
    ("freight_fen", "<i8"),  # -1: not given
    ("sender", "<u8"),  # token shown for the sender; 0: none
    ("recipient", "<u8"),
    ("person", "<u8"),  # token of the sender's usable ID number; 0: none
    ("name", "<u8"),  # token of a name that is counted; 0: none
    ("outlet", "<u8"),  # `text_ref` of outlet_id
    ("courier", "<u8"),  # `text_ref` of CARRIER:courier_id
    ("clone", "<u8"),
    ("entity", "<u8", (len(KINDS),)),  # 0: not observed
    ("carrier", "<u4"),  # the lower half of `text_ref` of carrier_code
    ("pickup_adcode", "<i4"),
    ("dest_adcode", "<i4"),  # 0: not given
    ("weight_g", "<i4"),
    ("pieces", "<i4"),
    ("flags", "<u2"),
    ("customer_type", "u1"),
    ("pickup_place", "u1"),
    ("direction", "u1"),
    ("realname_method", "u1"),
    ("realname_check", "u1"),
    ("sender_id_type", "u1"),
    ("sender_id_fault", "u1"),
    ("goods_class", "u1"),
    ("goods_term", "<u4"),  # `Term.ref` of the term found or hinted at; 0: none
    ("goods_trick", "u1"),
    ("dest_country", "S2"),
]
SHIPMENT = np.dtype(SHIPMENT_FIELDS)

FLAGS = {
    name: np.uint16(1 << bit)
    for bit, name in enumerate(
        (
            "agent_submitted",
            "sender_id_given",
            "sender_id_masked",
            "sender_id_checked",  # sender_id_valid is not null
            "sender_id_valid",
            "sender_name_given",
            "sender_name_masked",
            "sender_name_placeholder",
            "goods_controlled",
            "goods_vague",
            "priority_origin",
            "priority_lane",
            "goods_hinted",
        )
    )
}

# A dossier is HEAD, then `versions` of VERSION, then `movements` of MOVEMENT, then the tail.
HEAD = np.dtype(
    [
        ("format", "u1"),
        ("present", "u1"),  # 1: there is a shipment record
        ("emitted", "u1"),  # 0: nothing, 1: open, 2: withdrawn
        ("sent", "u1"),  # the score of the alert last emitted
        ("saturated", "u1"),
        ("versions", "<u2"),
        ("movements", "<u2"),
        ("tail", "<u2"),
        ("content", "<u8"),  # hash of the alert last emitted
        ("shadowed", "u1"),  # of the shadow topic 0: nothing, 1: open, 2: withdrawn, 3: an alert is held back
        ("shadow_content", "<u8"),  # hash of what was last sent there
        ("decided_at", "<i8"),  # event time by which absences were decided, epoch ms; 0: none was; or PARTLY_KNOWN
        ("tallied", "<u4"),  # what the tallies count of it, bits of `fold.duties.COUNTED`; 0: nothing
        ("tallied_day", "<u4"),  # where they do: day in China, from 1970
        ("tallied_outlet", "<u8"),
        ("drawn", "<u8"),  # id of the scan by which the random arm drew it; 0: it has not
        ("order_p", "<f8"),  # probability with which the random arm chose it; 0: it did not
        ("known", "<u4", (len(KINDS),)),  # 0: this history has not answered
        *((name, "<u4") for columns in FACT_COLUMNS.values() for name in columns),
        ("previous_km", "<f8"),
        ("previous_ms", "<i8"),
        *SHIPMENT_FIELDS,
    ]
)

OPEN, WITHDRAWN, HELD = 1, 2, 3  # what `emitted` and `shadowed` say, 0 aside
PARTLY_KNOWN = -1  # `decided_at` of a parcel that may have expired before: no absence is decided for it

# An upload that a newer one superseded, kept to recognise repetitions. It still counts in the revision, with what the
# histories counted and what reference data say about it, so that the revision never falls.
VERSION = np.dtype(
    [
        ("event", "<u8"),
        ("known", "<u4", (len(KINDS),)),
        ("outlet", "<u8"),
        ("courier", "<u8"),
        ("person", "<u8"),
        ("phone", "<u8"),
        ("carrier", "<u4"),
    ]
)


_OFFSET_BITS = 48


def read_at(offset: int, partition: int) -> tuple[int, int]:
    """Partition and offset where an event of a dossier in this partition was read.

    They differ where its topics had fewer partitions then: the dossier has moved since, and `moved_from` has noted it.
    """
    origin = offset >> _OFFSET_BITS
    return origin - 1 if origin else partition, offset & ((1 << _OFFSET_BITS) - 1)


def moved_from(offsets: NDArray[np.int64], partitions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets that tell, from now on, which partitions they are of; those that tell it already stay."""
    return np.where(offsets >> _OFFSET_BITS, offsets, offsets | (partitions + 1) << _OFFSET_BITS)


def kinds_of(record: type, kinds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of these kinds of movements are of records of this class."""
    return np.asarray(kinds // KINDS_EACH == FIRST_KIND[record] // KINDS_EACH)


def joined(parts: Iterable[Any], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Packed rows of one type, as arrays or bytes, one part after the other.

    As bytes: NumPy's `concatenate` copies field by field, fifty times slower. So do `rows[at]`, which `take` is for,
    and `rows[mask]`, which `compress` is for.
    """
    return np.frombuffer(bytearray().join(parts), dtype=dtype)


def place_in(dtype: np.dtype[np.void], name: str) -> int:
    """Where a field begins in a row."""
    fields = dtype.fields
    assert fields is not None
    return int(fields[name][1])


def version_of(rows: NDArray[np.void]) -> NDArray[np.void]:
    """VERSION rows of SHIPMENT or HEAD rows, `known` left at 0."""
    past = np.zeros(len(rows), dtype=VERSION)
    for name in ("event", "outlet", "courier", "person", "carrier"):
        past[name] = rows[name]
    past["phone"] = rows["entity"][:, PHONE]
    return past


def phase(kind: NDArray[np.int64], entity: NDArray[np.uint64]) -> NDArray[np.int64]:
    """By how much an entity's buckets begin before a multiple of their width, ms."""
    return (entity % SPAN_MS[kind].astype(np.uint64)).astype(np.int64)


def text_ref(text: str) -> int:
    """A stable hash of a text that does not identify a person; never 0."""
    return xxhash.xxh3_64_intdigest(text.encode()) or 1


def parcel_ref(parcel: str) -> bytes:
    """`CARRIER:NUMBER` in at most 32 bytes, in the same order: the name itself, or its start and a hash of all of it.

    A reference of fewer than 32 bytes is always the name itself.
    """
    raw = parcel.encode()
    if len(raw) <= PARCEL_BYTES:
        return raw
    return raw[:15] + b"~" + xxhash.xxh3_64_hexdigest(raw).encode()
