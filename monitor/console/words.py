"""The console's own words; those of incidents are the templates' of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from notifier.ops_message import words as ops_words

LOCALES: Final = ("zh-CN", "en")
_PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "now": ("现况", "Now"),
    "incidents": ("事件", "Incidents"),
    "history": ("已恢复", "Resolved"),
    "approvals": ("待批准", "Approvals"),
    "silences": ("静默", "Silences"),
    "dead_letters": ("死信", "Dead letters"),
    "config": ("配置", "Config"),
    "search": ("查包裹、订单、客户或编号", "Find a parcel, order, customer or id"),
    "find": ("查找", "Find"),
    "sign_in": ("登录", "Sign in"),
    "sign_out": ("退出", "Sign out"),
    "token": ("令牌", "Token"),
    "name": ("姓名（写入审计）", "Your name, for the audit log"),
    "wrong_token": ("令牌不对", "This token is not known here"),
    "skip": ("跳到内容", "Skip to content"),
    "mode": ("模式", "Mode"),
    "lag": ("延迟", "Lag"),
    "live_parcels": ("在途件", "Live parcels"),
    "open_findings": ("未结发现", "Open findings"),
    "firing": ("告警中", "Firing"),
    "pending": ("待确认", "Pending"),
    "resolved": ("已恢复", "Resolved"),
    "money_at_risk": ("涉及金额", "Money at risk"),
    "budgets": ("预算", "Budgets"),
    "spent": ("已用", "spent"),
    "left": ("剩余", "left"),
    "outbox": ("待发", "Outbox"),
    "map": ("地区", "Regions"),
    "nothing": ("没有", "Nothing here"),
    "all_calm": ("目前没有告警", "Nothing fires now"),
    "place": ("位置", "Where"),
    "since": ("开始", "Since"),
    "parcels": ("件数", "Parcels"),
    "severity": ("级别", "Severity"),
    "kind": ("类型", "Kind"),
    "state": ("状态", "State"),
    "muted": ("静音", "Muted"),
    "by": ("由", "by"),
    "timeline": ("经过", "Timeline"),
    "evidence": ("依据", "Evidence"),
    "subject": ("对象", "Subject"),
    "sent": ("已发送", "What was sent"),
    "why_not": ("为何未通知", "Why nobody was told"),
    "actions": ("操作", "Actions"),
    "acknowledge": ("认领", "Acknowledge"),
    "snooze": ("推迟", "Snooze"),
    "silence": ("静默", "Silence"),
    "resolve": ("关闭事件", "Close the incident"),
    "note": ("备注", "Note"),
    "reason": ("理由", "Reason"),
    "hours": ("小时", "Hours"),
    "matchers": ("匹配条件，每行一条", "Matchers, one a line"),
    "preview": ("预览", "Preview"),
    "hides": ("将静默的事件", "It would hide"),
    "create": ("建立", "Create"),
    "expire": ("立即结束", "End now"),
    "author": ("作者", "Author"),
    "until": ("到", "Until"),
    "approve": ("批准", "Approve"),
    "reject": ("驳回", "Reject"),
    "amount": ("金额", "Amount"),
    "story": ("经历", "Story"),
    "decision": ("决定", "Decision"),
    "unknown_subject": ("没有这个编号的记录", "Nothing is known of this id"),
    "payload": ("内容", "Payload"),
    "replay": ("重新处理", "Take again"),
    "precision": ("规则准确率（按反馈）", "Precision of rules, by answers"),
    "useful": ("有用", "useful"),
    "noise": ("误报", "noise"),
    "held_back": ("未发送的通知", "Notifications held back"),
    "rule": ("规则", "Rule"),
    "more": ("更多", "More"),
    "confirm": ("确认", "Confirm"),
    "done": ("已完成", "Done"),
    "link_malformed": ("链接不完整", "This link is not complete"),
    "link_forged": ("链接无效", "This link is not one of ours"),
    "link_expired": ("链接已过期", "This link has expired"),
    "link_used": ("链接已用过", "This link was used before"),
    "will": ("确认后将执行", "If you confirm, this will be done"),
    "your_name": ("你的姓名", "Your name"),
    "read_only": ("只读", "read-only"),
    "not_found": ("没有这一页", "There is no such page"),
    "open": ("未结", "open"),
    "total": ("累计", "in all"),
    "maintenance": ("维护窗口", "Planned work"),
    "language": ("English", "中文"),
    "theme": ("明/暗", "Light/dark"),
    "money": ("金额", "Money"),
    "advice": ("建议", "To do"),
    "attempts": ("次数", "Attempts"),
    "channel": ("渠道", "Channel"),
}
_WHY: Final[Mapping[str, tuple[str, str]]] = {
    "opened": ("出现", "opened"),
    "confirmed": ("确认并告警", "confirmed, it fires"),
    "passed": ("未确认即消失", "gone before it fired"),
    "grew": ("数量翻倍", "twice as many"),
    "cause_found": ("并入上级事件", "taken over by its cause"),
    "recovered": ("恢复", "recovered"),
    "closed_by_person": ("人工关闭", "closed by a person"),
    "acknowledged": ("已认领", "acknowledged"),
    "snoozed": ("已推迟", "snoozed"),
    "woke": ("推迟结束", "the snooze ended"),
    "escalated": ("升级", "escalated"),
    "inhibited": ("被上级事件抑制", "muted by its cause"),
    "silenced": ("被静默", "silenced"),
    "maintenance": ("维护窗口内", "planned work"),
    "heard_again": ("不再静音", "heard again"),
    "note": ("备注", "note"),
    "waiting": ("等待合并", "waits for its group"),
    "ended_untold": ("通知前已结束", "over before anybody was told"),
    "not_resolved_wanted": ("该路由不发恢复", "the route sends no endings"),
    "rate": ("等待机器人限额", "waits for the robot's limit"),
    "no_route": ("没有匹配的路由", "no route takes it"),
}


def words(locale: str) -> dict[str, str]:
    index = LOCALES.index(locale)
    return {name: pair[index] for name, pair in _PAIRS.items()}


def why(locale: str) -> dict[str, str]:
    index = LOCALES.index(locale)
    return {name: pair[index] for name, pair in _WHY.items()}


def incident_words(locale: str) -> Mapping[str, Mapping[str, str]]:
    return ops_words()[locale]
