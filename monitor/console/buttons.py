"""The buttons of alerts: a page that says what would be done, and one form that does it, once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from monitor.api import Actor, Refused
from monitor.console.auth import Gate
from monitor.console.page import Pages, form_of
from monitor.console.source import Source
from monitor.links import Act, BadLink, Link, LinkFault, Links

SILENCE_HOURS = 1.0
WAITING = frozenset({"second_needed", "same_person"})


class Buttons:
    """No sign-in: the signed token is the right, for one act on one subject until it expires or was used."""

    def __init__(self, source: Source, links: Links, pages: Pages, gate: Gate) -> None:
        self._source = source
        self._gate = gate
        self._links = links
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """No side effect: chats fetch links to preview them."""
        try:
            link = self._button(request)
        except BadLink as error:
            return self._bad(request, error)
        return self._page(request, link, done="")

    def _button(self, request: Request) -> Link:
        """Raises BadLink, also for a link that is no button."""
        link = self._links.verify(request.path_params["token"], self._source.now())
        if link.act is Act.CHART:
            raise BadLink(LinkFault.MALFORMED)
        return link

    async def act(self, request: Request) -> Response:
        form = await form_of(request)
        name = form.get("name", "").strip()[:80]
        try:
            link = self._button(request)
            if not name:
                return self._page(request, link, done="", status=400)
            if not await self._source.take_link(link.nonce):
                raise BadLink(LinkFault.USED)  # noqa: TRY301 - all bad links end alike
        except BadLink as error:
            return self._bad(request, error)
        actor = Actor(f"{name} (link)", f"link {self._gate.origin(request)}".strip())
        try:
            done, over = await self._do(link, actor)
        except Refused as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:  # else it may be asked again in a minute
                await self._source.use_link(link.nonce, link.expires_at)
            return self._pages.render(request, "problem.html", status=error.status, text=str(error))
        if over:
            await self._source.use_link(link.nonce, link.expires_at)
        else:
            await self._source.free_link(link.nonce)
        return self._page(request, link, done=done)

    async def _do(self, link: Link, actor: Actor) -> tuple[str, bool]:
        """What was done, and whether that was all: where a second person must say so too, they have the same button."""
        if link.act in {Act.USEFUL, Act.NOISE}:
            await self._source.answer(link.rule, useful=link.act is Act.USEFUL, actor=actor)
            return f"{link.rule}: {link.act}", True
        reason = f"button of an alert: {link.act}"
        commands: Mapping[Act, tuple[str, dict[str, Any]]] = {
            Act.ACKNOWLEDGE: ("ack", {"incident": link.subject}),
            Act.SILENCE: (
                "silence",
                {"matchers": [f'incident="{link.subject}"'], "hours": SILENCE_HOURS},
            ),
            Act.APPROVE: ("approve", {"action": link.subject}),
            Act.REJECT: ("reject", {"action": link.subject}),
        }
        name, arguments = commands[link.act]
        answer = await self._source.command(name, {**arguments, "reason": reason}, actor)
        return str(answer.get("message", "")), answer.get("answer") not in WAITING

    def _page(self, request: Request, link: Link, *, done: str, status: int = 200) -> Response:
        return self._pages.render(
            request,
            "button.html",
            status=status,
            link=link,
            done=done,
            view=self._source.incident(link.subject),
        )

    def _bad(self, request: Request, error: BadLink) -> Response:
        status = 410 if error.fault in {LinkFault.EXPIRED, LinkFault.USED} else 404
        return self._pages.render(request, "bad_link.html", status=status, fault=error.fault.value)
