"""What ops people read: what, where, since when, how many, how much, what to do, why now; and the buttons."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from config.settings import IncidentRule, IncidentSettings
from detectors.findings import Finding, Kind, SubjectType
from monitor.links import Act, BadLink, Link, LinkFault, Links
from monitor.notifications import Notification, SendReason
from monitor.notifications.proposals import Desk, clean, propose
from notifier.actions import ActionKind, Reason
from notifier.ops_message import ops_message, words
from notifier.sending import Message
from tests.incidents.story import HOUR, MINUTE, T0, closed, finding, jam, silent, stuck
from tests.notifications.test_notifications import World, route

LINKS = Links(b"k" * 32)
DESK = Desk(IncidentSettings(), "p1", public_url="https://forestall.example/", links=LINKS)
JAM: dict[str, Any] = {
    "stock": 8000,
    "usual": 2000.0,
    "traffic_ratio": 1.0,
    "arrivals_per_hour": 500.0,
    "departures_per_hour": 300.0,
    "zh": "网点 HUB-1 积压 8,000 件",
    "en": "hub HUB-1 holds 8,000 parcels",
}


def said(world: World) -> list[Notification]:
    return world.wait(MINUTE)


def message(notification: Notification, locale: str = "zh-CN") -> Message:
    return ops_message(propose(notification, DESK).variables, key="K1", locale=locale)


def a_jam() -> Notification:
    world = World()
    world.tick(jam(**JAM), *(stuck(number, amount=1999) for number in range(30)))
    return said(world)[0]


@pytest.mark.parametrize(
    ("locale", "title", "advice", "why"),
    [
        ("zh-CN", "【严重】网点积压：网点 HUB-1 · 30 件", "需增 13 人", "首次触发"),
        ("en", "[critical] Facility jammed: facility HUB-1 · 30 parcels", "13 more people", "first alert"),
    ],
)
def test_a_capacity_alert_says_what_to_do(locale: str, title: str, advice: str, why: str) -> None:
    text = message(a_jam(), locale)
    assert text.title == title
    assert JAM[locale[:2]] in text.body
    assert advice in text.body
    assert text.why == why
    assert "599.70" in dict(text.fields)[words()[locale]["field"]["money"]]
    assert text.started_at == T0 - HOUR
    assert "8,000 (+6,000 / 2,000)" in dict(text.fields).values()


def test_the_all_clear_has_no_buttons_and_no_advice() -> None:
    world = World()
    hub = jam(**JAM)
    world.tick(hub)
    said(world)
    world.tick(closed(hub, world.now))
    (over,) = world.wait(10 * MINUTE)
    text = message(over)
    assert (text.severity, text.buttons) == ("resolved", ())
    assert "建议" not in text.body
    assert text.ended_at is not None


def a_silence(**more: Any) -> Finding:
    return finding(
        Kind.FEED_SILENT,
        SubjectType.FEED,
        "f1",
        zh="没有任何消息（1.0 小时）",
        en="silent (1.0 hours)",
        **more,
    )


def test_what_was_known_hours_ago_is_said_to_be_of_then() -> None:
    world = World(routes=(route(repeat_interval_seconds=4 * 3600),))
    world.tick(a_silence())
    first, repeated = message(said(world)[0]), message(world.wait(5 * HOUR)[-1])
    assert first.body.startswith("没有任何消息")
    assert re.match(r"截至 \d\d-\d\d \d\d:\d\d：没有任何消息（1.0 小时）", repeated.body)
    lasted = words()["zh-CN"]["field"]["so_far"]
    assert dict(repeated.fields)[lasted] == "5.0 小时", "as of now: it began an hour before it was found"


def test_the_end_of_a_silence_speaks_of_all_of_it() -> None:
    world = World()
    began = a_silence()
    world.tick(began)
    said(world)
    world.wait(9 * HOUR)
    whole = {"zh": "没有任何消息（10.0 小时）", "en": "silent (10.0 hours)"}
    world.tick(closed(replace(began, evidence=whole), world.now))
    (over,) = world.wait(10 * MINUTE)[-1:]
    assert message(over).body == "恢复前：没有任何消息（10.0 小时）"
    assert message(over, "en").body == "Before: silent (10.0 hours)"


def test_the_kinds_of_an_incidents_parcels_are_not_called_its_reasons() -> None:
    world = World()
    world.tick(finding(Kind.COMPLAINT_SPIKE, SubjectType.REGION, "320000", zh="江苏破损投诉激增"))
    world.tick(finding(Kind.LATE_PREDICTED, SubjectType.PARCEL, "P1", region="320000", carrier="SF"))
    fields = dict(message(said(world)[0]).fields)
    assert "原因" not in fields


def test_a_forecast_backlog_asks_for_hands_and_a_slow_lane_is_called_by_its_regions() -> None:
    world = World()
    evidence: dict[str, Any] = {
        "stock": 900,
        "forecast_24": 5000,
        "low_24": 3900,
        "high_24": 6100,
        "usual_24": 1400,
        "zh": "预计 5,000 件",
    }
    world.tick(
        finding(Kind.BACKLOG_FORECAST, SubjectType.FACILITY, "HUB-9", **evidence),
        finding(Kind.CARRIER_DEGRADED, SubjectType.LANE, "SF|330000|110000", carrier="SF"),
    )
    backlog, lane = (message(notification) for notification in said(world))
    assert "超出常量约 3,600 件" in backlog.body
    assert dict(backlog.fields)["24 小时后预计"] == "5,000 (3,900–6,100)"
    assert "SF 浙江省 → 北京市" in lane.title
    assert "SF 浙江省 → 北京市 的新单改走" in lane.body


def test_a_digest_counts_everything_and_lists_the_largest() -> None:
    world = World(incidents_settings=IncidentSettings(rules={"parcels_stalled": IncidentRule()}))
    world.tick(
        *(stuck(n, facility=f"HUB-{n % 100}") for n in range(500)), *(stuck(n + 900) for n in range(9))
    )
    digest = next(notification for notification in said(world) if notification.digest)
    text = message(digest, "en")
    total = sum(view.open for view in digest.firing)
    assert f"{len(digest.firing)} incidents, {total:,} parcels" in text.title
    assert f"{len(digest.firing) - 40} more" in text.body
    assert all(view.place.id in text.body for view in digest.firing), (
        "each by its name, the small ones in a line"
    )


@pytest.mark.parametrize(
    "name", ["<!channel>", "<at id=all></at>", "@all", "[x](http://evil)", "a\nb\u202e`*|"]
)
def test_a_name_from_outside_cannot_mention_link_or_break_a_line(name: str) -> None:
    world = World()
    world.tick(jam(name, zh=f"网点 {name} 积压"))
    text = message(said(world)[0])
    shown = text.title + text.body + str(text.fields)
    assert not set("<>[]@`|\n\u202e") & set(text.title)
    assert name not in shown
    assert len(clean("长" * 500)) == 80


def test_every_family_has_words_in_both_languages() -> None:
    for locale in ("zh-CN", "en"):
        world = World()
        world.tick(silent(), jam(), *(stuck(n, feed="f2", facility="X") for n in range(30)))
        for notification in world.wait(5 * MINUTE):
            text = message(notification, locale)
            assert text.title
            assert notification.firing[0].family not in text.title


def test_buttons_carry_their_right_and_nothing_else() -> None:
    text = message(a_jam())
    assert [button.label for button in text.buttons] == ["认领", "静默 1 小时", "有用", "误报"]
    token = text.buttons[0].url.removeprefix("https://forestall.example/a/")
    link = LINKS.verify(token, T0)
    assert (link.act, link.subject, link.rule) == (Act.ACKNOWLEDGE, text.thread, "facility_congested")


def test_the_same_message_after_a_replay_is_the_same_claim_with_the_same_buttons() -> None:
    first, second = propose(a_jam(), DESK), propose(a_jam(), DESK)
    assert first.action_id == second.action_id
    assert first.variables == second.variables


def test_no_public_address_no_buttons() -> None:
    bare = Desk(IncidentSettings(), "p1", links=LINKS)
    content = propose(a_jam(), bare).variables
    assert (content["buttons"], content["link"]) == ([], None)


LINK = Link(Act.SILENCE, "I1", T0 + HOUR, "n1", "facility_congested")


def fault(token: str, now: int = T0, links: Links = LINKS) -> LinkFault:
    with pytest.raises(BadLink) as caught:
        links.verify(token, now)
    return caught.value.fault


def test_a_link_expires_and_cannot_be_changed() -> None:
    token = LINKS.sign(LINK)
    assert LINKS.verify(token, T0) == LINK
    assert fault(token, T0 + HOUR) is LinkFault.EXPIRED
    payload, _, mac = token.partition(".")
    assert fault(f"{payload}.{mac[:-2]}AA") is LinkFault.FORGED
    assert fault(f"{payload[:-4]}AAAA.{mac}") is LinkFault.FORGED
    assert fault(token, links=Links(b"o" * 32)) is LinkFault.FORGED


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "x" * 4000, "!!.!!"])
def test_nonsense_is_no_link(token: str) -> None:
    assert fault(token) in {LinkFault.MALFORMED, LinkFault.FORGED}


def test_old_links_work_while_the_secret_is_changed() -> None:
    token = Links(b"old secret of enough bytes").sign(LINK)
    assert Links(b"new secret of enough bytes", b"old secret of enough bytes").verify(token, T0) == LINK


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Links(b"short")


def test_every_reason_and_action_has_words_in_both_languages() -> None:
    for locale in ("zh-CN", "en"):
        assert {reason.value for reason in Reason} == words()[locale]["cause"].keys()
        assert {kind.value for kind in ActionKind} == words()[locale]["action"].keys()
        assert {kind.value for kind in Kind} <= words()[locale]["kind"].keys()
        assert {reason.value for reason in SendReason} == words()[locale]["reason"].keys()


@pytest.mark.parametrize(
    ("departures", "words_of"), [(510.0, "三天内不会恢复"), (800.0, "小时后恢复"), (480.0, "不会自行消退")]
)
def test_what_takes_days_is_not_said_to_clear_by_itself(departures: float, words_of: str) -> None:
    world = World()
    world.tick(jam(**{**JAM, "departures_per_hour": departures}))
    assert words_of in message(said(world)[0]).body
