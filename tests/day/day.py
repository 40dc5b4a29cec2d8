"""The day itself, from an empty machine in the morning to the comparison in the evening."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from deploy.grafana import dashboards
from streams.kafka.replay import opened
from tests.day import evening
from tests.day.record import Record
from tests.day.release import LAST
from tests.day.site import HOME, ROOT, Site
from tests.day.units import Unit
from tests.prometheus import Prometheus, asked, free_port, rules
from tests.secured import Secured
from tests.waiting import until
from tests.workers import READY

PARTITIONS = 6
RESTART_S = 10.0  # RestartSec of the units
GROUP = "waybill-sentinel"
ROLES = (
    "operator", "worker", "tracer", "dispatcher", "desk", "analyst", "publisher", "producer", "doctor"
)  # fmt: skip
# What docs/operations.md of the last release grants tracer and dispatcher, whose names did not begin with the group's.
OLD_NAMES = """\
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" --add --allow-principal User:tracer \\
    --operation All --group waybill-tracer --transactional-id waybill-tracer-0
kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" --add --allow-principal User:dispatcher \\
    --operation Write --transactional-id waybill-dispatcher
"""
PASSWORD = "correct horse battery"
OWN = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}
WIDE_RULE = """\
title: {zh: 重于一克, en: Heavier than a gram}
category: suspicion
points: 60
version: 1
why: {zh: 有人想看看有多少。, en: Somebody wanted to see how many there are.}
misses: {zh: 没有。, en: None.}
triage: {zh: 不必处置。, en: Nothing to do.}
actions: [open_box]
when: weight_g >= :weight_g_min
limits: {weight_g_min: 2}
evidence: [weight_g]
cases:
  - name: two grams
    events: [{shipment: {weight_g: 2}}]
    expect: yes
  - name: one gram
    events: [{shipment: {weight_g: 1}}]
    expect: no
  - name: scanned, and not yet registered
    events: [{scan: {scan_type: arrived}}]
    expect: unknown
"""


@dataclass(slots=True)
class Plan:
    """How much there is to do."""

    parcels: int = 8_000
    days: float = 3.0
    seconds: float = 480.0
    seed: int = 1


@dataclass(slots=True)
class Day:
    """All that runs, and the steps in their order."""

    root: Path
    old: Path
    new: Path
    plan: Plan
    record: Record
    stack: ExitStack
    site: Site = field(init=False)
    kafka: Secured = field(init=False)
    workers: list[Unit] = field(default_factory=list)
    desk: dict[str, Unit] = field(default_factory=dict)
    watch: Prometheus = field(init=False)
    carriers: subprocess.Popen[bytes] = field(init=False)

    def play(self) -> None:
        """All of it."""
        self.install()
        self.start_the_last_release()
        self.let_events_come()
        self.upgrade()
        self.start_the_desk()
        self.look_at_the_dashboards()
        self.have_an_alert_fire()
        self.push_a_rule_that_floods()
        self.answer_at_the_desk()
        self.compare()

    # The morning

    def install(self) -> None:
        """Broker, principals, keys, topics."""
        self.record.step("Install: a Kafka with TLS, SCRAM and rights; principals, keys, topics")
        self.kafka = self.stack.enter_context(Secured())
        self.record.places = {
            str(self.root): "", str(self.kafka.ca): "/etc/waybill/kafka-ca.pem", **dict(self.record.places)
        }  # fmt: skip
        self.site = Site(self.root, self.kafka, self.record, self.new)
        self.site.set_up(ROLES)
        for role in ROLES:
            also = {"producer": ("producer", "registry")}.get(role, (role,))
            self.site.grant(role, *also)
        self.site.kafka_acls(OLD_NAMES)
        self.site.waybill("operator", "keys", "new", *self.site.keys)
        self.site.release = self.old
        self.site.waybill("operator", "topics", "create", "--set", f"partitions={PARTITIONS}")

    def start_the_last_release(self) -> None:
        """Two workers, tracer and dispatcher, by their units."""
        self.record.step(f"Start the last release ({LAST}, state of format 10): two workers, tracer, dispatcher")
        self.workers = [self._unit(f"waybill-worker@{free_port()}", "worker").start() for _ in range(2)]
        for role in ("tracer", "dispatcher"):
            self.desk[role] = self._unit(f"waybill-{role}", role).start(without=("--metrics-port",))
        for worker in self.workers:
            self.record.say(f"{worker.name} is ready after {worker.ready():.0f} s")
        targets = {
            "waybill": [f"127.0.0.1:{worker.port}" for worker in self.workers],
            **{f"waybill-{role}": [f"127.0.0.1:{unit.metrics}"] for role, unit in self.desk.items()},
            "waybill-desk": [],  # it comes at noon
        }
        self.watch = self.stack.enter_context(Prometheus(self.root / "prometheus", targets))
        until(lambda: self.watch.ask('sum(up{job="waybill"})') == [2], self.watch.told)

    def _unit(self, name: str, role: str) -> Unit:
        return self.stack.enter_context(self.site.unit(name, role))

    def let_events_come(self) -> None:
        """Synthetic traffic, paced."""
        self.record.step("Events come: synthetic traffic, from now until the evening")
        plan, folder = self.plan, self.root / "traffic"
        self.site.release = self.new  # whatever carriers have
        self.site.waybill(
            "producer", "generate", "traffic", "--parcels", str(plan.parcels), "--seed", str(plan.seed),
            "--days", str(plan.days),
        )  # fmt: skip
        with opened(folder, "time", lambda name, seconds, rows: None) as index:
            events = len(index)
            times = [at for at in map(index.time_of, range(events)) if at is not None]
        speed = (times[-1] - times[0]) / 1_000 / plan.seconds
        command = [f"{self.new}/bin/waybill", "replay", str(folder), "--speed", f"{speed:.0f}"]
        command += ["--config", str(self.site.etc / "producer.toml")]
        log = (self.root / "var/log/replay.log").open("wb")
        self.carriers = subprocess.Popen(command, cwd=self.root, stdout=log, stderr=log)
        self.stack.callback(self.carriers.kill)
        self.record.say(f"`waybill replay traffic --speed {speed:.0f}` in the background")
        self.record.figure("events", f"{events:,} of {plan.parcels:,} parcels, over {plan.seconds:,.0f} s")
        until(lambda: self._read() > events / 10, self._told)

    def _read(self) -> float:
        return sum(self.watch.ask("sum(waybill_events_total)"))

    def _told(self) -> str:
        return "\n\n".join(f"{unit.name}:\n{unit.told()}" for unit in (*self.workers, *self.desk.values()))

    # Noon

    def upgrade(self) -> None:
        """docs/upgrading.md, with kills at awkward moments."""
        self.record.step("Upgrade, worker by worker (docs/upgrading.md), with kills and a restart of the broker")
        began, say = self.record.seconds, self.record.say
        one, two = self.workers
        self.site.waybill("operator", "topics", "create", "--set", f"partitions={PARTITIONS}")
        one.kill()
        one.release = self.new
        say(f"{one.name}: kill -9 in the old version, before its turn; started in the new one")
        one.start().killed_when(lambda: "state" in one.page("/ready")[1])
        say(f"{one.name}: kill -9 as soon as its pages answer; started again")
        one.start().killed_when(lambda: READY in one.said_since())
        say(f"{one.name}: kill -9 as soon as its state is there, and it may be upgrading values; started again")
        say(f"{one.name}: ready after {one.start().ready():.0f} s")
        two.kill()
        time.sleep(RESTART_S)
        say(f"{two.name}: kill -9, while it is still of the old version; started again in the old one")
        say(f"{two.name}: ready after {two.start().ready():.0f} s, beside a new one")
        before = time.monotonic()
        self.kafka.restart()
        say(f"the broker was restarted, and answered after {time.monotonic() - before:.0f} s")
        for worker in self.workers:
            say(f"{worker.name}: ready {worker.ready():.0f} s later")
        say(f"{two.name}: asked to stop, exit code {two.stop()}; started in the new version")
        two.release = self.new
        two.start().killed_when(lambda: READY in two.said_since())
        one.kill()
        say(f"{two.name}: kill -9 as soon as its state is there, and {one.name} with it; both started again")
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            say(f"{worker.name}: ready after {worker.ready():.0f} s more")
        stores = 2 * len(self.workers)
        older = "waybill_state_older_partitions"
        until(lambda: self.watch.ask(f"count({older}) == {stores} and sum({older}) == 0") == [stores], self._told)
        self.record.figure(
            "upgrade of two workers", f"{self.record.seconds - began:.0f} s, with 6 kills, and the broker"
        )
        say(f"`sum({older})` is 0")
        for unit in self.desk.values():
            ended = f" (ended by itself with {unit.codes}, and was started again)" if unit.codes else ""
            say(f"{unit.name}{ended}: asked to stop, exit code {unit.stop()}; started in the new version")
            unit.release = self.new
            unit.start()
        until(lambda: self.watch.ask("sum(up)") == [4], self._told)

    def start_the_desk(self) -> None:
        """With an account, in the new version: the last release served no metrics of it."""
        self.record.step("The desk is started")
        users = str(self.site.etc / "users")
        account = ("desk", "user", "add", "u1", "--role", "supervisor", "--password-file", "-")
        self.site.waybill("desk", *account, "--users", users, typed=PASSWORD)
        unit = self.desk["desk"] = self._unit("waybill-desk", "desk").start()
        until(lambda: unit.page("/desk/login", unit.web)[0] == 200, unit.told)
        self.watch.look_at("waybill-desk", [f"127.0.0.1:{unit.metrics}"])
        until(lambda: self.watch.ask("sum(up)") == [5], self._told)

    def look_at_the_dashboards(self) -> None:
        """Every query of every panel, and every rule."""
        self.record.step("The dashboards' queries, asked of Prometheus")
        wanted = sorted({*dashboards.queries(), *(rule["expr"] for rule in rules())})
        empty: list[str] = []

        def answered() -> bool:
            self.desk["desk"].page("/desk/login", self.desk["desk"].web)  # somebody uses it
            empty[:] = [expr for expr in wanted if not self.watch.ask(asked(expr))]
            return not empty

        deadline = time.monotonic() + 60
        while not answered() and time.monotonic() < deadline:
            time.sleep(1)
        self.record.figure("queries of panels and rules with an answer", f"{len(wanted) - len(empty)} of {len(wanted)}")
        for expr in empty:
            self.record.say(f"no answer yet: `{expr}`")
        self.record.check(self.watch.unwell() == [], "every rule of Prometheus can be evaluated")
        self.record.say(f"alerts that fire: {', '.join(self.watch.firing()) or 'none'}")

    # The afternoon

    def have_an_alert_fire(self) -> None:
        """A password is changed on one machine before the broker has it: its worker cannot log in any more."""
        self.record.step("WaybillDown fires, and is worked through by its runbook")
        worker = self.workers[1]
        password = self.site.etc / "worker.password"
        right = password.read_text()
        password.write_text("tomorrow's password")
        self.record.say(f"a password is changed too early, and {worker.name} is restarted: {worker.stop()}")
        began = time.monotonic()
        worker.start()
        until(lambda: "WaybillDown" in self.watch.firing(), self.watch.told)
        fired = time.monotonic() - began
        self.record.figure("WaybillDown fired", f"{fired:.0f} s after the worker was gone")
        self.record.say(f"it leads to {self.watch.firing()['WaybillDown']}")
        self.record.say(
            f"“Its exit code”: {', '.join(map(str, worker.codes))}. “The last line that the process printed”:"
        )
        self.record.command("journalctl --unit waybill-worker@PORT --lines 1", 0, worker.told(1), 0)
        worker.kill()  # `systemctl stop`, for the runbook starts it by hand
        self._follow("WaybillDown", worker)
        password.write_text(right)
        worker.start()
        self.record.say(f"the password put back; {worker.name} is ready after {worker.ready():.0f} s")
        until(lambda: "WaybillDown" not in self.watch.firing(), self.watch.told)
        self.record.figure("WaybillDown resolved", f"{time.monotonic() - began:.0f} s after the worker was gone")

    def _follow(self, name: str, worker: Unit) -> None:
        """What the runbook of an alert says to run, as the worker would: the page's first rule is to do so."""
        for command in runbook(name):
            line = re.sub(r"\s+#.*", "", command)
            line = line.replace("/var/lib/waybill", worker.variables["WAYBILL_STATE_DIR"])
            line = line.replace("localhost:6066", f"localhost:{worker.port}")
            known = {role: prefix for role, prefix in ROLE_OF.items() if line.startswith(prefix)}
            if known:
                self.site.waybill(next(iter(known)), *line.split()[1:], want=None)
            else:
                self.site.run(line.split(), worker.variables, None, shown=command)

    def push_a_rule_that_floods(self) -> None:
        """Rules are pushed; then one that says yes of nearly every parcel."""
        self.record.step("A rule that floods is pushed; WaybillRuleHeld fires, and is worked through by its runbook")
        mine = str(self.root / "mine")
        self.site.waybill("publisher", "rules", "copy", mine)
        self.site.waybill("publisher", "rules", "push", mine, "--note", "as shipped")
        (Path(mine) / "goods/heavier.yaml").write_text(WIDE_RULE, encoding="utf-8")
        began = time.monotonic()
        self.site.waybill("publisher", "rules", "push", mine, "--note", "heavier than a gram", want=None)
        deadline = began + 180
        while "WaybillRuleHeld" not in self.watch.firing() and time.monotonic() < deadline:
            time.sleep(0.5)
        fires = "WaybillRuleHeld" in self.watch.firing()
        self.record.check(fires, "WaybillRuleHeld fires")
        if fires:
            self.record.figure("WaybillRuleHeld fired", f"{time.monotonic() - began:.0f} s after the push was begun")
        self._follow("WaybillRuleHeld", self.workers[0])
        until(lambda: "WaybillRuleHeld" not in self.watch.firing(), self._told)
        self.record.say("after the rollback the alert is gone")

    def answer_at_the_desk(self) -> None:
        """A page, and what analysts ask."""
        self.record.step("The desk, and what an analyst asks")
        unit = self.desk["desk"]
        with httpx2.Client(base_url=f"http://127.0.0.1:{unit.web}", headers=OWN, follow_redirects=True) as browser:
            queue = browser.post("/desk/login", data={"user": "u1", "password": PASSWORD}, timeout=30)
            clues = set(re.findall(r"/desk/clues/([\w:-]+)", queue.text))
            self.record.say(f"log in at the desk: {queue.status_code}, {len(clues)} clues on the first page")
            self.record.check(bool(clues), "the desk shows clues")
        self.watch.look_at("waybill-desk", [])
        self.record.say(f"asked to stop: {unit.stop()}")
        self.site.waybill("analyst", "alerts", "--tier", "high", "--limit", "3")
        self.site.waybill("analyst", "measures")
        self.site.waybill("doctor", "doctor", "--state-dir", str(self.root / "var/lib/doctor"), want=None)

    # The evening

    def compare(self) -> None:
        """All has been read: is it what one reads from the files?"""
        self.record.step("The evening: what came out, against `waybill judge` over the same events")
        code = self.carriers.wait(600)
        self.record.say(f"replay ended with {code}: {(self.root / 'var/log/replay.log').read_text().strip()[-200:]}")
        self.site.waybill("producer", "judge", "traffic", "--out", "alerts.ndjson", *self.site.keys)
        evening.compare(self.kafka.servers, PARTITIONS, self.root, (HOME,), self.record, self._told)
        aborts = sum(self.watch.ask("sum(waybill_aborts_total)"))
        self.record.say(f"epochs aborted by the workers that run now: {aborts:.0f}")
        for worker in self.workers:
            self.record.check(worker.stop() == 0, f"{worker.name} ends with 0 on SIGTERM")


ROLE_OF = {
    "operator": "waybill offsets show", "analyst": "waybill alerts", "publisher": "waybill rules",
}  # fmt: skip
"""By which principal a command of a runbook is run, if not the worker's own: docs/runbooks.md says so at its head."""


def runbook(name: str) -> list[str]:
    """The commands that the page of an alert says to run."""
    page = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    part = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    return [line[2:] for line in part.splitlines() if line.startswith("$ ")]
