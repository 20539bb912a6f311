"""Why a sign-off is suspect, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import stamp
from detectors.signoff_kernels import FEATURES

if TYPE_CHECKING:
    from detectors.signoffs_kept import Kept

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "impossible": ("扫描时间不可能（早于下单、付款或揽收）", "scans in an impossible order"),
    "instant": ("派件后一分钟左右即签收", "signed about a minute after going out"),
    "fast": ("派件到签收异常快", "signed unusually fast after going out"),
    "no_way": ("无派件记录即签收", "signed without ever going out for delivery"),
    "burst": ("快递员一分钟内批量签收", "signed in a batch with others within a minute"),
    "night": ("在该承运商少见的时段签收", "signed at an hour unusual for the carrier"),
    "heaped": ("卡在整点考核前签收", "signed in the last minutes before a full hour's deadline"),
    "other_city": ("签收城市与收货城市不符", "signed in another city than the address"),
    "other_district": ("签收区县与收货区县不符", "signed in another district than the address"),
    "far": ("签收位置远离收货地址", "signed far from the address"),
    "locker": ("未经预约放入快递柜", "put into a locker nobody had been told of"),
    "station": ("放入驿站", "left at a station"),
    "proxy": ("由他人代收", "signed by somebody else"),
    "safe_place": ("放在指定地点", "left in a place"),
    "courier": ("该快递员可疑签收高于同行", "its courier has more suspect sign-offs than peers"),
    "rescanned": ("签收后又有扫描", "scanned again after it was signed"),
}
_TOLD: Final = ("客户反映未收到", "the customer says it was not received")


def parcel_evidence(
    name: str, kept: Kept, score: float, weights: npt.NDArray[np.float64], cases: float, timezone: str
) -> dict[str, Any]:
    gains, places = kept.row * weights, kept.places
    named = [FEATURES[int(at)] for at in np.argsort(-gains, kind="stable") if gains[at] > 0.3][:4]
    words = [REASONS[feature] for feature in named]
    if kept.told:
        words.insert(0, _TOLD)
    chance, when = round(100 * score), stamp(kept.occurred, timezone)
    zh, en = "；".join(word for word, _ in words), "; ".join(word for _, word in words)
    what = ("订单", "order") if kept.order else ("包裹", "parcel")
    return {
        "carrier": places.carrier,
        "courier": places.courier,
        "facility": places.facility,
        "region": places.region,
        "feed": places.feed,
        "since": kept.occurred,
        "reasons": [*(["not_received"] if kept.told else []), *named],
        "weights": {feature: round(float(gains[FEATURES.index(feature)]), 2) for feature in named},
        "cases": round(cases),
        "zh": f"{what[0]} {name} 于 {when} 的签收有 {chance}% 的可能不实：{zh}",
        "en": f"the sign-off of {what[1]} {name} at {when} is false with {chance} %: {en}",
    }


def courier_evidence(name: str, bad: float, signed: float, rate: float, deviations: float) -> dict[str, Any]:
    share, usual = 100 * bad / max(signed, 1.0), 100 * rate
    return {
        "courier": name,
        "suspect": round(bad, 1),
        "signoffs": round(signed),
        "share": round(share / 100, 4),
        "usual": round(rate, 5),
        "deviations": round(deviations, 1),
        "cases": round(signed),
        "zh": f"快递员 {name} 的签收约 {share:.1f}% 可疑（{signed:.0f} 件中约 {bad:.0f} 件），同行为 {usual:.2f}%",
        "en": f"about {share:.1f} % of courier {name}'s sign-offs are suspect ({bad:.0f} of {signed:.0f}), peers {usual:.2f} %",
    }
