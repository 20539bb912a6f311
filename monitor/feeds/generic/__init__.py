"""Any webhook, by configuration: which header signs it, and which of its fields are which of the contract's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Parsed, Push
from monitor.feeds.mapped import Mapped
from monitor.feeds.mapping import MappingOptions
from monitor.feeds.options import SignedOptions
from monitor.feeds.signing import given, hmac_base64, hmac_hex, same


class GenericOptions(SignedOptions):
    signature: Literal["hmac-sha256-hex", "hmac-sha256-base64", "secret"] = Field(
        "hmac-sha256-hex", description="over the raw body; `secret`: the header carries the secret itself"
    )
    header: str = Field("x-signature", pattern=r"^[A-Za-z0-9-]+$", description="the header that carries it")
    prefix: str = Field("", description='what stands before it, like "sha256="')
    map: MappingOptions


class Generic(Base):
    kind = "generic"
    repeats = False
    Options = GenericOptions

    def __init__(self, name: str, options: GenericOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._secret = options.secret.get_secret_value()
        self._header = options.header.lower()
        self._options = options
        self._mapped = Mapped(name, options.map, places)

    def verify(self, push: Push) -> None:
        value = given(push.headers, self._header)
        if self._options.signature == "hmac-sha256-hex":
            value = value.lower()
        same(self._signature(push.raw), value)

    def _signature(self, body: bytes) -> str:
        secret = self._secret.encode()
        if self._options.signature == "secret":
            return self._options.prefix + self._secret
        if self._options.signature == "hmac-sha256-base64":
            return self._options.prefix + hmac_base64(secret, body)
        return self._options.prefix.lower() + hmac_hex(secret, body)

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        return Push(body, {**headers, self._header: self._signature(body)}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        return self._mapped.parse(push)

    def split(self, push: Push) -> Sequence[Push]:
        return self._mapped.split(push)
