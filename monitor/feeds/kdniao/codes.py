"""KDNiao's codes. Sources: the push interface as documented for shops (apifox docs-site 2538027, doc-2283185) for 1 to 412;
a public client's model for the rest; 601 to 604 from memory of the customs states.

311 is read as the document has it, "taken out of the locker or station"; an older list calls it "signed by locker".
The same digits mean other things at Kuaidi100 (202 is "no update in time" there): this table is for this feed alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.feeds.canonical import Code

IN_TRANSIT = frozenset({"2", "5"})

CODES: Mapping[str, Code] = {
    "0": Code("created"),  # 无轨迹
    "10": Code("created"),  # 待揽件
    "1": Code("accepted"),
    "2": Code("in_transit"),
    "201": Code("arrived"),  # 到达派件城市
    "204": Code("arrived"),  # 到达转运中心
    "205": Code("arrived"),  # 到达派件网点
    "206": Code("departed"),  # 寄件网点发件
    "202": Code("out_for_delivery"),  # 派件中
    "211": Code("held_for_pickup"),  # 已放入快递柜或驿站
    "3": Code("delivered", "unknown"),
    "301": Code("delivered", "unknown"),  # 正常签收
    "302": Code("delivered", "unknown"),  # 轨迹异常后最终签收
    "304": Code("delivered", "proxy"),  # 代收签收
    "311": Code("collected"),  # 已取出快递柜或驿站
    "4": Code("exception"),
    "401": Code("exception"),  # 发货无信息
    "402": Code("exception"),  # 超时未签收
    "403": Code("exception"),  # 超时未更新
    "404": Code("refused"),  # 拒收
    "405": Code("attempt_failed"),  # 派件异常
    "406": Code("returned"),  # 退货签收
    "407": Code("returning"),  # 退货未签收
    "412": Code("held_for_pickup"),  # 超时未取
    "413": Code("exception"),  # 单号已拦截
    "414": Code("damaged"),  # 破损
    "415": Code("cancelled"),  # 客户取消发货
    "416": Code("attempt_failed"),  # 无法联系
    "417": Code("exception"),  # 配送延迟
    "418": Code("collected"),  # 快件取出
    "419": Code("out_for_delivery"),  # 重新派送
    "420": Code("exception"),  # 地址不详
    "421": Code("exception"),  # 电话错误
    "422": Code("exception"),  # 错分件
    "423": Code("exception"),  # 超区件
    "5": Code("in_transit"),  # 转寄
    "6": Code("customs_entered"),
    "601": Code("customs_entered"),  # 待清关
    "602": Code("customs_entered"),  # 清关中
    "603": Code("customs_cleared"),  # 已清关
    "604": Code("customs_held"),  # 清关异常
}

CARRIERS: Mapping[str, str] = {
    "SF": "sf",
    "YTO": "yto",
    "ZTO": "zto",
    "STO": "sto",
    "YD": "yunda",
    "JTSD": "jt",
    "JD": "jd",
    "EMS": "ems",
    "YZPY": "chinapost",
    "DBL": "deppon",
    "DBLKY": "deppon",
}
