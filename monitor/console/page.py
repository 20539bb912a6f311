"""Rendering: templates, language, theme, and the headers that keep a page to itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from monitor.console.auth import Gate, Role, Session
from monitor.console.source import Source
from monitor.console.words import LOCALES, incident_words, why, words
from monitor.incidents import View
from monitor.notifications.places import named
from notifier.ops_message import money_text, place_name, whole_money

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # a page's address can hold a link's right
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
FORM_BYTES: Final = 65_536
THEMES: Final = ("light", "dark")


@cache
def stylesheet() -> tuple[bytes, str]:
    content = (HERE / "static" / "console.css").read_bytes()
    return content, hashlib.blake2b(content, digest_size=6).hexdigest()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def locale_of(request: Request) -> str:
    asked = request.query_params.get("lang") or request.cookies.get("lang", "")
    if asked in LOCALES:
        return asked
    accepted = request.headers.get("accept-language", "")
    return "en" if accepted.lower().startswith("en") else "zh-CN"


class Pages:
    """Renders a template for a session; `path` of the page is marked in the navigation."""

    def __init__(self, source: Source, gate: Gate) -> None:
        self.source = source
        self.gate = gate

    def render(
        self,
        request: Request,
        template: str,
        session: Session | None = None,
        *,
        status: int = 200,
        **values: Any,
    ) -> Response:
        locale = locale_of(request)
        theme = request.query_params.get("theme") or request.cookies.get("theme", "")
        theme = theme if theme in THEMES else ""
        zone = ZoneInfo(self.source.settings().timezone)
        html = (
            _environment()
            .get_template(template)
            .render(
                w=words(locale),
                why=why(locale),
                say=incident_words(locale),
                locale=locale,
                other_locale=LOCALES[1 - LOCALES.index(locale)],
                theme=theme,
                other_theme="light" if theme == "dark" else "dark",
                path=request.url.path,
                css=stylesheet()[1],
                session=session,
                operator=session is not None and session.role is Role.OPERATOR,
                form_key=self.gate.form_key(session) if session else "",
                moment=lambda at: instant(at, zone),
                short=lambda at: datetime.fromtimestamp(at / 1000, zone).strftime("%m-%d %H:%M"),
                money=lambda amounts: money_text(amounts, locale),
                local=lambda text: local(text, zone),
                whole=lambda amounts: whole_money(amounts, locale),
                place=lambda view: place_of(view, locale),
                now=self.source.now(),
                **values,
            )
        )
        response = HTMLResponse(html, status, headers=HEADERS)
        for name in ("lang", "theme"):
            chosen = request.query_params.get(name)
            if chosen in {*LOCALES, *THEMES}:
                response.set_cookie(name, chosen, max_age=31_536_000, samesite="lax", httponly=True)
        return response


def place_of(view: View, locale: str) -> str:
    place = {"place": named(view.place, locale), "place_type": view.place.type.value}
    return place_name(place, incident_words(locale))


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form, the last of each name; 413 beyond what a form of ours can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise HTTPException(413, "this form is too large")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def instant(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def local(text: str, zone: ZoneInfo) -> str:
    """A moment as records write it, by the clock on the wall; anything else as it is."""
    try:
        return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def flat(value: Any, key: str = "") -> list[tuple[str, str | float | None]]:
    """Settings as rows, tables within tables by their whole key; secrets stay hidden."""
    if isinstance(value, Mapping) and (value or not key):
        return [
            row for name, one in value.items() for row in flat(one, f"{key}.{name}" if key else str(name))
        ]
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        return [row for at, one in enumerate(value) for row in flat(one, f"{key}[{at}]")]
    if isinstance(value, list | tuple):
        return [(key, ", ".join(str(one) for one in value))]
    if value is None or value == {}:
        return [(key, None)]
    if isinstance(value, bool):
        return [(key, str(value).lower())]
    return [(key, value if isinstance(value, int | float) else str(value))]
