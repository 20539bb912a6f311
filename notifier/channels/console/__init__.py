"""Messages as lines on standard output: for a first look, and for ops people without a chat.

Recipients are never printed; what a customer would read is.
"""

from __future__ import annotations

import sys
from typing import TextIO

from notifier.http import Http
from notifier.options import Options
from notifier.sending import Answer, Capabilities, Instant, Limits, Message, SendResult


class ConsoleOptions(Options):
    pass


class ConsoleChannel:
    Config = ConsoleOptions
    name = "console"
    capabilities = Capabilities(idempotent=True)  # a line printed twice harms nobody
    limits = Limits()

    def __init__(
        self, _config: ConsoleOptions, _http: Http | None = None, stream: TextIO | None = None
    ) -> None:
        self._stream = stream

    async def send(self, message: Message, now: Instant) -> SendResult:  # noqa: ARG002 -- the protocol's
        print(render(message), file=self._stream or sys.stdout, flush=True)
        return SendResult(Answer.DONE)


def render(message: Message) -> str:
    head = (
        f"[{message.severity}] {message.title}" if not message.customer_id else f"[customer] {message.title}"
    )
    lines = [head, *message.body.splitlines()]
    lines += [f"  {name}: {value}" for name, value in message.fields]
    if message.why:
        lines.append(f"  why: {message.why}")
    if message.link:
        lines.append(f"  {message.link}")
    return "\n".join(lines)
