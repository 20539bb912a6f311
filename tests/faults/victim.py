"""`forestall run`, made to be killed at a named point of its way.

    python -m tests.faults.victim '{"die_at": "after_begin", "die_after": 3, "lease_ms": 2500}' run --config FILE

The program is the real one, from the command line to the store; failpoints wrap methods of its parts in this process
alone, and the product has no switch for them. `lease_ms` and `deadline` shorten what a test would wait for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import monitor.app
from monitor.assembly import delivery_rules
from monitor.cli.main import main
from monitor.directory import Directory
from monitor.loop import Checkpoints
from monitor.remembered import Remembered
from monitor.stream import EventStream
from notifier.channels.webhook import WebhookChannel
from notifier.delivery import DeliveryRules
from notifier.http import Http
from notifier.ledger import Ledger
from notifier.outbox import Outbox
from notifier.pacing import Backoff
from notifier.sending import Capabilities

# On the way of an event: what is wrapped, and the points before and after it.
WAY: Final = (
    (Directory, "remember", "before_remember", "after_remember"),
    (Remembered, "write", "before_judged", "after_judged"),
    (Ledger, "claim_all", "before_claim", "after_claim"),
    (Outbox, "begin", "before_begin", "after_begin"),
    (Http, "request", "before_request", "after_reply"),
    (Outbox, "finish", "before_finish", "after_finish"),
    (Checkpoints, "write", "before_checkpoint", "after_checkpoint"),
    (EventStream, "trim", "before_trim", "after_trim"),
)
POINTS: Final = tuple(point for *_, before, after in WAY for point in (before, after))


class Failpoint:
    """Dies without a word at the n-th passing of a named point."""

    def __init__(self, name: str, after: int) -> None:
        self.name, self.after = name, after

    def passing(self, name: str) -> None:
        if name == self.name:
            self.after -= 1
            if self.after <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, part: type, method: str, before: str, after: str) -> None:
        original: Callable[..., Any] = getattr(part, method)

        async def wrapped(self_: Any, *arguments: Any, **named: Any) -> Any:
            self.passing(before)
            answer = await original(self_, *arguments, **named)
            self.passing(after)
            return answer

        setattr(part, method, wrapped)


def hurry(lease_ms: int) -> None:
    def rules(settings: Any) -> DeliveryRules:
        return replace(delivery_rules(settings), lease_ms=lease_ms, backoff=Backoff(0.1, 1.0))

    monitor.app.delivery_rules = rules  # type: ignore[attr-defined]


def prepare(options: dict[str, Any]) -> None:
    if "die_at" in options:
        failpoint = Failpoint(options["die_at"], int(options.get("die_after", 1)))
        for part, method, before, after in WAY:
            failpoint.wrap(part, method, before, after)
    if "lease_ms" in options:
        hurry(int(options["lease_ms"]))
    if "deadline" in options:
        defaults = Http.__init__.__kwdefaults__
        assert defaults is not None
        defaults["deadline"] = float(options["deadline"])
    if options.get("keyless"):
        WebhookChannel.capabilities = Capabilities()


if __name__ == "__main__":
    prepare(json.loads(sys.argv.pop(1)))
    main()
