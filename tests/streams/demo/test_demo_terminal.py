"""The demo's view on a real terminal device: it fills what there is, and a window that shrinks keeps nothing old."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest
from rich.cells import cell_len

from tests.forked import Forked
from tests.waiting import PATIENCE_S

WIDE, NARROW = (160, 40), (70, 30)  # columns, rows
NEWEST = "QN:1000000000011"
ELAPSED = re.compile(r"─ \d+:\d\d ─")
OTHER_SCREEN = 1049 << 5  # as pyte numbers private modes


class Terminal(pyte.Screen):
    """As common terminals are: narrower, the ordinary screen wraps its lines anew, and the other one does not."""

    other = False
    kept: tuple[str, ...] = ()

    @property
    def display(self) -> list[str]:
        """Pyte's own fails while half of a wide letter is overwritten."""
        return ["".join(self.buffer[y][x].data for x in range(self.columns)) for y in range(self.lines)]

    def set_mode(self, *modes: int, **how: bool) -> None:
        if (1049 in modes) and how.get("private") and not self.other:
            self.other, self.kept = True, tuple(self.display)
            self.erase_in_display(2)
        super().set_mode(*modes, **how)

    def reset_mode(self, *modes: int, **how: bool) -> None:
        if (1049 in modes) and how.get("private") and self.other:
            self.other = False
            self._write([line.rstrip() for line in self.kept])
        super().reset_mode(*modes, **how)

    def shrink(self, columns: int, rows: int) -> None:
        """Make the window smaller."""
        lines = [line.rstrip() for line in self.display][: self.cursor.y + 1]
        self.resize(rows, columns)
        if not self.other:
            self._write([piece for line in lines for piece in _pieces(line, columns)])

    def _write(self, lines: list[str]) -> None:
        while lines and not lines[-1]:
            lines.pop()
        self.erase_in_display(2)
        self.cursor_position(1, 1)
        for line in lines:
            self.draw(line)
            self.carriage_return()
            self.linefeed()


def _pieces(line: str, columns: int) -> list[str]:
    pieces = [""]
    for letter in line:
        if cell_len(pieces[-1] + letter) > columns:
            pieces.append("")
        pieces[-1] += letter
    return pieces


class Shown:
    """The view in a process of its own on a terminal of this size, with so many alerts."""

    def __init__(self, size: tuple[int, int], alerts: int, **env: str) -> None:
        self.master, device = pty.openpty()
        self.screen = Terminal(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._size(size)
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self._device = os.fdopen(device, "wb", buffering=0)  # a terminal that nobody holds open is at its end
        self.process = Forked(
            (sys.executable, "-m", "tests.streams.demo.shown", str(alerts)),
            env={**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env},
            log=Path(os.ttyname(device)),
        )

    def shrink(self, size: tuple[int, int]) -> None:
        self.screen.shrink(*size)
        self._size(size)

    def until(self, so: Callable[[list[str]], bool]) -> list[str]:
        """The lines of the screen once they are so."""
        deadline = time.monotonic() + PATIENCE_S
        while not so(lines := self.lines()):
            assert time.monotonic() < deadline, "\n".join(lines)
            self._read(0.2)
        return lines

    def lines(self) -> list[str]:
        return [ELAPSED.sub("─ 0:00 ─", line.rstrip()) for line in self.screen.display]

    def end(self) -> list[str]:
        """Let it end by itself; what then stays on the screen."""
        self.process.send_signal(signal.SIGTERM)
        self._device.close()
        while self._read(PATIENCE_S):
            pass
        assert self.process.wait(PATIENCE_S) == 0
        return self.lines()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self._device.close()
        os.close(self.master)

    def _size(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.master, 65_536)
        except OSError:  # it has ended
            return False
        self._stream.feed(data)
        return bool(data)


def _same(lines: list[str]) -> list[str]:
    """Without the moments of the steps."""
    return [re.sub(r"^ *\d+\.\d s  ", "", line) for line in lines]


def _painted(lines: list[str]) -> bool:
    """Whole, from the newest alert to the foot."""
    return any("QN:10000000000" in line for line in lines) and "starting a worker" in lines


@pytest.fixture
def show() -> Iterator[Callable[..., Shown]]:
    made: list[Shown] = []

    def shown(size: tuple[int, int], alerts: int = 12, **env: str) -> Shown:
        made.append(Shown(size, alerts, **env))
        return made[-1]

    yield shown
    for each in made:
        each.close()


@pytest.mark.parametrize(("alerts", "env"), [(0, {}), (1, {}), (12, {}), (12, {"COLUMNS": "160", "LINES": "40"})])
def test_a_window_that_shrinks_shows_what_a_small_one_does(
    show: Callable[..., Shown], alerts: int, env: dict[str, str]
) -> None:
    def whole(lines: list[str]) -> bool:
        return _painted(lines) if alerts else "starting a worker" in lines

    small, large = show(NARROW, alerts), show(WIDE, alerts, **env)
    wanted = small.until(whole)
    large.until(whole)
    large.shrink(NARROW)
    large.until(lambda lines: _same(lines) == _same(wanted))
    assert sum("waybill-sentinel" in line for line in wanted) == 1


def test_its_end_leaves_the_last_view_once_and_the_summary(show: Callable[..., Shown]) -> None:
    shown = show(WIDE)
    shown.until(lambda lines: any(NEWEST in line for line in lines))
    shown.shrink(NARROW)
    shown.until(lambda lines: all(cell_len(line) <= NARROW[0] for line in lines))
    assert shown.screen.other
    lines = shown.end()
    assert not shown.screen.other
    assert sum("12 alerts open" in line for line in lines) == 1
    assert sum(NEWEST in line for line in lines) == 1


def test_before_the_first_alert_it_says_what_it_waits_for(show: Callable[..., Shown]) -> None:
    lines = show(WIDE, 0).until(lambda lines: any("starting a worker" in line for line in lines))
    assert any("Waiting for the first alert" in line for line in lines)
    assert any(re.match(r" *\d+\.\d s  starting a worker$", line) for line in lines)


def test_a_wide_terminal_shows_places_and_both_times(show: Callable[..., Shown]) -> None:
    lines = show(WIDE).until(_painted)
    text = "\n".join(lines)
    assert "event 2025-11-25 00:00:00 UTC+8" in text
    assert "found 2025-11-25 00:00:00 UTC+8" in text
    assert "stop at 430424 衡阳市衡东县" in text
    assert "Name of a controlled substance" in text
    assert _painted(lines)  # its foot is not pushed out
