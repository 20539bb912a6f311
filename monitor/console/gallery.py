"""The pictures at addresses of their own, so that pages stay small and a picture that stays the same is fetched once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from config.regions import regions
from monitor.console import pictures
from monitor.console.auth import Session
from monitor.console.drawing import Look, Map, svg
from monitor.console.page import HEADERS, THEMES, locale_of
from monitor.console.pictures import Shown
from monitor.console.source import Source
from monitor.incidents import View
from notifier.charts import Picture

KEPT: Final = 64  # drawn pictures, of some 30 kB
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
MAP: Final = "/pictures/map.svg"


class Gallery:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._drawn: OrderedDict[str, bytes] = OrderedDict()
        self._drawing = asyncio.Lock()

    def map_for(self, locale: str) -> Shown | None:
        content = pictures.region_map(pictures.open_by_region(self._source.incidents()), regions(), locale)
        return Shown("map", MAP, content, pictures.map_words(content, locale)) if content else None

    def chart_for(self, view: View, place: str, locale: str) -> Shown | None:
        content = pictures.chart(view, self._source.settings().timezone)
        if content is None:
            return None
        path = f"/pictures/incidents/{quote(view.incident_id, safe='')}.svg"
        return Shown("chart", path, content, pictures.chart_words(content, place, locale))

    # handlers

    async def map(self, request: Request, _session: Session) -> Response:
        shown = self.map_for(locale_of(request))
        return await self._answer(request, shown.content if shown else None)

    async def incident(self, request: Request, _session: Session) -> Response:
        view = self._source.incident(request.path_params["id"])
        timezone = self._source.settings().timezone
        return await self._answer(request, pictures.chart(view, timezone) if view else None)

    async def _answer(self, request: Request, content: Picture | Map | None) -> Response:
        """What is there now. A browser may keep it without asking where that is what its address names."""
        if content is None:
            raise HTTPException(404, "no such picture")
        version, asked = pictures.digest(content), request.query_params
        theme = asked.get("theme", "")
        look = Look(theme if theme in THEMES else "light", asked.get("narrow") == "1")
        name = f"{version}-{look.theme}{'-narrow' if look.narrow else ''}"
        headers = {
            **HEADERS,
            "Content-Security-Policy": POLICY,
            "Cache-Control": "private, "
            + ("max-age=86400, immutable" if asked.get("v") == version else "no-cache"),
            "ETag": f'"{name}"',
            "Vary": "Cookie",
        }
        if name in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        image = await self._image(name, content, look)
        return Response(image, media_type="image/svg+xml", headers=headers)

    async def _image(self, name: str, content: Picture | Map, look: Look) -> bytes:
        async with self._drawing:
            if name not in self._drawn:
                self._drawn[name] = await asyncio.to_thread(svg, content, look)
            self._drawn.move_to_end(name)
            if len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
            return self._drawn[name]
