"""How each kind of feed is configured in the tests, and the pairs of payload and expected events that it brings.

A feed without an entry here or without pairs under `tests/golden/feeds/<kind>/` fails the suite.
`python -m tests.feeds.cases` writes the expected halves anew, for a person to read before committing them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.plugins import FeedSettings
from config.regions import regions
from monitor.feeds.base import Feed, Push, Unreadable
from monitor.feeds.registry import FEEDS, build

GOLDEN = Path(__file__).parent.parent / "golden" / "feeds"
NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
SECRET = "s3cret-of-the-test"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TAGS = {
    "late_parcel": {"category": "logistics", "reason": "late", "severity": "important"},
    "damaged_item": {"category": "product", "reason": "damaged"},
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "17track": {},
    "aftership": {"timezone": "America/New_York"},
    "easypost": {},
    "generic": {
        "map": {
            "event": "complaint",
            "records": "data.items",
            "occurred_at": "when",
            "timezone": "Asia/Shanghai",
            "fields": {
                "complaint_id": "no",
                "status": "state",
                "customer_id": "buyer.id",
                "order_id": "order",
                "category": "kind",
                "satisfaction": "score",
                "region": "area",
                "text": "content",
            },
            "constants": {"channel": "app"},
            "values": {
                "status": {"新建": "opened", "完结": "resolved"},
                "category": {"物流": "logistics", "商品": "product"},
            },
        }
    },
    "gorgias": {"tags": TAGS, "order_pattern": r"\b(T\d{4})\b"},
    "karrio": {"timezone": "America/Denver"},
    "kdniao": {"business_id": "1500001"},
    "kuaidi100": {},
    "shippo": {},
    "shopify": {},
    "wechat_shop": {"aes_key": AES_KEY, "carrier": "jt"},
    "woocommerce": {},
    "zendesk": {"tags": TAGS, "order_pattern": r"\b(T\d{4})\b"},
}


def feed(kind: str, **more: Any) -> Feed:
    section = FeedSettings.model_validate({"secret": SECRET, **OPTIONS[kind], **more, "type": kind})
    return build(kind, section, regions())


def payloads(kind: str) -> list[Path]:
    return sorted(path for path in (GOLDEN / kind).glob("*.json") if not path.name.endswith(".expected.json"))


def pairs() -> list[tuple[str, Path]]:
    return [(kind, path) for kind in FEEDS for path in payloads(kind)]


def push(one: Feed, path: Path, received_at: int = NOW) -> Push:
    said = json.loads(path.read_text(encoding="utf-8"))
    body = json.dumps(said["body"], ensure_ascii=False).encode()
    return one.sign(body, received_at, said.get("headers", {}), said.get("query", {}))


def outcome(one: Feed, pushed: Push) -> dict[str, Any]:
    """What a feed made of a push, as the golden files hold it."""
    try:
        parsed = one.parse(pushed)
    except Unreadable as error:
        return {"unreadable": error.reason.value}
    found = {
        "events": parsed.events,
        "unknown": [{"code": one.code, "event_id": one.event["event_id"]} for one in parsed.unknown],
        "dead": [{"reason": one.reason.value, "detail": one.detail} for one in parsed.dead],
        "unplaced": parsed.unplaced,
        "unwatched": parsed.unwatched,
        "learned": parsed.learned,
        "pending": [asdict_of(one) for one in parsed.pending],
        "skipped": [reason.value for reason in parsed.skipped],
    }
    return {name: value for name, value in found.items() if value}


def asdict_of(value: Any) -> dict[str, Any]:
    return value._asdict() if hasattr(value, "_asdict") else asdict(value)


def main() -> None:
    for kind, path in pairs():
        one = feed(kind)
        text = json.dumps(outcome(one, push(one, path)), ensure_ascii=False, indent=2) + "\n"
        path.with_suffix(".expected.json").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{kind}/{path.stem}\n")


if __name__ == "__main__":
    main()
