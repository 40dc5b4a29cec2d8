"""Message values around the border of what is plain: ordinary records, odd ones, and broken ones."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.schemas.samples import EVENTS, ODD_VALUES, REFERENCE, altered, spoiled
from tests.worlds import PEOPLE, resident_id

_RECORDS = {**EVENTS, **{record["kind"]: record for record in REFERENCE}}

_CHARACTERS = "王建国李赵钱字*＊×·•.-_ aZéØ0９٣/（）\u3000\u200b\u00a0\u0301\ue000\x7f\ufeff\ufb01\U00020000\U0001f600"
_CARRIERS = ("SF", "YT", "圆通", "a" * 64, "S F")
_TEXTS: dict[str, tuple[Any, ...]] = {
    "sender_name": (
        *("王建国", "王*国", "王", "张张", "张三丰", "test", "测试01", "N/A", "JOHN SMITH", "王·国", " ", "··", "1"),
        *(
            "示例商户000004",
            "测试1",
            "王先生01",
            "某1",
            "张三转7839",
            "王建国分机123",
            "尾号12",
            "老1",
            "张11",
            "姓李2",
            "12王",
            "宋洋志",
            "王同志",
            "李老师",
            "张某人",
            "主人",
        ),
    ),
    "recipient_name": ("王建国", "李**"),
    "sender_phone": (
        *("15400000001", "8615400000001", "008615400000001", "+86 154-0000-0001", "154****0001", "12400000001"),
        *("154-0000-0001", "1-345-678-9012", "86-1540000000-1", "15400000001-8", "154****0001-9", "--"),
        *("02012345678", "15400000001-12"),
        *("１５４００００００01", "+852 5123 4567", "0085215400000001", "154000000012"),
    ),
    "recipient_phone": ("16800000001", "86-16800000001", "168****0001", "0000", "-"),
    "sender_id_no": (
        *("44000019900101001X", "44000019900101001x", "4400001990010100", "440000********001X"),
        *("H12345678", "M1234567890"),
        *("12345678", "1234567890", "H 1234 5678", "91440000000000000X", "a", "４４００00199001010015", "-"),
    ),
    "agent_id_no": ("44000019900101001X", "x"),
    "id_no": (None, "44000019900101001X", "440000********001X", "", "44000019900101001x", "x y"),
    "phone": (None, "15400000001", "154****0001", "+86 15400000001", ""),
    "licence_no": (None, "L1", " ", "\u3000", "许可"),
    "licence_adcodes": ([], ["44"], ["4401", "4401", "5"], ["044"], ["44", None], "44", [["44"]]),
    "licence_scopes": ([], ["domestic"], ["hmt", "hmt", "international"], ["all"]),
    "licence_to": (None, 1_760_025_600_000, 1_760_025_600_001),
    "lon": (0, -180, 180.0, 180.5, 113.27, 1e2, "113", -0.0),
    "goods_name": ("衣服", "奶粉", "海洛因", "样品", "", " ", "糖\u0000", "k粉", "书" * 512, "香水2瓶", "盐酸氯胺酮"),
    "carrier_code": _CARRIERS,
    "event_id": ("e", "e\u00e9", "1" * 128, "事件1"),
    "waybill_no": ("1", "1" * 28, "1" * 29, "1" * 30, "1" * 64, "单号" * 8, "a b"),
    "dest_country": ("CN", "US", "AU", "KR"),
    "direction": ("domestic", "export", "import", "hmt"),
    "dest_adcode": (None, "440111", "990101"),
    "pickup_adcode": ("440111", "510107", "120111", "120112", "990101", "999999"),
    "sender_id_type": (None, "resident_id", "hmt_permit", "passport", "other"),
    "customer_type": ("retail", "agreement", "letter"),
    "goods_form": (None, "powder", "unknown", "liquid"),
}


# What marketplaces append to a name for a virtual number; NAME and 7839 stand for what differs.
APPENDED = tuple(
    form.replace("LABEL", label)
    for label in (
        *(
            "",
            "转",
            "转接",
            "轉",
            "ext",
            "ext.",
            "EXT ",
            "分机",
            "分机号",
            "分機號",
            "尾号",
            "手机尾号",
            "电话尾号",
            "尾数",
        ),
        *("虚拟号", "虚拟号码", "虛擬號碼", "虚拟电话", "隐私号", "隐私号码", "中间号", "临时号", "安全号", "小号"),
        *("4位", "后4位", "后四位", "末四位", "#", ":", "-", "转分机", "分机号:", "虚拟号码:"),
    )
    for form in (
        *(
            "NAMELABEL7839",
            "NAME LABEL7839",
            "NAMELABEL 7839",
            "NAME[LABEL7839]",
            "NAME（LABEL7839）",
            "NAME【LABEL7839】",
        ),
        *("NAME(LABEL 7839)", "NAME，LABEL7839", "NAMELABEL7839[7839]", "NAME_LABEL7839"),
    )
)
_APPENDED_TO = ("张三", "周小测", "李", "欧阳测试", "张＊", "王·国", "JOHN SMITH", "测试")


def appended(chance: random.Random) -> str:
    """A name with what a marketplace appends."""
    number = str(chance.randrange(10 ** chance.choice((1, 3, 4, 4, 6, 8))))
    return chance.choice(APPENDED).replace("NAME", chance.choice(_APPENDED_TO)).replace("7839", number)


def value(kind: str, chance: random.Random) -> bytes | None:
    """One message value: mostly a right record, or one that is nearly right."""
    if chance.random() < 0.15:
        return chance.choice((None, b"", spoiled(_RECORDS[kind], chance), spoiled(_RECORDS[kind], chance)))
    record = dict(_RECORDS[kind])
    for _ in range(chance.choice((0, 1, 2, 4, 8))):
        field = chance.choice(list(record))
        record[field] = _other(field, record[field], chance)
    if chance.random() < 0.1:
        record = altered(record, chance)
    return written(record, chance)


def written(record: dict[str, Any], chance: random.Random) -> bytes:
    """The record as JSON, in one of the ways that producers write it."""
    items = list(record.items())
    if chance.random() < 0.3:
        chance.shuffle(items)
    if chance.random() < 0.3:
        items = [(name, each) for name, each in items if each is not None]
    if chance.random() < 0.1:
        items.insert(chance.randrange(len(items) + 1), (f"x{chance.randrange(3)}", chance.choice(ODD_VALUES)))
    if chance.random() < 0.02 and items:
        items.append(chance.choice(items))
    spaces = chance.choice(("", "", "", " ", "\n\t", "\r\n"))
    ascii_only = chance.random() < 0.4
    fields = [f"{json.dumps(name)}{spaces}:{spaces}{json.dumps(each, ensure_ascii=ascii_only)}" for name, each in items]
    text = f"{spaces}{{{spaces}{f'{spaces},{spaces}'.join(fields)}{spaces}}}{spaces}"
    frame = b"\0" + chance.randbytes(4) if chance.random() < 0.1 else b""
    return frame + text.encode("utf-8", "surrogatepass")


def _other(field: str, given: Any, chance: random.Random) -> Any:
    """Another value for a field: from its list, of odd characters, a changed number, or a value of any kind."""
    match chance.randrange(8):
        case 0:
            return chance.choice(ODD_VALUES)
        case 1 | 2 if isinstance(given, str):
            return "".join(chance.choice(_CHARACTERS) for _ in range(chance.choice((1, 2, 3, 6))))
        case 3 if field == "sender_id_no":
            return chance.choice((*PEOPLE, _number(chance)))
        case 4 if field.endswith("_name") and field != "goods_name":
            return appended(chance)
        case _ if field in _TEXTS:
            return chance.choice(_TEXTS[field])
    if isinstance(given, int) and not isinstance(given, bool):
        return chance.choice((given + chance.randrange(-5, 6), 0, 2**31 - 1, 2**53 - 1, 1_583_020_800_000))
    return given


def _number(chance: random.Random) -> str:
    """An identity number of no region of persons, of any date and often none that there is."""
    year = chance.choice((1890, 1900, 1979, 2000, 2025, 2100))
    region = chance.choice(("440000", "810000", "911156", "999999", "000000"))
    return resident_id(chance.randrange(1_000), f"{year}{chance.randrange(14):02d}{chance.randrange(33):02d}", region)


def values(kind: str, count: int, seed: object) -> list[bytes | None]:
    """So many of them; the same for the same seed."""
    chance = random.Random(f"{kind} {seed}")
    return [value(kind, chance) for _ in range(count)]
