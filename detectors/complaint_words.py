"""What a complaint spike's finding says: numbers a person can check, and one sentence in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

HARDLY_ANY: Final = 0.5  # cases
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "late": ("配送延误", "late delivery"),
    "no_update": ("物流停滞", "no tracking update"),
    "where_is_it": ("催件", "where is it"),
    "false_delivery": ("虚假签收", "false delivery"),
    "lost": ("丢件", "lost parcels"),
    "damaged": ("破损", "damaged goods"),
    "wrong_item": ("发错货", "wrong item"),
    "quality": ("质量问题", "quality"),
    "promotion": ("促销争议", "promotions"),
    "refund_slow": ("退款慢", "slow refunds"),
    "product": ("商品", "products"),
    "logistics": ("物流", "logistics"),
    "service": ("服务", "service"),
    "order": ("订单", "orders"),
    "unknown": ("未分类", "no category"),
}


def sentences(place: tuple[str, str], about: str | None, evidence: Mapping[str, Any]) -> dict[str, str]:
    """`about`: the one reason, category or carrier that the numbers are of; none: all complaints."""
    hours, seen, usual, ratio = (evidence[name] for name in ("hours", "seen", "expected", "ratio"))
    zh_matter, en_matter = REASONS.get(about or "", (about or "", about or ""))
    start = evidence["since_local"]
    recent = evidence["running_hours"] > hours
    zh = (
        f"{place[0]}{zh_matter}投诉激增：自 {start} 起{'，最近' if recent else ''} {hours} 小时内 {seen} 起，"
    )
    en = (
        f"complaints{f' about {en_matter}' if about else ''} from {place[1]}: {seen} in "
        f"{f'the last {hours} hours, rising' if recent else f'{hours} hours'} since {start}, "
    )
    if usual < HARDLY_ANY:
        zh += "平常几乎没有"
        en += "where hardly any are usual"
    else:
        zh += f"平常约 {usual} 起，为平常的 {ratio} 倍"
        en += f"where about {usual} are usual, {ratio} times the usual"
    if evidence["reasons"] and not about:
        names = [
            (*REASONS.get(one["name"], (one["name"], one["name"])), one["seen"])
            for one in evidence["reasons"]
        ]
        zh += "；主要原因：" + "、".join(f"{name} {seen} 起" for name, _, seen in names)
        en += "; mostly " + ", ".join(f"{name} ({seen})" for _, name, seen in names)
    if evidence["carriers"]:
        zh += "；主要承运商：" + "、".join(f"{one['name']} {one['seen']} 起" for one in evidence["carriers"])
        en += "; carried by " + ", ".join(f"{one['name']} ({one['seen']})" for one in evidence["carriers"])
    return {"zh": zh, "en": en}
