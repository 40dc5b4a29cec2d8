"""The rules that a desk shows: those of the newest set on the topic, as they are pushed; else its own files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from confluent_kafka import Producer

from desk.rulebook import Rulebook
from rules import load_catalogue
from rules.engine.folder import SHIPPED, rule_files, rule_id
from schemas import topics
from schemas.rulesets import Ack, Held, RuleSet, ack_key
from streams.kafka import admin
from streams.rulesets.board import Board
from streams.settings import Settings
from tests.broker.test_desk_pages import Browser
from tests.desk_site import served
from tests.waiting import until

pytestmark = pytest.mark.broker

RULE, SHADOWED = "identity.many_names", "goods.vague_name"


@contextmanager
def followed(servers: str, **given: str) -> Iterator[Rulebook]:
    settings = Settings.model_validate(given)
    book = Rulebook(servers, {}, settings, load_catalogue())
    book.start()
    try:
        yield book
    finally:
        book.stop()


def files(**changed: tuple[str, str]) -> dict[str, str]:
    """The rule files as shipped, with a text replaced in some."""
    texts = {rule_id(path): path.read_text(encoding="utf-8") for path in rule_files(SHIPPED)}
    for name, (old, new) in changed.items():
        assert old in texts[name.replace("__", ".")]
        texts[name.replace("__", ".")] = texts[name.replace("__", ".")].replace(old, new, 1)
    return texts


def push(servers: str, number: int, texts: dict[str, str], note: str, by: str = "") -> None:
    made = RuleSet(number=number, fingerprint="f" * 16, at=1_762_099_200_000, note=note, by=by, files=texts)
    Board(servers, {}, "waybill-sentinel").publish(lambda before: made)


def acknowledge(servers: str, instance: str, number: int, *held: Held, group: str = "waybill-sentinel") -> None:
    said = Ack(group=group, instance=instance, newest=number, in_force=number, fingerprint="f" * 16, held=held, at=1)
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topics.RULE_ACKS, key=ack_key(group, instance), value=msgspec.json.encode(said))
    producer.flush()


def heading(page: str, rule: str) -> str:
    return page.partition(f'<h3 id="{rule}">')[2].partition("</h3>")[0]


def test_pages_show_the_set_in_force_as_soon_as_it_is_pushed(fresh_kafka: str) -> None:
    with served(fresh_kafka) as site, Browser(site, "supervisor") as browser, Browser(site, "viewer") as viewer:

        def page() -> str:
            return browser.get("/desk/rules", lang="en")

        assert "No set was pushed" in page()
        assert "in shadow" not in heading(page(), SHADOWED)
        push(fresh_kafka, 1, files(goods__vague_name=("points: 10", "mode: shadow\npoints: 10")), "on trial", "u7")
        until(lambda: "Set 1 is in force" in page())
        assert "by u7" in page()
        assert "on trial" in page()
        assert "in shadow" in heading(page(), SHADOWED)
        push(fresh_kafka, 2, {**files(), RULE: "no rule"}, "broken")
        until(lambda: "Set 2 cannot be used" in page())
        assert "Set 1 is in force" in page()
        push(fresh_kafka, 3, files(identity__many_names=("names_90d_min: 3", "names_90d_min: 9")), "limit")
        until(lambda: "Set 3 is in force" in page())
        assert "<dd>9</dd>" in page()
        assert "<dd>9</dd>" not in viewer.get("/desk/rules", lang="en")
        assert "现行第 3 套规则" in browser.get("/desk/rules", lang="zh")


def test_held_rules_are_those_of_workers_that_run(fresh_kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "members", lambda board: {"w1", "w2"})
    flood = Held(rule=RULE, since=1_762_099_200_000, share=0.125, budget=0.05)
    for instance, held, group in (("w1", (flood,), ""), ("w2", (), ""), ("w3", (flood,), ""), ("w1", (), "other")):
        acknowledge(fresh_kafka, instance, 0, *held, group=group or "waybill-sentinel")
    with served(fresh_kafka) as site, Browser(site, "supervisor") as browser:
        page = browser.get("/desk/rules", lang="en")
        assert page.count("Held back by") == 1
        assert "Held back by w1 since" in page
        assert "it opens alerts with 12.5 % of verdicts, and its budget is 5.0 %" in page
        assert "<td>w3</td>" not in page


def test_without_the_topic_a_desk_says_so_and_goes_on_when_it_is_there(fresh_kafka: str) -> None:
    admin.delete(fresh_kafka)
    with followed(fresh_kafka) as book:
        assert topics.RULES in book.in_force.trouble
        assert book.in_force.standing is None
        assert book.in_force.catalogue.fingerprint == load_catalogue().fingerprint
        admin.create(fresh_kafka, 4)
        until(lambda: not book.in_force.trouble)
        assert book.in_force.standing is not None


def test_a_desk_that_is_to_use_files_does_not_look_at_the_topic(fresh_kafka: str) -> None:
    push(fresh_kafka, 1, files(), "not for this one")
    with followed(fresh_kafka, rules_from="files") as book:
        assert (book.in_force.standing, book.in_force.trouble) == (None, "")


def test_a_set_without_an_author_is_one_that_earlier_workers_read(fresh_kafka: str) -> None:
    made = RuleSet(number=1, fingerprint="f" * 16, at=1, files=files())
    assert msgspec.json.decode(msgspec.json.encode(made)).keys() == {"number", "fingerprint", "at", "files"}
