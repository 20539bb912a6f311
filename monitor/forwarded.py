"""Who asks, where a proxy stands in between: its headers are believed from the addresses in `console.proxies` alone.

The connected address stays what `request.client` says, so that a sign-in by the proxy can be held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

SCHEMES: Final = frozenset({"http", "https"})
Proxies = Callable[[], Collection[str]]


def peer(request: HTTPConnection) -> str:
    """The address that is connected; empty where there is none."""
    return _plain(request.client.host) if request.client else ""


def origin(request: HTTPConnection, proxies: Collection[str]) -> str:
    """The address that asks: the last in `X-Forwarded-For` that is no proxy of ours. Empty where there is none."""
    host = peer(request)
    said = ",".join(request.headers.getlist("x-forwarded-for"))
    for one in reversed([*filter(None, map(str.strip, said.split(",")))]):
        if host not in proxies or not _is_address(one):
            break
        host = one
    return host


def _plain(host: str) -> str:
    """As IPv4 is written, also where it came in on a socket of IPv6."""
    return host.removeprefix("::ffff:") if "." in host else host


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Forwarded:
    """Gives the program the scheme that the browser used, so that cookies and redirects are right behind TLS."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self.app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None and _plain(client[0]) in self._proxies():
            said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
            last = said[-1].decode("latin-1").rpartition(",")[2] if said else ""  # of several proxies, ours
            if (scheme := last.strip().lower()) in SCHEMES:
                scope["scheme"] = scheme
        await self.app(scope, receive, send)
