"""A real Prometheus that looks at a real worker, dispatcher, tracer and desk under load: every query has an answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import pytest

from deploy.grafana import dashboards
from tests.desk_accounts import account
from tests.forked import Forked
from tests.prometheus import Prometheus, asked, free_port, program, rules
from tests.waiting import until
from tests.workers import Stream, Worker
from tests.worlds import world

pytestmark = pytest.mark.broker


def test_comparisons_are_found_but_not_those_of_labels() -> None:
    assert asked('a{x!="<"} > 0 and b == 1') == 'a{x!="<"} > bool 0 and b == bool 1'


def answers(port: int) -> bool:
    """Whether the desk answers, as it does when it has read the clues."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/desk/login", timeout=5) as page:
            return bool(page.status == 200)
    except URLError:
        return False


def test_every_panel_and_every_rule_has_figures(fresh_kafka: str, tmp_path: Path) -> None:
    program("prometheus")  # before anything starts
    ports = {job: free_port() for job in ("waybill", "waybill-dispatcher", "waybill-tracer", "waybill-desk")}
    env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": fresh_kafka, "WAYBILL_STATE_DIR": str(tmp_path / "desk")}
    records = world(9, 250)
    users, port = tmp_path / "users", free_port()
    users.write_bytes(msgspec.json.encode(account("u1", "x" * 40, None, "supervisor")))
    options = {"dispatcher": [], "tracer": [], "desk": ["serve", "--users", str(users), "--port", str(port)]}
    desk = [
        Forked(
            (sys.executable, "-m", "streams.cli", name, *more, "--metrics-port", str(ports[f"waybill-{name}"])),
            env=env,
            log=tmp_path / f"{name}.log",
        )
        for name, more in options.items()
    ]
    try:
        with (
            Worker(
                fresh_kafka,
                tmp_path / "worker" / "state",
                web_port=ports["waybill"],
                flood_share_max=0.02,
                flood_window_rows=100,
            ) as worker,
            Prometheus(tmp_path / "prometheus", {job: [f"127.0.0.1:{port}"] for job, port in ports.items()}) as server,
        ):
            worker.ready()
            until(lambda: server.ask("up == 1") == [1, 1, 1, 1], server.told)
            until(lambda: answers(port), lambda: (tmp_path / "desk.log").read_text())
            Stream(fresh_kafka, records, 6.0).start()
            wanted = {*dashboards.queries(), *(rule["expr"] for rule in rules())}
            empty = set(wanted)

            def answered() -> bool:
                answers(port)  # a quantile is of what has been asked lately
                empty.difference_update([expr for expr in sorted(empty) if server.ask(asked(expr))])
                return not empty

            assert server.ask(asked("waybill_no_such_metric > 0")) == []
            until(answered, lambda: "\n".join([*sorted(empty), worker.told()]))
            assert server.unwell() == []
            # Such a world has alerts as other places have parcels: rules are held back, and somebody is told.
            until(lambda: server.firing() != {}, server.told)
            assert server.firing() == {"WaybillRuleHeld": "docs/runbooks.md#waybillruleheld"}
    finally:
        for process in desk:
            process.kill()
