"""Every moment of an epoch: workers over a broker and disks in memory, where a seed decides who goes on and what fails.

    python -m tests.simulator [--seeds N] [--seed S] [--judging] [--trace]

Seeds count up from S. Each that fails is named with what was wrong; the same seed with --trace shows every step of it.
Ends with one line of counts; exit code 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections import Counter

from tests.simulator.run import play


def main() -> int:
    """Play the seeds asked for."""
    parser = argparse.ArgumentParser(prog="simulator", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=500, help="so many, counting up")
    parser.add_argument("--seed", type=int, help="the first of them; without it a fresh one")
    parser.add_argument("--judging", action="store_true", help="with the agents that judge, not those that count")
    parser.add_argument("--trace", action="store_true", help="show what happened, step by step")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    if not given.trace:
        logging.disable()
    faults: Counter[str] = Counter()
    failed = steps = records = 0
    started, worked = time.monotonic(), time.process_time()
    for seed in range(first, first + given.seeds):
        outcome = play(seed, judging=given.judging)
        faults += outcome.faults
        steps, records = steps + len(outcome.trace), records + outcome.records
        if given.trace:
            print("\n".join(outcome.trace))
        if outcome.wrong:
            failed += 1
            print(f"seed {seed}: {'; '.join(outcome.wrong)[:2000]}", flush=True)
    seconds, cpu = time.monotonic() - started, time.process_time() - worked
    told = ", ".join(f"{count:,} {what}" for what, count in faults.most_common())
    print(
        f"seeds {first} to {first + given.seeds - 1}: {failed} failed; {records:,} records, {steps:,} effects, "
        f"{faults.total():,} faults ({told}); "
        f"{given.seeds / seconds:.1f} seeds/s, {given.seeds / cpu:.1f} per CPU second"
    )
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
