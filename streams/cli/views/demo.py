"""What the demo shows: alerts as they come, and how the worker fares. Plain lines where there is no terminal.

It has the terminal's other screen to itself and paints all of it each time. On the ordinary screen, terminals wrap the
lines anew when they get narrower, and what was painted before would stay behind.
"""

from __future__ import annotations

import html
import io
import math
import os
import re
import time
from collections import Counter, deque
from threading import RLock
from types import TracebackType
from typing import Final, Self, get_args

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from rules.pages.words import word
from schemas.records import Alert
from schemas.rulefile import Language
from schemas.terms import Tier
from streams.cli.views import alert as view
from streams.demo.figures import Figures
from streams.demo.stage import Step
from streams.kafka.alerts import Change, Newest, same_verdict

REFRESHES_PER_S = 5.0
PLAIN_FIGURES_S = 5.0
LINES_MAX = 4  # of the reasons of one alert
SVG_WIDTH, SVG_ROWS = 96, 30
_KEPT = 50  # alerts in the list: more than fit
_HEAD_ROWS = 8  # panel, heading and foot
_WORDS: Final = {
    "waiting": (
        "等待首条预警：先启动 Kafka 和 worker，之后第一件可疑快件即触发预警，通常在启动后 15 秒内。",
        "Waiting for the first alert. Kafka and the worker start first; then the first suspicious parcel brings it, "
        "usually within 15 s of the start.",
    ),
    "first": ("首条预警在启动后 {:.1f} 秒", "first alert {:.1f} s after the start"),
    "none": ("尚无预警", "no alert yet"),
    "kafka": (
        "正在启动 Apache Kafka（首次使用需下载约 45 MB）",
        "starting Apache Kafka (the first time fetches it, about 45 MB)",
    ),
    "topics": ("正在 {} 上创建主题", "creating topics on {}"),
    "worker": ("正在启动 worker", "starting a worker"),
    "running": ("运行中，按 Ctrl-C 结束；指标见 {}", "running, Ctrl-C ends; figures at {}"),
    "desk": ("线索台 {}  用户 analyst、station  密码 {}", "{}  users analyst, station  password {}"),
    "ending": ("正在结束", "ending"),
    "events": ("事件", "events"),
    "counts": ("已判定 {:,}  无法读取 {:,}  待处理 {:,}", "{:,} judged  {:,} rejected  {:,} waiting"),
    "alerts": ("预警", "alerts"),
    "open": ("未撤回 {:,}：", "{:,} open:"),
    "withdrawn": ("已撤回 {:,}", "{:,} withdrawn"),
    "latency": ("时延", "latency"),
    "to_alert": ("从事件到预警，", "event to alert, "),
    "ended": (
        "{:.0f} 秒：已判定事件 {:,} 条，未撤回预警 {:,} 个，{}",
        "{:.0f} s: {:,} events judged, {:,} alerts open, {}",
    ),
}
_LABEL_CELLS = 9


def terminal() -> Console:
    """Standard output, in the size that it has now: COLUMNS and LINES tell the size that it had once."""
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return Console(highlight=False, markup=False, _environ=environ)


class View:
    """The state of what is shown; a context manager around the live display.

    began      monotonic seconds; times shown count from there.
    pictures   take some on the way.
    """

    def __init__(self, lang: Language, began: float, console: Console | None = None, *, pictures: bool = False) -> None:
        self._pictures = pictures
        self._variety = 0
        self.began = began
        self.figures = Figures()
        self.first_alert_s: float | None = None
        self.picture = ""
        self._lang = lang
        self._console = console or terminal()
        self._newest = Newest()
        self._recent: deque[Change] = deque(maxlen=_KEPT)
        self._withdrawn = 0
        self._steps: list[tuple[float, str]] = []  # seconds since `began`, what the demo has been at since
        self._shown_at = 0.0
        self._desk = ""
        self._lock = RLock()  # a thread of the display's own paints, also while a broker or a worker starts
        live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = (
            Live(console=self._console, screen=True, refresh_per_second=REFRESHES_PER_S, get_renderable=self._paint)
            if live
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        else:
            self._line(self._said("waiting"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._console.print(self._render(self._console.size.height))  # the ordinary screen keeps the last view

    def say(self, step: Step, *where: str) -> None:
        """What the demo is at, and where that is; of the desk, how to log in."""
        status = self._said(step, *where)
        with self._lock:
            if step == "desk":
                self._desk = status
            else:
                self._steps.append((time.monotonic() - self.began, status))
        if self._live is not None:
            self._live.refresh()
        else:
            self._line(status)

    def change(self, change: Change) -> None:
        """An alert that came in."""
        with self._lock:
            self._take(change)

    def _take(self, change: Change) -> None:
        before, now = self._newest.take(change)
        if change.alert is None or (before is None and now is None):
            return
        if same_verdict(before, now):  # it has only moved on: keep its row where it is, so that people can read
            self._recent = deque((change if each is before else each for each in self._recent), maxlen=_KEPT)
            return
        if self.first_alert_s is None:
            self.first_alert_s = time.monotonic() - self.began
        if now is None:
            self._withdrawn += 1
        if before is not None:  # one row per parcel, where its newest verdict is
            self._recent = deque((each for each in self._recent if each.parcel != change.parcel), maxlen=_KEPT)
        self._recent.appendleft(change)
        if self._live is None:
            self._line(view.plain(change.alert, self._lang))

    def refresh(self) -> None:
        """Without a terminal, write the figures down every few seconds; call often. A display paints by itself."""
        if self._live is not None or time.monotonic() - self._shown_at < PLAIN_FIGURES_S:
            return
        self._shown_at = time.monotonic()
        if self.figures.events:
            for line in self._numbers():
                self._line(line.plain)

    def summary(self) -> None:
        """The last word: how it went."""
        first = self._said("none") if self.first_alert_s is None else self._said("first", self.first_alert_s)
        took = time.monotonic() - self.began
        self._console.print(self._said("ended", took, self.figures.events, len(self._newest.open), first))

    def take_picture(self) -> None:
        """Keep the view as it is now, as SVG in `picture`, if it shows as many different rules as any before."""
        rules = {reason.rule for alert in self._visible(SVG_ROWS - _HEAD_ROWS) for reason in alert.reasons}
        if not self._pictures or len(rules) < self._variety:
            return
        self._variety = len(rules)
        canvas = Console(
            record=True, width=SVG_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
        )
        canvas.print(self._render(SVG_ROWS))
        self.picture = _mended(canvas.export_svg(title="waybill demo"))

    def _paint(self) -> RenderableType:
        with self._lock:
            return self._render(self._console.size.height)

    def _render(self, rows: int) -> RenderableType:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        panel = Panel(
            Group(*self._numbers()), title="waybill-sentinel", title_align="left", subtitle_align="right",
            subtitle=f"{minutes}:{seconds:02}", border_style="dim",
        )  # fmt: skip
        status = self._steps[-1][1] if self._steps else ""
        foot = [Text(self._desk, style="bold")] if self._desk else []
        foot.append(Text(status, style="dim"))
        for line in foot:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(panel, self._alerts(rows - _HEAD_ROWS - len(foot) + 1), *foot)

    def _alerts(self, rows: int) -> RenderableType:
        """As many of the newest alerts as fit; before the first, what is done and what it waits for."""
        if not self._recent:
            steps = [Text(f"{at:5.1f} s  {step}", style="dim") for at, step in self._steps]
            return Group(Text(self._said("waiting")), *steps)
        sheet = self._sheet()
        for alert in self._visible(rows):
            sheet.add(alert, lines_max=LINES_MAX)
        return sheet.table

    def _sheet(self) -> view.Sheet:
        return view.Sheet(self._lang, self._console.width, cut=True)

    def _visible(self, rows: int) -> list[Alert]:
        shown: list[Alert] = []
        sheet = self._sheet()
        for change in self._recent:
            if change.alert is not None:
                rows -= sheet.rows(change.alert, LINES_MAX)
                if rows < 0:
                    break
                shown.append(change.alert)
        return shown

    def _numbers(self) -> list[Text]:
        figures = self.figures
        tiers = Counter(change.alert.tier for change in self._newest.open.values() if change.alert is not None)
        alerts = Text.assemble(self._label("alerts"), self._said("open", len(self._newest.open)))
        for tier in reversed(get_args(Tier)):
            if tiers[tier]:
                alerts.append(f" {tiers[tier]:,} ")
                alerts.append(word(tier, self._lang), style=view.TIER_STYLES[tier])
        alerts.append(f"  {self._said('withdrawn', self._withdrawn)}")
        if self.first_alert_s is not None:
            alerts.append(f"  {self._said('first', self.first_alert_s)}", style="dim")
        rate = "" if math.isnan(figures.events_per_s) else f"{figures.events_per_s:,.0f}/s"
        lines = [
            Text.assemble(
                self._label("events"), (f"{rate:9}", "bold"),
                self._said("counts", figures.events, figures.rejects, figures.lag),
            ),
            alerts,
            Text.assemble(
                self._label("latency"), self._said("to_alert"), "p50 ", (_seconds(figures.latency_p50_s), "bold"),
                "  p99 ", (_seconds(figures.latency_p99_s), "bold"),
            ),
        ]  # fmt: skip
        for line in lines:  # one row each, however narrow
            line.no_wrap, line.overflow = True, "ellipsis"
        return lines

    def _label(self, key: str) -> tuple[str, str]:
        """The name of a row of figures, as wide as the others."""
        name = self._said(key)
        return name + " " * (_LABEL_CELLS - cell_len(name)), "dim"

    def _said(self, key: str, *values: object) -> str:
        return _WORDS[key][self._lang == "en"].format(*values)

    def _line(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=self._console.file, flush=True)


def _mended(svg: str) -> str:
    """Without fonts from elsewhere, and with Chinese at its width, which rich takes for half of it."""

    def widened(match: re.Match[str]) -> str:
        head, length, middle, text = match.groups()
        plain = html.unescape(text)
        return f"{head}{float(length) * cell_len(plain) / max(len(plain), 1):g}{middle}{text}"

    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r'(<text [^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)', widened, svg)


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value * 1000:.0f} ms"
