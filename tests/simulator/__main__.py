"""Every moment of an epoch: workers over a broker and disks in memory, where a seed decides who goes on and what fails.

    python -m tests.simulator [--seeds N] [--seed S] [--judging] [--trace] [--jobs N]

Seeds count up from S. Each that fails is named with what was wrong; the same seed with --trace shows every step of it.
Ends with one line of counts; exit code 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tests.simulator.run import alone, play


def main() -> int:
    """Play the seeds asked for."""
    parser = argparse.ArgumentParser(prog="simulator", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1_000, help="so many, counting up")
    parser.add_argument("--seed", type=int, help="the first of them; without it a fresh one")
    parser.add_argument("--judging", action="store_true", help="with the agents that judge, not those that count")
    parser.add_argument("--trace", action="store_true", help="show what happened, step by step")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one by core)")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    faults: Counter[str] = Counter()
    failed = steps = records = 0
    started = time.monotonic()
    with ProcessPoolExecutor(given.jobs, get_context("spawn"), alone, (given.trace,)) as pool:
        seeds = range(first, first + given.seeds)
        for outcome in pool.map(partial(play, judging=given.judging), seeds, chunksize=_CHUNK):
            faults += outcome.faults
            steps, records = steps + len(outcome.trace), records + outcome.records
            if given.trace:
                print("\n".join(outcome.trace))
            if outcome.wrong:
                failed += 1
                print(f"seed {outcome.seed}: {'; '.join(outcome.wrong)[:2000]}", flush=True)
            if sys.stderr.isatty():
                print(
                    f"\r{outcome.seed - first + 1:,} of {given.seeds:,} seeds, {failed} failed", end="", file=sys.stderr
                )
    seconds, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    told = ", ".join(f"{count:,} {what}" for what, count in faults.most_common())
    print(
        f"seeds {first} to {first + given.seeds - 1}: {failed} failed; {records:,} records, {steps:,} effects, "
        f"{faults.total():,} faults ({told}); {seconds:.1f} s, {given.seeds / seconds:.1f} seeds/s, "
        f"{given.seeds / (used.ru_utime + used.ru_stime):.1f} per CPU second"
    )
    return min(failed, 1)


_CHUNK = 4


if __name__ == "__main__":
    sys.exit(main())
