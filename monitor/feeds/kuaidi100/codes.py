"""Kuaidi100's codes. Source: its table of states (apifox project-514987, api-8562559), cross-checked with the push
example; see facts in docs/feeds.md.

The same digits mean other things at KDNiao (202 is "out for delivery" there): this table is for this feed alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

IN_TRANSIT = frozenset({"0", "1002", "1003", "7"})  # "on the way": the text may say whether it came or went
HELD_BY_OTHERS = frozenset({"304", "501", "205"})  # a locker or a station: the text says which

CODES: Mapping[str, Code] = {
    # 揽收
    "1": Code("accepted"),
    "101": Code("created"),  # 已下单
    "102": Code("created"),  # 待揽收
    "103": Code("accepted"),  # 已揽收
    # 在途
    "0": Code("in_transit"),
    "1001": Code("arrived"),  # 到达派件城市
    "1002": Code("in_transit"),  # 干线
    "1003": Code("in_transit"),  # 转递
    # 派件
    "5": Code("out_for_delivery"),
    "501": Code("held_for_pickup"),  # 投柜或驿站
    # 签收
    "3": Code("delivered", "unknown"),
    "301": Code("delivered", "recipient"),  # 本人签收
    "302": Code("delivered", "unknown"),  # 派件异常后签收
    "303": Code("delivered", "proxy"),  # 代签
    "304": Code("delivered", "station"),  # 投柜或站签收: signed for, and not proof that the customer holds it
    # 退回, 退签
    "6": Code("returning"),
    "4": Code("returned"),
    "401": Code("cancelled"),  # 已销单
    "14": Code("refused"),  # 拒签
    # 转投
    "7": Code("in_transit"),
    # 疑难
    "2": Code("exception"),
    "201": Code("exception"),  # 超时未签收
    "202": Code("exception"),  # 超时未更新
    "203": Code("refused"),  # 拒收
    "204": Code("attempt_failed"),  # 派件异常
    "205": Code("held_for_pickup"),  # 柜或驿站超时未取
    "206": Code("attempt_failed"),  # 无法联系
    "207": Code("exception"),  # 超区
    "208": Code("exception"),  # 滞留
    "209": Code("damaged"),  # 破损
    "210": Code("cancelled"),  # 销单
    # 清关
    "8": Code("customs_entered"),
    "10": Code("customs_entered"),  # 待清关
    "11": Code("customs_entered"),  # 清关中
    "12": Code("customs_cleared"),  # 已清关
    "13": Code("customs_held"),  # 清关异常
}

# What `data[].status` says where an account has no codes (resultv2=1): the names of the states above.
NAMES: Mapping[str, str] = {
    "揽收": "1",
    "已下单": "101",
    "待揽收": "102",
    "已揽收": "103",
    "在途": "0",
    "到达派件城市": "1001",
    "干线": "1002",
    "转递": "1003",
    "派件": "5",
    "投柜或驿站": "501",
    "签收": "3",
    "本人签收": "301",
    "派件异常后签收": "302",
    "代签": "303",
    "投柜或站签收": "304",
    "退回": "6",
    "退签": "4",
    "已销单": "401",
    "拒签": "14",
    "转投": "7",
    "疑难": "2",
    "超时未签收": "201",
    "超时未更新": "202",
    "拒收": "203",
    "派件异常": "204",
    "柜或驿站超时未取": "205",
    "无法联系": "206",
    "超区": "207",
    "滞留": "208",
    "破损": "209",
    "销单": "210",
    "清关": "8",
    "待清关": "10",
    "清关中": "11",
    "已清关": "12",
    "清关异常": "13",
}

# Kuaidi100's names of carriers to the shop's; others keep the name that Kuaidi100 gives.
CARRIERS: Mapping[str, str] = {
    "shunfeng": "sf",
    "yuantong": "yto",
    "zhongtong": "zto",
    "shentong": "sto",
    "yunda": "yunda",
    "jtexpress": "jt",
    "jd": "jd",
    "ems": "ems",
    "youzhengguonei": "chinapost",
    "debangwuliu": "deppon",
    "debangkuaidi": "deppon",
}
