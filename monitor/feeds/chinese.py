"""What Chinese trackers say in words only: whether a parcel came or went, where, and by which courier.

Their codes have one value for "on the way", while the text of a scan says 到达 or 离开. The text refines such a code
and never overrules one that says more. Phrases: the wording of the scans of SF, YTO, ZTO, STO, Yunda, J&T, JD, EMS.
"""

from __future__ import annotations

import hashlib
import re

from monitor.feeds.canonical import Code

_MOVES = re.compile(
    r"(?P<departed>(?<!准备)(?<!将)(?<!即将)(?:已?发往|已?发出|离开|出库|装车))"
    r"|(?P<arrived>(?<!将)(?<!准备)(?:到达|抵达|已收入|入库|到件|卸车))"
    r"|(?P<ready>准备发往|将发往|将到达|分拣|安检|打包)"
)
_STAGES = (
    (re.compile(r"拒收|拒签"), Code("refused")),
    (re.compile(r"已取出|已取走|已取件|取出签收"), Code("collected")),
    (re.compile(r"代收|暂存|已?投柜|已?存入|待取|入柜|到达.{0,12}驿站"), Code("held_for_pickup")),
    (re.compile(r"签收"), Code("delivered")),
    (re.compile(r"派送中|派件中|正在派|安排.{0,4}派送|进行派件|为您派"), Code("out_for_delivery")),
    (re.compile(r"已揽[收件]|已收件|揽收成功|收取快件"), Code("accepted")),
)
_BRACKET = re.compile(r"【([^【】]{2,40})】|\[([^\[\]]{2,40})\]")
_FACILITY = re.compile(
    r"中心|公司|分拨|网点|营业|转运|集散|分部|驿站|柜|机场|集货|处理|枢纽|速递|仓|站|部|点|局|超市|便利店|菜鸟|丰巢"
)
_PHONE = re.compile(r"(?<!\d)(1[3-9]\d{9})(?!\d)")
_PERSONAL = re.compile(r"\d{5,}|电话|先生|女士|派送员|快递员|业务员|小哥")
_LOCKER = re.compile(r"柜|丰巢")
_STATION = re.compile(r"驿站|代收点|站|超市|便利店|店|妈妈")


def movement(context: str) -> Code | None:
    """What the text of a scan says, where the code only says "on the way"."""
    match = _MOVES.search(context)
    if match is None or match.lastgroup == "ready":
        return None
    return Code(str(match.lastgroup))


def stage(context: str) -> Code | None:
    """What the text says where the feed gives no code at all."""
    for pattern, code in _STAGES:
        if pattern.search(context):
            return code
    return movement(context)


def facility(context: str) -> str | None:
    """The first place in brackets; brackets that hold a person or a phone number are passed over."""
    for match in _BRACKET.finditer(context):
        name = (match[1] or match[2]).strip()
        if _FACILITY.search(name) and not _PERSONAL.search(name):
            return name
    return None


def holder(context: str) -> str:
    """Who keeps a parcel that was "signed" by a locker or a station."""
    if _LOCKER.search(context):
        return "locker"
    return "station" if _STATION.search(context) else "unknown"


def courier(context: str, secret: bytes) -> str | None:
    """A pseudonym of the courier named by a phone number: the same number gives the same id, and only who has the
    feed's secret could try all numbers.
    """
    match = _PHONE.search(context)
    if match is None:
        return None
    return "c" + hashlib.blake2b(match[1].encode(), key=secret[:64], digest_size=6).hexdigest()
