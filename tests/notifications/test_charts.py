"""The picture beside the words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from monitor.notifications.proposals import propose
from notifier.charts import Charts, draw
from notifier.ops_message import ops_message
from notifier.outbox import Entry
from notifier.sending import Capabilities, Message
from tests.incidents.story import MINUTE, T0
from tests.money.sending import Room
from tests.notifications.test_messages import DESK, a_jam

SERIES = [[T0 + step * 5 * MINUTE, 100 + step * 40] for step in range(12)]


def test_the_chart_is_a_png_and_the_same_for_the_same_numbers() -> None:
    first = draw(SERIES, "critical", "Asia/Shanghai")
    assert first.startswith(b"\x89PNG")
    assert first == draw(SERIES, "critical", "Asia/Shanghai")
    assert first != draw(SERIES[1:], "critical", "Asia/Shanghai")


@pytest.mark.parametrize(
    ("image", "series", "drawn"), [(True, SERIES, True), (False, SERIES, False), (True, SERIES[:1], False)]
)
def test_only_a_channel_that_carries_pictures_gets_one_and_only_where_there_is_a_story(
    image: bool, series: list[list[int]], drawn: bool
) -> None:
    async def run() -> Message:
        proposal = propose(a_jam(), DESK)
        variables: dict[str, Any] = {**proposal.variables, "series": series}
        fields = dict.fromkeys(Entry.__dataclass_fields__)
        entry = Entry(**{**fields, "action_id": "A1", "proposal": proposal})  # type: ignore[arg-type]
        charts = Charts({proposal.channel: Room("ops", capabilities=Capabilities(image=image))})
        return await charts.decorate(entry, ops_message(variables, key="A1"))

    assert (asyncio.run(run()).image is not None) == drawn
