"""What the single pages of the desk say, in Chinese and English; `desk.web.words` has what all of them say."""

from __future__ import annotations

from typing import Final

# key: (Chinese, English)
PAGES: Final[dict[str, tuple[str, str]]] = {
    "holds": ("扣留", "Holds"),
    "holds about": (
        "承运人按请求停止分拣、运输和投递，至所示时间为止。到期即须放行或延长。",
        "Carriers stop sorting, transport and delivery on request, until the time shown. At that time, release the "
        "parcel or get a longer hold.",
    ),
    "no holds": ("没有被扣留的快件。", "No parcel is held."),
    "stage breached": ("扣留期间被投递", "Delivered while held"),
    "stage over": ("已到期，须放行", "Over: release these"),
    "stage unconfirmed": ("承运人 15 分钟内未确认", "The carrier has not confirmed within 15 minutes"),
    "stage ending": ("两小时内到期", "End within two hours"),
    "stage requested": ("已请求", "Requested"),
    "stage effective": ("已生效", "In effect"),
    "until": ("到期时间", "Until"),
    "reason and basis": ("原因和依据", "Reason and basis"),
    "wanted": ("请求延长至 {}（{}），等第二人同意。", "Wanted until {} ({}); waits for a second person."),
    "overdue": ("逾期", "Overdue"),
    "nothing overdue": ("没有逾期事项。", "Nothing is overdue."),
    "all stations": ("所有单位", "all stations"),
    "no station": ("尚无单位", "With no station"),
    "owed": ("逾期事项", "What is overdue"),
    "since": ("应于", "Was due"),
    "level": ("已上报至", "Escalated to"),
    "level 0": ("未上报", "nobody yet"),
    "level 1": ("市级", "the prefecture"),
    "level 2": ("省级", "the province"),
    "owed accept": ("签收", "accept"),
    "owed check": ("查验", "check"),
    "owed answer": ("反馈", "answer"),
    "owed release": ("放行或延长扣留", "release, or a longer hold"),
    "owed delivered while held": ("扣留期间被投递", "delivered while held"),
    "owed carrier to confirm the hold": ("承运人确认扣留", "the carrier's confirmation of a hold"),
    "station view": ("本单位", "My station"),
    "no station of yours": ("您的账户不属于任何单位。", "Your account belongs to no station."),
    "nothing owed": ("没有待办事项。", "There is nothing to do."),
    "more to say": ("重量、误报原因、备注", "Weight, why it was wrong, remark"),
    "ahead": ("还有 {}", "{} left"),
    "ago": ("已过 {}", "{} ago"),
    "monitor true": ("开始", "begin"),
    "monitor false": ("结束", "end"),
}
