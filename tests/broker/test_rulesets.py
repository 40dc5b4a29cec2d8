"""Rules pushed to workers that run: taken whole, acknowledged, refused, and taken back, with no event lost."""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from rules import load_catalogue
from rules.engine.folder import SHIPPED, rule_files
from schemas import topics
from schemas.rulesets import RuleSet, set_key
from streams.files.driver import Offline
from streams.flow.revision import BETWEEN_FACTS
from streams.kafka import admin
from streams.kafka.errors import MissingError
from streams.rulesets.board import Board
from streams.settings import Settings
from tests import forked
from tests.runs import Alerts, Recorded, comparable
from tests.waiting import PATIENCE_S, until
from tests.workers import ROOT, Publisher, Reader, Worker, expect
from tests.worlds import DAY, HOME, START, Record, world

pytestmark = pytest.mark.broker

NEW = """\
title: {zh: 任何散件, en: Any retail parcel at all}
category: suspicion
points: 45
why: Shows that a set is in force.
misses: Agreement parcels.
triage: Look at it.
actions: [open_box]
when: retail
evidence: [retail, weight_g]
cases:
  - name: a retail parcel
    events: [{shipment: {customer_type: retail}}]
    expect: "yes"
  - name: an agreement parcel
    events: [{shipment: {customer_type: agreement}}]
    expect: "no"
  - name: scanned, and not yet registered
    events: [{scan: {scan_type: arrived}}]
    expect: unknown
"""


def test_a_broker_without_topics_is_said_at_once(fresh_kafka: str) -> None:
    admin.delete(fresh_kafka)
    with pytest.raises(MissingError, match=r"waybill\.rules: no such topic; run `waybill topics create`"):
        Board(fresh_kafka, {"log_level": 0}, "waybill-sentinel").sets()


def copied(folder: Path, **more: str) -> Path:
    """The shipped rules in a folder of their own, and other files, by rule id with _ for the dot."""
    for path in rule_files(SHIPPED):
        target = folder / path.relative_to(SHIPPED)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for name, text in more.items():
        (folder / f"{name.replace('__', '/')}.yaml").write_text(text)
    return folder


def wanted(records: list[Record], rules: Path | None, number: int) -> Alerts:
    """The open alerts of a run with these rules from the start, with the revision that a set of this number has."""
    run = Offline(Settings(home_adcodes=HOME), load_catalogue(rules), now_ms=START + 1_000 * DAY)
    run.feed(Recorded().batches(records))
    run.close()
    return comparable(
        msgspec.structs.replace(alert, revision=alert.revision + 2 * number * BETWEEN_FACTS)
        for alert in run.open_alerts()
    )


def waybill(servers: str, group: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """`waybill rules …`: exit code, what it said as JSON, and its errors."""
    given = ("--json", "--set", f"group={group}", "--bootstrap-servers", servers)
    done = forked.waybill("rules", *arguments, *given, env=os.environ, cwd=ROOT)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def states(lines: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    """What each worker said: applied or not, and by which set it judges."""
    return {line["worker"]: (line["state"], line.get("set", -1)) for line in lines if "worker" in line}


LAST = 200  # records


class Load(threading.Thread):
    """Publishes a little at a time while rules are pushed, and the last records only at the end."""

    def __init__(self, servers: str, records: list[Record]) -> None:
        super().__init__(daemon=True)
        self._publish = Publisher(servers)
        self._left = [*records]
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            if len(self._left) > LAST:
                part, self._left = self._left[:3], self._left[3:]
                self._publish(part)

    def end(self) -> int:
        """Publish the rest at once; how many records that were."""
        self._ended.set()
        self.join()
        self._publish(self._left)
        return len(self._left)


def test_rules_are_pushed_and_rolled_back_under_load(fresh_kafka: str, tmp_path: Path) -> None:
    """Two workers, events all the while; a rule comes as one file, a bad set is refused, and all is taken back."""
    records = world(11, 250)
    mine = copied(tmp_path / "mine", goods__any_retail=NEW)
    group = f"waybill-{tmp_path.name}"
    stream = Load(fresh_kafka, records)
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(fresh_kafka, tmp_path / "state", instance=str(i))) for i in range(2)]
        for worker in workers:
            worker.ready()
        stream.start()
        code, lines, errors = waybill(fresh_kafka, group, "push", str(mine), "--note", "one rule more")
        assert code == 0, errors + workers[0].told()
        assert states(lines) == {"0": ("applied", 1), "1": ("applied", 1)}
        assert stream.end(), "no events were left to come under the set"
        expect(fresh_kafka, wanted(records, mine, 1), *workers).close()

        # A set that this version cannot read, past all checks of a push: refused by each, with the file and the field.
        broken = RuleSet(
            number=2, fingerprint="f" * 16, at=0, files={"goods.bad": NEW.replace("points: 45", "points: x")}
        )
        producer = Producer({"bootstrap.servers": fresh_kafka})
        producer.produce(topics.RULES, key=set_key(2), value=msgspec.json.encode(broken), partition=0)
        assert producer.flush(PATIENCE_S) == 0
        for worker in workers:
            until(partial(refused, worker), worker.told)
            assert worker.says("points: Expected `int`") == 1
        code, lines, _ = waybill(fresh_kafka, group, "status")
        assert (code, states(lines)) == (1, {"0": ("refused", 1), "1": ("refused", 1)})
        # One that starts anew judges as before, too.
        assert workers[1].stop() == 0
        workers[1].start().ready()
        assert workers[1].says("rule set 2 refused, set 1 stays in force") == 2

        code, lines, errors = waybill(fresh_kafka, group, "rollback", "--to", "files")
        assert code == 0, errors
        assert states(lines) == {"0": ("applied", 3), "1": ("applied", 3)}
        reader = expect(fresh_kafka, wanted(records, None, 3), *workers)
        assert rises(reader)
        assert all(worker.alive for worker in workers)


def refused(worker: Worker) -> bool:
    return worker.says("rule set 2 refused") == 1


def rises(reader: Reader) -> bool:
    """Whether revisions of each parcel rise from one alert to the next."""
    last: dict[str, int] = {}
    for value in reader.values:
        alert = msgspec.json.decode(value)
        if alert["revision"] <= last.get(alert["alert_id"], 0):
            return False
        last[alert["alert_id"]] = alert["revision"]
    return True
