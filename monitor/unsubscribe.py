"""The one-click way out of a mail (RFC 8058): a POST opts out, at once and for good; fetching it only asks.

    GET  /u/TOKEN   a page with one button: mail scanners fetch links
    POST /u/TOKEN   the customer's no to everything, in the ledger's consent

No sign-in and no name: the token carries a keyed pseudonym. Only this path needs to be reachable for customers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from detectors.findings import Instant
from notifier.identity import Identity
from notifier.ledger import Ledger

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh-CN": {
        "title": "退订",
        "ask": "不再接收关于订单延误的消息？",
        "button": "不再接收",
        "done": "已退订，您不会再收到这类消息。",
        "wrong": "这个链接无效。",
    },
    "en": {
        "title": "Unsubscribe",
        "ask": "Receive no more messages about delays of your orders?",
        "button": "No more messages",
        "done": "Done: you will not receive such messages again.",
        "wrong": "This link is not valid.",
    },
}
STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem}:root{color-scheme:light dark}"
)


def opt_out_url(base: str, identity: Identity) -> Callable[[str], str]:
    """From a customer's id to the customer's own link."""
    root = base.rstrip("/")
    return lambda customer_id: f"{root}/u/{identity.opt_out_token(customer_id)}"


def unsubscribe_routes(ledger: Ledger, identity: Identity, clock: Callable[[], Instant]) -> list[Route]:
    async def show(request: Request) -> Response:
        known = identity.opted_out(request.path_params["token"])
        return _page(request, "ask" if known else "wrong", 200 if known else 404)

    async def leave(request: Request) -> Response:
        who = identity.opted_out(request.path_params["token"])
        if who is None:
            return _page(request, "wrong", 404)
        await ledger.opt_out(who, clock(), "mail")
        return _page(request, "done", 200)

    return [Route("/u/{token}", show), Route("/u/{token}", leave, methods=["POST"])]


def _page(request: Request, what: str, status: int) -> Response:
    chinese = request.headers.get("accept-language", "").lower().startswith("zh")
    locale = "zh-CN" if chinese else "en"
    words = WORDS[locale]
    form = f'<form method="post"><button>{words["button"]}</button></form>' if what == "ask" else ""
    page = (
        f'<!doctype html><html lang="{locale}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{words["title"]}</title><style>{STYLE}</style>'
        f"<main><p>{words[what]}</p>{form}</main></html>"
    )
    return HTMLResponse(page, status, dict(HEADERS))
