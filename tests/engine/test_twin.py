"""The compiled kernels and the plain twin say the same, whatever comes: late, repeated, odd, interrupted by restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from config.calendars import CalendarRule, Season
from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors.kernels import BINS
from monitor.columns import Scans
from monitor.engine import dumping
from monitor.engine.kernels import state
from monitor.engine.kernels.parcel import inside
from monitor.engine.kernels.state import OUTAGES, USED_SLOTS
from monitor.engine.kernels.waiting import business
from monitor.engine.layout import (
    ABROAD,
    BUCKETS,
    DAY,
    FINISHED,
    HISTORY,
    IN_PLACE,
    JOINED,
    LIFE,
    ORDER,
    ORDER_ROW,
    ORIGIN,
    PROMISE_TOLD,
    OrderStatus,
    Outcome,
    Records,
)
from monitor.engine.order_rows import order_rows
from monitor.engine.plain import Life, PlainStage, Rules, Told
from monitor.engine.stage import Notices, ParcelStage, rules_of
from monitor.names import Names
from monitor.vocabulary import Segment, Status
from tests.engine.shop import HOUR, START, Scan, columns, order

REGIONS = ("440305", "440300", "110105", "310000", "US-CA", None)
FACILITIES = ("hub-1", "hub-2", "hub-3", None)
CARRIERS = ("sf", "zto", None)
SOURCES = ("kd100", "17track")
NUMBERS = [f"SF{n}" for n in range(6)] + ["lower-case", "顺丰"]
QUICKER = 3  # in a jam a third of the limit
SLOW = 160 * 3600  # beyond the ceiling of the leg, so that a loss takes longer as well
# Weekends off: business time differs from the wall's.
CALENDARS = (
    CalendarRule(carriers=("zto",), weekend=(5, 6)),
    CalendarRule(seasons=(Season(name="rest", every_year="11-11/11-12"),)),
)

times = st.integers(0, 24 * 80).map(lambda quarter: START + quarter * HOUR // 2)
scans = st.builds(
    Scan,
    number=st.sampled_from(NUMBERS),
    status=st.sampled_from(Status),
    at=times,
    carrier=st.sampled_from(CARRIERS),
    region=st.sampled_from(REGIONS),
    facility=st.sampled_from(FACILITIES),
    source=st.sampled_from(SOURCES),
    event_id=st.none() | st.integers(0, 30).map(str),
    received=times,
).map(lambda scan: replace(scan, event_id=scan.event_id and f"{scan.number}/{scan.event_id}"))
orders = st.builds(
    order,
    order_id=st.sampled_from(["O1", "O2", "o-3"]),
    status=st.sampled_from([status.name.lower() for status in OrderStatus if status]),
    at=times,
    tracking_number=st.sampled_from([*NUMBERS, None]),
    carrier=st.sampled_from(CARRIERS),
    origin_region=st.sampled_from(REGIONS),
    region=st.sampled_from(REGIONS),
    warehouse=st.sampled_from(FACILITIES),
    promised_at=st.none() | times | times.map(lambda at: at + 30 * DAY * 1000),
)
steps = st.lists(
    st.lists(scans, min_size=1, max_size=6)
    | st.lists(orders, min_size=1, max_size=3)
    | st.just("sweep")
    | st.just("restart")
    | st.just("hold")
    | st.just("census")
    | st.just("silence")
    | st.just("jam"),
    max_size=24,
)


class Both:
    """The kernels and the twin, fed alike and compared after every step."""

    def __init__(self) -> None:
        self.engine_settings = EngineSettings(max_live_parcels=1000)
        self.detection = DetectionSettings(
            max_lanes=64, remembered_events=4096, calendars=CALENDARS, reuse_days=20, finished_days=3
        )
        self.names = Names(places=1000, sides=100)
        self.names.sources.codes(SOURCES)
        self.stage = self.fresh()
        self.stage.world.limit[:, Segment.LINEHAUL] = SLOW
        self.stage.world.quick[:] = self.stage.world.limit // QUICKER
        rules = rules_of(self.engine_settings, self.detection)
        limits = self.detection.stalls.by_leg()
        self.plain = PlainStage(
            Rules(*(rules[one] for one in (*range(8), state.PATIENCE_SECONDS, state.PREORDER_SECONDS))),
            lambda region: int(self.stage.world.places[region]["zone"]),
            lambda region, destination: bool(inside(self.stage.world, region, destination)),
            lambda carrier, region, at: int(business(self.stage.world, carrier, region, at)),
            self.limit,
            lambda leg: self.limit(leg) // QUICKER,
            lambda region: int(self.stage.world.places[region]["country"]),
            lambda leg: round(limits[leg - 1].ceiling_hours * 3600),
        )
        self.now = START // 1000

    def limit(self, leg: int) -> int:
        hours = self.detection.stalls.by_leg()[leg - 1].default_hours
        return SLOW if leg == Segment.LINEHAUL else round(hours * 3600)

    def fresh(self) -> ParcelStage:
        return ParcelStage(self.engine_settings, self.detection, self.names)

    def scan(self, batch: list[Scan]) -> None:
        taken = columns(batch, self.names)
        told = Told()
        got = self.stage.feed_scans(taken, self.now * 1000)
        for row in rows_of(taken):
            self.plain.scan(row, self.now * 1000, told)
        self.compare(got, told)

    def order(self, batch: list[Any]) -> None:
        days = self.engine_settings.history_days
        parcels = {"O2": ("SF0", "SF1"), "o-3": ("SF5", "lower-case")}
        rows = order_rows(batch, self.names, self.now * 1000, days, "Asia/Shanghai", parcels)
        told = Told()
        got = self.stage.feed_orders(rows)
        for row in rows.tolist():
            self.plain.order(dict(zip(ORDER_ROW.names or (), row, strict=True)), told)
        self.compare(got, told)

    def sweep(self, seconds: int) -> None:
        self.now += seconds
        got = self.stage.sweep(range(BUCKETS), self.now)
        said = sorted(
            ((int(due["slot"]["key0"]), int(due["slot"]["key1"])), int(due["what"]))
            for due in got
            if int(due["what"]) != 8 or due["slot"]["open"]
        )
        assert said == self.plain.sweep(self.now)
        self.compare_state()

    def census(self) -> None:
        """What waits, and who has a promise, as a look finds them."""
        waited, lanes = self.stage.waited, self.stage.world.lanes
        waited.by_age[:] = 0
        waited.by_lane[:] = 0
        self.stage.census(range(BUCKETS), self.now)
        found: Counter[Any] = Counter()
        for cell, way in zip(*np.nonzero(waited.by_lane), strict=True):
            lane = lanes[way].item() if way < len(lanes) else (int(way) - len(lanes), 0, 0)
            found[int(cell), lane] += int(waited.by_lane[cell, way])
        assert found == self.plain.waited(self.now)
        assert waited.by_age.sum() == found.total()
        live = self.stage.live_parcels(np.arange(BUCKETS), only_promised=True)
        slots = self.stage.table.slots[live.places]
        keys = set(zip(slots["key0"].tolist(), slots["key1"].tolist(), strict=True))
        assert keys == self.plain.promised()

    def hold(self) -> None:
        self.plain.held ^= {1}
        self.stage.world.hold[1] ^= 1

    def jam(self) -> None:
        """Begins at the first hub, or ends there."""
        hub = self.names.facilities.code(FACILITIES[0] or "")
        self.plain.jammed ^= {hub}
        self.stage.world.jammed[hub] ^= 1
        if self.plain.jammed:
            self.stage.hasten(range(BUCKETS), self.now)

    def silence(self) -> None:
        """The last three hours of a feed were one, as `Holding` writes it down."""
        known = self.plain.outages.setdefault(1, [])
        if len(known) == OUTAGES:
            return  # one that is forgotten weighs on a parcel when it is due next, not at once
        begins, world = self.now - 3 * 3600, self.stage.world
        for spans, edge in ((world.outage_from, begins), (world.outage_until, self.now)):
            spans[1, 1:] = spans[1, :-1]
            spans[1, 0] = edge
        known.insert(0, (begins, self.now))

    def restart(self) -> None:
        """Every bucket from its bytes, in another stage; what is counted anew comes from the old one."""
        before, self.stage = self.stage, self.fresh()
        for bucket in range(BUCKETS):
            where, position = dumping.load_bucket(self.stage, dumping.dump_bucket(before, bucket, "1-0"))
            assert (where, position) == (bucket, "1-0")
        self.stage.world = before.world._replace(
            places=self.stage.world.places, calendar=self.stage.world.calendar
        )
        self.stage.places.follow()

    def compare(self, got: Notices, told: Told) -> None:
        assert [
            ((m["key0"], m["key1"]), m["at"], m["closed"], m["reason"], m["lost"]) for m in got.marks
        ] == told.marks
        assert [
            ((e["key0"], e["key1"]), e["occurred"], e["status"], e["previous_status"]) for e in got.endings
        ] == told.endings
        assert [((o["key0"], o["key1"]), o["oddity"]) for o in got.oddities] == told.oddities
        self.compare_state()

    def compare_state(self) -> None:
        lives = {}
        for bucket in range(BUCKETS):
            for slot, background in zip(*self.stage.used_slots(bucket), strict=True):
                life = self.life(slot, background)
                lives[life.key] = life
        different = [
            (lives.get(key), self.plain.lives.get(key))
            for key in sorted(lives.keys() | self.plain.lives.keys())
            if lives.get(key) != self.plain.lives.get(key)
        ]
        assert different == []
        world = self.stage.world
        for outcome in Outcome:
            assert world.outcomes[outcome] == self.plain.outcomes[outcome], outcome.name
        self.compare_totals()

    def life(self, slot: Any, background: Any) -> Life:
        state = int(slot["state"])
        lane = self.stage.world.lanes[slot["lane"]]
        return Life(
            key=(int(slot["key0"]), int(slot["key1"])),
            is_order=bool(state & ORDER),
            finished=state & LIFE == FINISHED,
            lane=(int(lane["carrier"]), int(lane["origin"]), int(lane["destination"])),
            history=bool(state & HISTORY),
            promise_told=bool(state & PROMISE_TOLD),
            in_place=bool(state & IN_PLACE),
            abroad=bool(state & ABROAD),
            joined=bool(state & JOINED),
            **{name: int(slot[name]) for name in SLOT_FIELDS},
            **{name: int(background[name]) for name in ("ordered", "estimated", "courier")},
        )

    def compare_totals(self) -> None:
        world, plain = self.stage.world, self.plain
        lanes = [tuple(lane) for lane in world.lanes[: self.stage.lane_count + 1].tolist()]
        facilities = world.facilities[: len(self.names.facilities) + 1]
        assert positive({code: row["stock"] for code, row in enumerate(facilities)}) == positive(
            plain.stock()
        )
        assert positive({code: row["stalled"] for code, row in enumerate(facilities) if code}) == {
            code: count for code, count in plain.stalled().items() if code
        }
        for name, expected in (
            ("arrived", plain.arrived),
            ("departed", plain.departed),
            ("delivered", plain.delivered_at),
        ):
            got = {code: row[name] for code, row in enumerate(facilities) if code}
            assert positive(got) == {code: count for code, count in expected.items() if code}, name
        assert (
            positive({code: row["live"] for code, row in enumerate(world.feeds[:9])}) == plain.live_of_feed()
        )
        open_legs = {
            (lanes[lane], segment): world.passed[lane, segment]["open"]
            for lane, segment in zip(*np.nonzero(world.passed["open"][: len(lanes)]), strict=True)
        }
        assert open_legs == plain.open_legs()
        learned = {
            (lanes[lane], segment, place): world.ends[lane, segment, place]
            for lane, segment, place in zip(*np.nonzero(world.ends[: len(lanes)]), strict=True)
        }
        assert learned == plain.learned
        pairs_in_use = world.regions[1 : self.stage.region_pairs + 1]
        for name, regions in (
            ("live", plain.live_in()),
            ("shipped", plain.shipped),
            ("delivered", plain.delivered_in),
        ):
            pairs = {(int(row["region"]), int(row["carrier"])): row[name] for row in pairs_in_use}
            assert positive(pairs) == {pair: count for pair, count in regions.items() if pair[0]}, name


SLOT_FIELDS = (
    "last_scan",
    "segment_since",
    "promised",
    "accepted",
    "out_for_delivery",
    "destination",
    "region",
    "facility",
    "carrier",
    "source",
    "status",
    "segment",
    "open",
)


def positive(counts: Any) -> dict[Any, int]:
    return {key: int(count) for key, count in dict(counts).items() if count}


def rows_of(taken: Scans) -> list[dict[str, Any]]:
    names = Scans.__slots__
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*(getattr(taken, name).tolist() for name in names), strict=True)
    ]


@settings(max_examples=60)
@given(steps, st.integers(1, 12 * DAY))
def test_the_kernels_and_the_plain_twin_agree_on_everything(plan: list[Any], pace: int) -> None:
    both = Both()
    for step in plan:
        if step == "sweep":
            both.sweep(pace)
        elif step == "restart":
            both.restart()
        elif step == "hold":
            both.hold()
        elif step == "census":
            both.census()
        elif step == "silence":
            both.silence()
        elif step == "jam":
            both.jam()
        elif isinstance(step[0], Scan):
            both.scan(step)
        else:
            both.order(step)
    both.sweep(100 * DAY)


few = st.builds(
    Scan,
    number=st.just("SF1"),
    status=st.sampled_from(
        (Status.CREATED, Status.ACCEPTED, Status.ARRIVED, Status.UNKNOWN, Status.CANCELLED, Status.CANCELLED)
    ),
    at=st.integers(0, 8).map(lambda n: START + n * 5 * DAY * 1000),
    carrier=st.sampled_from(CARRIERS),
    region=st.sampled_from(REGIONS),
    facility=st.sampled_from(FACILITIES),
)
shipped = st.builds(
    order,
    order_id=st.just("O1"),
    status=st.sampled_from(("paid", "shipped")),
    at=st.integers(0, 4).map(lambda n: START + n * 5 * DAY * 1000),
    tracking_number=st.just("SF1"),
    region=st.sampled_from(REGIONS),
    promised_at=st.none() | times,
)


@given(st.lists(few | shipped | st.just("restart") | st.just("sweep"), min_size=3, max_size=14))
def test_both_begin_anew_what_was_called_off_and_sent_again(plan: list[Any]) -> None:
    both = Both()
    for step in plan:
        if step == "restart":
            both.restart()
        elif step == "sweep":
            both.sweep(DAY)
        elif isinstance(step, Scan):
            both.scan([step])
        else:
            both.order([step])
    both.census()
    both.sweep(60 * DAY)


def test_a_bucket_grows_in_place_and_keeps_everyone() -> None:
    names = Names(places=1000, sides=100)
    stage = ParcelStage(
        EngineSettings(max_live_parcels=60_000), DetectionSettings(remembered_events=4096), names
    )
    batch = [Scan(f"SF{n}", Status.DEPARTED, START + n * 1000) for n in range(50_000)]
    taken = columns(batch, names)
    stage.feed_scans(taken, 0)
    assert stage.live == 50_000
    for number in (0, 1, 777, 49_999):
        known = stage.view(names.key(f"SF{number}"))
        assert known is not None
        assert known.slot.last_scan == START // 1000 + number
    # All leave; nothing is left behind, in whatever order the runs were cut.
    dues = stage.sweep(range(BUCKETS), START // 1000 + 400 * DAY)
    assert len(dues) == 0
    assert stage.live == 0
    assert not stage.table.used.any()
    assert not stage.table.slots["state"].any()


def test_a_bucket_that_is_loaded_larger_than_it_was_counts_its_free_places_as_free() -> None:
    names = Names(places=1000, sides=100)
    settings_ = EngineSettings(max_live_parcels=60_000)
    full = ParcelStage(settings_, DetectionSettings(remembered_events=4096), names)
    full.feed_scans(columns([Scan(f"SF{n}", Status.ACCEPTED, START) for n in range(30_000)], names), 0)
    again = ParcelStage(settings_, DetectionSettings(remembered_events=4096), names)
    for bucket in range(BUCKETS):
        dumping.load_bucket(again, dumping.dump_bucket(full, bucket))
    assert len(again.sweep(range(BUCKETS), START // 1000 + 6 * DAY)) == 30_000  # each is told of, none leaves
    assert again.table.used.sum() == np.count_nonzero(again.table.slots["state"]) == 30_000
    assert again.world.counts[USED_SLOTS] == 30_000


def test_a_million_unknown_numbers_fill_the_table_and_no_more() -> None:
    names = Names(places=1000, sides=100)
    stage = ParcelStage(
        EngineSettings(max_live_parcels=5000), DetectionSettings(remembered_events=4096), names
    )
    rng = np.random.default_rng(3)
    one = columns([Scan("SF1", Status.DEPARTED, START)], names)
    for _ in range(10):
        many = Scans(**{name: np.repeat(getattr(one, name), 100_000) for name in Scans.__slots__})
        many.key0 = rng.integers(40**11, 40**12, 100_000, dtype=np.uint64)
        stage.feed_scans(many, 0)
    assert stage.live == 5000
    assert stage.world.outcomes[Outcome.TABLE_FULL] == 1_000_000 - 5000


def test_ids_are_remembered_for_two_generations() -> None:
    names = Names(places=1000, sides=100)
    stage = ParcelStage(
        EngineSettings(max_live_parcels=1000), DetectionSettings(remembered_events=4096), names
    )

    def feed(event: int, hour: int) -> None:
        scan = columns([Scan("SF1", Status.IN_TRANSIT, START + hour * HOUR)], names)
        scan.event = np.array([event], np.uint64)
        stage.feed_scans(scan, 0)

    for number in range(1, 34):
        feed(number, number)
    feed(20, 100)  # sixteen a bucket and generation: the twentieth is still known, the first is not
    assert stage.world.outcomes[Outcome.DUPLICATE] == 1
    feed(1, 101)
    assert stage.world.outcomes[Outcome.DUPLICATE] == 1


def test_bins_of_the_kernel_and_of_the_twin_agree_at_every_edge() -> None:
    from detectors.kernels import EDGES, bin_of
    from monitor.engine import plain

    ages = {0, 1, 10**9, *(int(edge) + step for edge in EDGES for step in (-1, 0, 1))}
    assert Counter(bin_of(age) for age in ages) == Counter(plain.bin_of(age) for age in ages)
    assert max(plain.bin_of(age) for age in ages) == BINS - 1


def test_records_are_as_large_as_the_memory_budget_says() -> None:
    from monitor.engine.layout import BACKGROUND, SLOT

    found: Records = np.zeros(1, SLOT)
    assert found.itemsize == 64
    assert BACKGROUND.itemsize == 20


def test_both_remember_what_was_first_heard_of_when_it_ended() -> None:
    both = Both()
    day = DAY * 1000
    both.order(
        [order("O1", "shipped", START, tracking_number="SF1", origin_region="440305", region="110105")]
    )
    both.scan([Scan("SF2", Status.DELIVERED, START, region="110105", facility="hub-1", courier="k")])
    both.sweep(6 * DAY)
    both.restart()
    both.scan([Scan("SF2", Status.ACCEPTED, START - day), Scan("SF2", Status.ACCEPTED, START + 6 * day)])
    both.order([order("O1", "placed", START + 6 * day), order("O1", "paid", START + 7 * day)])
    assert both.stage.live == 1  # the parcel of the order
    both.order([order("O2", "placed", START), order("O2", "shipped", START + day)])
    both.order([order("O2", "paid", START + 9 * day)])
    both.order([order("O3", "placed", START), order("O3", "cancelled", START + day)])
    both.sweep(3 * DAY)
    both.sweep(40 * DAY)


def test_both_tell_at_once_of_what_waits_where_a_jam_begins_and_of_nothing_else() -> None:
    both = Both()
    hubs = ("hub-1", "hub-2")
    both.scan([Scan(f"SF{n}", Status.ARRIVED, START + n * HOUR, facility=hubs[n % 2]) for n in range(60)])
    both.sweep(20 * 3600)
    both.sweep(25 * 3600)  # the longest have waited for 45 of the 48 hours: of each its time is said
    assert not both.plain.stalled()
    both.jam()
    both.sweep(0)
    hub, other = (both.names.facilities.known(name) for name in hubs)
    assert both.plain.stalled()[hub] == 15  # those of over 16 hours
    both.sweep(600)
    both.jam()
    both.sweep(4 * 3600)
    assert both.plain.stalled()[other] == 1


def test_a_parcel_that_moves_is_looked_at_when_it_may_next_stand_still_and_not_before() -> None:
    both = Both()
    both.scan([Scan("SF1", Status.ACCEPTED, START), Scan("SF2", Status.ACCEPTED, START)])
    table = both.stage.table
    (first,) = set(table.due[table.slots["state"] != 0].tolist())
    both.scan(
        [Scan("SF1", Status.DEPARTED, START + 5 * HOUR), Scan("SF2", Status.DELIVERED, START + 5 * HOUR)]
    )
    used = table.slots["state"] != 0
    assert (table.due[used] > first).all()
    assert (table.due[used] == table.slots["due"][used]).all()
    assert sorted(table.due[used] & 2) == [0, 2]  # who is over is known at once


def test_a_census_after_limits_shrank_leaves_nothing_for_a_jam_to_miss() -> None:
    both = Both()
    both.stage.world.quick[:] = both.stage.world.limit
    both.scan([Scan(f"SF{n}", Status.ARRIVED, START, facility="hub-1") for n in range(6)])
    both.stage.world.quick[:] = both.stage.world.limit // QUICKER
    both.sweep(20 * 3600)
    both.stage.census(range(BUCKETS), both.now)
    both.jam()
    both.sweep(0)
    assert both.plain.stalled().total() == 6


def test_a_census_counts_who_lives_again_after_due_times_said_that_it_was_over() -> None:
    both = Both()
    both.scan([Scan("SF1", Status.ACCEPTED, START), Scan("SF1", Status.DELIVERED, START + HOUR)])
    both.order([order("O1", "paid", START), order("O1", "shipped", START + HOUR)])
    both.sweep(2 * DAY)
    table = both.stage.table
    over = table.slots["state"] & LIFE == FINISHED
    assert over.sum() == 2
    assert (table.due[over] & 2 != 0).all()
    both.census()
    assert not both.stage.learned.counting.any()
    both.now += 25 * DAY
    both.scan([Scan("SF1", Status.ACCEPTED, START + 27 * DAY * 1000)])
    both.order([order("O1", "return_requested", START + 27 * DAY * 1000)])
    both.census()
    assert both.stage.learned.counting[:, Segment.RETURN].sum() == 1
    assert both.stage.learned.counting[:, ORIGIN].sum() == 1
    both.sweep(0)
