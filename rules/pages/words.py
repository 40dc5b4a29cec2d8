"""The words around a rule on its page, in both languages."""

from __future__ import annotations

from typing import Final

from schemas.rulefile import LANGUAGES, Language

# key: (Chinese, English)
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "catalogue": ("规则目录", "Rule catalogue"),
    "about": (
        "每条规则对每个快件给出“命中”“不命中”或“无法判定”。命中规则的分值累加，封顶 100 分，再按总分分级。"
        "预警的意思是“请查看这个快件”或“请核查这个网点的做法”，从不指向某个人。",
        "Each rule says yes, no or unknown of each parcel. The points of those that say yes add up, to 100 at most, "
        "and the score makes the tier. An alert means “look at this parcel” or “look at this outlet's practice”, "
        "never “this person”.",
    ),
    "english": ("字段释义和用例以英文维护。", ""),
    "fingerprint": ("指纹", "fingerprint"),
    "contents": ("目录", "Contents"),
    "rules": ("条规则", "rules"),
    "points": ("分", "points"),
    "score": ("分起", "and above"),
    "version": ("版本", "version"),
    "why": ("依据", "Why"),
    "misses": ("漏报情形", "What it misses"),
    "triage": ("处置建议", "What to do first"),
    "actions": ("处置动作", "Actions"),
    "when": ("判定条件", "Says yes when"),
    "limits": ("阈值", "Limits"),
    "by_override": ("本部署设定，规则文件为 ", "set for this deployment; the file has "),
    "columns": ("字段", "Columns"),
    "column_reference": ("字段说明", "Column reference"),
    "columns_about": (
        "规则的判定条件和证据只能使用下列字段。字段为空时，用到它的规则“无法判定”。",
        "What a rule may name, to decide and as evidence. A column without a value is null, and a rule that needs it "
        "then says unknown.",
    ),
    "null": ("为空：", "null: "),
    "used_by": ("用于：", "used by: "),
    "read": ("判定", "read"),
    "evidence": ("证据", "evidence"),
    "case": ("个用例", "cases"),
    "expect": ("应为", "expect"),
    "until": ("（截至 {}）", " (by {})"),
    "default": ("均为默认值", "as by default"),
    "repeated": ("（共 {} 次，每隔 {}）", " ({} times, one every {})"),
    "comma": ("、", ", "),
    "top": ("回到目录", "contents"),
    "made": ("由 waybill rules docs 从规则文件生成。", "Written by waybill rules docs from the rule files."),
    "first": ("第一件", "first"),
    "last": ("最后一件", "last"),
    "others": ("其余", "others"),
    "yes": ("命中", "yes"),
    "no": ("不命中", "no"),
    "unknown": ("无法判定", "unknown"),
    "suspicion": ("嫌疑", "suspicion"),
    "compliance": ("合规", "compliance"),
    "live": ("启用", "live"),
    "shadow": ("试运行", "shadow"),
    "off": ("停用", "off"),
    "low": ("低危", "low"),
    "medium": ("中危", "medium"),
    "high": ("高危", "high"),
    "extreme": ("特危", "extreme"),
    "hold": ("扣留", "hold"),
    "open_box": ("开箱验视", "open the box"),
    "second_xray": ("二次过机", "second X-ray"),
    "identity_check": ("核查身份", "check the identity"),
    "visit_outlet": ("走访网点", "visit the outlet"),
    "string": ("文本", "text"),
    "integer": ("整数", "integer"),
    "number": ("数值", "number"),
    "boolean": ("是或否", "yes or no"),
    "shipment": ("收寄", "shipment"),
    "scan": ("扫描", "scan"),
    "inspection": ("查验", "inspection"),
    "reference": ("基础数据", "reference record"),
    "family route": ("线路", "Route"),
    "family goods": ("物品", "Goods"),
    "family identity": ("身份", "Identity"),
    "family sender": ("寄件人", "Sender"),
    "family recipient": ("收件人", "Recipient"),
    "family courier": ("快递员", "Courier"),
    "family licence": ("许可", "Licence"),
    "family journey": ("运输过程", "Journey"),
}


def word(key: str, language: Language) -> str:
    """The word for `key`, or the key itself (a family's name, a waybill number) if there is none."""
    found = _WORDS.get(key)
    return found[LANGUAGES.index(language)] if found else key.removeprefix("family ")
