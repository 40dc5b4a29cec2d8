"""The measures as tables of text, for terminals and pages: each with title, head, rows and remark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from desk.measures.report import Measures
from desk.measures.rules import RuleMeasure, Share
from desk.measures.wording import NONE, lift, mean, minutes, percent, proportion, worst
from schemas.rulefile import Language

PAIRS_MAX: Final = 10

_RULES_HEAD: Final[dict[Language, tuple[str, ...]]] = {
    "zh": ("规则", "规则集", "出现", "决定性", "准确率", "缺答时"),
    "en": ("rule", "catalogue", "present", "decisive", "precision", "with missing answers"),
}
_DIFFERS: Final = {
    "zh": "≠：与同类其他线索明显不同（Benjamini–Hochberg，10 %）。",
    "en": "≠: surely not like the other clues of its kind (Benjamini–Hochberg at 10 %).",
}
_HONEST_ZH: Final = "随机组衡量的是违规。每亿件中查获毒品的约五件：任何查得过来的样本都不能说明漏掉多少。"


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""


def tables(found: Measures, lang: Language) -> Iterator[Table]:
    """All tables; suspicion and compliance are separate."""
    zh = lang == "zh"
    flow = found.flow
    yield Table(
        "线索流程" if zh else "What became of clues",
        ("新开", "派出", "已反馈", "待反馈", "无人能查", "拒收", "移交", "错过", "重新打开") if zh
        else ("opened", "dispatched", "answered", "waiting", "nobody could look", "refused", "transferred", "missed",
              "reopened"),
        (tuple(f"{n:,}" for n in (
            flow.opened, flow.dispatched, flow.answered, flow.waiting, flow.nobody_looked, flow.refused,
            flow.transferred, flow.missed, flow.reopened,
        )),),
    )  # fmt: skip
    suspicion, arm = found.suspicion, found.random_arm
    yield Table(
        "嫌疑：比随机抽查好多少" if zh else "Suspicion: how much better than chance",
        ("预警命中", "缺答时", "随机组命中", "提升倍数") if zh
        else ("finds among alerts", "with missing answers", "finds in the random arm", "lift"),
        ((
            proportion(suspicion.found, lang), worst(suspicion.found, lang), proportion(arm.found, lang),
            lift(suspicion.lift, lang),
        ),),
        _HONEST_ZH if zh else found.note,
    )  # fmt: skip
    yield _misses(found, lang)
    yield _rules(
        "嫌疑规则，最不准的在前" if zh else "Rules of suspicion, the most doubtful first", suspicion.rules, lang
    )
    if answered := {name: curve for name, curve in suspicion.by_budget.items() if any(curve.values())}:
        yield Table(
            "容量内命中率" if zh else "Precision within capacity",
            ("单位", "½", "1", "2 ×") if zh else ("station", "½", "1", "2 × capacity"),
            tuple((name, *(mean(each, lang) for each in curve.values())) for name, curve in answered.items()),
        )
    compliance = found.compliance
    target = f"{percent(compliance.target)}"
    below = ", ".join(compliance.below_target)
    yield Table(
        "合规" if zh else "Compliance",
        ("违规属实", "缺答时", "未达标规则") if zh else ("confirmed", "with missing answers", "rules below target"),
        ((proportion(compliance.found, lang), worst(compliance.found, lang), below or "–"),),
        f"目标：下限 {target}" if zh else f"Target: a lower bound of {target}.",
    )
    yield _rules("合规规则" if zh else "Rules of compliance", compliance.rules, lang)
    yield _times(found, lang)
    yield _in_time(found, lang)
    yield _stations(found, lang)
    yield _provinces(found, lang)
    if found.together:
        yield Table(
            "同时出现的规则" if zh else "Rules that fire together",
            ("规则", "规则", "同时", "前者", "后者") if zh else ("rule", "rule", "both", "first", "second"),
            tuple((each.first, each.second, f"{each.both:,}", f"{each.first_present:,}", f"{each.second_present:,}")
                  for each in found.together[:PAIRS_MAX]),
        )  # fmt: skip


def _rules(title: str, rules: list[RuleMeasure], lang: Language) -> Table:
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            f"{each.rule} v{each.version}{' ≠' if each.differs else ''}",
            each.catalogue[:8],
            f"{each.present:,}",
            f"{each.decisive:,}",
            proportion(each.precision, lang),
            worst(each.precision, lang),
        )
        for each in rules
    )
    head, remark = _RULES_HEAD[lang], _DIFFERS[lang] if any(each.differs for each in rules) else ""
    if len({each.catalogue for each in rules}) == 1:  # then it need not stand in each row
        rows, remark = (
            tuple((row[0], *row[2:]) for row in rows),
            f"{head[1]} {rules[0].catalogue[:8]}. {remark}".rstrip(),
        )
        head = head[0], *head[2:]
    return Table(title, head, rows, remark)


def _misses(found: Measures, lang: Language) -> Table:
    zh, arm = lang == "zh", found.random_arm
    none = NONE[lang]
    missed = recall = none
    if arm.missed is not None and arm.recall is not None:
        missed, recall = f"{arm.missed:,.0f} ± {arm.missed_error or 0:,.0f}", percent(arm.recall)
    elif arm.missed_below is not None:
        missed = f"≤ {arm.missed_below:,.0f}"
        recall = none if arm.recall_above is None else f"≥ {percent(arm.recall_above)}"
    return Table(
        "漏掉多少（违规，由随机组推算）" if zh else "What alerts miss (violations, estimated from the random arm)",
        ("漏掉", "查全率", "未发现时的上限") if zh else ("missed", "recall", "upper bound where nothing was found"),
        ((
            missed, recall, none if arm.upper is None else percent(arm.upper),
        ),),
    )  # fmt: skip


def _times(found: Measures, lang: Language) -> Table:
    zh = lang == "zh"
    names = {"accept": "签收", "check": "查验", "answer": "反馈"}
    rows = [
        (
            names[each.step] if zh else each.step, f"{each.taken:,}/{each.clues:,}",
            minutes(each.median_min, lang), minutes(each.p90_min, lang),
        )
        for each in found.times
    ]  # fmt: skip
    checks = found.double_checks
    kappa = NONE[lang] if checks.kappa is None else f"{checks.kappa:.2f}"
    return Table(
        "派出后用时（Kaplan–Meier，在等的也计入）" if zh else "Time from dispatch (Kaplan–Meier: those who wait count)",
        ("环节", "完成", "中位", "九成") if zh else ("step", "taken", "median", "90 %"),
        tuple(rows),
        f"复核 {checks.pairs} 次，一致 {checks.agreed} 次，κ {kappa}"
        if zh
        else f"Double checks: {checks.pairs}, agreed {checks.agreed}, kappa {kappa}.",
    )


def _in_time(found: Measures, lang: Language) -> Table:
    zh = lang == "zh"
    return Table(
        "及时与派准" if zh else "In time, and at the right station",
        ("首次发出前已查", "派错") if zh else ("checked before the first departure", "misdispatched"),
        ((proportion(found.before_departure, lang), proportion(found.flow.misdispatched, lang)),),
    )


def _provinces(found: Measures, lang: Language) -> Table:
    zh, hidden = lang == "zh", found.disparity.hidden

    def cell(of: Share | None, differs: bool) -> str:
        return "–" if of is None else proportion(of, lang) + (" ≠" if differs else "")

    return Table(
        "按收寄省份" if zh else "By province of acceptance",
        ("省份", "预警率", "嫌疑属实") if zh else ("province", "alerted", "suspicion confirmed"),
        tuple(
            (each.province, cell(each.alerted, each.alerted_differs), cell(each.confirmed, each.confirmed_differs))
            for each in found.disparity.provinces
        ),
        f"少于 30 的不显示；{hidden} 个省份因此未列。≠：与其余各省明显不同（Benjamini–Hochberg，10 %）。"
        if zh
        else f"Fewer than 30 are not shown, which leaves out {hidden} of the provinces. ≠: not as in the others "
        "(Benjamini–Hochberg at 10 %).",
    )


def _stations(found: Measures, lang: Language) -> Table:
    zh = lang == "zh"

    def raised(rule: str | None, share: float | None, right: Share | None) -> str:
        if rule is None or share is None or right is None:
            return "–"
        said = proportion(right, lang)
        brings = percent(share)
        return f"{rule}（占 {brings}，准确率 {said}）" if zh else f"{rule}: brings {brings}, right {said}"

    rows = tuple(
        (
            each.station, f"{each.open:,}", f"{each.overdue:,}", proportion(each.in_time, lang),
            NONE[lang] if each.load is None else f"{each.load:.2f}",
            NONE[lang] if each.beyond is None else f"{each.beyond:,}",
            raised(each.tighten, each.tighten_share, each.tighten_precision),
        )
        for each in found.stations
    )  # fmt: skip
    return Table(
        "单位" if zh else "Stations",
        ("单位", "未结", "逾期", "按时反馈", "负荷", "超出能力", "先提高哪条规则的阈值") if zh
        else ("station", "open", "overdue", "answered in time", "load", "beyond capacity", "limit to raise first"),
        rows,
    )  # fmt: skip
