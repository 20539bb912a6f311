"""Telegram bot: HTML text of 4,096 characters, buttons that open URLs, the chart as a second message."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import Field, SecretStr

from notifier import chat
from notifier.http import Http, Reply, classify, json_bytes, retry_after
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

TEXT = 4_000  # of 4,096 after parsing; markup counts here, which is the safe side


class TelegramOptions(Options):
    token: Secret
    chat_id: str = Field(min_length=1)
    topic: int | None = Field(None, description="message_thread_id of a forum group")
    api_url: SecretUrl = SecretStr("https://api.telegram.org")


class TelegramChannel:
    Config = TelegramOptions
    name = "telegram"
    capabilities = Capabilities(buttons=True, image=True, update=True)
    limits = Limits(body_bytes=10_000_000, per_second=1, per_minute=18)

    def __init__(self, config: TelegramOptions, http: Http) -> None:
        self._config = config
        self._http = http
        self._base = f"{config.api_url.get_secret_value().rstrip('/')}/bot{config.token.get_secret_value()}"

    async def send(self, message: Message, now: Instant) -> SendResult:
        method = "editMessageText" if message.update_of else "sendMessage"
        result = await self._post(method, "application/json", json_bytes(self._payload(message)), now)
        if result.answer is Answer.DONE and message.image and not message.update_of:
            boundary = "forestall-" + hashlib.blake2b(message.key.encode(), digest_size=12).hexdigest()
            picture = _multipart(boundary, {"chat_id": self._config.chat_id}, message.image)
            await self._post("sendPhoto", f"multipart/form-data; boundary={boundary}", picture, now)
        return result  # the words are what counts: a picture that fails is not sent again

    def _payload(self, message: Message) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "chat_id": self._config.chat_id,
            "text": chat.compose(message, _DIALECT, TEXT, measure=len, buttons=False),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if self._config.topic is not None:
            payload["message_thread_id"] = self._config.topic
        if message.update_of and message.update_of.isdigit():
            payload["message_id"] = int(message.update_of)
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
    escape=chat.HTML.escape, bold=lambda text: text, link=chat.HTML.link, title=lambda text: f"<b>{text}</b>"
)


def _multipart(boundary: str, values: dict[str, str], image: bytes) -> bytes:
    lines = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (boundary.encode(), name.encode(), value.encode())
        for name, value in values.items()
    )
    picture = (
        b'--%s\r\nContent-Disposition: form-data; name="photo"; filename="chart.png"\r\n'
        b"Content-Type: image/png\r\n\r\n%s\r\n--%s--\r\n" % (boundary.encode(), image, boundary.encode())
    )
    return lines + picture


def _judge(reply: Reply, now: Instant) -> SendResult:
    answer = reply.object()
    if reply.status == 429:
        parameters = answer.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
        seconds = float(wait) if isinstance(wait, int | float) else retry_after(reply.headers, now)
        return SendResult(Answer.RETRY, Cause.RATE, seconds, detail="429")
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
