"""Slack with a bot token: messages of one incident are a thread, and its first message is edited in place.

HTTP 200 with `"ok": false` is a failure. A picture is uploaded into the thread, which needs no address that Slack can
reach but the scope `files:write`; without it the words go alone. An edit is safe to repeat, so a lost reply to one is
tried again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from notifier import chat
from notifier.channels.slack import BLOCKS_TOTAL, payload
from notifier.http import Http, Reply, json_bytes, retry_after
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

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
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
FORM = "application/x-www-form-urlencoded"


class SlackBotOptions(Options):
    token: Secret = Field(description="xoxb-..., with the scope chat:write; files:write for charts")
    channel: str = Field(min_length=1, description="id of the channel, C...")
    api_url: SecretUrl = SecretStr("https://slack.com/api")


class SlackBotChannel:
    Config = SlackBotOptions
    name = "slack_bot"
    capabilities = Capabilities(buttons=True, thread=True, update=True, image=True, acknowledge=True)
    limits = Limits(body_bytes=40_000, per_second=1, per_minute=50)

    def __init__(self, config: SlackBotOptions, http: Http) -> None:
        self._channel = config.channel
        self._base = config.api_url.get_secret_value().rstrip("/")
        self._headers = {"authorization": f"Bearer {config.token.get_secret_value()}"}
        self._http = http

    def fits(self, message: Message) -> bool:
        return chat.whole(lambda room: payload(message, room), BLOCKS_TOTAL, self.limits.body_bytes)

    async def send(self, message: Message, now: Instant) -> SendResult:
        result = await self._say(message, now)
        if result.detail in GONE and (message.update_of or message.reply_to):
            return await self.send(replace(message, update_of=None, reply_to=None), now)
        if message.update_of and result.answer is Answer.AMBIGUOUS:
            return SendResult(Answer.RETRY, Cause.SERVER, result.retry_after, detail=result.detail)
        if result.answer is Answer.DONE and message.image and result.provider_id and not message.update_of:
            await self._picture(message.image, message.reply_to or result.provider_id, now)
        return result  # the words are what counts: a picture that fails is not sent again

    async def _say(self, message: Message, now: Instant) -> SendResult:
        where: dict[str, Any] = {"channel": self._channel}
        if message.update_of:
            where["ts"] = message.update_of
        elif message.reply_to:
            where["thread_ts"] = message.reply_to
            where |= {"reply_broadcast": True} if message.tell == "channel" else {}
        method = "chat.update" if message.update_of else "chat.postMessage"
        body = chat.fit(
            lambda room: {**where, **payload(message, room)}, BLOCKS_TOTAL, self.limits.body_bytes
        )
        return await chat.post(
            self._http, f"{self._base}/{method}", body, now, lambda reply: _judge(reply, now), self._headers
        )

    async def _picture(self, image: bytes, thread: str, now: Instant) -> None:
        """Three steps: ask where to, put it there, show it in the thread."""
        place = await self._http.request(
            "POST",
            f"{self._base}/files.getUploadURLExternal",
            headers={**self._headers, "content-type": FORM},
            body=urlencode({"filename": "chart.png", "length": len(image)}).encode(),
        )
        found = place.object() if isinstance(place, Reply) else {}
        url, file = found.get("upload_url"), found.get("file_id")
        if not isinstance(url, str) or not isinstance(file, str):
            return
        kept = await self._http.request("POST", url, headers={"content-type": "image/png"}, body=image)
        if not isinstance(kept, Reply) or not kept.ok:
            return
        shown = {"files": [{"id": file, "title": "chart"}], "channel_id": self._channel, "thread_ts": thread}
        await chat.post(
            self._http,
            f"{self._base}/files.completeUploadExternal",
            json_bytes(shown),
            now,
            lambda reply: _judge(reply, now),
            self._headers,
        )


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
