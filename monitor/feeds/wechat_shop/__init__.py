"""WeChat Shop's push of a waybill's newest scan (`ewaybill_push_path`).

Safe mode: the query's `msg_signature` covers the encrypted body. Plain mode: WeChat's `signature` covers only token, time
and nonce, so anybody who once saw a URL could write a body; it is accepted only with `plain = true`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
from pydantic import Field, model_validator

from config.regions import Regions
from monitor.feeds import chinese
from monitor.feeds.base import (
    NOTHING,
    Answer,
    Base,
    Outcome,
    Parsed,
    Push,
    Refusal,
    Rejected,
    Unreadable,
    decode_json,
    plain_answer,
)
from monitor.feeds.canonical import Drafts, dict_of, text_of
from monitor.feeds.options import SignedOptions
from monitor.feeds.signing import given, same
from monitor.feeds.wechat_shop.codes import CODES, IN_TRANSIT
from monitor.feeds.wechat_shop.envelope import Envelope
from monitor.vocabulary import DeadReason
from notifier.options import Secret


class WechatShopOptions(SignedOptions):
    """`secret` is the Token of the message push."""

    aes_key: Secret | None = Field(None, description="EncodingAESKey, 43 characters; needed in safe mode")
    plain: bool = Field(False, description="accept bodies that WeChat does not encrypt")
    carrier: str = Field("unknown", description="the push does not name the carrier; most shops use one")
    tolerance_seconds: int = Field(600, ge=1, description="how old a signature may be")

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        if self.aes_key is None and not self.plain:
            raise ValueError("aes_key is missing: paste the EncodingAESKey, or set plain = true")
        return self


class WechatShop(Base):
    kind = "wechat_shop"
    Options = WechatShopOptions

    def __init__(self, name: str, options: WechatShopOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._token = options.secret.get_secret_value()
        self._secret = self._token.encode()
        self._options = options
        self._envelope = Envelope(options.aes_key.get_secret_value()) if options.aes_key else None

    def verify(self, push: Push) -> None:
        encrypted = self._encrypted(push.raw)
        stamp = self._check(push.query, encrypted)
        if not stamp.isdecimal() or (
            abs(int(stamp[:12]) * 1000 - push.received_at) > self._options.tolerance_seconds * 1000
        ):
            raise Rejected(Refusal.STALE)
        if encrypted is None and not self._options.plain:
            raise Rejected(Refusal.MISSING)

    def _encrypted(self, raw: bytes) -> str | None:
        if self._envelope is None:
            return None
        try:
            return text_of(decode_json(raw).get("Encrypt"), 1 << 22)
        except Unreadable:
            return None

    def _check(self, query: Mapping[str, str], encrypted: str | None) -> str:
        stamp, nonce = given(query, "timestamp"), given(query, "nonce")
        parts = [self._token, stamp, nonce, *([encrypted] if encrypted else [])]
        same(_sha1(parts), given(query, "msg_signature" if encrypted else "signature"))
        return stamp

    def hello(self, query: Mapping[str, str]) -> Answer | None:
        """WeChat checks the URL with a GET that must be answered with its own `echostr`."""
        try:
            self._check(query, None)
        except Rejected:
            return plain_answer(Outcome.REJECTED)
        return Answer(200, query.get("echostr", "").encode("utf-8", "replace"), "text/plain")

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        stamp, nonce = str(received_at // 1000), "n0nce"
        if self._envelope is None:
            signed = {"signature": _sha1([self._token, stamp, nonce])}
            return Push(body, headers, {**query, "timestamp": stamp, "nonce": nonce, **signed}, received_at)
        encrypted = self._envelope.seal(body)
        signed = {"msg_signature": _sha1([self._token, stamp, nonce, encrypted])}
        raw = msgspec.json.encode({"ToUserName": "gh_shop", "Encrypt": encrypted})
        return Push(raw, headers, {**query, "timestamp": stamp, "nonce": nonce, **signed}, received_at)

    def reply(self, outcome: Outcome, push: Push) -> Answer:
        if outcome in {Outcome.ACCEPTED, Outcome.MALFORMED}:
            return Answer(200, b"success", "text/plain")
        return super().reply(outcome, push)

    def parse(self, push: Push) -> Parsed:
        encrypted = self._encrypted(push.raw)
        message = decode_json(self._envelope.open(encrypted) if self._envelope and encrypted else push.raw)
        drafts = Drafts(self.name, self.places, push)
        if message.get("Event") == "ewaybill_push_path":
            self._scan(dict_of(message.get("waybill_info")), drafts)
        return drafts.parsed

    def _scan(self, line: Mapping[str, Any], drafts: Drafts) -> None:
        raw, said = text_of(line.get("status")) or "", text_of(line.get("desc"), 1000) or ""
        code = CODES.get(raw)
        if raw in IN_TRANSIT:
            code = chinese.movement(said) or code
        stamp = line.get("update_time")
        if not isinstance(stamp, int) or isinstance(stamp, bool) or not 0 < stamp < 1 << 36:
            drafts.dead(DeadReason.BAD_TIME if stamp else DeadReason.MISSING_FIELD, "update_time", line)
            return
        facility = chinese.facility(said)
        drafts.scan(
            line,
            number=text_of(line.get("waybill_id")),
            carrier=self._options.carrier,
            at=datetime.fromtimestamp(stamp, UTC).isoformat(),
            zone=UTC,
            code=code,
            raw_code=raw,
            key=(said,),
            facility=facility,
            region=self.places.find(facility) if facility else None,
            courier_id=chinese.courier(said, self._secret) if raw in {"3", "4", "5"} else None,
        )


def _sha1(parts: list[str]) -> str:
    text = "".join(sorted(parts)).encode("utf-8", "surrogateescape")
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()  # WeChat's choice
