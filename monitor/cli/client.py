"""A verb's way to the running daemon: its HTTP interface, with the token that the daemon left in its data folder."""

from __future__ import annotations

import getpass
import http
import http.client
import json
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from config.settings import Settings
from monitor.cli.output import FAILED, USAGE, Failed

TIMEOUT = 30.0
_AS_THEY_ARE: Final = "surrogateescape"
BAD_USAGE: Final = frozenset({http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
LONG: Final = frozenset({"deadletter-replay", "release"})  # as long as there is to do, or to wait for a shop


class Daemon:
    """`timeout`: seconds without an answer."""

    def __init__(self, settings: Settings, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._host = settings.http.host if settings.http.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        self._port = settings.http.port
        self._token = token(settings)
        self._data_dir = settings.data_dir

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None, self._timeout)

    def command(self, name: str, **arguments: Any) -> Any:
        given = {key: value for key, value in arguments.items() if value is not None}
        patience = None if name in LONG else self._timeout
        return self._ask("POST", f"/v1/commands/{name}", given, patience)

    def post(self, path: str, value: Any) -> Any:
        return self._ask("POST", path, value, self._timeout)

    def _ask(self, method: str, path: str, body: Any, timeout: float | None) -> Any:
        headers = {"X-Forestall-Actor": quote(user())}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.connect()
            connection.sock.settimeout(timeout)
            connection.request(method, _quoted(path), _bytes(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
        except TimeoutError:
            if connection.sock is None:
                raise Failed(
                    f"{self._host}:{self._port} cannot be reached: no answer to a connection"
                ) from None
            raise Failed(
                f"the daemon on {self._host}:{self._port} has not answered in {timeout or 0:g} seconds; "
                "what was asked for may still be done"
            ) from None
        except OSError as error:
            raise Failed(
                f"no daemon answers on {self._host}:{self._port} ({error.strerror or type(error).__name__}); "
                "start it with `forestall run`, or name its config with --config"
            ) from None
        except http.client.HTTPException:
            raise Failed(f"{self._host}:{self._port} is not Forestall: it does not speak HTTP") from None
        finally:
            connection.close()
        try:
            value = json.loads(text)
        except ValueError:
            raise Failed(
                f"{self._host}:{self._port} is not Forestall: it answered {answer.status} without JSON"
            ) from None
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            raise Failed(self._refused())
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            if not isinstance(value, dict):
                raise Failed(f"{self._host}:{self._port} is not Forestall: it answered {answer.status}")
            if "error" in value:
                code = USAGE if answer.status in BAD_USAGE else FAILED
                raise Failed(str(value["error"]), code=code)
        return value

    def _refused(self) -> str:
        why = "is not the one that is tried" if self._token else f"is not in {token_path(self._data_dir)}"
        return (
            f"the token of the daemon on {self._host}:{self._port} {why}; name its config with --config, "
            "its folder with FORESTALL_DATA_DIR, or its token with FORESTALL_HTTP__TOKEN"
        )


def token(settings: Settings) -> str | None:
    if settings.http.token is not None:
        return settings.http.token.get_secret_value()
    path = token_path(settings.data_dir)
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def token_path(data_dir: Path) -> Path:
    return data_dir / "token"


def user() -> str:
    """Who asks; the number where an account has no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _quoted(path: str) -> str:
    """Where the locale knows no UTF-8, an argument's bytes come as they are."""
    return quote(path, safe="/?=&%", errors=_AS_THEY_ARE)


def _bytes(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode(errors=_AS_THEY_ARE)
