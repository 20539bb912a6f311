"""Two customers: one complains twice about a late order, the other about two different things."""

from __future__ import annotations

from detectors.clock import HOUR
from tests.recordings.windows import MONDAY, rows, window

SAID = (
    (1, "A", "C1", "O1", "late", "opened"),
    (2, "B", "C2", "O2", "damaged", "opened"),
    (5, "C", "C1", "O1", "lost", "opened"),
    (6, "D", "C2", "O2", "refund_slow", "opened"),
    (9, "C", "C1", "O1", "lost", "resolved"),
)
WINDOWS = [
    window(
        MONDAY + (hour - 1) * HOUR,
        MONDAY + hour * HOUR,
        complaints=rows(
            "complaints",
            [
                {
                    "complaint_id": complaint,
                    "status": status,
                    "occurred": MONDAY + hour * HOUR,
                    "received": MONDAY + hour * HOUR,
                    "customer_id": customer,
                    "order_id": order,
                    "reason": reason,
                    "category": "logistics",
                }
                for at, complaint, customer, order, reason, status in SAID
                if at == hour
            ],
        ),
    )
    for hour in range(1, 12)
]
