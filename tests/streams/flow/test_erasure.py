"""A person is taken out of the state: nothing of that person is left, and nobody else can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from schemas.desk import Trace
from schemas.records import Alert, Shipment
from streams.files.driver import Offline
from streams.flow.describe.tokens import DEVELOPMENT_KEYS, Tokeniser, tokeniser
from streams.flow.erasure import (
    Given,
    Persons,
    RequestError,
    erase_histories,
    erase_parcels,
    known_tokens,
    named_in,
    persons_of,
    resolved,
    without,
)
from streams.settings import Settings
from streams.state.store import FIRST
from tests.desk.logs import ALERTED
from tests.repetition import seeds
from tests.runs import catalogue, comparable, difference, open_alerts, run
from tests.worlds import DAY, HOME, START, Record, events_of, resident_id, world

TOKENS = tokeniser(Settings())
PERSON, PHONE = resident_id(1), "16800000001"
NAMED: tuple[tuple[Given, str], ...] = (("id", PERSON), ("phone", PHONE))


def erase(offline: Offline, persons: Persons) -> tuple[int, ...]:
    """What was erased: own histories, others', parcels, open ones."""
    parcels, histories = offline._stores
    return *erase_histories(histories, 0, persons), *erase_parcels(parcels, 0, persons, offline._references)


def held(offline: Offline) -> bytes:
    """All keys and values of the state."""
    rows = [row for store in offline._stores for row in store.scan(0, b"", 1_000_000, b"\xff" * 16)]
    return b"\n".join(part for row in rows for part in row)


def naming(records: Sequence[Record], persons: Persons) -> list[Shipment]:
    """The shipment records that name one of them."""
    shipments = [record for record in records if isinstance(record, Shipment)]
    return [each for each, theirs in zip(shipments, named_in(shipments, persons, TOKENS), strict=True) if theirs]


def frequent(records: Sequence[Record], field: str) -> str:
    """Whom these name most often."""
    given = (str(getattr(record, field)) for record in records if isinstance(record, Shipment))
    found = Counter(text for text in given if text.isdigit() and len(text) in (11, 18) and text[0] != "0")
    return found.most_common(1)[0][0]


@pytest.mark.parametrize("seed", seeds(3))
@pytest.mark.parametrize("phone", [False, True])
def test_nothing_is_left_of_a_person_and_alerts_of_others_are_as_if_nothing_had_been(seed: int, phone: bool) -> None:
    """Of others who share no phone with the person; and the person sends nothing more."""
    records = world(seed, 120)
    named: list[tuple[Given, str]] = [("id", frequent(records, "sender_id_no"))]
    persons = persons_of([*named, ("phone", frequent(records, "sender_phone"))] if phone else named, TOKENS)
    half = len(records) * 3 // 5
    late = {id(each) for each in naming(records[half:], persons)}
    first, second = records[:half], [record for record in records[half:] if id(record) not in late]
    before = Offline(Settings(home_adcodes=HOME), catalogue(), now_ms=START + 1_000 * DAY)
    before.feed(before.batches(first))
    kept = dict(before._stores[0].scan(0, FIRST, 1_000_000))
    own, _, parcels, _ = erase(before, persons)
    assert own > 0 < parcels
    left = held(before)
    assert not [form for form in persons.forms() if form in left]
    assert erase(before, persons) == (0, 0, 0, 0)
    changed = {key for key, value in before._stores[0].scan(0, FIRST, 1_000_000) if value != kept[key]}
    assert len(changed) == parcels
    said = {key: alert.revision for key, alert in before.alerts.items()}

    before.feed(before.batches(second))
    before.close()
    theirs = {each.key for each in naming(first, persons)}
    found, wanted = (
        {key: alert for key, alert in alerts.items() if f"{alert.carrier_code}:{alert.waybill_no}" not in theirs}
        for alerts in (comparable(before.open_alerts()), open_alerts(run([*first, *second])))
    )
    assert found == wanted, difference(found, wanted)
    for key, alert in before.alerts.items():
        assert without(alert, persons) is None or alert.revision == said[key]
        if key in changed and said.get(key) not in (None, alert.revision):
            assert alert.revision > said[key] + 16, "what went out when it was erased"


def test_a_person_is_known_by_every_spelling_and_by_tokens_of_every_key() -> None:
    keys = {"new": bytes(32), "old": bytes([1]) * 32}
    tokens = Tokeniser(DEVELOPMENT_KEYS["state"], keys, "new")
    (state,) = persons_of([("id", f" {PERSON[:6]}-{PERSON[6:]} ")], tokens).states.tolist()
    assert [state] == tokens.tokens("id", [PERSON]).tolist()
    assert [*persons_of([("phone", "+86 168-0000-0001")], tokens).states] == [*tokens.tokens("phone", [PHONE])]
    every = persons_of([("id", PERSON)], tokens).shown
    assert {token.partition(":")[0] for token in every} == {"new", "old"}
    offline = run(world(1, 60), settings=Settings(home_adcodes=HOME))
    shown = persons_of([("token", tokens.publish(state, "old"))], tokens)
    assert len(shown.states) == 0
    found = resolved(shown, tokens, known_tokens(*offline._stores, 0))
    assert (found.states.tolist(), found.shown) == ([state], every)
    assert persons_of([("token", f"{state:016x}")], tokens).shown == every


@pytest.mark.parametrize(
    ("kind", "value"),
    [("id", "440***********0013"), ("phone", "131****1907"), ("phone", "02012345678"), ("token", "lost:" + "0" * 32),
     ("token", "nothing"), ("id", "-")],
)  # fmt: skip
def test_whoever_is_not_named_is_not_looked_for_and_what_was_given_is_not_repeated(kind: Given, value: str) -> None:
    with pytest.raises(RequestError) as told:
        persons_of([(kind, value)], TOKENS)
    assert value not in str(told.value)
    with pytest.raises(RequestError, match="nobody was named"):
        persons_of([], TOKENS)


def test_messages_go_out_without_the_person_and_with_everything_else() -> None:
    persons = persons_of(NAMED, TOKENS)
    person, phone, other = (sorted(persons_of([each], TOKENS).shown)[0]
                            for each in (*NAMED, ("phone", "16800000002")))  # fmt: skip
    alert = msgspec.structs.replace(
        ALERTED, sender_token=other, recipient_token=phone, earlier_recipient_tokens=(phone,)
    )
    assert without(alert, persons) == msgspec.structs.replace(
        alert, revision=alert.revision + 16, recipient_token=None, earlier_recipient_tokens=()
    )
    assert without(msgspec.structs.replace(ALERTED, sender_token=other), persons) is None
    trace = Trace(
        alert_id=alert.alert_id, revision=1, carrier_code="SF", waybill_no="1", sender_tokens=(person,),
        sender_phone_tokens=(other,), recipient_tokens=(other,), sender_masked="王*", recipient_masked="李*",
    )  # fmt: skip
    assert without(trace, persons) == msgspec.structs.replace(trace, sender_tokens=(), sender_masked=None)
    assert isinstance(without(alert, persons), Alert)


def test_the_person_is_found_in_whatever_field_names_one() -> None:
    persons = persons_of(NAMED, TOKENS)
    records = [record for record in events_of(world(2, 200)) if isinstance(record, Shipment)]
    digits = str.maketrans("", "", "\u202a\u202c\u202d -")
    wanted = [
        PERSON in (record.sender_id_no or "").translate(digits)
        or PHONE in ((record.sender_phone or "").translate(digits), (record.recipient_phone or "").translate(digits))
        for record in records
    ]
    assert naming(records, persons) == [record for record, theirs in zip(records, wanted, strict=True) if theirs]
    agent = msgspec.structs.replace(records[wanted.index(False)], agent_id_no=PERSON)
    assert naming([agent], persons) == [agent]
