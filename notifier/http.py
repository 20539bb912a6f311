"""The one seam to httpx: every request that leaves for a provider goes through `Http`.

A reply is handed back as it is; a failure of the network is already classified, because only this place knows how far
a request came. Nothing here raises for what a network does, and no URL, header or body appears in a result: URLs of
chat webhooks are secrets.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from notifier.sending import Answer, Cause, Instant, SendResult

LONGEST_WAIT = 3_600.0  # a Retry-After beyond an hour is asked about again after one: it may be a mistake of the provider's
SEE_OTHER = 303
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `headers` has lower-case names. `cut`: there was more than we read, so `body` is only its
    beginning.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The decoded body; None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def object(self) -> Mapping[str, Any]:
        """The decoded body where it is a JSON object; otherwise an empty one."""
        value = self.json()
        return value if isinstance(value, dict) else {}


@cache
def _public() -> ssl.SSLContext:
    """The public authorities, read once a process: 20 ms of work."""
    return httpx.create_ssl_context(trust_env=False)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    trusted = httpx.create_ssl_context(trust_env=False)
    trusted.load_verify_locations(ca_file)
    return trusted


class Http:
    """A pool of connections for all channels: TLS verified, by the public authorities and those of `ca_file`; no
    redirects, no proxy or netrc from the environment.

    `connect` bounds the way to the first byte sent (beyond it nothing was sent: retry), `deadline` the whole
    exchange, so that a provider that drips one byte a second cannot hold a worker.
    """

    def __init__(
        self,
        *,
        connect: float = 5.0,
        deadline: float = 15.0,
        max_reply_bytes: int = 1_000_000,
        proxy: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Raises OSError where `ca_file` holds no certificates, ValueError where `proxy` is no address."""
        trusted = _public() if ca_file is None else _trusting(ca_file)
        self._deadline = deadline
        self._max_reply = max_reply_bytes
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(deadline, connect=connect, pool=connect),
            follow_redirects=False,
            trust_env=False,
            verify=trusted,
            proxy=None if proxy is None else _proxy(proxy, trusted),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=20),
            headers={"user-agent": "forestall"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float | None = None,
        max_reply_bytes: int | None = None,
    ) -> Reply | SendResult:
        try:
            request = self._client.build_request(method, url, headers=dict(headers or {}), content=body)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return SendResult(Answer.PERMANENT, Cause.REJECTED, detail="invalid_url")
        try:
            async with asyncio.timeout(deadline or self._deadline):
                return await self._exchange(request, max_reply_bytes or self._max_reply)
        except NOT_SENT as error:
            return SendResult(Answer.RETRY, Cause.NETWORK, detail=type(error).__name__)
        except TimeoutError:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="Deadline")
        except (httpx.HTTPError, httpx.StreamError) as error:
            return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail=type(error).__name__)

    async def post_json(
        self,
        url: str,
        value: Any,
        *,
        headers: Mapping[str, str] | None = None,
        max_reply_bytes: int | None = None,
    ) -> Reply | SendResult:
        return await self.request(
            "POST",
            url,
            headers={"content-type": "application/json", **(headers or {})},
            body=json_bytes(value),
            max_reply_bytes=max_reply_bytes,
        )

    async def _exchange(self, request: httpx.Request, most: int) -> Reply:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > most:
                    break
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, bytes(body[:most]), cut=len(body) > most)


def _proxy(address: str, trusted: ssl.SSLContext) -> httpx.Proxy:
    try:
        return httpx.Proxy(address, ssl_context=trusted if address.startswith("https:") else None)
    except (httpx.InvalidURL, ValueError):  # its text repeats part of the address, which may hold a password
        raise ValueError("is no address of a proxy") from None


def json_bytes(value: Any) -> bytes:
    """Compact UTF-8, Chinese unescaped: byte limits of chat channels count these bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def retry_after(headers: Mapping[str, str], now: Instant) -> float | None:
    """Seconds to wait, from a Retry-After of either form (RFC 9110 10.2.3); None where absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now / 1000
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def classify(reply: Reply, now: Instant) -> SendResult:
    """The class of an HTTP status where the provider says nothing more precise in its body.

    401 and 403 are retried: nothing was done, and a person who renews a key should find the messages waiting, not
    lost. 303, 500, 502 and 504 may come after the work was done; only 503 promises that it was not.
    """
    status, detail = reply.status, str(reply.status)
    wait = retry_after(reply.headers, now)
    if reply.ok:
        return SendResult(Answer.DONE)
    if status in {425, 429}:
        return SendResult(Answer.RETRY, Cause.RATE, wait, detail=detail)
    if status in {401, 403, 407}:
        return SendResult(Answer.RETRY, Cause.AUTH, wait, detail=detail)
    if 300 <= status < 400 and status != SEE_OTHER:  # moved, or somebody's page to sign in: a person mends it
        return SendResult(Answer.RETRY, Cause.AUTH, wait, detail=detail)
    if status in {408, 409, 503}:
        return SendResult(Answer.RETRY, Cause.SERVER, wait, detail=detail)
    if status in {413, 414, 431}:
        return SendResult(Answer.PERMANENT, Cause.TOO_LARGE, detail=detail)
    if status != SEE_OTHER and (status < 500 or status in {501, 505}):
        return SendResult(Answer.PERMANENT, Cause.REJECTED, detail=detail)
    return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, wait, detail=detail)
