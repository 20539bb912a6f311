"""What templates may speak of, with values: full, bare, and hostile. Every template must stand all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FULL: Final[Mapping[str, Any]] = {
    "kind": "promise_broken",
    "subject": "SF1020304050607",
    "subject_type": "facility",
    "state": "opened",
    "close_reason": None,
    "score": 0.93,
    "since": 1_795_161_600_000,
    "carrier": "SF",
    "facility": "沈阳分拨中心",
    "region": "210100",
    "lane": "SF 310000-210000",
    "segment": "linehaul",
    "age_hours": 52.5,
    "expected_hours": 20.0,
    "limit_hours": 48.0,
    "order_id": "1001",
    "customer_id": "c-1",
    "tracking_number": "SF1020304050607",
    "promised_at": 1_795_248_000_000,
    "overdue": True,
    "customer_region": "210100",
    "texts": {
        "zh": "在沈阳分拨中心停留 52 小时，通常 20 小时",
        "en": "52 h at the hub of Shenyang, usually 20 h",
    },
    "amount": 500,
    "currency": "CNY",
    "minimum_order": 3_000,
    "coupon_code": "SRY7Q2K9MZ4T8AB",
    "coupon_until": 1_797_926_400_000,
}
BARE: Final[Mapping[str, Any]] = {
    **dict.fromkeys(FULL),
    "kind": "promise_broken",
    "subject": "SF1020304050607",
    "subject_type": "parcel",
    "state": "closed",
    "close_reason": "recovered",
    "score": 0.5,
    "since": 1_795_161_600_000,
    "order_id": "1001",
    "customer_id": "c-1",
    "texts": {},
    "amount": 500,
    "currency": "CNY",
    "minimum_order": 0,
    "coupon_code": "SRY7Q2K9MZ4T8AB",
    "coupon_until": 1_797_926_400_000,
}
HOSTILE: Final[Mapping[str, Any]] = {
    **FULL,
    "carrier": "{{ 7*7 }}<b>\u202e\u0000" + "x" * 5_000,
    "facility": "{% for a in b %}",
    "order_id": "1001\r\nBcc: everyone@example.com",
}
AHEAD: Final = 1_795_507_200_000  # a promise that may still be kept
VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "overdue": FULL,
    "carrier unknown": {**FULL, "carrier": None},
    "on its way": {**FULL, "kind": "linehaul_stalled", "overdue": False, "promised_at": AHEAD},
    "on its way, no day promised": {
        **FULL, "kind": "linehaul_stalled", "overdue": False, "promised_at": None,
    },
    "not shipped": {
        **FULL, "kind": "fulfilment_stalled", "overdue": False, "promised_at": AHEAD, "carrier": None,
    },
    "not picked up": {**FULL, "kind": "pickup_stalled", "overdue": False, "promised_at": AHEAD},
    "near the customer": {**FULL, "kind": "delivery_stalled", "overdue": False, "promised_at": AHEAD},
    "on its way back": {**FULL, "kind": "return_stalled"},
    "over": {**FULL, "state": "closed", "close_reason": "delivered"},
}  # fmt: skip
SAMPLES: Final = (FULL, BARE, HOSTILE, *VARIANTS.values())
