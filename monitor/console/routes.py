"""The pages. Reading needs a session; acting needs an operator's session and the session's form key."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from monitor.anonymous import entry_for_all, is_of_customer
from monitor.answers import precision
from monitor.api import Actor, Refused
from monitor.console.auth import COOKIE, OPEN, Gate, Role, Session, SignInNeeded
from monitor.console.buttons import Buttons
from monitor.console.evidence import breakdown, evidence_rows
from monitor.console.gallery import Gallery
from monitor.console.page import (
    HEADERS,
    HERE,
    Pages,
    flat,
    form_of,
    instant,
    local,
    locale_of,
    place_of,
    stylesheet,
)
from monitor.console.source import Source
from monitor.console.stories import story
from monitor.incidents import Phase, View
from monitor.links import Links
from monitor.notifications.advice import advise
from monitor.notifications.proposals import aged
from monitor.withdrawn import outbox_counts
from notifier.ops_message import advice_text, moment

SHOWN = 100
FIRST = 20  # on the first page; the rest is one link away
Handler = Callable[[Request, Session], Awaitable[Response]]
RANK = {"critical": 0, "warning": 1, "info": 2}


def console_routes(source: Source, gate: Gate, links: Links | None = None) -> list[Route]:
    """Routes to mount beside the API; `links` as given to `Desk`, for the buttons of alerts."""
    pages = Pages(source, gate)
    gallery = Gallery(source)
    console = Console(source, gate, pages, gallery)
    routes = [
        Route("/", console.guarded(console.overview)),
        Route("/incidents", console.guarded(console.incidents)),
        Route("/incidents/{id}", console.guarded(console.incident)),
        Route("/incidents/{id}/{act}", console.guarded(console.act), methods=["POST"]),
        Route("/pictures/map.svg", console.guarded(gallery.map)),
        Route("/pictures/incidents/{id}.svg", console.guarded(gallery.incident)),
        Route("/find", console.guarded(console.find)),
        Route("/story/{subject:path}", console.guarded(console.story)),
        Route("/approvals", console.guarded(console.approvals)),
        Route("/approvals/{id}", console.guarded(console.decide), methods=["POST"]),
        Route("/silences", console.guarded(console.silences)),
        Route("/silences", console.guarded(console.silence), methods=["POST"]),
        Route("/silences/{id}", console.guarded(console.unsilence), methods=["POST"]),
        Route("/dead-letters", console.guarded(console.dead_letters)),
        Route("/dead-letters", console.guarded(console.replay), methods=["POST"]),
        Route("/policy", console.guarded(console.policy)),
        Route("/config", console.guarded(console.config)),
        Route("/sign-in", console.door),
        Route("/sign-in", console.sign_in, methods=["POST"]),
        Route("/sign-out", console.sign_out, methods=["POST"]),
        Route("/console.css", _css),
        Route("/favicon.ico", _icon),
    ]
    if links is not None:
        buttons = Buttons(source, links, pages, gate)
        routes += [
            Route("/a/{token}", buttons.show),
            Route("/a/{token}", buttons.act, methods=["POST"]),
        ]
    return routes


async def _css(_request: Request) -> Response:
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(stylesheet()[0], media_type="text/css", headers=headers)


async def _icon(_request: Request) -> Response:
    return Response((HERE / "static" / "icon.svg").read_bytes(), media_type="image/svg+xml", headers=HEADERS)


class Console:
    def __init__(self, source: Source, gate: Gate, pages: Pages, gallery: Gallery) -> None:
        self.source = source
        self.gate = gate
        self.pages = pages
        self.gallery = gallery

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            try:
                session = self.gate.session(request, self.source.people_now())
            except SignInNeeded:
                back = request.url.path if request.method == "GET" else "/"
                return RedirectResponse(f"/sign-in?{urlencode({'back': back})}", 303, headers=HEADERS)
            try:
                if request.method == "POST":
                    request.state.form = await form_of(request)
                    self.gate.check_form(session, request.state.form.get("form_key", ""))
                return await handler(request, session)
            except HTTPException as error:
                return self.problem(request, session, str(error.detail), error.status_code)
            except Refused as error:
                return self.problem(request, session, str(error), error.status)

        return guard

    def problem(self, request: Request, session: Session | None, text: str, status: int) -> Response:
        return self.pages.render(request, "problem.html", session, status=status, text=text)

    # the door

    async def door(self, request: Request) -> Response:
        return self.pages.render(
            request, "sign_in.html", wrong=False, back=request.query_params.get("back", "/")
        )

    async def sign_in(self, request: Request) -> Response:
        form = await form_of(request)
        session = self.gate.sign_in(form.get("token", ""), form.get("name", ""), self.source.people_now())
        back = form.get("back", "/")
        if session is None:
            return self.pages.render(request, "sign_in.html", status=403, wrong=True, back=back)
        safe = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
        response = RedirectResponse(quote(safe, safe="/?=&%:-_."), 303, headers=HEADERS)
        self.gate.remember(response, session, secure=request.url.scheme == "https")
        return response

    async def sign_out(self, _request: Request) -> Response:
        response = RedirectResponse("/sign-in", 303, headers=HEADERS)
        response.delete_cookie(COOKIE)
        return response

    def _short(self, at: int) -> str:
        return moment(at, self.source.settings().timezone)

    # looking

    async def overview(self, request: Request, session: Session) -> Response:
        views = self.source.incidents()
        firing = sorted((view for view in views if view.phase is Phase.FIRING), key=_order)
        money: dict[str, int] = {}
        for view in firing:
            for currency, amount in view.money.items():
                money[currency] = money.get(currency, 0) + amount
        answers = await self.source.answers()
        return self.pages.render(
            request,
            "overview.html",
            session,
            status_now=(status := await self.source.status()),
            outbox=outbox_counts(status["outbox"], status.get("outbox_withdrawn", 0)),
            firing=firing[:FIRST],
            firing_count=len(firing),
            pending_count=len(views) - len(firing),
            at_risk=money,
            map=self.gallery.map_for(locale_of(request)),
            held=self.source.held_counts(),
            heard=any(route.receivers for route in self.source.settings().notify.routes),
            precision={rule: (counts, precision(counts)) for rule, counts in answers.items()},
        )

    async def incidents(self, request: Request, session: Session) -> Response:
        state = request.query_params.get("state", "firing")
        views: list[View]
        if state == "resolved":
            views = list(reversed(self.source.history()))
        else:
            wanted = Phase.PENDING if state == "pending" else Phase.FIRING
            views = sorted((view for view in self.source.incidents() if view.phase is wanted), key=_order)
        number = _number(request.query_params.get("page", "1"))
        return self.pages.render(
            request,
            "incidents.html",
            session,
            state=state,
            views=views[(number - 1) * SHOWN : number * SHOWN],
            number=number,
            last=max(1, math.ceil(len(views) / SHOWN)),
            count=len(views),
        )

    async def incident(self, request: Request, session: Session) -> Response:
        view = self.source.incident(request.path_params["id"])
        if view is None:
            raise HTTPException(404, "no such incident")
        if session.id == OPEN and view.family == "customers":
            raise HTTPException(403, "customers are shown to those who have signed in")
        number = _number(request.query_params.get("page", "1"))
        told = await self.source.explain(f"incident:{view.incident_id}")
        return self.pages.render(
            request,
            "incident.html",
            session,
            view=view,
            aged=aged(view, view.resolved_at or self.source.now()),
            chart=self.gallery.chart_for(view, place_of(view, locale_of(request)), locale_of(request)),
            members=self.source.members(view.incident_id, SHOWN, (number - 1) * SHOWN),
            number=number,
            last=max(1, math.ceil(view.open / SHOWN)),
            sent=(told or {}).get("records", ()),
            held=self.source.why_not(view.incident_id),
            advice=[
                advice_text(step, locale_of(request))
                for step in advise(view, self.source.settings().incidents, locale_of(request))
            ],
            evidence=evidence_rows(view.evidence, locale_of(request), self._short),
            breakdown=breakdown(view, locale_of(request)),
        )

    async def find(self, request: Request, _session: Session) -> Response:
        asked = request.query_params.get("q", "").strip()[:200]
        if not asked:
            return RedirectResponse("/", 303, headers=HEADERS)
        if self.source.incident(asked) is not None:
            return RedirectResponse(f"/incidents/{quote(asked)}", 303, headers=HEADERS)
        return RedirectResponse(f"/story/{quote(asked, safe=':')}", 303, headers=HEADERS)

    async def story(self, request: Request, session: Session) -> Response:
        subject = request.path_params["subject"]
        told, stranger = await self.source.explain(subject), session.id == OPEN
        if told is None or (stranger and is_of_customer(told)):  # not even that there is one
            more = ", or it is shown to those who have signed in" if stranger else ""
            raise HTTPException(404, f"nothing is known of {subject}{more}")
        locale, zone = locale_of(request), ZoneInfo(self.source.settings().timezone)
        shown = story(told, locale, lambda text: local(text, zone), lambda at: instant(at, zone))
        return self.pages.render(request, "story.html", session, subject=told["subject"], story=shown)

    async def approvals(self, request: Request, session: Session) -> Response:
        held = await self.source.outbox("held")
        if session.id == OPEN:
            held = [entry_for_all(entry) for entry in held]
        return self.pages.render(request, "approvals.html", session, held=held)

    async def silences(self, request: Request, session: Session) -> Response:
        asked = [line for line in request.query_params.get("matchers", "").splitlines() if line.strip()]
        try:
            hidden = list(self.source.preview(asked)) if asked else None
            problem = ""
        except ValueError as error:
            hidden, problem = None, str(error)
        now = self.source.now()
        return self.pages.render(
            request,
            "silences.html",
            session,
            silences=sorted(self.source.silences(), key=lambda silence: -silence.ends_at),
            active={silence.silence_id for silence in self.source.silences() if silence.active(now)},
            asked="\n".join(asked),
            hidden=hidden,
            problem=problem,
        )

    async def dead_letters(self, request: Request, session: Session) -> Response:
        """Raw payloads hold personal data: for operators only."""
        letters = await self.source.dead_letters(SHOWN) if session.role is Role.OPERATOR else []
        return self.pages.render(request, "dead_letters.html", session, letters=letters)

    async def policy(self, request: Request, session: Session) -> Response:
        """The pack as it decides now, after the last reload."""
        return self.pages.render(request, "policy.html", session, pack=self.source.policy())

    async def config(self, request: Request, session: Session) -> Response:
        settings = self.source.settings()
        tables = {name: flat(getattr(settings, name).model_dump()) for name in _sections(settings)}
        top = {
            name: getattr(settings, name)
            for name in type(settings).model_fields
            if name not in tables and not isinstance(getattr(settings, name), Mapping)
        }
        channels = {name: {"type": one.type, **one.options} for name, one in settings.channels.items()}
        return self.pages.render(
            request, "config.html", session, tables={"": flat(top), **tables, "channels": flat(channels)}
        )

    # acting

    async def act(self, request: Request, session: Session) -> Response:
        incident, act = request.path_params["id"], request.path_params["act"]
        form: dict[str, str] = request.state.form
        reason = form.get("reason", "")[:500]
        hours = _hours(form.get("hours", "1"))
        view = self.source.incident(incident)
        if view is None:
            raise HTTPException(404, "no such incident")
        commands: Mapping[str, tuple[str, dict[str, Any]]] = {
            "acknowledge": ("ack", {"incident": incident}),
            "snooze": ("snooze", {"incident": incident, "hours": hours}),
            "resolve": ("resolve", {"incident": incident}),
            "note": ("note", {"incident": incident}),
            "silence": ("silence", {"matchers": [f'incident="{incident}"'], "hours": hours}),
        }
        if act not in commands:
            raise HTTPException(404, "no such act")
        name, arguments = commands[act]
        reason = reason or act
        await self.source.command(name, {**arguments, "reason": reason}, self._actor(session, request))
        return RedirectResponse(f"/incidents/{quote(incident)}", 303, headers=HEADERS)

    async def decide(self, request: Request, session: Session) -> Response:
        form: dict[str, str] = request.state.form
        word = form.get("word", "")
        if word not in {"approve", "reject"}:
            raise HTTPException(400, "approve or reject")
        arguments = {"action": request.path_params["id"], "reason": form.get("reason", "")[:500]}
        await self.source.command(word, arguments, self._actor(session, request))
        return RedirectResponse("/approvals", 303, headers=HEADERS)

    async def silence(self, request: Request, session: Session) -> Response:
        form: dict[str, str] = request.state.form
        matchers = [line for line in form.get("matchers", "").splitlines() if line.strip()]
        arguments = {
            "matchers": matchers,
            "hours": _hours(form.get("hours", "2")),
            "reason": form.get("reason", "")[:500],
        }
        await self.source.command("silence", arguments, self._actor(session, request))
        return RedirectResponse("/silences", 303, headers=HEADERS)

    async def unsilence(self, request: Request, session: Session) -> Response:
        await self.source.command(
            "unsilence", {"silence": request.path_params["id"]}, self._actor(session, request)
        )
        return RedirectResponse("/silences", 303, headers=HEADERS)

    async def replay(self, request: Request, session: Session) -> Response:
        form: dict[str, str] = request.state.form
        entry = form.get("entry", "")
        await self.source.command(
            "deadletter-replay", {"entry": entry} if entry else {}, self._actor(session, request)
        )
        return RedirectResponse("/dead-letters", 303, headers=HEADERS)

    def _actor(self, session: Session, request: Request) -> Actor:
        return Actor(session.name, f"console {self.gate.origin(request)}".strip())


def _order(view: View) -> tuple[bool, int, int, str]:
    return view.muted, RANK.get(view.severity, 3), -view.open, view.incident_id


def _number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= 24 * 90:
        raise HTTPException(400, "hours: a number from 0 to 2160")
    return hours


def _sections(settings: Any) -> list[str]:
    return [name for name in type(settings).model_fields if hasattr(getattr(settings, name), "model_dump")]
