"""A signal ends a command wherever it comes, and once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import polars as pl
import pytest

from streams.cli import interrupts
from tests.waiting import PATIENCE_S

ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit, signal.SIGHUP: SystemExit}


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDS}
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Number:
    """A signal comes while Polars asks what number it is; any exception means to it that it is none."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __index__(self) -> int:
        os.kill(os.getpid(), self._number)
        return 1


@pytest.mark.parametrize("number", ENDS)
def test_what_polars_would_swallow_is_raised_behind_it(number: signal.Signals) -> None:
    done = []

    def command() -> None:
        try:
            pl.Series([Number(number)])
        finally:
            done.append("cleaned up")

    with pytest.raises(ENDS[number]) as raised:
        command()
    assert done == ["cleaned up"]
    assert raised.traceback[1].name == "command"
    assert sys.gettrace() is None
    if isinstance(raised.value, SystemExit):
        assert raised.value.code == 128 + number


def test_cleaning_up_after_the_interrupt_of_polars_is_not_broken_off() -> None:
    """Its handler and Python's hear the same Ctrl-C, and Python's is called later."""
    done = []

    def command() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        command()
    assert done == ["cleaned up"]


def test_a_second_one_breaks_it_off() -> None:
    done = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        command()
    assert done == []


def test_a_wait_is_broken_off() -> None:
    def command() -> None:
        threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        threading.Event().wait(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        command()


def test_what_was_ignored_at_the_start_stays_ignored() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    interrupts.install()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)] == [signal.SIG_IGN] * 2
