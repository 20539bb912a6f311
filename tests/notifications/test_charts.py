"""The picture beside the words: inside the message, or at an address of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from config.settings import HttpSettings, NotifySettings, Settings
from detectors.findings import Kind, SubjectType
from monitor.charts import ChartPage, chart_address
from monitor.links import Act, Link, Links
from monitor.notifications.proposals import propose
from notifier.charts import Charts, Picture, draw
from notifier.ops_message import ops_message
from notifier.outbox import Entry
from notifier.sending import Capabilities, Message
from tests.incidents.story import HOUR, MINUTE, T0, finding, jam, stuck
from tests.money.sending import Room
from tests.notifications.test_messages import DESK, a_jam
from tests.notifications.test_notifications import World

SERIES = [[T0 + step * 5 * MINUTE, 100 + step * 40] for step in range(12)]
LINKS = Links(b"links of tests " * 2)
PUBLIC = Settings(http=HttpSettings(public_url="https://forestall.example/"))


def test_the_chart_is_a_small_png_and_the_same_for_the_same_numbers() -> None:
    picture = Picture(SERIES, 300.0, [[T0 + HOUR, 500, 400, 600], [T0 + 3 * HOUR, 700, 500, 900]], "critical")
    first = draw(picture)
    assert first.startswith(b"\x89PNG")
    assert first == draw(picture)
    assert first != draw(Picture(SERIES, None, picture.forecast, "critical"))
    assert first != draw(Picture(SERIES, 300.0, (), "critical"))
    assert len(first) < 15_000, "or no card could carry it inside"


@pytest.mark.parametrize("hours", [0.2, 1, 3, 7, 24, 50, 96, 400, 2_000])
def test_any_stretch_of_time_has_marks_on_its_axis(hours: float) -> None:
    """Matplotlib warns where it finds none, and warnings are errors here."""
    step = round(hours * HOUR / 11)
    assert draw(Picture([[T0 + n * step, n] for n in range(12)], timezone="Asia/Shanghai"))


def decorated(capabilities: Capabilities, series: list[list[int]], base: str | None) -> Message:
    async def run() -> Message:
        proposal = propose(a_jam(), DESK)
        variables: dict[str, Any] = {**proposal.variables, "series": series}
        fields = dict.fromkeys(Entry.__dataclass_fields__)
        given = {**fields, "action_id": "A1", "proposal": proposal, "decided_at": T0}
        entry = Entry(**given)  # type: ignore[arg-type]
        charts = Charts(
            {proposal.channel: Room("ops", capabilities=capabilities)},
            lambda action, at: f"{base}/{action}/{at}" if base else None,
        )
        return await charts.decorate(entry, ops_message(variables, key="A1"))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("capabilities", "series", "base", "inside", "link"),
    [
        (Capabilities(image=True), SERIES, None, True, None),
        (Capabilities(image=True), SERIES, "https://f", True, None),
        (Capabilities(), SERIES, "https://f", False, None),
        (Capabilities(image=True, image_url=True), SERIES[:1], "https://f", False, None),
        (Capabilities(image_url=True), SERIES, "https://f", False, f"https://f/A1/{T0}"),
        (Capabilities(image_url=True), SERIES, None, False, None),
        (Capabilities(image=True, image_url=True), SERIES, "https://f", False, f"https://f/A1/{T0}"),
        (Capabilities(image=True, image_url=True), SERIES, None, True, None),
    ],
)
def test_a_channel_gets_the_picture_in_the_way_it_can_show_it(
    capabilities: Capabilities, series: list[list[int]], base: str | None, inside: bool, link: str | None
) -> None:
    message = decorated(capabilities, series, base)
    assert (message.image is not None, message.image_url) == (inside, link)


def test_the_first_message_has_a_story_to_show_already() -> None:
    world = World()
    world.tick(jam(), *(stuck(number, T0 - number * HOUR) for number in range(30)))
    (first,) = world.wait(MINUTE)
    picture = Picture.of(propose(first, DESK).variables)
    assert picture is not None
    counts = [count for _, count in picture.points]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 30)


def test_a_forecast_is_drawn_with_its_interval_from_what_is_there_now() -> None:
    world = World()
    evidence = {
        "stock": 900, "usual_24": 1400,
        "forecast_24": 5000, "low_24": 3900, "high_24": 6100,
        "forecast_72": 7000, "low_72": 4000, "high_72": 9900,
    }  # fmt: skip
    world.tick(finding(Kind.BACKLOG_FORECAST, SubjectType.FACILITY, "HUB-9", **evidence))
    (said,) = world.wait(MINUTE)
    picture = Picture.of(propose(said, DESK).variables)
    assert picture is not None
    assert picture.usual == 1400
    assert [list(row[1:]) for row in picture.forecast] == [[900] * 3, [5000, 3900, 6100], [7000, 4000, 9900]]


def test_a_picture_counts_one_thing() -> None:
    """Thirty that stand still beside nine thousand held would be a line on the ground."""
    row = [T0, 8000, 8000, 8000]
    chart = {
        "usual": 2000,
        "forecast": [row, [T0 + 24 * HOUR, 9500, 8200, 11000], [T0 + 72 * HOUR, 7000, 4000, 9000]],
    }
    both = Picture.of({"series": SERIES, "chart": chart})
    alone = Picture.of({"series": SERIES, "chart": {"usual": 4.0, "forecast": []}})
    assert both is not None
    assert alone is not None
    assert (list(both.points), len(both.forecast)) == ([], 3)
    assert (list(alone.points), alone.usual) == (SERIES, 4.0)


class Page:
    def __init__(self, said: Mapping[str, Any] | None) -> None:
        self.now, self.drawn = T0, 0
        page = ChartPage(LINKS, lambda: self.now, self._said(said), self._draw)
        transport = httpx.ASGITransport(app=Starlette(routes=[page.route()]))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://f")

    @staticmethod
    def _said(said: Mapping[str, Any] | None) -> Any:
        async def of(action: str) -> Mapping[str, Any] | None:
            return said if action == "A1" else None

        return of

    async def _draw(self, picture: Picture) -> bytes:
        self.drawn += 1
        return draw(picture)

    def get(self, url: str) -> httpx.Response:
        return asyncio.run(self._client.get(url.removeprefix("https://forestall.example")))


def test_the_address_shows_this_picture_to_whoever_has_it_until_it_expires() -> None:
    page = Page({"series": SERIES, "severity": "critical", "timezone": "Asia/Shanghai"})
    url = chart_address(lambda: PUBLIC, LINKS)("A1", T0)
    assert url is not None
    first = page.get(url)
    assert (first.status_code, first.headers["content-type"]) == (200, "image/png")
    assert first.content.startswith(b"\x89PNG")
    assert first.headers["x-content-type-options"] == "nosniff"
    page.get(url)
    assert page.drawn == 1, "a chat's servers ask again and again"
    page.now = T0 + 72 * HOUR
    assert page.get(url).status_code == 410


@pytest.mark.parametrize(
    "link",
    [
        Link(Act.ACKNOWLEDGE, "A1", T0 + HOUR, "n"),
        Link(Act.CHART, "A2", T0 + HOUR, ""),
    ],
)
def test_a_button_is_no_picture_and_an_unknown_alert_has_none(link: Link) -> None:
    page = Page({"series": SERIES})
    assert page.get(f"/chart/{LINKS.sign(link)}.png").status_code == 404
    assert page.get(f"/chart/{Links(b'another secret of tests').sign(link)}.png").status_code == 404
    assert page.get("/chart/x.png").status_code == 404


def test_where_chats_cannot_reach_us_there_is_no_address() -> None:
    address = chart_address(Settings, LINKS)
    assert address("A1", T0) is None
    private = PUBLIC.model_copy(update={"notify": NotifySettings(charts_url="")})
    assert chart_address(lambda: private, LINKS)("A1", T0) is None
    other = PUBLIC.model_copy(update={"notify": NotifySettings(charts_url="https://charts.example")})
    assert str(chart_address(lambda: other, LINKS)("A1", T0)).startswith("https://charts.example/chart/")
