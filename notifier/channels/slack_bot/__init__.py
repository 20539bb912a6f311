"""Slack with a bot token: messages of one incident are a thread, and a message can be edited in place.

HTTP 200 with `"ok": false` is a failure. The first message of an incident is the parent; which one it was is kept for
the latest thousand incidents of this process, so after a restart an incident may get a second parent.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pydantic import Field, SecretStr

from notifier import chat
from notifier.channels.slack import BLOCKS_TOTAL, payload
from notifier.http import Http, Reply, retry_after
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

THREADS = 1_000
_ERRORS = {
    **dict.fromkeys(("ratelimited", "rate_limited"), (Answer.RETRY, Cause.RATE)),
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "missing_scope"),
        (Answer.RETRY, Cause.AUTH),
    ),
    **dict.fromkeys(("msg_too_long", "msg_blocks_too_long"), (Answer.PERMANENT, Cause.TOO_LARGE)),
    **dict.fromkeys(("internal_error", "fatal_error"), (Answer.AMBIGUOUS, Cause.LOST_REPLY)),
    "service_unavailable": (Answer.RETRY, Cause.SERVER),
}


class SlackBotOptions(Options):
    token: Secret = Field(description="xoxb-..., with the scope chat:write")
    channel: str = Field(min_length=1, description="id of the channel, C...")
    api_url: SecretUrl = SecretStr("https://slack.com/api")


class SlackBotChannel:
    Config = SlackBotOptions
    name = "slack_bot"
    capabilities = Capabilities(buttons=True, thread=True, update=True)
    limits = Limits(body_bytes=40_000, per_second=1, per_minute=50)

    def __init__(self, config: SlackBotOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._parents: OrderedDict[str, str] = OrderedDict()

    async def send(self, message: Message, now: Instant) -> SendResult:
        base = self._config.api_url.get_secret_value().rstrip("/")
        parent = self._parents.get(message.thread or "")
        where: dict[str, Any] = {"channel": self._config.channel}
        if message.update_of:
            where["ts"] = message.update_of
        elif parent:
            where["thread_ts"] = parent
        method = "chat.update" if message.update_of else "chat.postMessage"
        body = chat.fit(
            lambda room: {**where, **payload(message, room)}, BLOCKS_TOTAL, self.limits.body_bytes
        )
        headers = {"authorization": f"Bearer {self._config.token.get_secret_value()}"}
        result = await chat.post(
            self._http, f"{base}/{method}", body, now, lambda reply: _judge(reply, now), headers
        )
        if result.provider_id and message.thread and parent is None and not message.update_of:
            self._parents[message.thread] = result.provider_id
            if len(self._parents) > THREADS:
                self._parents.popitem(last=False)
        return result


def _judge(reply: Reply, now: Instant) -> SendResult:
    answer = reply.object()
    if answer.get("ok") is True:
        ts = answer.get("ts")
        return SendResult(Answer.DONE, provider_id=ts if isinstance(ts, str) else None)
    error = answer.get("error")
    if answer.get("ok") is not False or not isinstance(error, str):
        return chat.LOST
    kind, cause = _ERRORS.get(error, (Answer.PERMANENT, Cause.REJECTED))
    return SendResult(kind, cause, retry_after(reply.headers, now), detail=error[:60])
