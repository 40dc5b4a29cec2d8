"""What is written down of the day: steps, commands as the docs have them, what came, and figures."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LINES_MAX = 24
_TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+ ")
# Where things are on an operator's machine, by where they are here.
Places = Mapping[str, str]


@dataclass(slots=True)
class Record:
    """The text of the day. Everything said is printed too, with the seconds since it began."""

    places: Places
    began: float = field(default_factory=time.monotonic)
    figures: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since the day began."""
        return time.monotonic() - self.began

    def step(self, title: str) -> None:
        """A heading."""
        self._add("", f"### {title}", "")
        self._print(title)

    def say(self, text: str) -> None:
        """A line of a list, with when it was."""
        self._add(f"- {self.seconds:,.0f} s: {self._plain(text)}")
        self._print(f"  {text}")

    def command(self, shown: str, code: int, said: str, seconds: float, lines_max: int = _LINES_MAX) -> None:
        """A command, its exit code, and beginning and end of what it printed."""
        lines = [_TIME.sub("", line) for line in self._plain(said).splitlines()]
        if len(lines) > lines_max:
            half = lines_max // 2
            lines = [*lines[:half], f"… ({len(lines) - 2 * half} lines)", *lines[-half:]]
        self._add(
            "", "```console", f"$ {self._plain(shown)}", *lines, "```", "", f"Exit code {code}, {seconds:.1f} s.", ""
        )
        self._print(f"  $ {shown}: {code}, {seconds:.1f} s")

    def figure(self, name: str, value: str) -> None:
        """A line of the table at the top."""
        self.figures[name] = value
        self.say(f"{name}: {value}")

    def check(self, held: bool, what: str) -> None:
        """What has to hold; a day in which something did not ends with 1."""
        if not held:
            self.wrong.append(what)
        self.say(f"{'held' if held else '**NOT SO**'}: {what}")

    def text(self, head: str) -> str:
        """The whole record under its head."""
        table = [f"| {name} | {value} |" for name, value in self.figures.items()]
        outcome = "All held." if not self.wrong else "**Wrong**: " + "; ".join(self.wrong)
        parts = [head.strip(), "", outcome, "", "| | |", "|---|---|", *table, *self._lines]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip() + "\n"

    def write(self, head: str, path: Path) -> None:
        """Keep it."""
        path.write_text(self.text(head), encoding="utf-8")

    def _plain(self, text: str) -> str:
        for here, there in self.places.items():
            text = text.replace(here, there)
        return text

    def _add(self, *lines: str) -> None:
        self._lines += lines

    def _print(self, text: str) -> None:
        print(f"{self.seconds:6.1f} {text}", flush=True)
