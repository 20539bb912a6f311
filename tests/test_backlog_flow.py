"""A tenfold sale at a hub: no backlog where what comes leaves in its usual time, one where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from detectors.backlog import BacklogForecast
from detectors.clock import DAY, HOUR
from detectors.findings import CloseReason, Finding, State
from detectors.interfaces import Window
from tests.recordings import backlog_forecast as hubs
from tests.recordings.windows import MONDAY, rows, window

SALE, RAMP, LASTS = 16.0, 0.75, 3.0  # days: when it begins, how long it grows and falls, how long it is
STAY = 6  # hours, of what does not leave at random
Leaves = Callable[[float, np.random.Generator, list[int], int], int]


def volume(day: float) -> float:
    """Times the usual."""
    grown = min(day - SALE, SALE + LASTS - day) / RAMP
    return 1.0 + 9.0 * float(np.clip(grown, 0.0, 1.0))


def at_random(_day: float, rng: np.random.Generator, _came: list[int], stock: int) -> int:
    """Each hour a fifth of what stands there."""
    return int(rng.binomial(stock, 0.2))


def in_turn(_day: float, _rng: np.random.Generator, came: list[int], stock: int) -> int:
    """What came `STAY` hours ago."""
    return min(stock, came[-1 - STAY] if len(came) > STAY else 0)


def with_room_for(most: int) -> Leaves:
    return lambda day, rng, came, stock: min(most, at_random(day, rng, came, stock))


def world(leaves: Leaves, seed: int, size: float = 30.0, days: float = 22.0) -> list[Window]:
    rng = np.random.default_rng(seed)
    stock, came, sent, out = 0, list[int](), list[int](), list[Window]()
    for until in range(MONDAY + HOUR, MONDAY + int(days * DAY), HOUR):
        day = (until - MONDAY) / DAY
        came.append(int(rng.poisson(size * (1.0 + 0.6 * np.sin(2 * np.pi * day)) * volume(day))))
        sent.append(leaves(day, rng, came, stock))
        stock += came[-1] - sent[-1]
        if until % hubs.EVERY == 0:
            seen: dict[str, Any] = {"arrived": sum(came[-3:]), "departed": sum(sent[-3:]), "stock": stock}
            seen |= {"facility": "H-1", "region": "420100", "carrier": "SF", "delivered": 0, "stalled": 0}
            out.append(window(until - hubs.EVERY, until, facilities=rows("facilities", [seen])))
    return out


def said(windows: list[Window]) -> list[Finding]:
    """From the day before the sale on."""
    detector = BacklogForecast()
    found = [finding for each in windows for finding in detector.run(each)]
    return [one for one in found if one.as_of > MONDAY + (SALE - 1.0) * DAY]


@pytest.mark.parametrize("leaves", [at_random, in_turn])
@pytest.mark.parametrize("size", [30.0, 300.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sale_that_flows_is_no_backlog(leaves: Leaves, size: float, seed: int) -> None:
    windows = world(leaves, seed, size)
    held = [int(each.facilities["stock"][0]) for each in windows]
    assert max(held) > 5 * max(held[: int(SALE * 8)]), "the stock grew with the sale"
    assert said(windows) == []


@pytest.mark.parametrize(("most", "days"), [(60, 0.75), (150, 1.4)])
def test_a_sale_for_which_there_is_no_room_is_a_backlog(most: int, days: float) -> None:
    """300 come in an hour where 30 did, and the hub sends on what it can: of 60 it is short on the first day, of 150 on the
    second.
    """
    opened, *_ = [one for one in said(world(with_room_for(most), 1)) if one.state is State.OPENED]
    assert MONDAY + SALE * DAY < opened.opened_at < MONDAY + (SALE + days) * DAY


def test_a_jam_in_a_sale_that_flowed_is_found_and_is_over_when_it_flows_again() -> None:
    def jammed(day: float, rng: np.random.Generator, came: list[int], stock: int) -> int:
        stands = SALE + 1.2 <= day < SALE + 1.7
        return at_random(day, rng, came, stock // 20 if stands else stock)

    opened, closed = [one for one in said(world(jammed, 3)) if one.state is not State.UPDATED]
    assert MONDAY + (SALE + 1.2) * DAY < opened.opened_at <= MONDAY + (SALE + 1.7) * DAY
    assert closed.close_reason is CloseReason.RECOVERED
    assert closed.as_of < MONDAY + (SALE + LASTS) * DAY


def test_what_flows_is_known_after_a_restart_as_well() -> None:
    windows = world(at_random, 1)
    before = BacklogForecast()
    cut = int((SALE + RAMP / 2) * 8)
    for each in windows[:cut]:
        before.run(each)
    after = BacklogForecast()
    after.restore(before.state())
    assert [one for each in windows[cut:] for one in after.run(each)] == []
    assert [one for each in windows[cut:] for one in before.run(each)] == []
    assert str(after.state()) == str(before.state())


def test_after_a_gap_no_forecast_is_held_against_another_hours_stock() -> None:
    windows = hubs.world(seed=6, days=12, jam=(99.0, 99.0))
    detector = BacklogForecast()
    for each in windows[:80]:
        detector.run(each)
    known = detector.state()["error"]
    detector.run(windows[85])
    assert detector.state()["error"] == known
    for each in windows[86:94]:
        detector.run(each)
    assert detector.state()["error"] != known, "a day later there is a forecast to hold it against again"
