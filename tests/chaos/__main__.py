"""Kill it and see: real Kafka, real workers, a seed's faults, and at the end not one alert lost or doubled.

    python -m tests.chaos [--seed N] [--faults N | --minutes M] [--workers N] [--runs N] [--protocol classic|consumer]
    python -m tests.chaos kills [--kills 10] [--events N]

The second publishes a backlog first and kills workers while they work it off as fast as they can. Both end with one
line of counts by run; exit code 1 where something did not hold, with what, and where the logs are.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.chaos.run import EVENTS_PER_S, PROTOCOLS, Plan, run


def main() -> int:
    """Play the seeds asked for; the number of those that failed, at most 1."""
    parser = argparse.ArgumentParser(prog="chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("faults", "kills"), default="faults", help="by default faults")
    parser.add_argument("--seed", type=int, help="what to play; without it a fresh one")
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--minutes", type=float, help="play for so long, instead of so many faults")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--rate", type=int, default=EVENTS_PER_S, help="events per second, on average")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="of the consumer group; without it the seed decides")
    parser.add_argument("--kills", type=int, default=10, help="of `kills`")
    parser.add_argument("--events", type=int, default=400_000, help="of `kills`, the backlog")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, one after the other, counting up")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that held, too")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    failed = 0
    for seed in range(first, first + given.runs):
        folder = Path(tempfile.mkdtemp(prefix=f"waybill-chaos-{seed}-"))
        plan = Plan(seed, given.faults, given.workers, given.minutes, given.rate, given.protocol)
        if given.what == "kills":
            plan = replace(plan, kills=given.kills, events=given.events)
        held, line = run(plan, folder, lambda text: print(text, flush=True))
        if held and not given.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs, events and state: {folder}", flush=True)
        failed += not held
        print(line, flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
