"""SMS by Twilio. There is no idempotency key: a lost reply is looked up in the list of messages to that number, by what the
text of the attempt was known by.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import Field, SecretStr, model_validator

from notifier.http import Http, Reply, classify
from notifier.options import Options, Secret, SecretUrl
from notifier.said import fingerprint
from notifier.sending import Answer, Capabilities, Cause, Instant, Limits, Message, SendResult, Trace

LONGEST: Final = 1_600  # characters of one message, all its segments
PAGE: Final = 50
SETTLED_MS: Final = 120_000  # after so long a message that is not listed was not taken
CLOCKS_MS: Final = 60_000  # how far two clocks may be apart
NOT_DELIVERED: Final = frozenset({"failed", "undelivered", "canceled"})
TRIAL: Final = " - "
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

    async def trace(self, message: Message, began_at: Instant, now: Instant) -> Trace:
        """The list has the newest first. It is not narrowed by DateSent: a message that is still queued has none."""
        number = message.recipient.phone if message.recipient else None
        if not number:
            return Trace.UNANSWERED
        url = f"{self._url}?{urlencode({'To': number, 'PageSize': PAGE})}"
        reply = await self._http.request("GET", url, headers=self._headers())
        listed = reply.object().get("messages") if isinstance(reply, Reply) and reply.ok else None
        if not isinstance(listed, list):
            return Trace.UNANSWERED
        since = began_at - CLOCKS_MS
        new = [one for one in listed if isinstance(one, dict) and (_created(one) or since) >= since]
        sought = message.said or fingerprint(message.body)
        ours = [one for one in new if sought in _known_by(str(one.get("body") or ""))]
        if ours:
            lost = all(one.get("status") in NOT_DELIVERED for one in ours)
            return Trace.FAILED if lost else Trace.DONE
        whole = len(listed) < PAGE or len(new) < len(listed)
        return Trace.ABSENT if whole and now - began_at >= SETTLED_MS else Trace.UNANSWERED

    def _headers(self) -> dict[str, str]:
        return {"authorization": self._authorization, "content-type": "application/x-www-form-urlencoded"}


def _known_by(body: str) -> set[str]:
    """A trial account's text has a sentence and a dash before it."""
    return {fingerprint(body), fingerprint(body.partition(TRIAL)[2])}


def _created(message: Mapping[str, Any]) -> Instant | None:
    try:
        return int(parsedate_to_datetime(str(message.get("date_created"))).timestamp() * 1000)
    except ValueError:
        return None


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
