"""Figures as text, in Chinese and English: intervals, and what is shown without a figure."""

from __future__ import annotations

from typing import Final

from desk.measures.budget import Mean
from desk.measures.report import Lift
from desk.measures.rules import Share
from schemas.rulefile import Language

NONE: Final = {"zh": "无数据", "en": "no data"}
_FEW: Final = {"zh": "太少", "en": "too few"}
_UNSURE: Final = {"zh": "（样本小）", "en": " (uncertain)"}


def proportion(found: Share, lang: Language) -> str:
    """`12 of 40: 30 % (18–45 %)`; with few answers only the counts."""
    if found.of == 0:
        return NONE[lang]
    counts = f"{found.found}/{found.of}" if lang == "zh" else f"{found.found} of {found.of}"
    if found.share is None or found.low is None or found.high is None:
        return f"{counts} {_FEW[lang]}" if lang == "zh" else f"{counts}, {_FEW[lang]}"
    unsure = _UNSURE[lang] if found.basis == "some" else ""
    return f"{counts}: {percent(found.share)} ({percent(found.low, '')}–{percent(found.high)}){unsure}"


def worst(found: Share, lang: Language) -> str:
    """The share of answers, and the bounds of the proportion for any missing answers."""
    if found.worst_low is None or found.worst_high is None or found.answered_share is None:
        return NONE[lang]
    bounds = f"{percent(found.worst_low, '')}–{percent(found.worst_high)}"
    said = percent(found.answered_share)
    return f"已答 {said}，最坏 {bounds}" if lang == "zh" else f"{said} answered, worst case {bounds}"


def lift(found: Lift | None, lang: Language) -> str:
    """`18.1 (9.7–33.5)`; without an upper bound `≥ 7.5`."""
    if found is None:
        return NONE[lang]
    if found.high is None:
        return f"≥ {found.low:.1f}"
    point = "" if found.point is None else f"{found.point:.1f} "
    return f"{point}({found.low:.1f}–{found.high:.1f})"


def mean(found: Mean | None, lang: Language) -> str:
    """A mean over days with its interval."""
    if found is None:
        return NONE[lang]
    days = f"{found.days} 天" if lang == "zh" else f"{found.days} d"
    return f"{percent(found.mean)} ({percent(found.low, '')}–{percent(found.high)}; {days})"


def minutes(found: float | None, lang: Language) -> str:
    """Minutes, or hours from two hours on."""
    if found is None:
        return NONE[lang]
    return f"{found:.0f} min" if found < 120 else f"{found / 60:.1f} h"


def percent(share: float, unit: str = " %") -> str:
    """A share in per cent; a small one with a decimal."""
    value = 100 * share
    return f"{value:.1f}{unit}" if 0 < value < 10 else f"{value:.0f}{unit}"
