"""A day of an operator: install, load, upgrade under kills, watch, answer an alert; `make day`.

    python -m tests.day [--parcels N] [--seconds N] [--keep] [--out FILE]

Everything is real: a Kafka with TLS, SCRAM and rights as `waybill acl` prints them, processes as the units of systemd
start them, each under a principal of its own, a Prometheus with the shipped rules. The record goes to FILE.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.day import release
from tests.day.day import Day, Plan
from tests.day.record import Record

HEAD = """\
# A recorded day

`make day` writes this page. What it does, and against what it holds the evening: `day.py`, `evening.py`.

{when}, {version} after {last}; {machine}. Times are seconds since the morning; paths and ports are those of the docs.
"""


def main() -> int:
    """Play the day; 0 where all held."""
    parser = argparse.ArgumentParser(prog="day", description=(__doc__ or "").splitlines()[0])
    plan = Plan()
    parser.add_argument("--parcels", type=int, default=plan.parcels)
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="so long events come")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and state")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    given = parser.parse_args()
    plan = Plan(parcels=given.parcels, seconds=given.seconds, seed=given.seed)
    root = Path(tempfile.mkdtemp(prefix="waybill-day-"))
    old, new = release.last(), release.this(root / "opt/waybill")
    record = Record({str(old): "/opt/waybill"})
    with ExitStack() as stack:
        try:
            Day(root, old, new, plan, record, stack).play()
        except Exception as error:
            record.check(False, f"the day ended early: {error}")
            traceback.print_exc()
    head = HEAD.format(when=f"{datetime.now(UTC):%Y-%m-%d}", version=_commit(), last=release.LAST, machine=_machine())
    record.write(head, given.out)
    if given.keep or record.wrong:
        print(f"logs and state: {root}", flush=True)
    else:
        shutil.rmtree(root)
    print(f"{given.out}: {'all held' if not record.wrong else record.wrong}", flush=True)
    return int(bool(record.wrong))


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, cwd=release.ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _machine() -> str:
    return f"Linux {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
