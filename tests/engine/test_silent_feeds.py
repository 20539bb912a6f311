"""What a feed hides is told to no customer: before its silence is sure, during it, and while its backlog comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from detectors.feed_silent import FeedSilent
from detectors.findings import State
from detectors.interfaces import Verdict
from detectors.tables import Table
from monitor.vocabulary import DeliveredTo, Status
from tests.engine.shop import HOUR, MINUTE, START, Scan, Shop, order, said

STEP = 4 * MINUTE
QUIET = START + 30 * HOUR  # the feed's last word


def taught(*, minutes: int = 8, parcel: Sequence[Surer] = ()) -> Shop:
    """A feed that says something every so many minutes, until QUIET."""
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)], parcel=parcel)
    shop.until(START)
    for at in range(START, QUIET + 1, minutes * MINUTE):
        shop.scan(Scan(f"X{at // MINUTE % 997}", Status.IN_TRANSIT, at))
        shop.until(at + minutes * MINUTE, step=STEP)
    return shop


def promise(shop: Shop, number: str, hours: float) -> None:
    """A parcel that is out for delivery, promised so many hours after the feed's last word."""
    until = QUIET + round(hours * HOUR)
    shop.order(order(f"O{number}", "shipped", QUIET, tracking_number=number, promised_at=until))
    shop.scan(Scan(number, Status.OUT_FOR_DELIVERY, QUIET))


def speak(shop: Shop, number: str = "X1") -> None:
    shop.scan(Scan(number, Status.IN_TRANSIT, shop.engine.now))


def speak_for(shop: Shop, until: int) -> None:
    """The feed says something every eight minutes again."""
    while shop.engine.now < until:
        shop.until(shop.engine.now + 8 * MINUTE, step=STEP)
        speak(shop, f"X{shop.engine.now // MINUTE % 997}")


def opened(shop: Shop) -> list[str]:
    """Of the parcels that stand still on purpose."""
    return [line for line in said(shop.found) if line.startswith("opened") and " X" not in line]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("hours", "called"),
    [(5, []), (12, ["opened feed_silent kd100"])],
    ids=["too short to be called silent", "called silent after the promise passed"],
)
def test_a_promise_that_passes_in_a_silence_is_judged_when_the_backlog_is_in(
    hours: int, called: list[str], *, restarts: bool
) -> None:
    shop = taught()
    promise(shop, "SF1", hours=4)
    promise(shop, "SF2", hours=4)

    def until(end: int) -> None:
        while shop.engine.now < end:
            shop.until(min(shop.engine.now + HOUR // 2, end), step=STEP)
            if restarts:
                shop.restart()

    back = QUIET + hours * HOUR
    until(back)
    speak(shop)
    until(back + HOUR // 2)
    shop.scan(Scan("SF1", Status.DELIVERED, QUIET + 2 * HOUR, received=back + HOUR // 2))
    until(back + HOUR // 2 + 2 * MINUTE)
    speak(shop)
    assert opened(shop) == called
    until(back + HOUR + 2 * STEP)
    assert opened(shop) == [*called, "opened promise_broken SF2"]


def test_doubt_alone_holds_no_longer_than_the_limit() -> None:
    """Of so thin a feed nine hours without a word are doubtful, and a day is not enough to call it silent."""
    shop = taught(minutes=50)
    promise(shop, "SF1", hours=11)
    shop.until(QUIET + 18 * HOUR, step=STEP)
    assert opened(shop) == []
    shop.until(QUIET + 24 * HOUR, step=STEP)
    assert "opened promise_broken SF1" in opened(shop)


def test_a_silence_does_not_teach_that_it_is_usual() -> None:
    """Three events an hour: fifty are expected after seventeen hours, whatever the silent hours themselves say."""
    shop = taught(minutes=20)
    shop.until(QUIET + 20 * HOUR, step=STEP)
    assert opened(shop) == ["opened feed_silent kd100"]


def test_a_feed_that_is_polled_every_six_hours_is_not_doubted_between_two_polls() -> None:
    silent = FeedSilent(ready_events=30, ready_hours=12)
    shop = Shop(place=[silent])
    shop.until(START)
    doubted = set()
    for poll in range(16):
        at = START + poll * 6 * HOUR
        shop.scan(*(Scan(f"X{poll}-{n}", Status.ACCEPTED, at) for n in range(60)))
        while shop.engine.now < at + 6 * HOUR:
            shop.until(shop.engine.now + 20 * MINUTE, step=STEP)
            doubted |= set(silent.doubted())
    assert doubted == set()
    shop.until(shop.engine.now + 6 * HOUR, step=STEP)
    assert set(silent.doubted()) == {"kd100"}


@pytest.mark.parametrize("restarts", [False, True])
def test_two_silences_in_a_parcels_way_are_both_deducted(*, restarts: bool) -> None:
    """Accepted, and not heard of for 64 hours, of which the feed was silent for two times 14: that is no stall yet, where
    48 are. At 80 it is.
    """
    shop = taught()
    shop.scan(Scan("SF9", Status.ACCEPTED, QUIET))

    def until(hours: float, *, speaks: bool) -> None:
        while shop.engine.now < QUIET + hours * HOUR:
            shop.until(shop.engine.now + 8 * MINUTE, step=STEP)
            if speaks:
                speak(shop, f"X{shop.engine.now // MINUTE % 997}")
        if restarts:
            shop.restart()

    for hours, speaks in ((14, False), (20, True), (34, False), (64, True)):
        until(hours, speaks=speaks)
    assert opened(shop).count("opened feed_silent kd100") == 2
    assert [line for line in opened(shop) if "SF9" in line] == []
    until(80, speaks=True)
    assert [line for line in opened(shop) if "SF9" in line] == ["opened facility_stalled SF9"]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("backlog", "told"),
    [(300, ["opened facility_stalled SF9"]), (100, [])],
    ids=["the backlog came", "most of it is lost"],
)
def test_who_is_not_in_a_backlog_stood_still_in_the_silence(
    backlog: int, told: list[str], *, restarts: bool
) -> None:
    """Accepted at the feed's last word, and stalled after 48 hours, in a silence of 54 that hid some 400 events: told two
    hours after the feed is back, unless these hours may still be hidden.
    """
    shop = taught()
    shop.scan(Scan("SF9", Status.ACCEPTED, QUIET))
    shop.until(QUIET + 54 * HOUR, step=STEP)
    if restarts:
        shop.restart()
    back = shop.engine.now
    shop.scan(
        *(
            Scan(f"X{n}", Status.IN_TRANSIT, QUIET + (n + 1) * 10 * MINUTE, received=back)
            for n in range(backlog)
        )
    )
    found = []
    for hours in (1.5, 2.5, 8):
        speak_for(shop, round(back + hours * HOUR))
        if restarts:
            shop.restart()
        found.append([line for line in opened(shop) if "SF9" in line])
    assert found == [[], told, told]


class Surer:
    """A parcel detector that is surer at each look that each parcel will be late."""

    name = "late_predicted"
    every = HOUR
    only_promised = False

    def __init__(self) -> None:
        self.looks = 0

    def look(self, parcels: Table, now: int) -> list[Verdict]:
        self.looks += 1
        return [
            Verdict(row, open=True, score=1.0 - 0.5 / self.looks, evidence={}) for row in range(len(parcels))
        ]

    def learn(self, finished: Table, now: int) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"looks": self.looks}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.looks = state["looks"]


class Listener(Surer):
    """Keeps what it is taught: (number, whether it ended, whether its promise passed unheard)."""

    def __init__(self) -> None:
        super().__init__()
        self.taught: list[tuple[str | None, bool, bool]] = []

    def look(self, parcels: Table, now: int) -> list[Verdict]:
        return []

    def learn(self, finished: Table, now: int) -> None:
        numbers = finished.labels("tracking_number", np.arange(len(finished)))
        ended, unheard = finished.whole("ended") > 0, finished.narrow("unheard") != 0
        self.taught += zip(numbers, ended.tolist(), unheard.tolist(), strict=True)


def test_what_ended_late_in_a_silence_is_known_to_have_passed_its_promise_unheard() -> None:
    """And what ended late after that was told is not told of twice."""
    listener = Listener()
    shop = taught(parcel=[listener])
    for number in ("SF1", "SF2", "SF3"):
        promise(shop, number, hours=4)
    shop.until(QUIET + 12 * HOUR, step=STEP)
    speak(shop)
    back = shop.engine.now
    shop.scan(
        Scan("SF1", Status.DELIVERED, QUIET + 2 * HOUR, received=back),
        Scan("SF2", Status.DELIVERED, QUIET + 6 * HOUR, received=back, delivered_to=DeliveredTo.LOCKER),
    )
    shop.restart()
    speak_for(shop, back + 10 * HOUR)
    shop.scan(Scan("SF3", Status.DELIVERED, shop.engine.now))
    speak_for(shop, shop.engine.now + 2 * HOUR)
    assert [one for one in listener.taught if one[0] in {"SF1", "SF2", "SF3"}] == [
        ("SF1", True, False),
        ("SF2", True, True),
        ("SF3", False, False),
        ("SF3", True, False),
    ]


def test_what_is_open_is_made_no_surer_by_a_silence() -> None:
    shop = taught(parcel=[Surer()])
    spoken = [one for one in shop.found if one.state is State.UPDATED]
    assert spoken
    shop.until(QUIET + 2 * HOUR, step=STEP)
    shop.found.clear()
    shop.until(QUIET + 5 * HOUR, step=STEP)
    assert said(shop.found) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_what_only_the_shop_has_spoken_of_may_have_been_handed_over_in_a_silence(*, restarts: bool) -> None:
    """Shipped as the carrier's feed fell silent, for 60 hours of which nothing is told: SF1 is in the backlog, SF2 is not."""
    shop = taught()
    for number in ("SF1", "SF2"):
        shop.order(order(f"O{number}", "shipped", QUIET, tracking_number=number, carrier="sf"))
    back = QUIET + 60 * HOUR
    while shop.engine.now < back:
        shop.until(shop.engine.now + 6 * HOUR, step=STEP)
        if restarts:
            shop.restart()
    assert opened(shop) == ["opened feed_silent kd100"]
    shop.scan(Scan("SF1", Status.ACCEPTED, back - 2 * HOUR, received=back))
    shop.scan(*(Scan(f"X{n}", Status.IN_TRANSIT, QUIET + n * 10 * MINUTE, received=back) for n in range(330)))
    speak_for(shop, back + 4 * HOUR)
    assert opened(shop) == ["opened feed_silent kd100", "opened pickup_stalled SF2"]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_promise_that_passes_in_a_silence_finds_who_could_have_fetched_it_once_the_backlog_is_in(
    *, restarts: bool
) -> None:
    """SF1 came to its locker an hour before the feed fell silent, and SF2 in the silence; both were promised in it. SF3's
    promise was broken before.
    """
    shop = taught()
    for n in range(40):  # others fetched theirs within five hours
        shop.scan(Scan(f"Y{n}", Status.HELD_FOR_PICKUP, QUIET - 9 * HOUR))
        shop.scan(Scan(f"Y{n}", Status.COLLECTED, QUIET - 4 * HOUR))
    for number, hours in (("SF1", 30), ("SF2", 30), ("SF3", -2)):
        shop.order(
            order(f"O{number}", "shipped", QUIET, tracking_number=number, promised_at=QUIET + hours * HOUR)
        )
    for number in ("SF1", "SF3"):
        shop.scan(Scan(number, Status.HELD_FOR_PICKUP, QUIET - HOUR))
    back = QUIET + 36 * HOUR
    while shop.engine.now < back:
        shop.until(shop.engine.now + 6 * HOUR, step=STEP)
        if restarts:
            shop.restart()
    shop.scan(Scan("SF2", Status.HELD_FOR_PICKUP, QUIET + 28 * HOUR, received=back))
    shop.scan(*(Scan(f"X{n}", Status.IN_TRANSIT, QUIET + n * 6 * MINUTE, received=back) for n in range(350)))
    told = []
    for later in (1.8, 4):
        speak_for(shop, round(back + later * HOUR))
        if restarts:
            shop.restart()
        told.append([line for line in opened(shop) if "collection_stalled" in line])
    assert told == [[], ["opened collection_stalled SF1"]]


def test_a_feed_that_was_replaced_holds_nothing_back_for_ever() -> None:
    """Another one tells of the carrier's parcels from the thirtieth hour of the silence on; nobody has picked up SF1."""
    shop = taught()
    shop.order(order("O1", "shipped", QUIET, tracking_number="SF1", carrier="sf"))
    shop.until(QUIET + 30 * HOUR, step=STEP)
    carrier = shop.engine.names.carriers.known("sf")
    assert shop.engine.stage.world.voice[carrier] == shop.engine.names.sources.known("kd100")
    for at in range(QUIET + 30 * HOUR, QUIET + 140 * HOUR, 2 * HOUR):
        shop.scan(*(Scan(f"X{n}", Status.IN_TRANSIT, at, source="direct") for n in range(997)))
        shop.until(at + 2 * HOUR, step=STEP)
    assert opened(shop) == ["opened feed_silent kd100", "opened pickup_stalled SF1"]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("larger_is_older", [True, False])
@pytest.mark.parametrize("larger_is_back_first", [True, False])
def test_of_two_silent_feeds_of_a_carrier_either_may_have_hidden_the_handover(
    *, larger_is_back_first: bool, larger_is_older: bool, restarts: bool
) -> None:
    """Feeds of 450 and of 225 parcels fall silent together; one is back after 62 hours, the other after 90. What only the
    shop has spoken of is told of once both backlogs are in, also when what is hidden is counted only hours later.
    """
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)])
    shop.until(START)
    every = {"larger": 4 * MINUTE, "smaller": 8 * MINUTE}
    feeds = sorted(every, reverse=not larger_is_older)

    def say(feed: str, since: int, until: int, received: int | None = None) -> None:
        moments = range(since, until, every[feed])
        shop.scan(
            *(
                Scan(f"{feed}{at // MINUTE % 1997}", Status.IN_TRANSIT, at, source=feed, received=received)
                for at in moments
            )
        )

    def pass_time(until: int, *speaking: str) -> None:
        while shop.engine.now < until:
            now = shop.engine.now
            for feed in speaking:
                say(feed, now, now + 8 * MINUTE)
            shop.until(now + 8 * MINUTE, step=2 * STEP)
            if restarts and now // (8 * HOUR) != shop.engine.now // (8 * HOUR):
                shop.restart()

    pass_time(QUIET, *feeds)
    shop.order(order("O1", "shipped", QUIET, tracking_number="SF1", carrier="sf"))
    pass_time(QUIET + 62 * HOUR)
    first, last = ("larger", "smaller") if larger_is_back_first else ("smaller", "larger")
    say(first, QUIET, shop.engine.now, received=shop.engine.now)
    pass_time(QUIET + 90 * HOUR, first)
    assert [line for line in said(shop.found) if "SF1" in line] == []
    say(last, QUIET, shop.engine.now, received=shop.engine.now)
    pass_time(QUIET + 94 * HOUR, first, last)
    assert [line for line in said(shop.found) if "SF1" in line] == ["opened pickup_stalled SF1"]


def test_of_two_silent_feeds_the_one_that_hides_most_is_the_carriers_voice() -> None:
    """The other was replaced long ago and has one parcel left. What the larger one hid is lost: its 40 hours do not count
    as waiting to be picked up.
    """
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)])
    shop.until(START)

    def speak_until(end: int, *feeds: str) -> None:
        while shop.engine.now < end:
            now = shop.engine.now
            shop.scan(
                *(Scan(f"X{now // MINUTE % 997}", Status.IN_TRANSIT, now, source=feed) for feed in feeds)
            )
            shop.until(now + 8 * MINUTE, step=2 * STEP)

    speak_until(START + 20 * HOUR, "new", "old")
    shop.scan(Scan("LAST", Status.IN_TRANSIT, shop.engine.now, source="old"))
    speak_until(QUIET + 20 * HOUR, "new")
    assert opened(shop) == ["opened feed_silent old"]
    shipped = shop.engine.now
    shop.order(order("O1", "shipped", shipped, tracking_number="SF1", carrier="sf"))
    shop.until(shipped + 40 * HOUR, step=2 * STEP)
    told = []
    for hours in (70, 110):
        speak_until(shipped + hours * HOUR, "new")
        told.append([line for line in opened(shop) if "SF1" in line])
    assert told == [[], ["opened pickup_stalled SF1"]]


def test_a_checkpoint_that_knew_no_silence_of_promises_is_read() -> None:
    shop = taught()
    for number, hours in (("SF1", 30), ("SF3", -2)):
        shop.order(
            order(f"O{number}", "shipped", QUIET, tracking_number=number, promised_at=QUIET + hours * HOUR)
        )
        shop.scan(Scan(number, Status.HELD_FOR_PICKUP, QUIET - HOUR))
    shop.until(QUIET + 36 * HOUR, step=STEP)
    older = {key: value for key, value in shop.engine.holding.state().items() if key != "quiet"}
    world = shop.engine.stage.world
    feed = shop.engine.names.sources.known("kd100")
    since = int(world.quiet_from[feed])
    world.quiet_from[:] = 0
    shop.engine.holding.restore(older)
    assert int(world.quiet_from[feed]) == since > 0


def test_a_checkpoint_that_knew_one_hiding_feed_a_carrier_is_read() -> None:
    shop = taught()
    shop.until(QUIET + 20 * HOUR, step=STEP)
    engine = shop.engine
    carrier, feed = engine.names.carriers.known("sf"), engine.names.sources.known("kd100")
    state = engine.pacing.state()
    assert state["voice"][carrier] == feed
    older = {key: value for key, value in state.items() if key not in {"voice", "hides"}}
    legs = [0] * len(state["voice"])
    legs[carrier] = 7
    engine.stage.world.hiding[:] = 0
    engine.stage.world.voice[:] = 0
    engine.pacing.restore({**older, "hiding": [legs, state["voice"], state["voice"]]})
    assert int(engine.stage.world.voice[carrier]) == feed
    assert engine.pacing.state()["hides"] == [[[carrier, feed, 7]], []]
