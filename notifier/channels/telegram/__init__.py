"""Telegram bot: HTML text of 4,096 characters, buttons that open URLs, the chart as a second message.

The first message of an incident is edited in place, and what must be seen is a reply to it. An edit that changes
nothing is refused with words of its own and is done.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pydantic import Field, SecretStr

from notifier import chat
from notifier.http import Http, Reply, classify, json_bytes, retry_after
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

TEXT = 4_000  # of 4,096 after parsing; markup counts here, which is the safe side
GONE = "no_message"
_USER = re.compile(r"[A-Za-z][A-Za-z0-9_]{4,31}")


class TelegramOptions(Options):
    token: Secret
    chat_id: str = Field(min_length=1)
    topic: int | None = Field(None, description="message_thread_id of a forum group")
    api_url: SecretUrl = SecretStr("https://api.telegram.org")


class TelegramChannel:
    Config = TelegramOptions
    name = "telegram"
    capabilities = Capabilities(buttons=True, image=True, thread=True, update=True, acknowledge=True)
    limits = Limits(body_bytes=10_000_000, per_second=1, per_minute=18)

    def __init__(self, config: TelegramOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._base = f"{config.api_url.get_secret_value().rstrip('/')}/bot{config.token.get_secret_value()}"

    def fits(self, message: Message) -> bool:
        everything = _text(message, chat.ROOMY)
        return len(everything) <= TEXT and _text(message, TEXT) == everything

    async def send(self, message: Message, now: Instant) -> SendResult:
        method = "editMessageText" if message.update_of else "sendMessage"
        result = await self._post(method, "application/json", json_bytes(self._payload(message)), now)
        if result.detail == GONE and message.update_of:
            return await self.send(replace(message, update_of=None), now)
        if message.update_of and result.answer is Answer.AMBIGUOUS:
            return SendResult(Answer.RETRY, Cause.SERVER, result.retry_after, detail=result.detail)
        if message.update_of and result.answer is Answer.DONE:
            return replace(result, provider_id=message.update_of)
        if result.answer is Answer.DONE and message.image:
            values = {"chat_id": self._config.chat_id, **self._place(message)}
            kind, picture = chat.multipart(
                chat.boundary(message.key),
                (
                    *((f'name="{name}"', "", _plain(value)) for name, value in values.items()),
                    ('name="photo"; filename="chart.png"', "image/png", message.image),
                ),
            )
            await self._post("sendPhoto", kind, picture, now)
            result = replace(result, requests=2)
        return result  # the words are what counts: a picture that fails is not sent again

    def _place(self, message: Message) -> dict[str, Any]:
        place: dict[str, Any] = {}
        if self._config.topic is not None:
            place["message_thread_id"] = self._config.topic
        if message.reply_to and message.reply_to.isdigit():
            place["reply_parameters"] = {
                "message_id": int(message.reply_to),
                "allow_sending_without_reply": True,
            }
        return place

    def _payload(self, message: Message) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "chat_id": self._config.chat_id,
            "text": _text(message, TEXT),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if message.update_of and message.update_of.isdigit():
            payload["message_id"] = int(message.update_of)
        else:
            payload |= self._place(message)
        links = [(button.label, button.url) for button in message.buttons]
        if message.link:
            links.append((chat.open_label(message), message.link))
        if links:
            rows = [
                [{"text": label, "url": url} for label, url in links[at : at + 2]]
                for at in range(0, len(links), 2)
            ]
            payload["reply_markup"] = {"inline_keyboard": rows}
        return payload

    async def _post(self, method: str, kind: str, body: bytes, now: Instant) -> SendResult:
        reply = await self._http.request(
            "POST", f"{self._base}/{method}", headers={"content-type": kind}, body=body
        )
        return reply if isinstance(reply, SendResult) else _judge(reply, now)


# cutting a line in the middle of a tag would make Telegram refuse it all, so lines carry text only
_DIALECT = chat.Dialect(
    bullet=chat.BULLET,
    escape=chat.HTML.escape,
    bold=lambda text: text,
    link=chat.HTML.link,
    title=lambda text: f"<b>{text}</b>",
)


def _text(message: Message, room: int) -> str:
    called = "".join(f"@{name} " for name in message.mention[:10] if _USER.fullmatch(name))
    return called + chat.compose(message, _DIALECT, room - len(called), measure=len, buttons=False)


def _plain(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json_bytes(value)


def _judge(reply: Reply, now: Instant) -> SendResult:
    answer = reply.object()
    if reply.status == 429:
        parameters = answer.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
        seconds = float(wait) if isinstance(wait, int | float) else retry_after(reply.headers, now)
        return SendResult(Answer.RETRY, Cause.RATE, seconds, detail="429")
    said = str(answer.get("description", ""))
    if reply.status == 400 and "message is not modified" in said:
        return chat.DONE
    if reply.status == 400 and ("message to edit not found" in said or "message can't be edited" in said):
        return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=GONE)
    result = classify(reply, now)
    if result.answer is not Answer.DONE:
        return result
    if answer.get("ok") is True:
        sent = answer.get("result")
        number = sent.get("message_id") if isinstance(sent, dict) else None
        return SendResult(Answer.DONE, provider_id=str(number) if number is not None else None)
    if answer.get("ok") is False:
        return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=str(answer.get("error_code", "")))
    return chat.LOST
