"""Late, repeated, early, odd and interrupted: each has a decided behaviour."""

from __future__ import annotations

import pytest

from config.settings import EngineSettings
from detectors.feed_silent import FeedSilent
from detectors.findings import Finding
from detectors.interfaces import Window
from monitor.engine.dumping import DumpError
from monitor.engine.engine import Engine
from monitor.engine.kernels.state import USED_SLOTS
from monitor.vocabulary import Segment, Status
from tests.engine.shop import DAY, HOUR, MINUTE, START, Scan, Shop, complaint, detection, order, said


class Listener:
    """A place detector that keeps what it was handed."""

    name = "feed_silent"
    every = MINUTE
    wants = frozenset({"signoffs", "oddities", "complaints", "facilities", "regions", "lanes", "feeds"})

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def run(self, window: Window) -> list[Finding]:
        self.windows.append(window)
        return []

    def state(self) -> dict[str, int]:
        return {"runs": len(self.windows)}

    def restore(self, state: object) -> None:
        pass


def outcome(shop: Shop, name: str) -> int:
    return shop.engine.outcomes()[name]


def segment(shop: Shop, number: str = "SF1") -> Segment:
    view = shop.engine.parcel(number)
    assert view is not None
    return view.segment


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.until(START)
    return shop


def test_an_older_scan_that_comes_later_never_moves_a_parcel_back(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, START))
    shop.scan(Scan("SF1", Status.ACCEPTED, START - DAY), Scan("SF1", Status.DEPARTED, START - HOUR))
    assert segment(shop) is Segment.DELIVERY
    assert outcome(shop, "out_of_order") == 2
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert view.accepted == START - DAY


def test_a_sign_off_that_comes_late_still_ends_the_parcel(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, START))
    shop.scan(Scan("SF1", Status.DELIVERED, START - 5 * MINUTE))
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert view.finished


def test_a_repeated_event_changes_nothing_even_with_other_words(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START, event_id="e1"))
    shop.scan(Scan("SF1", Status.DELIVERED, START + HOUR, event_id="e1"))
    assert segment(shop) is Segment.LINEHAUL
    assert outcome(shop, "duplicate") == 1
    placed = order("O1", "paid", START)
    shop.order(placed, placed)
    assert outcome(shop, "duplicate") == 2


def test_history_teaches_and_says_that_it_is_history(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START - 6 * DAY, received=START))
    shop.scan(Scan("SF2", Status.DEPARTED, START - 10 * DAY, received=START))
    found = shop.until(START + 2 * MINUTE)
    assert {one.subject.id: one.evidence.get("history", False) for one in found} == {
        "SF1": False,
        "SF2": True,
    }


def test_a_scan_from_the_future_is_taken_as_now(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START + 3 * HOUR, received=START + 1000))
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert view.last_scan == START // 1000 * 1000 + 1000
    assert outcome(shop, "clamped") == 1


def test_a_scan_after_the_sign_off_is_odd_and_does_not_reopen_the_parcel() -> None:
    listener = Listener()
    shop = Shop(place=[listener])
    shop.until(START)
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, START, region="440305"))
    shop.scan(Scan("SF1", Status.DELIVERED, START + HOUR, region="440305", courier="k1"))
    shop.scan(Scan("SF1", Status.ARRIVED, START + 2 * HOUR, region="110105"))
    shop.until(START + 3 * HOUR)
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert view.finished
    odd = [row for window in listener.windows for row in window.oddities.to_dicts()]
    assert [(row["tracking_number"], row["oddity"]) for row in odd] == [("SF1", "after_end")]
    signed = [row for window in listener.windows for row in window.signoffs.to_dicts()]
    assert [(row["courier"], row["out_for_delivery"], row["previous_status"]) for row in signed] == [
        ("k1", START // 1000 * 1000, Status.OUT_FOR_DELIVERY)
    ]


def test_a_number_used_again_after_months_begins_a_new_life() -> None:
    shop = Shop(detection_settings=detection(finished_days=60))
    shop.until(START)
    shop.scan(Scan("SF1", Status.DEPARTED, START), Scan("SF1", Status.DELIVERED, START + HOUR))
    shop.until(START + 40 * DAY, step=5 * MINUTE)
    shop.scan(Scan("SF1", Status.ACCEPTED, START + 40 * DAY))
    assert segment(shop) is Segment.FACILITY


def test_a_parcel_called_off_and_sent_again_under_its_number_is_that_orders_parcel(shop: Shop) -> None:
    shop.order(order("O1", "paid", START, region="110105", promised_at=START + 3 * DAY))
    shop.order(order("O1", "shipped", START, tracking_number="SF1", region="110105"))
    shop.scan(Scan("SF1", Status.CREATED, START), Scan("SF1", Status.CANCELLED, START + HOUR))
    shop.scan(Scan("SF1", Status.CREATED, START))  # only late
    assert shop.engine.live_parcels == 0
    shop.scan(Scan("SF1", Status.CREATED, START + HOUR + 5 * MINUTE))
    shop.scan(Scan("SF1", Status.ACCEPTED, START + 10 * HOUR, region="440305"))
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert (view.segment, view.finished) == (Segment.FACILITY, False)
    assert (view.promised, view.ordered) == (START + 3 * DAY, START)
    assert view.lane == "440000>110000"
    assert shop.engine.live_parcels == 1
    assert outcome(shop, "after_end") == 1
    found = said(shop.until(START + 3 * DAY + HOUR, step=5 * MINUTE))
    assert "opened promise_broken SF1" in found


@pytest.mark.parametrize("moved", [False, True])
def test_word_of_a_calling_off_that_comes_after_the_second_sending_ends_nothing(
    shop: Shop, *, moved: bool
) -> None:
    shop.scan(Scan("SF1", Status.CREATED, START), Scan("SF1", Status.CREATED, START + HOUR))
    if moved:
        shop.scan(Scan("SF1", Status.ACCEPTED, START + 2 * HOUR))
        shop.scan(Scan("SF1", Status.ARRIVED, START + 3 * HOUR))
    shop.scan(Scan("SF1", Status.CANCELLED, START + 30 * MINUTE))
    assert shop.engine.live_parcels == 1
    shop.scan(Scan("SF1", Status.CANCELLED, START + 5 * HOUR))
    assert shop.engine.live_parcels == 0


def test_what_was_delivered_is_not_sent_again_the_next_day(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.ACCEPTED, START), Scan("SF1", Status.DELIVERED, START + HOUR))
    shop.scan(Scan("SF1", Status.CREATED, START + DAY))
    assert shop.engine.live_parcels == 0


def test_an_unknown_status_keeps_a_parcel_alive_and_where_it_was(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START))
    shop.until(START + 40 * HOUR)
    shop.scan(Scan("SF1", Status.UNKNOWN, START + 40 * HOUR))
    assert segment(shop) is Segment.LINEHAUL
    assert shop.until(START + 60 * HOUR) == []
    assert outcome(shop, "unknown_status") == 1


def test_a_parcel_first_heard_of_when_delivered_is_no_news(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DELIVERED, START), Scan("sf-lower", Status.DELIVERED, START))
    view = shop.engine.parcel("SF1")
    assert view is not None
    assert view.finished
    assert outcome(shop, "first_seen_ended") == 2
    assert shop.engine.live_parcels == 0
    assert shop.until(START + 31 * DAY, step=HOUR) == []
    assert shop.engine.parcel("SF1") is None
    assert shop.engine.names.sides == {}


def test_what_comes_after_a_first_word_of_delivery_begins_no_parcel() -> None:
    listener = Listener()
    shop = Shop(place=[listener])
    shop.until(START)
    shop.scan(Scan("SF1", Status.DELIVERED, START), Scan("SF2", Status.DELIVERED, START))
    shop.scan(Scan("SF1", Status.ACCEPTED, START - 2 * DAY))  # only late
    shop.until(START + 16 * DAY, step=HOUR)
    shop.scan(Scan("SF2", Status.ACCEPTED, START + 16 * DAY))  # cannot be
    assert shop.engine.live_parcels == 0
    assert shop.until(START + 26 * DAY, step=HOUR) == []
    odd = [row for window in listener.windows for row in window.oddities.to_dicts()]
    assert [(row["tracking_number"], row["oddity"]) for row in odd] == [("SF2", "after_end")]


def test_a_first_word_of_delivery_is_not_remembered_where_room_is_short() -> None:
    shop = Shop(engine_settings=EngineSettings(max_live_parcels=1000))
    shop.scan(*(Scan(f"SF{n}", Status.DELIVERED, START) for n in range(900)))
    kept = sum(shop.engine.parcel(f"SF{n}") is not None for n in range(900))
    assert kept == 501
    assert outcome(shop, "first_seen_ended") == 900


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_remembered_makes_room_when_room_becomes_short(*, restarted: bool) -> None:
    shop = Shop(engine_settings=EngineSettings(max_live_parcels=1000))
    shop.until(START)
    shop.scan(*(Scan(f"E{n}", Status.DELIVERED, START) for n in range(500)))
    shop.until(START + 7 * DAY, step=HOUR)
    if restarted:
        shop.restart()
    assert shop.engine.stage.world.counts[USED_SLOTS] == 500
    shop.scan(*(Scan(f"SF{n}", Status.ACCEPTED, START + 7 * DAY) for n in range(500)))
    shop.until(START + 8 * DAY, step=HOUR)
    shop.scan(*(Scan(f"ZT{n}", Status.ACCEPTED, START + 8 * DAY) for n in range(500)))
    assert shop.engine.live_parcels == 1000


def test_a_facility_where_nothing_is_any_more_is_still_told_of_after_a_restart() -> None:
    listener = Listener()
    shop = Shop(place=[listener])
    shop.until(START)
    shop.scan(Scan("SF1", Status.DEPARTED, START, facility="hub-1"))
    assert said(shop.until(START + 6 * DAY, step=5 * MINUTE)) == ["opened linehaul_stalled SF1"]
    shop.scan(Scan("SF1", Status.RETURNED, START + 6 * DAY))
    shop.until(START + 6 * DAY + HOUR)
    before = listener.windows[-1].facilities["facility"].to_list()
    shop.restart()
    shop.until(START + 6 * DAY + 2 * HOUR)
    assert listener.windows[-1].facilities["facility"].to_list() == before == ["hub-1"]


def test_an_order_first_heard_of_when_shipped_waits_for_nothing() -> None:
    listener = Listener()
    shop = Shop(place=[listener])
    shop.until(START)
    shop.order(order("O1", "shipped", START, tracking_number="SF1"))
    shop.scan(Scan("SF1", Status.ACCEPTED, START), Scan("SF1", Status.DELIVERED, START + HOUR))
    shop.order(order("O1", "placed", START + 9 * DAY), order("O1", "paid", START + 9 * DAY))
    found = shop.until(START + 30 * DAY, step=HOUR)
    assert [one.kind for one in found if one.subject.id == "O1"] == []
    odd = [row for window in listener.windows for row in window.oddities.to_dicts()]
    assert {(row["tracking_number"], row["oddity"]) for row in odd} == {("O1", "paid_late")}


def test_a_hashed_number_is_forgotten_when_its_parcel_leaves(shop: Shop) -> None:
    shop.scan(Scan("sf-lower", Status.DEPARTED, START), Scan("sf-lower", Status.DELIVERED, START + HOUR))
    assert list(shop.engine.names.sides.values()) == ["sf-lower"]
    shop.until(START + 6 * DAY, step=5 * MINUTE)
    assert shop.engine.names.sides == {}


def test_parcels_before_and_after_their_order_know_the_same(shop: Shop) -> None:
    paid = order("O1", "paid", START, region="110105")
    shipped = [
        order("O1", "shipped", START + n, tracking_number=n_, region="110105", promised_at=START + 3 * DAY)
        for n, n_ in ((HOUR, "SF1"), (HOUR + 1000, "SF2"))
    ]
    shop.order(paid)
    shop.scan(Scan("SF1", Status.ACCEPTED, START + 2 * HOUR, region="440305"))
    shop.order(*shipped)
    shop.scan(Scan("SF2", Status.ACCEPTED, START + 2 * HOUR, region="440305"))
    one, two = shop.engine.parcel("SF1"), shop.engine.parcel("SF2")
    assert one is not None
    assert two is not None
    for name in ("segment", "lane", "ordered", "accepted", "promised", "last_scan", "status"):
        assert getattr(one, name) == getattr(two, name), name
    assert one.lane == "440000>110000"


def test_the_carriers_own_word_lost_is_told_at_once_and_taken_back_when_the_parcel_moves(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START))
    assert said(shop.scan(Scan("SF1", Status.LOST, START + HOUR))) == ["opened presumed_lost SF1"]
    assert said(shop.scan(Scan("SF1", Status.ARRIVED, START + 2 * HOUR))) == [
        "closed presumed_lost SF1 moved"
    ]


def test_after_a_pause_of_the_daemon_nothing_is_called_stalled_until_the_feed_has_caught_up(
    shop: Shop,
) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START), Scan("SF2", Status.DEPARTED, START))
    back = START + 50 * HOUR
    assert shop.engine.tick(back) == []
    shop.scan(Scan("SF1", Status.ARRIVED, START + 30 * HOUR, received=back))
    assert shop.until(back + HOUR) == []
    shop.scan(Scan("SF3", Status.DEPARTED, back + HOUR))
    assert said(shop.until(back + HOUR + 5 * MINUTE)) == ["opened linehaul_stalled SF2"]


def test_the_stalls_of_a_silent_feed_are_held_back_and_its_silence_is_not_the_parcels_own() -> None:
    silent = FeedSilent(floor_minutes=45, ready_events=50, ready_hours=1)
    shop = Shop(place=[silent])
    shop.until(START)

    def talk(start: int, end: int) -> None:
        for at in range(start, end, 2 * MINUTE):
            busy = [Scan(f"X{(at // MINUTE) % 97}-{n}", Status.IN_TRANSIT, at) for n in range(3)]
            shop.scan(*busy)
            shop.until(at + 2 * MINUTE)

    talk(START, START + 30 * HOUR)
    shop.scan(Scan("SF1", Status.DEPARTED, START + 30 * HOUR))
    quiet = shop.until(START + 100 * HOUR)
    assert [line for line in said(quiet) if not line.startswith("closed")] == ["opened feed_silent kd100"]
    back = START + 100 * HOUR
    shop.scan(Scan("SF9", Status.DEPARTED, back))
    told = shop.until(back + 20 * HOUR)
    assert "closed feed_silent kd100 recovered" in said(told)
    assert not [line for line in said(told) if "stalled" in line]


def test_a_tick_that_was_seen_before_changes_nothing(shop: Shop) -> None:
    shop.scan(Scan("SF1", Status.DEPARTED, START))
    assert shop.engine.tick(START) == []
    assert shop.engine.tick(START - HOUR) == []
    assert shop.engine.now == START


def test_a_restart_at_any_moment_finds_the_same() -> None:
    def story(*, restarts: bool) -> list[str]:
        shop = Shop(place=[FeedSilent()])
        shop.until(START)
        lines: list[str] = []
        for hour in range(0, 120, 6):
            at = START + hour * HOUR
            shop.order(order(f"O{hour}", "paid", at, region="440305"))
            shop.scan(
                Scan(f"SF{hour}", Status.ACCEPTED, at, region="440305", facility="hub-1", event_id=f"a{hour}")
            )
            shop.complain(complaint(f"c{hour}", at, tracking_number=f"SF{hour}"))
            if hour >= 60:
                shop.scan(Scan(f"SF{hour - 60}", Status.DELIVERED, at, event_id=f"d{hour}"))
            if restarts:
                shop.restart()
            lines += [f"{one.finding_id} {line}" for one, line in zip(*both(shop, at), strict=True)]
        return lines

    def both(shop: Shop, at: int) -> tuple[list[Finding], list[str]]:
        found = shop.until(at + 6 * HOUR, step=5 * MINUTE)
        return found, said(found)

    undisturbed = story(restarts=False)
    assert len(undisturbed) > 10
    assert story(restarts=True) == undisturbed


def test_a_torn_or_foreign_dump_is_refused_with_its_reason(shop: Shop) -> None:
    data = shop.engine.dump()
    fresh = shop.fresh()
    with pytest.raises(DumpError, match="checksum"):
        fresh.load(data[:-1] + b"x")
    with pytest.raises(DumpError, match="no dump"):
        fresh.load(b"something else")


def test_a_full_table_counts_what_it_refuses() -> None:
    shop = Shop(engine_settings=EngineSettings(max_live_parcels=1000))
    shop.until(START)
    shop.scan(*(Scan(f"SF{n}", Status.DEPARTED, START) for n in range(1500)))
    assert shop.engine.live_parcels == 1000
    assert outcome(shop, "table_full") == 500


def test_complaints_are_joined_with_their_parcel_and_counted_once() -> None:
    listener = Listener()
    shop = Shop(place=[listener])
    shop.until(START)
    shop.scan(Scan("SF1", Status.DEPARTED, START, region="440305", facility="hub-1"))
    shop.scan(Scan("SF1", Status.DELIVERED, START + HOUR, courier="k1"))
    shop.complain(*[complaint("c1", START + 2 * HOUR, tracking_number="SF1")] * 2)
    shop.until(START + 3 * HOUR)
    rows = [row for window in listener.windows for row in window.complaints.to_dicts()]
    assert [(row["facility"], row["courier"], row["region"], row["delivered_at"]) for row in rows] == [
        ("hub-1", "k1", "440305", START // 1000 * 1000 + HOUR)
    ]


def test_every_finding_of_a_parcel_carries_both_sentences(shop: Shop) -> None:
    shop.order(order("O1", "paid", START, promised_at=START + 4 * DAY))
    shop.scan(Scan("SF1", Status.DEPARTED, START), Scan("SF2", Status.HELD_FOR_PICKUP, START))
    found = shop.until(START + 9 * DAY, step=5 * MINUTE)
    assert len({one.kind for one in found}) == 5
    assert all(one.evidence["zh"] and one.evidence["en"] for one in found)
    assert isinstance(shop.engine, Engine)
