"""Which parcels are asked about: those a living feed has not mentioned for longer than usual, and no others."""

from __future__ import annotations

from typing import Any

import msgspec

from config.detection import StallSettings
from monitor.feeds.watch import HOUR, LONGEST, UNTAUGHT, Watch

NOW = 1_795_305_600_000


def scan(
    number: str, status: str = "in_transit", carrier: str = "sf", feed: str = "kuaidi100"
) -> dict[str, Any]:
    return {
        "kind": "tracking",
        "tracking_number": number,
        "carrier": carrier,
        "status": status,
        "source": feed,
        "event_id": number + status,
    }


def numbers(watch: Watch, now: int, alive: set[str] | None = None) -> list[str]:
    return [one.tracking_number for one in watch.quiet(now, alive if alive is not None else {"kuaidi100"})]


def test_a_parcel_is_asked_about_when_it_is_silent_for_longer_than_eleven_hours_at_first() -> None:
    watch = Watch()
    watch.note([scan("A")], NOW)
    watch.note([scan("B")], NOW + 2 * HOUR)
    assert UNTAUGHT == 11 * HOUR
    assert numbers(watch, NOW + UNTAUGHT) == []
    assert numbers(watch, NOW + UNTAUGHT + HOUR) == ["A"]
    assert numbers(watch, NOW + UNTAUGHT + 3 * HOUR) == ["A", "B"]


def test_what_is_over_is_not_asked_about() -> None:
    watch = Watch()
    watch.note([scan("A"), scan("A", "delivered")], NOW)
    assert numbers(watch, NOW + 48 * HOUR) == []


def test_a_silent_feed_is_not_asked_parcel_by_parcel() -> None:
    watch = Watch()
    watch.note([scan("A"), scan("B", feed="17track")], NOW)
    assert numbers(watch, NOW + 48 * HOUR, {"17track"}) == ["B"]


def test_usual_is_learned_from_the_carrier_s_own_gaps() -> None:
    watch = Watch()
    for step in range(40):
        watch.note([scan("quick", carrier="sf"), scan("slow", carrier="post")], NOW + step * 8 * HOUR)
        watch.note([scan("quick", carrier="sf")], NOW + step * 8 * HOUR + 4 * HOUR)
    assert watch.usual_ms("sf") < watch.usual_ms("post") <= 24 * HOUR
    assert watch.usual_ms("unseen") == UNTAUGHT


def test_answers_to_our_questions_teach_nothing() -> None:
    watch = Watch()
    for step in range(40):
        watch.note([scan("A")], NOW + step * 60 * HOUR, asked=True)
    assert watch.usual_ms("sf") == UNTAUGHT


def test_a_parcel_that_the_provider_gave_up_is_asked_about_at_once() -> None:
    watch = Watch()
    watch.note([scan("A"), scan("B")], NOW)
    watch.unwatched(["B", "never-seen"])
    assert numbers(watch, NOW + HOUR) == ["B"]
    other = Watch()
    other.restore(watch.state())
    assert numbers(other, NOW + HOUR) == ["B"], "also after a restart"
    watch.note([scan("B")], NOW + HOUR, asked=True)
    assert numbers(watch, NOW + 2 * HOUR) == []
    assert watch.state()["unwatched"] == [], "what nobody watches is not kept"


def test_the_state_is_plain_and_comes_back() -> None:
    watch = Watch()
    for step in range(50):
        watch.note([scan(str(step % 7))], NOW + step * HOUR)
    other = Watch()
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(watch.state())))
    assert other.quiet(NOW + 90 * HOUR, {"kuaidi100"}) == watch.quiet(NOW + 90 * HOUR, {"kuaidi100"})
    assert other.usual_ms("sf") == watch.usual_ms("sf")


def test_a_parcel_is_asked_about_before_it_can_be_called_stalled() -> None:
    floors = [limits.floor_hours for limits in StallSettings().by_leg()]
    assert min(floors) * HOUR > LONGEST


def test_who_rests_lets_others_pass_and_comes_back() -> None:
    watch = Watch()
    watch.note([scan("A"), scan("B"), scan("C")], NOW)
    later = NOW + 12 * HOUR
    watch.rest("A", later + HOUR)
    assert numbers(watch, later) == ["B", "C"]
    assert numbers(watch, later + HOUR - 1) == ["B", "C"]
    assert numbers(watch, later + HOUR) == ["B", "C", "A"]
    assert len(watch) == 3


def test_a_mention_ends_a_rest() -> None:
    watch = Watch()
    watch.note([scan("A")], NOW)
    watch.rest("A", NOW + 100 * HOUR)
    watch.note([scan("A")], NOW + 20 * HOUR)
    assert numbers(watch, NOW + 30 * HOUR) == []
    assert numbers(watch, NOW + 32 * HOUR) == ["A"]


def test_who_rests_is_in_the_state() -> None:
    watch = Watch()
    watch.note([scan("A")], NOW)
    watch.note([scan("B")], NOW + HOUR)
    watch.rest("B", NOW + 40 * HOUR)
    watch.note([scan("C")], NOW + 2 * HOUR)
    other = Watch()
    other.restore(watch.state())
    assert numbers(other, NOW + 20 * HOUR) == ["A", "C", "B"]
    before = {name: value for name, value in watch.state().items() if name != "asked"}
    other.restore(before)  # of a checkpoint from before
    assert numbers(other, NOW + 20 * HOUR) == ["A", "C"]


def test_a_clock_that_is_set_back_ends_every_rest() -> None:
    watch = Watch()
    watch.note([scan("A")], NOW)
    assert numbers(watch, NOW + 60 * HOUR) == ["A"]
    watch.rest("A", NOW + 61 * HOUR)
    assert numbers(watch, NOW + 20 * HOUR) == ["A"]


def test_a_silent_feed_s_parcels_hide_nobody_s() -> None:
    watch = Watch()
    watch.note([scan(f"A{number}", feed="17track") for number in range(20)], NOW)
    watch.note([scan("B")], NOW)
    found = watch.quiet(NOW + 48 * HOUR, {"kuaidi100"}, limit=5)
    assert [one.tracking_number for one in found] == ["B"]


def test_a_parcel_is_forgotten_after_a_month_of_silence() -> None:
    watch = Watch()
    watch.note([scan("A")], NOW)
    assert numbers(watch, NOW + 29 * 24 * HOUR) == ["A"]
    assert numbers(watch, NOW + 31 * 24 * HOUR) == []
    assert len(watch) == 0
