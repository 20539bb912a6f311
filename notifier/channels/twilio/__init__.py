"""SMS by Twilio. There is no idempotency key: a lost reply is looked up in the list of messages before a person decides."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import Field, SecretStr, model_validator

from notifier.http import Http, Reply, classify
from notifier.options import Options, Secret, SecretUrl
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult

LONGEST: Final = 1_600  # characters of one message, all its segments
STOPPED: Final = 21610  # the recipient answered STOP
NO_NUMBER: Final = frozenset({21211, 21614, 21612, 21408})
TOO_MANY: Final = frozenset({20429, 14107, 21611})


class TwilioOptions(Options):
    account: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    token: Secret = Field(description="auth token")
    service: str | None = Field(
        None, pattern=r"^MG[0-9a-fA-F]{32}$", description="messaging service; or `sender`"
    )
    sender: str | None = Field(None, description="a number of yours, +...")
    per_second: float = Field(1.0, gt=0, description="of your sender")
    url: SecretUrl = SecretStr("https://api.twilio.com")

    @model_validator(mode="after")
    def _one_sender(self) -> TwilioOptions:
        if (self.service is None) == (self.sender is None):
            raise ValueError("name a service or a sender, and not both")
        return self


class TwilioChannel:
    Config = TwilioOptions
    name = "twilio"
    capabilities = Capabilities()

    def __init__(self, config: TwilioOptions, http: Http) -> None:
        self._config = config
        self._http = http
        base = config.url.get_secret_value().rstrip("/")
        self._url = f"{base}/2010-04-01/Accounts/{config.account}/Messages.json"
        pair = f"{config.account}:{config.token.get_secret_value()}"
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self.limits = Limits(body_bytes=20_000, per_second=config.per_second)

    async def send(self, message: Message, now: Instant) -> SendResult:
        number = message.recipient.phone if message.recipient else None
        if not number or not number.startswith("+"):
            return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail="no_phone")
        if len(message.body) > LONGEST:
            return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail="body")
        sender = (
            {"MessagingServiceSid": self._config.service}
            if self._config.service
            else {"From": self._config.sender}
        )
        form = urlencode({"To": number, **sender, "Body": message.body}).encode()
        reply = await self._http.request("POST", self._url, headers=self._headers(), body=form)
        if isinstance(reply, SendResult):
            return reply
        return _understood(reply, now)

    def _headers(self) -> dict[str, str]:
        return {"authorization": self._authorization, "content-type": "application/x-www-form-urlencoded"}


def _understood(reply: Reply, now: Instant) -> SendResult:
    body: Any = reply.object()
    if reply.ok:
        if not body.get("sid"):
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="no_sid")
        return SendResult(Answer.DONE, provider_id=str(body["sid"]))
    code = body.get("code")
    if code == STOPPED:
        return SendResult(Answer.PERMANENT, Cause.OPTED_OUT, detail=str(code))
    if code in NO_NUMBER:
        return SendResult(Answer.PERMANENT, Cause.NO_CONTACT, detail=str(code))
    if code in TOO_MANY:
        return SendResult(Answer.RETRY, Cause.RATE, classify(reply, now).retry_after, detail=str(code))
    return classify(reply, now)
