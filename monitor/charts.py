"""The chart of an alert at an address of its own, for chats that fetch pictures: `/chart/TOKEN.png`.

No sign-in, as the chat's servers have none: the signed token is the right to see this one picture until it expires. It
is drawn again from the alert that the ledger keeps, so a restart loses none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from config.settings import Settings
from detectors.findings import Instant
from monitor.links import Act, BadLink, Link, LinkFault, Links
from notifier.charts import Picture

KEPT: Final = 64
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
Address = Callable[[str, Instant], str | None]


def chart_address(settings: Callable[[], Settings], links: Links) -> Address:
    """From an action and the time of its decision, the same at every attempt; None where no chat could reach us."""

    def address(action_id: str, decided_at: Instant) -> str | None:
        now = settings()
        base = now.notify.charts_url if now.notify.charts_url is not None else now.http.public_url
        if not base:
            return None
        expires_at = decided_at + now.notify.link_hours * 3_600_000
        token = links.sign(Link(Act.CHART, action_id, expires_at, ""))
        return f"{base.rstrip('/')}/chart/{token}.png"

    return address


class ChartPage:
    """`said` gives what an alert said (`Proposal.variables`), `draw` its picture."""

    def __init__(
        self,
        links: Links,
        clock: Callable[[], Instant],
        said: Callable[[str], Awaitable[Mapping[str, Any] | None]],
        draw: Callable[[Picture], Awaitable[bytes]],
    ) -> None:
        self._links = links
        self._clock = clock
        self._said = said
        self._draw = draw
        self._drawn: OrderedDict[str, bytes] = OrderedDict()

    def route(self) -> Route:
        return Route("/chart/{token}.png", self.show)

    async def show(self, request: Request) -> Response:
        try:
            link = self._links.verify(request.path_params["token"], self._clock())
        except BadLink as error:
            return _none(410 if error.fault is LinkFault.EXPIRED else 404)
        if link.act is not Act.CHART:
            return _none(404)
        image = await self._image(link.subject)
        if image is None:
            return _none(404)
        headers = {**HEADERS, "Cache-Control": "public, max-age=86400, immutable"}
        return Response(image, media_type="image/png", headers=headers)

    async def _image(self, action_id: str) -> bytes | None:
        if action_id in self._drawn:
            self._drawn.move_to_end(action_id)
            return self._drawn[action_id]
        said = await self._said(action_id)
        picture = Picture.of(said) if said is not None else None
        if picture is None:
            return None
        self._drawn[action_id] = image = await self._draw(picture)
        if len(self._drawn) > KEPT:
            self._drawn.popitem(last=False)
        return image


def _none(status: int) -> Response:
    return PlainTextResponse("no such chart", status, headers={**HEADERS, "Cache-Control": "no-store"})
