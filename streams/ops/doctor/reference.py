"""Check of reference data: a kind of which every record is refused silences the rules that read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.topics import REFERENCE
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.front.reader import Front
from streams.flow.reference.reading import Reader as Records
from streams.kafka.reader import Reader
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.settings import Settings

SILENT_S = 10.0
_KEYS = ("token_key", "token_key_file", "token_state_key", "token_state_key_file", "reject_key_file")
_ADVICE = (
    "send the records again as schemas/json/reference.schema.json asks; waybill.rejects holds each with its reason"
)


def checks(settings: Settings, config: Mapping[str, object]) -> Iterator[Finding]:
    """Read the topic as a worker does, and tell what it would know. Raises ClientError."""
    # Whose tokens are whose does not matter here; keys and the native front end have checks of their own.
    plain = settings.model_copy(update={**dict.fromkeys(_KEYS), "native": "auto"})
    records = Records(Front(Describer.of(plain, ()), Limits(bytes_max=settings.event_bytes_max)))
    count = refused = 0
    with Reader(config) as reader:
        reader.assign({(REFERENCE, 0): reader.bounds(REFERENCE, 0)[0]})
        for piece in reader.to_end(silent_s=SILENT_S):
            values = [message.value() for message in piece.records]
            keys = [message.key() for message in piece.records]
            refused += len(records.add(values, [int(message.offset() or 0) for message in piece.records], keys))
            count += len(values)
    known = records.build()
    for fault in known.faults():
        yield fail("reference", f"{REFERENCE}: {fault.partition('. ')[0]}", _ADVICE)
    if known.silent:
        return
    if refused:
        yield warn("reference", f"{REFERENCE}: {refused:,} of {count:,} records were refused", _ADVICE)
        return
    sizes = ", ".join(f"{size:,} {kind}" for kind, size in known.sizes.items() if size)
    yield ok("reference", f"{REFERENCE}: in force are {sizes}" if sizes else f"{REFERENCE}: no records")
