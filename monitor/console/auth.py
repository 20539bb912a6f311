"""Who looks and who acts: a token or a trusted proxy signs in, a signed cookie remembers, a second value guards forms.

The session is in the cookie (role, name, expiry, a random id) under an HMAC, so nothing is stored and a restart signs
nobody out. The token that signed in is under it, too: changing or removing it signs out who came with it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from config.settings import ConsoleSettings
from detectors.findings import Instant
from monitor.forwarded import origin, peer

COOKIE = "forestall_session"
OPEN = "open"  # the session of whoever may look without signing in


class Role(StrEnum):
    READER = "reader"
    OPERATOR = "operator"


class Session(msgspec.Struct, frozen=True, array_like=True):
    role: Role
    name: str
    expires_at: Instant
    id: str


class SignInNeeded(Exception):  # noqa: N818 - nothing failed
    """Nobody is signed in: the page is behind the door."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`token` is the operator's; `secret` signs cookies (derive it from the daemon's own key). `current` is asked each
    time, as a reload may have changed who may come in.
    """

    current: Callable[[], ConsoleSettings]
    token: str
    secret: bytes

    @property
    def settings(self) -> ConsoleSettings:
        return self.current()

    def sign_in(self, token: str, name: str, now: Instant) -> Session | None:
        role = self._role(token)
        if role is None:
            return None
        expires_at = now + 3_600_000 * self.settings.session_hours
        return Session(role, (name.strip() or role.value)[:80], expires_at, secrets.token_hex(8))

    def _role(self, token: str) -> Role | None:
        given = token.strip().encode()
        for role, right in self._tokens().items():
            if hmac.compare_digest(given, right):
                return role
        return None

    def _tokens(self) -> dict[Role, bytes]:
        """What signs in now, the operator's first."""
        read = self.settings.read_token
        known = {Role.OPERATOR: self.token, Role.READER: read.get_secret_value() if read else ""}
        return {role: token.encode() for role, token in known.items() if token}

    def remember(self, response: Response, session: Session, *, secure: bool) -> None:
        payload = msgspec.msgpack.encode(session)
        value = f"{_text(payload)}.{_text(self._session_mac(session.role, payload))}"
        response.set_cookie(
            COOKIE,
            value,
            max_age=3_600 * self.settings.session_hours,
            httponly=True,
            samesite="lax",
            secure=secure,
        )

    def session(self, request: Request, now: Instant) -> Session:
        """Raises SignInNeeded."""
        found = self._of_proxy(request, now) or self._of_cookie(request.cookies.get(COOKIE, ""), now)
        if found is None and self.settings.open_reading:
            found = Session(Role.READER, "", now, OPEN)
        if found is None:
            raise SignInNeeded
        return found

    def _of_proxy(self, request: Request, now: Instant) -> Session | None:
        header = self.settings.proxy_header
        if not header or peer(request) not in self.settings.proxies:
            return None
        name = request.headers.get(header, "").strip()[:80]
        if not name:
            return None
        role = Role.OPERATOR if name in self.settings.operators else Role.READER
        return Session(role, name, now, f"proxy-{name}")

    def origin(self, request: Request) -> str:
        return origin(request, self.settings.proxies)

    def _of_cookie(self, value: str, now: Instant) -> Session | None:
        first, _, second = value.partition(".")
        try:
            payload, mac = _bytes(first), _bytes(second)
            session = msgspec.msgpack.decode(payload, type=Session)
        except (ValueError, msgspec.DecodeError):
            return None
        if not hmac.compare_digest(mac, self._session_mac(session.role, payload)):
            return None
        return session if session.expires_at > now else None

    def form_key(self, session: Session) -> str:
        """What every form of this session carries; another site cannot know it."""
        return _text(self._mac(b"form", session.id.encode()))

    def check_form(self, session: Session, given: str) -> None:
        if session.role is not Role.OPERATOR:
            raise HTTPException(403, "this sign-in may look, not act")
        if not hmac.compare_digest(given.encode(), self.form_key(session).encode()):
            raise HTTPException(403, "the form is not from this sign-in; load the page again")

    def _session_mac(self, role: Role, payload: bytes) -> bytes:
        """Of a role that nobody can sign in to, one that no cookie has."""
        token = self._tokens().get(role)
        right = hmac.digest(self.secret, token, "sha256") if token else secrets.token_bytes(32)
        return self._mac(b"session", right + payload)

    def _mac(self, what: bytes, payload: bytes) -> bytes:
        return hmac.digest(self.secret, b"forestall-console\0" + what + b"\0" + payload, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
