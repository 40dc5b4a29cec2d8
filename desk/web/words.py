"""What the pages of the desk say around clues, in Chinese and English."""

from __future__ import annotations

from typing import Final

from desk.web.page_words import PAGES
from desk.words import say
from rules.pages.words import LANGUAGES, Language

# key: (Chinese, English)
PAGE: Final[dict[str, tuple[str, str]]] = {
    **PAGES,
    "desk": ("线索台", "Desk"),
    "skip": ("跳到正文", "Skip to the content"),
    "other language": ("English", "中文"),
    "log out": ("退出", "Log out"),
    "log in": ("登录", "Log in"),
    "token": ("令牌", "Token"),
    "user": ("用户", "User"),
    "password": ("密码", "Password"),
    "with token": ("用令牌登录", "Log in with a token"),
    "login about": ("会话 8 小时后结束。", "You stay logged in for eight hours."),
    "login unknown": ("用户、密码或令牌不对。", "User, password or token are not right."),
    "login too many": ("失败次数过多，请 15 分钟后再试。", "Too many tries. Try again in 15 minutes."),
    "queue": ("待办线索", "Queue"),
    "filters": ("筛选", "Filter"),
    "show": ("显示", "Show"),
    "tier from": ("等级不低于", "Tier at least"),
    "states": ("状态", "State"),
    "open states": ("未结", "all that are not closed"),
    "place": ("地区代码开头", "Place code begins with"),
    "rule": ("规则", "Rule"),
    "any": ("不限", "any"),
    "station": ("单位", "Station"),
    "count": ("共 {} 条", "{} in all"),
    "first": ("只显示前 {} 条，请缩小筛选范围。", "Only the first {} are shown; narrow the filter."),
    "first page": ("回到首页", "First page"),
    "next page": ("下一页", "Next page"),
    "waits": ("写入中", "being written"),
    "waits about": (
        "已写入，尚未读回；稍后刷新本页即可看到。",
        "Written, and not read back yet. Load this page again soon to see it.",
    ),
    "none": ("没有符合条件的线索。", "No clue fits."),
    "tier": ("等级", "Tier"),
    "due": ("剩余时间", "Time left"),
    "parcel": ("运单", "Parcel"),
    "why": ("原因", "Why"),
    "state": ("状态", "State"),
    "left": ("{}：剩 {}", "{}: {} left"),
    "late": ("{}：已超 {}", "{}: {} late"),
    "min": ("{} 分钟", "{} min"),
    "hours": ("{} 小时", "{} h"),
    "days": ("{} 天", "{} d"),
    "as ordered": ("按要求检查", "check as ordered"),
    "back": ("返回待办", "Back to the queue"),
    "clue": ("线索", "Clue"),
    "reasons": ("预警原因", "Reasons"),
    "evidence": ("证据", "Evidence"),
    "limits": ("阈值", "Limits"),
    "more": ("依据、漏报情形和处置建议", "Why, what it misses, what to do first"),
    "rule why": ("依据", "Why"),
    "misses": ("漏报情形", "What it misses"),
    "triage": ("处置建议", "What to do first"),
    "other rules": (
        "预警依据的规则与本机规则文件不同，阈值可能不同。",
        "The alert was judged by other rules than this desk's files; limits may have differed.",
    ),
    "unknown": ("无法判定", "Cannot be told"),
    "do": ("处置", "To do"),
    "about parcel": ("快件", "Parcel"),
    "from": ("收寄地", "From"),
    "to": ("寄达地", "To"),
    "goods": ("品名", "Goods"),
    "goods_class": ("物品形态", "Form of the goods"),
    "term": ("命中词", "Controlled term"),
    "weight": ("重量", "Weight"),
    "sender": ("寄件人", "Sender"),
    "recipient": ("收件人", "Recipient"),
    "persons": (
        "姓名只显示首字；记号不能还原为号码。",
        "Names are masked. A token cannot be turned back into a number.",
    ),
    "timeline": ("运输过程", "Timeline"),
    "no trace": ("还没有轨迹。", "There is no trace yet."),
    "gaps": ("已过保存期的事件：{}。", "Events that are past retention: {}."),
    "when": ("时间", "When"),
    "what": ("事项", "What"),
    "where": ("地点", "Where"),
    "facility": ("场所", "Facility"),
    "result": ("结果", "Result"),
    "log": ("全部记录", "Log"),
    "who": ("办理人", "Who"),
    "details": ("内容", "Details"),
    "not counted": ("未生效", "does not count"),
    "act": ("办理", "Act"),
    "nothing to do": ("您现在不能办理此线索。", "There is nothing you can do about this clue now."),
    "choose": ("请选择", "choose"),
    "judge": ("每条规则是否判定正确？", "Was each rule right?"),
    "judge about": (
        "只判断了部分规则时，其余按“无法判断”计；未发现问题且未判断任何规则时，全部按“错误”计。",
        "If you judge some rules, those left open count as “cannot tell”. If nothing was found and you judge none, "
        "all count as wrong.",
    ),
    "right": ("正确", "right"),
    "wrong": ("错误", "wrong"),
    "unsure": ("无法判断", "cannot tell"),
    "no persons": ("请勿填写姓名、证件号或手机号。", "No names, ID numbers or mobile numbers."),
    "raced": (
        "未生效：在您查看之后，他人先办理了。线索现在是“{}”，单位 {}。请查看记录后再决定。",
        "This does not count: somebody else came first. The clue is now {}, with station {}. Look at the log, "
        "then decide again.",
    ),
    "not possible": ("未生效：", "This does not count: "),
    "withdrawn": ("已撤回。", "It was withdrawn."),
    "changed": ("预警等级现在是{}。", "The alert's tier is {} now."),
    "second": ("需要第二人复核。", "A second person has to confirm the answer."),
    "hold": ("扣留：{}，至 {}。", "Hold: {} until {}."),
    "sorry": ("无法显示", "Cannot be shown"),
    "error 403": ("您的角色无权这样做。", "Your roles do not allow it."),
    "error 404": ("没有这样的线索，或您无权查看。", "There is no such clue, or it is not for you."),
    "error 413": ("内容过长。", "That is too long."),
    "error 422": ("请求的形式不对。", "The request has not the right form."),
    "error 503": ("消息系统没有应答，请稍后再试。", "The broker does not answer. Try again soon."),
}


def tell(key: str, lang: Language) -> str:
    """The words for `key`: those of pages, else those of the desk."""
    found = PAGE.get(key)
    return found[LANGUAGES.index(lang)] if found else say(key, lang)
