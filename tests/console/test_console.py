"""The console: who may look, who may act, what is shown, and what must never be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from config.settings import ConsoleSettings, NotifySettings, Route, Settings
from monitor.api import Actor, Json, Refused
from monitor.console.auth import Gate, Role, SignInNeeded
from monitor.links import Act, Link
from tests.console.shop import LINKS, READ_TOKEN, TOKEN, Browser, Shop
from tests.incidents.story import HOUR, T0, jam, stuck

PAGES = (
    "/",
    "/incidents",
    "/incidents?state=resolved",
    "/approvals",
    "/silences",
    "/dead-letters",
    "/policy",
    "/config",
)


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.see(jam("HUB-1", stock=900, usual=100.0, zh="积压", en="jammed"), stuck(1, amount=1999))
    return shop


@pytest.fixture
def client(shop: Shop) -> Browser:
    return Browser(shop.app())


def sign_in(client: Browser, token: str = TOKEN, name: str = "li") -> None:
    answer = client.post("/sign-in", data={"token": token, "name": name, "back": "/"})
    assert answer.status_code == 303, answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]


def key(client: Browser, path: str = "/silences?matchers=kind%3Dx") -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def incident(shop: Shop) -> str:
    return shop.book.firing()[0].incident_id


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_to_strangers(client: Browser, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_every_page_opens_in_both_languages_under_the_strictest_policy(
    client: Browser, path: str, lang: str
) -> None:
    sign_in(client)
    answer = client.get(path, headers={"accept-language": lang})
    assert answer.status_code == 200
    assert f'<html lang="{lang}"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert " style=" not in answer.text


def test_a_wrong_token_and_a_forged_cookie_open_nothing(client: Browser) -> None:
    assert client.post("/sign-in", data={"token": "x", "name": "li"}).status_code == 403
    client.cookies.set("forestall_session", "gaE.AAAA")
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(("old", "role"), [(TOKEN, Role.OPERATOR), (READ_TOKEN, Role.READER)])
def test_a_new_token_signs_out_who_came_with_the_old_one(old: str, role: Role) -> None:
    settings = ConsoleSettings(read_token=SecretStr(READ_TOKEN))
    without = ConsoleSettings()
    gate = Gate(lambda: settings, TOKEN, b"secret")
    session = gate.sign_in(old, "eve", T0)
    assert session is not None
    response = Response()
    gate.remember(response, session, secure=False)
    cookie = response.headers["set-cookie"].split(";")[0].encode()
    request = Request({"type": "http", "headers": [(b"cookie", cookie)], "client": ("203.0.113.9", 1)})
    assert gate.session(request, T0).role is role
    rotated = Gate(lambda: settings if role is Role.OPERATOR else without, "another-token-1", b"secret")
    with pytest.raises(SignInNeeded):
        rotated.session(request, T0)


def test_a_session_ends(client: Browser, shop: Shop) -> None:
    sign_in(client)
    shop.now += 13 * HOUR
    assert client.get("/").status_code == 303


def test_a_sign_in_lasts_hours_of_people_however_fast_the_shops_days_pass(
    client: Browser, shop: Shop
) -> None:
    shop.people = 0
    sign_in(client)
    shop.now += 40 * HOUR
    shop.people = 11 * HOUR
    assert client.get("/").status_code == 200
    shop.people = 13 * HOUR
    assert client.get("/").status_code == 303


def test_the_title_of_an_incident_has_the_colon_of_its_language(client: Browser, shop: Shop) -> None:
    sign_in(client)
    path = f"/incidents/{incident(shop)}"
    assert "Facility jammed: facility HUB-1" in client.get(path, headers={"accept-language": "en"}).text
    assert "网点积压：网点 HUB-1" in client.get(path, headers={"accept-language": "zh"}).text


def test_what_is_known_of_a_place_says_of_when_it_is(client: Browser, shop: Shop) -> None:
    sign_in(client)
    path = f"/incidents/{incident(shop)}"
    english = {"accept-language": "en"}
    assert "As of" not in client.get(path, headers=english).text
    shop.now += 3 * HOUR
    assert re.search(r"As of \d\d-\d\d \d\d:\d\d: jammed", client.get(path, headers=english).text)


def test_what_was_withdrawn_is_not_called_failed(client: Browser, shop: Shop) -> None:
    sign_in(client)
    shop.service.outbox_now = {"outbox": {"done": 4, "failed": 3}, "outbox_withdrawn": 2}
    rows = re.findall(
        r'<th scope="row">(\w+)</th><td class="n">(\d+)</td>',
        client.get("/", headers={"accept-language": "en"}).text,
    )
    assert {("sent", "4"), ("failed", "1"), ("withdrawn", "2")} <= set(rows)


@pytest.mark.parametrize("back", ["//evil.example/", "/\\evil.example", "https://evil.example/"])
def test_signing_in_leads_nowhere_else(client: Browser, back: str) -> None:
    answer = client.post("/sign-in", data={"token": TOKEN, "name": "li", "back": back})
    assert answer.headers["location"] == "/"


def test_a_reader_may_look_and_not_act(client: Browser, shop: Shop) -> None:
    sign_in(client, READ_TOKEN)
    page = client.get(f"/incidents/{incident(shop)}")
    assert page.status_code == 200
    assert "<form method" not in page.text.replace('<form method="post" action="/sign-out">', "")
    assert "13912345678" not in client.get("/dead-letters").text, "raw payloads hold personal data"
    assert client.post(f"/incidents/{incident(shop)}/acknowledge", data={}).status_code == 403
    assert shop.service.told == []


def test_an_operator_acts_with_the_forms_key_and_is_named(client: Browser, shop: Shop) -> None:
    sign_in(client)
    path = f"/incidents/{incident(shop)}"
    data = {"form_key": key(client, path), "reason": "third shift"}
    assert client.post(f"{path}/acknowledge", data=data).status_code == 303
    ((name, arguments, actor),) = shop.service.told
    assert (name, arguments["reason"], actor.name) == ("ack", "third shift", "li")


@pytest.mark.parametrize("given", ["", "AAAA"])
def test_a_form_of_another_site_does_nothing(client: Browser, shop: Shop, given: str) -> None:
    sign_in(client)
    answer = client.post(f"/incidents/{incident(shop)}/resolve", data={"form_key": given})
    assert (answer.status_code, shop.service.told) == (403, [])


@pytest.mark.parametrize(
    ("path", "data", "command"),
    [
        ("/approvals/A1", {"word": "approve", "reason": "ok"}, "approve"),
        ("/approvals/A1", {"word": "reject", "reason": "no"}, "reject"),
        ("/silences", {"matchers": 'kind="x"', "hours": "2", "reason": "r"}, "silence"),
        ("/silences/S1", {}, "unsilence"),
        ("/dead-letters", {"entry": "1-0"}, "deadletter-replay"),
    ],
)
def test_every_act_becomes_a_command(
    client: Browser, shop: Shop, path: str, data: dict[str, str], command: str
) -> None:
    sign_in(client)
    assert client.post(path, data={**data, "form_key": key(client)}).status_code == 303
    assert [name for name, _, _ in shop.service.told] == [command]


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "1e9", "x", ""])
def test_a_silence_without_a_sane_end_is_refused(client: Browser, shop: Shop, hours: str) -> None:
    sign_in(client)
    data = {"matchers": 'kind="x"', "hours": hours, "reason": "r", "form_key": key(client)}
    assert client.post("/silences", data=data).status_code == 400
    assert shop.service.told == []


def test_a_silence_shows_what_it_would_hide(client: Browser) -> None:
    sign_in(client)
    page = client.get("/silences", params={"matchers": 'facility="HUB-1"'})
    assert "1</h2>" in page.text
    wrong = client.get("/silences", params={"matchers": "facility"})
    assert "not a matcher" in wrong.text


def test_a_parcel_tells_its_story_and_why_nothing_was_sent(client: Browser) -> None:
    sign_in(client)
    found = client.get("/find", params={"q": "SF1"})
    page = client.get(found.headers["location"])
    assert "在网点停留 41 小时" in page.text
    assert "customer_cap" in page.text
    assert client.get("/story/XX9").status_code == 404


def test_what_came_from_outside_is_text(client: Browser, shop: Shop) -> None:
    shop.see(jam('<img src=x onerror="a">', zh="<b>"))
    sign_in(client)
    assert "<img" not in client.get("/").text
    page = client.get("/dead-letters").text
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_secrets_of_the_config_stay_hidden(client: Browser) -> None:
    sign_in(client)
    page = client.get("/config").text
    assert "slack" in page
    assert "False" not in page
    assert '<th scope="row">rules.parcels_stalled.min_members</th>' in page, (
        "a key is whole, not a table in a table"
    )
    assert "s3cret" not in page
    assert READ_TOKEN not in page


def test_a_trusted_proxy_signs_in_and_a_stranger_with_its_header_does_not() -> None:
    shop = Shop()
    for host, expected in (("127.0.0.1", 200), ("10.9.9.9", 303)):
        answer = Browser(shop.app(), host).get("/", headers={"x-forwarded-user": "zhang"})
        assert answer.status_code == expected


def test_open_reading_lets_everybody_look_and_nobody_act(shop: Shop) -> None:
    shop.settings = Settings(console=ConsoleSettings(open_reading=True))
    client = Browser(shop.app())
    assert client.get("/").status_code == 200
    assert client.post("/silences", data={}).status_code == 403
    assert client.get("/story/parcel:SF1").status_code == 200
    known, unknown = (client.get(f"/story/customer:{name}") for name in ("SF1", "SF2"))
    assert (known.status_code, unknown.status_code) == (404, 404), (
        "whose parcels they are is for who signed in"
    )
    assert known.text.replace("SF1", "SF2") == unknown.text, "and so is whether there is such a customer"


# the buttons of alerts


def link(shop: Shop, act: Act = Act.ACKNOWLEDGE, nonce: str = "n1") -> str:
    return "/a/" + LINKS.sign(Link(act, incident(shop), T0 + HOUR, nonce, "facility_congested"))


def test_fetching_a_button_does_nothing_and_confirming_does_it_once(client: Browser, shop: Shop) -> None:
    path = link(shop)
    for _ in range(3):
        assert client.get(path).status_code == 200
    assert shop.service.told == []
    assert client.post(path, data={"name": "王"}).status_code == 200
    ((name, arguments, actor),) = shop.service.told
    assert (name, arguments["incident"], actor.name) == ("ack", incident(shop), "王 (link)")
    assert client.post(path, data={"name": "王"}).status_code == 410
    assert len(shop.service.told) == 1


def test_a_button_whose_act_could_not_be_done_is_not_spent(client: Browser, shop: Shop) -> None:
    """It is taken for a minute, so that a double click is one, and spent only by what was done or refused for good."""
    done = shop.service.command

    async def busy(name: str, arguments: Json, actor: Actor) -> Json:
        raise Refused("still on hold", 503)

    shop.service.command = busy  # type: ignore[method-assign]
    assert client.post(link(shop), data={"name": "li"}).status_code == 503
    assert shop.remembered.spent == {}
    shop.service.command = done  # type: ignore[method-assign]
    shop.remembered.used.clear()  # the minute is over
    assert client.post(link(shop), data={"name": "li"}).status_code == 200
    assert shop.remembered.spent == {"n1": HOUR}


def test_a_button_that_takes_a_second_person_works_for_them_at_once(client: Browser, shop: Shop) -> None:
    answers = iter(["second_needed", "done"])

    async def two(name: str, arguments: Json, actor: Actor) -> Json:
        return {"message": "said", "answer": next(answers)}

    shop.service.command = two  # type: ignore[method-assign]
    path = link(shop, Act.APPROVE)
    assert [client.post(path, data={"name": name}).status_code for name in ("li", "wang", "zhao")] == [
        200,
        200,
        410,
    ]


def test_a_button_asks_who_acts(client: Browser, shop: Shop) -> None:
    assert client.post(link(shop), data={"name": " "}).status_code == 400
    assert shop.service.told == []


def test_useful_and_noise_count_for_the_rule(client: Browser, shop: Shop) -> None:
    client.post(link(shop, Act.USEFUL, "n2"), data={"name": "li"})
    client.post(link(shop, Act.NOISE, "n3"), data={"name": "li"})
    assert shop.remembered.given == [("facility_congested", True), ("facility_congested", False)]
    assert [(event, about, why, actor.name) for event, about, why, actor in shop.service.audited] == [
        ("answer", "facility_congested", "useful", "li (link)"),
        ("answer", "facility_congested", "noise", "li (link)"),
    ]


def test_an_expired_or_forged_button_says_so(client: Browser, shop: Shop) -> None:
    path = link(shop)
    assert client.get(path + "x").status_code == 404
    shop.now += 2 * HOUR
    assert client.post(path, data={"name": "li"}).status_code == 410
    assert shop.service.told == []


def test_the_first_page_says_so_while_nobody_would_be_told(client: Browser, shop: Shop) -> None:
    sign_in(client)
    assert "[[notify.routes]]" in client.get("/").text
    route = Route(name="all", receivers=("ops",))
    shop.settings = shop.settings.model_copy(update={"notify": NotifySettings(routes=(route,))})
    assert "[[notify.routes]]" not in client.get("/").text


def test_who_may_look_follows_a_reload(client: Browser, shop: Shop) -> None:
    assert client.get("/").status_code == 303
    shop.settings = shop.settings.model_copy(update={"console": ConsoleSettings(open_reading=True)})
    assert client.get("/").status_code == 200
    shop.settings = shop.settings.model_copy(update={"console": ConsoleSettings()})
    assert client.get("/").status_code == 303
    assert client.post("/sign-in", data={"token": READ_TOKEN, "name": "li"}).status_code == 403


def test_a_link_to_a_chart_is_no_button(client: Browser, shop: Shop) -> None:
    token = LINKS.sign(Link(Act.CHART, "A1", shop.now + HOUR, ""))
    assert client.get(f"/a/{token}").status_code == 404
    assert client.post(f"/a/{token}", data={"name": "li"}).status_code == 404
    assert shop.service.told == []


def test_evidence_is_told_in_the_readers_words(client: Browser, shop: Shop) -> None:
    facts: dict[str, Any] = {
        "stock": 1900,
        "usual": 100.0,
        "since": T0,
        "region": "330000",
        "reason": "damaged",
        "odd_one": 3,
    }
    shop.see(jam("HUB-7", **facts))
    sign_in(client)
    (view,) = [one for one in shop.book.firing() if one.place.id == "HUB-7"]
    zh = client.get(f"/incidents/{view.incident_id}?lang=zh-CN").text
    for text in ("在场件数", "1,900", "浙江省", "破损", "odd_one"):
        assert text in zh
    assert str(T0) not in zh, "a moment is shown by the clock"
    en = client.get(f"/incidents/{view.incident_id}?lang=en").text
    for text in ("Parcels held", "Zhejiang", "damaged goods"):
        assert text in en


def test_money_left_is_shown_as_money(client: Browser) -> None:
    sign_in(client)
    page = client.get("/?lang=zh-CN").text
    assert "已用 ¥12 · 剩余 ¥488" in page
    assert "48800" not in page


def test_the_policy_page_shows_the_pack_that_decides(client: Browser, shop: Shop) -> None:
    sign_in(client)
    page = client.get("/policy?lang=en").text
    pack = shop.source.policy()
    assert pack.fingerprint in page
    for rule in pack.rules:
        assert f">{rule.name}</th>" in page
        assert all(f"<code>{action.template}</code>" in page for action in rule.actions)
