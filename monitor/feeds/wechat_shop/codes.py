"""States of a waybill at WeChat Shop. Source: developers.weixin.qq.com, ewaybill_push_path, enumeration `status`.

The only feed that tells into a locker (4) from out of it (9).
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

CODES: Mapping[str, Code] = {
    "0": Code("created"),  # 待揽件
    "1": Code("accepted"),  # 揽收
    "2": Code("in_transit"),  # 运输中
    "3": Code("out_for_delivery"),  # 派件
    "4": Code("held_for_pickup"),  # 入柜
    "5": Code("delivered", "unknown"),  # 签收
    "6": Code("returning"),  # 退回
    "7": Code("in_transit"),  # 转寄
    "8": Code("exception"),  # 异常
    "9": Code("collected"),  # 出柜
    "99": Code("unknown"),  # 其他: the provider itself does not know
}
IN_TRANSIT = frozenset({"2", "7"})
