"""Processes that share work: results in order, few calls under way, errors as they were, nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.files.opening import FilesError
from streams.files.pool import PoolError, cores, pool
from tests.waiting import until

ROOT = Path(__file__).parents[3]


class Tool:
    """What each process has of its own."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times(self, number: int, seconds: float) -> tuple[int, int]:
        time.sleep(seconds)
        return number * self.factor, os.getpid()

    def fail(self, how: str) -> None:
        if how == "raise":
            raise FilesError("here: this")
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    def polars_threads(self) -> str:
        return os.environ["POLARS_MAX_THREADS"]


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_calls(processes: int) -> None:
    calls = [(number, 0.02 * (number % 3 == 0)) for number in range(30)]
    with pool(processes, Tool, 7) as hands:
        found = list(hands.each(Tool.times, calls))
        again = list(hands.each(Tool.times, calls[:2]))
    assert [result for result, _ in found] == [7 * number for number, _ in calls]
    assert [result for result, _ in again] == [0, 7]
    workers = {process for _, process in found}
    assert (workers == {os.getpid()}) == (processes == 1)
    assert len(workers) <= processes


def test_calls_are_taken_as_they_are_needed() -> None:
    taken = 0

    def calls() -> Iterator[tuple[int, float]]:
        nonlocal taken
        for number in range(1_000):
            taken += 1
            yield number, 0.0

    with pool(2, Tool, 1) as hands:
        for done, _ in enumerate(hands.each(Tool.times, calls())):
            assert taken <= done + 4
            if done == 10:
                break


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_what_it_was(processes: int) -> None:
    with pytest.raises(FilesError, match=r"^here: this$"), pool(processes, Tool, 1) as hands:
        list(hands.each(Tool.fail, [("",), ("raise",), ("",)]))


def test_a_process_that_dies_is_told_in_one_line() -> None:
    with pytest.raises(PoolError, match=r"^a process was killed") as caught, pool(2, Tool, 1) as hands:
        list(hands.each(Tool.fail, [("",), ("die",), *[("",)] * 20]))
    assert "\n" not in str(caught.value)


def test_each_process_has_one_thread_of_polars_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, expected in ((None, "1"), ("3", "3")):
        if told is None:
            monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
        else:
            monkeypatch.setenv("POLARS_MAX_THREADS", told)
        with pool(2, Tool, 1) as hands:
            assert list(hands.each(Tool.polars_threads, [()])) == [expected]
        assert os.environ.get("POLARS_MAX_THREADS") == told


def test_work_may_be_shared_out_from_another_thread() -> None:
    with ThreadPoolExecutor(1) as threads, pool(2, Tool, 2) as hands:
        assert threading.current_thread() is threading.main_thread()
        assert [result for result, _ in threads.submit(lambda: list(hands.each(Tool.times, [(3, 0.0)]))).result()] == [
            6
        ]


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


CODE = """
import sys
from streams.files.pool import pool
from tests.streams.files.test_pool import Tool
with pool(2, Tool, 1) as hands:
    for _, process in hands.each(Tool.times, [(1, 0.0)] * 4 + [(1, 30.0)] * 4):
        print(process, flush=True)
"""


def test_processes_end_when_the_first_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as first:
        assert first.stdout is not None
        process = int(first.stdout.readline())
        first.kill()
    until(lambda: not _runs(process))


def _runs(process: int) -> bool:
    """Whether it is there and no zombie, which an init that does not reap leaves behind."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
