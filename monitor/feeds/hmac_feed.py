"""Feeds whose pushes carry, in one header, an HMAC-SHA256 of the raw body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Push
from monitor.feeds.options import ZonedOptions
from monitor.feeds.signing import given, hmac_base64, same


class HmacFeed(Base):
    """A subclass names its `header`; base64 unless `_signature` says otherwise."""

    Options = ZonedOptions
    header: ClassVar[str]

    def __init__(self, name: str, options: ZonedOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._secret = self._key(options.secret.get_secret_value())
        self._zone = options.zone

    @staticmethod
    def _key(secret: str) -> bytes:
        return secret.encode()

    def _signature(self, raw: bytes) -> str:
        return hmac_base64(self._secret, raw)

    def verify(self, push: Push) -> None:
        same(self._signature(push.raw), given(push.headers, self.header))

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        return Push(body, {**headers, self.header: self._signature(body)}, query, received_at)
