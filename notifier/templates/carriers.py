"""What customers call the carriers. Feeds speak in codes of their own; a code that says nothing is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# code of any feed, in lower case: Chinese name, English name
_NAMES: Final[Mapping[tuple[str, ...], tuple[str, str]]] = {
    ("sf", "sf-express", "sfexpress", "shunfeng"): ("顺丰速运", "SF Express"),
    ("yto", "yto-express", "yuantong"): ("圆通速递", "YTO Express"),
    ("zto", "zto-express", "zhongtong"): ("中通快递", "ZTO Express"),
    ("sto", "sto-express", "shentong"): ("申通快递", "STO Express"),
    ("yd", "yunda", "yunda-express"): ("韵达快递", "Yunda Express"),
    ("jt", "jtexpress", "jitu", "jt-express"): ("极兔速递", "J&T Express"),
    ("jd", "jd-express", "jingdong", "jdl"): ("京东物流", "JD Logistics"),
    ("db", "dbl", "deppon", "debangkuaidi"): ("德邦快递", "Deppon Express"),
    ("ems", "china-ems"): ("邮政 EMS", "EMS"),
    ("chinapost", "china-post", "yzpy", "youzhengguonei"): ("中国邮政", "China Post"),
    ("cainiao", "cnsd", "danniao"): ("菜鸟速递", "Cainiao"),
    ("dhl", "dhl-express", "dhl_express"): ("DHL", "DHL"),
    ("ups",): ("UPS", "UPS"),
    ("fedex",): ("联邦快递", "FedEx"),
    ("usps",): ("美国邮政", "USPS"),
    ("dpd",): ("DPD", "DPD"),
    ("royal-mail", "royalmail", "royal_mail"): ("英国皇家邮政", "Royal Mail"),
}
_BY_CODE: Final = {code: names for codes, names in _NAMES.items() for code in codes}
_NAME: Final = re.compile(r"[\w&.'() -]{2,40}")


def carrier_name(code: object, language: str) -> str | None:
    """None where there is no name that a customer would know: numbers, one letter, anything odd."""
    if not isinstance(code, str):
        return None
    known = _BY_CODE.get(code.strip().casefold())
    if known is not None:
        return known[0] if language == "zh" else known[1]
    named = _NAME.fullmatch(code.strip()) and any(mark.isalpha() for mark in code)
    return code.strip() if named else None
