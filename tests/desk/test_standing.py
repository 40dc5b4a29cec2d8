"""What stands beside the log: wrong for a while, it is put right; right, late or of somebody else, it is left alone."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from desk.clues.acts import feedback_of, hold_of
from desk.clues.clue import Clue
from desk.standing import GRACE_S, Standing, feedback
from schemas import clues as log
from schemas import topics
from schemas.records import Feedback, encode
from streams.kafka.log_reader import Entry
from tests.desk.logs import T0, applied, clue_at, event

DIRECT = Feedback(feedback_id="f-direct", alert_id="x", revision=1, outcome="violation", at=T0, by_station="ST-9")


def entry(topic: str, clue: Clue, record: object) -> Entry:
    value = None if record is None else encode(record)  # type: ignore[arg-type]
    return Entry(topic, 0, 0, clue.parcel.encode(), value, T0)


def answered() -> Clue:
    return clue_at(log.Dispatched, log.Accepted, log.Answered)


def told(clue: Clue, *records: object, topic: str = topics.FEEDBACK) -> Standing:
    standing = Standing()
    for record in records:
        standing.heard(entry(topic, clue, record))
    return standing


def test_what_the_log_refused_is_replaced_by_what_stands_after_a_while_and_not_before() -> None:
    clue = answered()
    right = feedback_of(clue)
    assert right is not None
    standing = told(clue, right, replace(right, feedback_id="f-late", outcome="no_finding"))
    clues = {clue.clue_id: clue}
    assert standing.owed(clues, 100.0) == []
    assert standing.owed(clues, 100.0 + GRACE_S / 2) == []
    (wrong,) = standing.owed(clues, 100.0 + GRACE_S)
    assert (wrong.topic, wrong.key) == (topics.FEEDBACK, clue.parcel)
    assert msgspec.json.decode(wrong.value or b"", type=Feedback) == right
    standing.heard(entry(topics.FEEDBACK, clue, right))
    assert standing.owed(clues, 200.0) == []
    assert standing.owed(clues, 300.0) == []


def test_where_no_answer_stands_a_refused_one_is_deleted() -> None:
    lost = feedback_of(answered())
    open_clue = clue_at(log.Dispatched, log.Accepted)
    standing = told(open_clue, lost)
    standing.owed({open_clue.clue_id: open_clue}, 0.0)
    (wrong,) = standing.owed({open_clue.clue_id: open_clue}, GRACE_S)
    assert wrong.value is None


def test_a_topic_read_ahead_of_the_log_and_an_answer_without_the_desk_are_left_alone() -> None:
    before, after = clue_at(log.Dispatched, log.Accepted), answered()
    ahead = told(after, feedback_of(after))
    assert ahead.owed({before.clue_id: before}, 0.0) == []
    assert ahead.owed({after.clue_id: after}, GRACE_S) == []  # the log has come
    alone = told(after, feedback_of(after), DIRECT)
    assert [alone.owed({after.clue_id: after}, at) for at in (0.0, 99.0)] == [[], []]
    unknown = told(after, feedback_of(after))
    assert [unknown.owed({}, at) for at in (0.0, 99.0)] == [[], []]


def test_a_carrier_is_told_what_holds_and_nothing_where_nothing_does() -> None:
    clue = clue_at(log.Dispatched)
    request = {"action": "request", "reason": "r", "basis": "b", "until": T0 + 3_600_000}
    held = applied(clue, event(log.Held, 5, clue, **request))
    gone = applied(held, event(log.Held, 6, held, action="release", reason="nothing found"))
    order, release = hold_of(held), hold_of(gone)
    assert order is not None
    assert release is not None
    assert (order.action, release.action) == ("request", "release")
    for clue_now, last, value in ((gone, order, encode(release)), (clue, order, None), (held, order, b"")):
        standing = told(clue_now, last, topic=topics.HOLDS)
        standing.owed({clue_now.clue_id: clue_now}, 0.0)
        owed = standing.owed({clue_now.clue_id: clue_now}, GRACE_S)
        assert [each.value for each in owed] == ([] if value == b"" else [value])


def test_an_answer_of_a_station_with_empty_strings_for_options_is_read() -> None:
    """As for every record that others write."""
    options = {field.name: "" for field in msgspec.structs.fields(Feedback) if field.default is None}
    plain = {
        "feedback_id": "f1",
        "alert_id": "wa-" + "0" * 24,
        "revision": 1,
        "outcome": "no_finding",
        "at": T0,
        "by_station": "PS1",
    }
    given = msgspec.json.encode({**plain, **options})
    assert feedback(given) == feedback(msgspec.json.encode(plain))
