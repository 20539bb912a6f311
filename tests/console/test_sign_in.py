"""The door of the console: what opens it, and what a session may not lend another."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import ConsoleSettings
from monitor.console.auth import Gate, Role
from tests.console.shop import READ_TOKEN, TOKEN, Browser, Shop
from tests.console.test_console import incident, key, sign_in
from tests.incidents.story import T0, jam

READABLE = ConsoleSettings(read_token=SecretStr(READ_TOKEN))


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.see(jam("HUB-1", stock=900, usual=100.0, zh="积压", en="jammed"))
    return shop


@pytest.mark.parametrize("token", ["", " ", "\t\n"])
@pytest.mark.parametrize("settings", [READABLE, ConsoleSettings()], ids=["with a reader", "without"])
@pytest.mark.parametrize("operator", [TOKEN, ""])
def test_no_token_is_no_sign_in(settings: ConsoleSettings, operator: str, token: str) -> None:
    """Not even where nobody has set one."""
    gate = Gate(lambda: settings, operator, b"cookie secret of tests")
    assert gate.sign_in(token, "eve", T0) is None


def test_each_token_opens_for_its_own_role() -> None:
    gate = Gate(lambda: READABLE, TOKEN, b"cookie secret of tests")
    roles = [
        session and session.role for session in (gate.sign_in(one, "li", T0) for one in (TOKEN, READ_TOKEN))
    ]
    assert roles == [Role.OPERATOR, Role.READER]


def test_the_form_key_of_another_session_is_refused(shop: Shop) -> None:
    mine, theirs = Browser(shop.app()), Browser(shop.app())
    for client in (mine, theirs):
        sign_in(client)
    path = f"/incidents/{incident(shop)}/acknowledge"
    assert mine.post(path, data={"form_key": key(theirs), "reason": "r"}).status_code == 403
    assert shop.service.told == []
    assert mine.post(path, data={"form_key": key(mine), "reason": "r"}).status_code == 303


def test_another_sites_form_does_not_bring_the_cookie(shop: Shop) -> None:
    answer = Browser(shop.app()).post("/sign-in", data={"token": TOKEN, "name": "li", "back": "/"})
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
