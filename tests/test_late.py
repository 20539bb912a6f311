from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from benchmarks.detection.waiting import waiting_in
from detectors.clock import DAY, HOUR, day_ends
from detectors.interfaces import SCHEMAS, Waiting, empty
from detectors.late import LatePredicted
from detectors.late_words import late_evidence
from detectors.lateness import Known, Lateness, WorkingDays, days_out
from detectors.tables import Coded, table_of
from detectors.transit import BIN, BINS, Transit
from tests.recordings.late_predicted import FRAMES, frames, parcels
from tests.recordings.windows import MONDAY, rows


def taught(stop: int | None = None) -> LatePredicted:
    detector = LatePredicted(ready_cases=150, every_hours=6.0)
    for finished, table, now in FRAMES[:stop]:
        detector.waited(waiting_in(table_of(table), now, detector.every), now)
        detector.look(table, now)
        detector.learn(finished, now)
    return detector


def test_parcels_of_the_slow_lane_are_told_before_their_promise_and_mostly_rightly() -> None:
    made = {one["tracking_number"]: one for one in parcels(seed=9)}
    detector = taught()
    told: dict[str, int] = {}
    for _, table, now in frames(list(made.values())):
        shifted = table.with_columns(
            pl.col("ordered", "accepted", "segment_since", "last_scan", "promised") + 30 * DAY
        )
        for verdict in detector.look(shifted, now + 30 * DAY):
            if verdict.open:
                told.setdefault(table["tracking_number"][verdict.row], now)
    late = {name for name, one in made.items() if one["ended"] > day_ends(one["promised"], 8 * HOUR)}
    early = {name for name, at in told.items() if at < made[name]["promised"] - DAY}
    last = max(now for _, _, now in FRAMES)
    due = {name for name in late if made[name]["promised"] < last}
    assert len(early & late) > 0.5 * len(due)
    assert len(early & late) > 0.6 * len(early)


def test_nothing_is_said_before_enough_parcels_have_ended() -> None:
    detector = LatePredicted()
    assert all(not list(detector.look(table, now)) for _, table, now in FRAMES)
    assert detector.interval(FRAMES[40][1].row(0, named=True), FRAMES[40][2]) is None


def test_a_parcel_gets_a_delivery_time_with_its_interval_and_a_later_one_when_older() -> None:
    detector, now = taught(), FRAMES[-1][2]
    fresh = FRAMES[-1][1].row(0, named=True) | {"accepted": now - HOUR, "destination": "440000"}
    slow = fresh | {"destination": "650000"}
    near, far = detector.interval(fresh, now), detector.interval(slow, now)
    assert near is not None
    assert far is not None
    assert now < near[0] < near[1] < near[2] < near[3]
    assert far[1] > near[1]
    assert detector.interval(fresh | {"accepted": None}, now) is None


def test_a_lane_never_seen_and_a_carrier_never_seen_borrow_from_the_rest() -> None:
    detector, now = taught(), FRAMES[-1][2]
    row = FRAMES[-1][1].row(0, named=True) | {"carrier": None, "origin": "X", "promised": now + DAY}
    strange = rows("parcels", [row])
    assert 0 < detector.probability(strange, now)[0] < 1
    assert detector.interval(row, now) is not None


def test_parcels_without_a_promise_or_past_it_are_left_alone() -> None:
    detector, now = taught(), FRAMES[-1][2]
    row = FRAMES[-1][1].row(0, named=True)
    strange = rows("parcels", [row | {"promised": None}, row | {"promised": now - 3 * DAY}])
    assert list(detector.look(strange, now)) == []
    assert np.isnan(detector.probability(strange, now)).all()


def test_a_parcel_not_handed_over_on_the_eve_of_its_promise_is_judged_too() -> None:
    detector, now = taught(), FRAMES[-1][2]
    row = FRAMES[-1][1].row(0, named=True) | {
        "accepted": None,
        "promised": now + DAY,
        "ordered": now - 5 * DAY,
    }
    assert np.isfinite(detector.probability(rows("parcels", [row]), now)[0])


def test_a_promise_of_a_day_is_kept_until_that_day_ends() -> None:
    shanghai = 8 * HOUR
    assert day_ends(MONDAY, shanghai) == MONDAY + DAY
    assert day_ends(MONDAY + 8 * HOUR, shanghai) == MONDAY + 8 * HOUR + DAY
    assert day_ends(MONDAY + 18 * HOUR, shanghai) == MONDAY + 18 * HOUR


def test_a_clock_that_jumps_and_empty_frames_are_survived() -> None:
    detector, now = taught(60), FRAMES[60][2]
    table = FRAMES[60][1]
    for moment in (now - 400 * DAY, now + 400 * DAY, now):
        detector.look(table, moment)
        detector.look(empty("parcels"), moment)
        detector.learn(empty("finished"), moment)
    assert np.isfinite(detector.probability(table, now)).any()


def test_a_day_of_ten_times_the_parcels_teaches_no_nonsense() -> None:
    detector, now = taught(), FRAMES[-1][2]
    table, finished = FRAMES[-1][1], FRAMES[-1][0]
    before = detector.probability(table, now)
    for _ in range(10):
        detector.learn(finished, now)
    after = detector.probability(table, now)
    judged = np.isfinite(before)
    assert np.abs(after - before)[judged].mean() < 0.15


def test_odds_learn_what_the_days_before_looked_like_and_nothing_later() -> None:
    known = Known(*(np.array([value]) for value in (0, 100, 102, 110, 7, 3)))
    told, parcel = days_out(known, np.array([107]))
    assert told.today.tolist() == [100, 101, 102, 103, 104, 105, 106, 107]
    assert told.handed.tolist() == [-1, -1, 102, 102, 102, 102, 102, 102]
    assert parcel.tolist() == [0] * 8
    odds = Lateness(WorkingDays())
    for _ in range(200):
        odds.learn(told, np.ones(8, dtype=np.bool_))
    assert (odds.logit(told) > 2).all()


def test_a_midnight_with_a_day_of_labels_moves_the_odds_to_what_came_and_no_further() -> None:
    known = Known(*(np.full(5000, value) for value in (100, 100, 100, 103, 7, 3)))
    odds = Lateness(WorkingDays())
    late = np.arange(5000) % 10 < 3
    for _ in range(4):
        odds.learn(known, late)
        assert 1 / (1 + np.exp(-odds.logit(known)[0])) == pytest.approx(0.3, abs=0.06)


def test_holidays_are_no_working_days() -> None:
    days = WorkingDays(frozenset({20_458}))  # Tuesday 2026-01-06
    assert days.between(np.array([20_457]), np.array([20_459])).tolist() == [1]
    assert days.between(np.array([20_460]), np.array([20_464])).tolist() == [2]


@pytest.mark.parametrize("slow", [1.0, 2.0])
def test_the_stated_bound_is_exceeded_by_five_per_cent_also_after_parcels_slow_down(slow: float) -> None:
    """A world of exponential waits whose rate changes at once; judged a fortnight later."""
    rng = np.random.default_rng(3)
    table, step = Transit(), 6 * HOUR
    carrier, lane = table.names(["SF"], ["a-b"])
    one = np.ones(1, np.int64)
    names = Coded(one, [None, "SF"]), Coded(one, [None, "a-b"])
    live: list[tuple[int, int]] = []
    for now in range(MONDAY, MONDAY + 60 * DAY, step):
        table.pass_time(now)
        mean = (3.0 if now < MONDAY + 45 * DAY else 3.0 * slow) * DAY
        stay = rng.random(len(live)) < np.exp(-step / mean)
        for (started, _), stays in zip(live, stay, strict=True):
            if not stays:
                table.end(np.array([started]), np.array([now]), carrier, lane, 0)
        live = [one for one, stays in zip(live, stay, strict=True) if stays] + [(now, 0)] * 10
        age = np.minimum([(now - started) // BIN for started, _ in live], BINS - 1)
        cells, counts = np.unique(age, return_counts=True)
        table.wait(Waiting(cells, counts[:, None], *names, step), now)
    bound = table.remaining(np.zeros(1), carrier, lane, MONDAY + 60 * DAY)[0, -1]
    above = float(np.exp(-bound / (3.0 * slow * DAY)))
    assert 0.02 < above < (0.08 if slow == 1.0 else 0.13)


def test_who_missed_a_promise_before_an_older_version_stopped_still_teaches() -> None:
    detector, finished = taught(60), FRAMES[60][0]
    late = finished.head(1).with_columns(ended=pl.lit(None, dtype=pl.Int64), tracking_number=pl.lit("OLD"))
    state = {**detector.state(), "pending": {"OLD": late.row(0, named=True)}}
    del state["outcomes"], state["taught_at"]
    other = LatePredicted(ready_cases=150, every_hours=6.0)
    other.restore(state)
    before = other.state()["cases"]
    other.learn(empty("finished"), FRAMES[60][2])
    other.learn(empty("finished"), FRAMES[60][2] + 30 * DAY)
    assert other.state()["cases"] == before + 1


def test_it_says_how_far_its_odds_were_off() -> None:
    assert LatePredicted().calibration_error() is None
    error = taught().calibration_error()
    assert error is not None
    assert 0.0 <= error < 0.1


@pytest.mark.parametrize(
    ("promised", "named", "hours"),
    [
        ("2026-01-06T16:00:00+08:00", "2026-01-06 16:00", 64.0),
        ("2026-01-06T00:00:00+08:00", "2026-01-06", 72.0),  # a day, kept until it ends
        ("2026-01-06T00:00:00Z", "2026-01-06", 80.0),
    ],
)
def test_a_promise_of_a_day_is_named_as_one_and_ends_with_it(promised: str, named: str, hours: float) -> None:
    moment, since = (
        int(datetime.fromisoformat(one).timestamp() * 1000) for one in (promised, "2026-01-04T00:00:00+08:00")
    )
    row = dict.fromkeys(SCHEMAS["parcels"]) | {
        "tracking_number": "SF1",
        "accepted": since,
        "promised": moment,
    }
    told = late_evidence(row, 0.4, 1, moment + np.arange(5.0), since, 100, "Asia/Shanghai")
    assert f"its promise of {named} with" in told["en"]
    assert f"{named} 的承诺" in told["zh"]
    assert told["limit_hours"] == hours


@pytest.mark.parametrize(("unheard", "teach"), [(1, 2), (0, 1)])
def test_who_came_late_in_a_silence_teaches_beside_who_came_in_time(unheard: int, teach: int) -> None:
    """What comes in after it would teach of those in time alone, unless it is said that nobody was told of the passing."""
    detector, day = taught(), FRAMES[-1][2] - 6 * DAY
    known = {"carrier": "SF", "origin": "440000", "destination": "440000", "status": 13}
    known |= {"ordered": day - DAY, "accepted": day - DAY, "promised": day + 12 * HOUR}
    backlog = [
        {**known, "tracking_number": "EARLY", "ended": day, "unheard": 0},
        {**known, "tracking_number": "LATE", "ended": day + 2 * DAY, "unheard": unheard},
    ]
    moment = FRAMES[-1][2]
    detector.learn(empty("finished"), moment + 10 * DAY)  # what waited for its day has taught
    before = detector.state()["cases"]
    detector.learn(rows("finished", backlog), moment + 10 * DAY)
    detector.learn(empty("finished"), moment + 11 * DAY)
    assert detector.state()["cases"] - before == teach


def test_who_came_on_the_day_of_its_promise_was_never_late() -> None:
    detector, day = taught(), FRAMES[-1][2] - 6 * DAY
    local_noon = (day + 8 * HOUR) // DAY * DAY - 8 * HOUR + 12 * HOUR
    row = {"tracking_number": "P", "carrier": "SF", "origin": "440000", "destination": "440000", "status": 13}
    row |= {"ordered": day - DAY, "accepted": day - DAY, "promised": local_noon, "ended": local_noon + HOUR}
    moment = FRAMES[-1][2] + 10 * DAY
    detector.learn(empty("finished"), moment)
    before = detector.state()["cases"]
    detector.learn(rows("finished", [row | {"unheard": 1}]), moment)
    detector.learn(empty("finished"), moment + DAY)
    assert detector.state()["cases"] == before
