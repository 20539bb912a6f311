"""The endless world: every event once, in order, however it is asked; and trouble in the first minute."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from monitor.simulate import World
from monitor.simulate.rhythm import DAY, HOUR

START = 1_750_000_000_000
SPEED = 1800.0


def world(seed: int = 3) -> World:
    return World(seed, START, SPEED, parcels_per_day=150, history_days=6)


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    return world().until(START + 3 * DAY)


def test_asking_often_gives_the_same_events_as_asking_once(whole: list[bytes]) -> None:
    stepwise = world()
    parts = [line for hours in range(-100, 73, 7) for line in stepwise.until(START + hours * HOUR)]
    parts += stepwise.until(START + 3 * DAY)
    assert parts == whole
    assert stepwise.until(START + 3 * DAY) == []


def test_no_event_comes_twice_under_two_names_and_all_come_in_order(whole: list[bytes]) -> None:
    events = [json.loads(line) for line in whole]
    received = [event["received_at"] for event in events]
    assert received == sorted(received)
    numbers = {event["tracking_number"] for event in events if event.get("status") == "created"}
    shipped = [e["event_id"] for e in events if e.get("status") == "shipped"]
    assert len(numbers) > 0.95 * len(set(shipped))


def test_before_the_first_minute_is_over_a_hub_jams_and_a_feed_pauses() -> None:
    minute = START + int(60 * SPEED * 1000)
    said = world().announcements()
    assert [one.en.split()[0] for one in said] == ["hub", "region", "feed", "feed"]
    assert all(one.at < minute for one in said)
    assert all(one.zh for one in said)


def test_another_seed_is_another_shop(whole: list[bytes]) -> None:
    assert World(4, START, SPEED, parcels_per_day=150, history_days=6).until(START + 3 * DAY) != whole


def test_until_the_first_trouble_as_few_are_late_as_in_an_ordinary_month() -> None:
    """Hubs of a shop that grows cohort by cohort send out what is ordered."""
    events = [
        json.loads(line)
        for line in World(7, START, SPEED, parcels_per_day=500, history_days=9).until(START - DAY)
    ]
    promised = {
        event["tracking_number"]: event["promised_at"]
        for event in events
        if event.get("status") == "shipped" and moment(event["promised_at"]) < START - DAY
    }
    over = {"delivered", "collected"}
    came = {
        e["tracking_number"]: e["occurred_at"]
        for e in events
        if e["kind"] == "tracking" and e["status"] in over
    }
    late = sum(came.get(number, "9") > at for number, at in promised.items())
    assert len(promised) > 1000
    assert 0.03 < late / len(promised) < 0.12


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
