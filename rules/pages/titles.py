"""What columns, values and actions are called, for people, in both languages."""

from __future__ import annotations

from typing import Final

from rules.pages.words import word
from schemas.rulefile import Language

# column: (Chinese, English)
_COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "carrier_code": ("快递企业", "carrier"),
    "outlet_id": ("收寄网点", "outlet"),
    "courier_id": ("收寄员", "courier"),
    "picked_up_at": ("收寄时间", "accepted at"),
    "pickup_adcode": ("收寄地", "accepted in"),
    "pickup_place": ("收寄方式", "kind of place"),
    "customer_type": ("客户类型", "kind of customer"),
    "retail": ("散户件", "retail parcel"),
    "direction": ("流向", "direction"),
    "dest_country": ("寄达国家或地区", "destination country"),
    "dest_adcode": ("寄达地", "destination"),
    "priority_origin": ("重点地区始发", "from a priority origin"),
    "priority_lane": ("重点线路", "on a priority lane"),
    "realname_method": ("实名登记方式", "how the identity was recorded"),
    "realname_check": ("实名核验结果", "identity check"),
    "agent_submitted": ("代理人交寄", "handed in by an agent"),
    "sender_id_type": ("证件类型", "kind of ID"),
    "sender_id_given": ("有证件号", "ID number given"),
    "sender_id_masked": ("证件号已脱敏", "ID number masked"),
    "sender_id_valid": ("证件号有效", "ID number can exist"),
    "sender_id_fault": ("证件号错误", "fault of the ID number"),
    "sender_name_given": ("有寄件人姓名", "sender's name given"),
    "sender_name_masked": ("姓名已脱敏", "sender's name masked"),
    "sender_name_placeholder": ("姓名为占位词", "sender's name is a placeholder"),
    "goods_class": ("物品形态", "class of goods"),
    "goods_controlled": ("品名含管制物质或伪装名", "goods name holds a controlled term"),
    "goods_hinted": ("品名疑似含管制物质", "goods name may hold a controlled term"),
    "goods_vague": ("品名空泛", "goods name says nothing"),
    "goods_term": ("命中词", "term found"),
    "goods_term_kind": ("命中词类别", "kind of term"),
    "goods_trick": ("规避写法", "how it was written"),
    "declared_value_fen": ("声明价值", "declared value"),
    "freight_fen": ("运费", "freight"),
    "weight_g": ("重量", "weight"),
    "pieces": ("件数", "pieces"),
    "sender_parcels_24h": ("该证件 24 小时内寄件数", "parcels on this ID in 24 h"),
    "sender_earlier_90d": ("该证件 90 天内此前寄件数", "earlier parcels on this ID in 90 d"),
    "sender_names_90d": ("该证件 90 天内姓名数", "names on this ID in 90 d"),
    "sender_outlets_90d": ("该证件 90 天内网点数", "outlets used with this ID in 90 d"),
    "sender_provinces_24h": ("该证件 24 小时内收寄省份数", "provinces of this ID in 24 h"),
    "sender_previous_km": ("距上一件收寄地", "distance from the previous parcel"),
    "sender_previous_h": ("距上一件时间", "time since the previous parcel"),
    "phone_ids_30d": ("该手机 30 天内证件数", "IDs with this phone in 30 d"),
    "phone_parcels_24h": ("该手机 24 小时内寄件数", "parcels with this phone in 24 h"),
    "recipient_senders_14d": (
        "14 天内重点地区寄给该收件人的证件数",
        "IDs from priority origins to this recipient in 14 d",
    ),
    "courier_ids_60s": ("该收寄员 60 秒内登记证件数", "IDs recorded by this courier in 60 s"),
    "courier_clones_1h": ("该收寄员 1 小时内雷同件数", "alike parcels of this courier in 1 h"),
    "courier_clone_ids_1h": ("雷同件证件数", "IDs among the alike parcels"),
    "outlet_prefix_ids_24h": ("该网点 24 小时内前 14 位相同证件数", "IDs alike in 14 digits at this outlet in 24 h"),
    "saturated": ("计数为下限", "counts are lower bounds"),
    "outlet_known": ("网点已备案", "outlet known"),
    "licence_in_force": ("许可有效", "licence in force"),
    "licence_covers_place": ("许可地域相符", "licence covers the place"),
    "licence_covers_service": ("许可业务相符", "licence covers the service"),
    "couriers_loaded": ("有收寄员名册", "register of couriers loaded"),
    "courier_registered": ("收寄员已登记", "courier registered"),
    "sender_id_is_courier": ("证件属收寄员", "ID is a courier's"),
    "sender_phone_is_courier": ("手机属收寄员", "phone is a courier's"),
    "scans": ("扫描次数", "scans"),
    "inspections": ("查验次数", "inspections"),
    "first_scan_at": ("首次扫描", "first scan"),
    "departed_at": ("首次发出", "first departure"),
    "departed_uninspected": ("未查验即发出", "left without an inspection"),
    "doubtful_departures": ("查验存疑后发出次数", "departures after a doubtful inspection"),
    "home_delivery_at": ("本地首次派送", "first out for delivery here"),
    "second_xray_missing": ("缺二次过机", "second X-ray missing"),
    "weight_change_g": ("重量差", "change of weight"),
    "unregistered_24h": ("24 小时无收寄记录", "no shipment record in 24 h"),
    "unmoved_48h": ("48 小时无后续扫描", "not moved in 48 h"),
    "delivered_elsewhere": ("外省签收", "delivered in another province"),
    "delivered_elsewhere_h": ("外省签收用时", "time to delivery in another province"),
    "open_box_s": ("开箱验视最短用时", "shortest open-box check"),
}

# Values of text columns: (Chinese, English). One that stands for different things has its column before it.
_VALUES: Final[dict[str, tuple[str, str]]] = {
    "pickup_place outlet": ("网点", "outlet"),
    "pickup_place door": ("上门", "at the door"),
    "pickup_place fixed_site": ("固定场所", "fixed site"),
    "pickup_place non_fixed": ("非固定场所", "street"),
    "pickup_place locker": ("快递柜", "locker"),
    "pickup_place stall": ("摊点", "stall"),
    "customer_type retail": ("散户", "retail"),
    "customer_type agreement": ("协议客户", "agreement"),
    "customer_type letter": ("信件", "letter"),
    "direction domestic": ("国内", "domestic"),
    "direction export": ("出口", "export"),
    "direction import": ("进口", "import"),
    "direction hmt": ("港澳台", "Hong Kong, Macau, Taiwan"),
    "realname_method reader": ("读卡", "card reader"),
    "realname_method ocr": ("拍照识别", "photo"),
    "realname_method manual": ("手工录入", "typed in"),
    "realname_method reuse": ("复用", "reused"),
    "realname_method agreement": ("协议客户", "agreement"),
    "realname_method none": ("未登记", "none"),
    "realname_check pass": ("通过", "passed"),
    "realname_check fail": ("未通过", "failed"),
    "realname_check not_done": ("未核验", "not done"),
    "sender_id_type resident_id": ("居民身份证", "resident ID"),
    "sender_id_type hmt_permit": ("港澳台证件", "Hong Kong, Macau, Taiwan permit"),
    "sender_id_type passport": ("护照", "passport"),
    "sender_id_type military": ("军人证件", "military ID"),
    "sender_id_type uscc": ("统一社会信用代码", "company code"),
    "sender_id_type other": ("其他", "other"),
    "sender_id_fault length": ("长度", "length"),
    "sender_id_fault characters": ("字符", "characters"),
    "sender_id_fault date": ("日期", "date"),
    "sender_id_fault region": ("地区", "region"),
    "sender_id_fault check_digit": ("校验码", "check digit"),
    "sender_id_fault future": ("出生日期晚于收寄", "born after pickup"),
    "sender_id_fault too_old": ("收寄时已满 110 岁", "over 110 years at pickup"),
    "goods_term_kind narcotic": ("麻醉药品", "narcotic"),
    "goods_term_kind psychotropic": ("精神药品", "psychotropic"),
    "goods_term_kind non_medical": ("非药用类", "controlled, no medicine"),
    "goods_term_kind street_name": ("俗称", "street name"),
    "goods_term_kind precursor": ("易制毒化学品", "precursor"),
    "goods_trick plain": ("原样", "as it is"),
    "goods_trick separated": ("插入分隔", "with separators"),
    "goods_trick characters": ("替换字符", "other characters"),
    "goods_trick sound": ("谐音", "by its sound"),
    "goods_trick pinyin": ("拼音", "pinyin"),
    "goods_trick mixed": ("汉字拼音混写", "characters and pinyin"),
    "goods_trick initials": ("拼音首字母", "initials"),
    "goods_trick shape": ("形近字", "look-alike characters"),
    "goods_trick order": ("颠倒次序", "in another order"),
    "goods_trick parts": ("拆字", "characters taken apart"),
    "goods_trick filler": ("夹杂字", "with filler between"),
    "goods_trick doubled": ("叠字", "doubled characters"),
    "goods_trick misspelt": ("拼写有误", "misspelt"),
    "goods_class powder": ("粉末", "powder"),
    "goods_class liquid": ("液体", "liquid"),
    "goods_class solid": ("固体", "solid"),
    "goods_class gas": ("气体", "gas"),
    "goods_class mixed": ("混合", "mixed"),
    "goods_class unknown": ("不明", "not known"),
}


def column_title(name: str, lang: Language) -> str:
    """What a column is called; its name where nobody has given it a title."""
    return _in(lang, _COLUMNS.get(name)) or name


def value_title(column: str, value: str, lang: Language) -> str:
    """What a value of a text column is called; the value itself where it is no term of a list."""
    return _in(lang, _VALUES.get(f"{column} {value}")) or value


def action_title(action: str, lang: Language) -> str:
    """What is to be done."""
    return word(action, lang)


def _in(lang: Language, both: tuple[str, str] | None) -> str:
    return "" if both is None else both[lang == "en"]
