from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.clock import DAY, HOUR, MINUTE
from detectors.findings import Finding, State, SubjectType
from detectors.gestures import Gestures
from detectors.logistic import Logistic
from detectors.peers import Peers
from detectors.river_adapter import NOT_READY, Drift, OnlineLogistic
from detectors.signature import SignatureSuspect
from detectors.signoff_features import INTERCEPT, PRIOR
from detectors.signoff_kernels import FEATURES
from detectors.tables import F64, table_of
from tests.recordings.signature_suspect import (
    BAD,
    COURIERS,
    WINDOWS,
    complaint,
    scan_again,
    signoff,
    windows,
    world,
)
from tests.recordings.windows import MONDAY, rows, window

NOON = MONDAY + 12 * HOUR


def one(row: dict[str, Any], detector: SignatureSuspect | None = None) -> list[Finding]:
    at = row["received"]
    return (detector or SignatureSuspect()).run(window(at - HOUR, at, signoffs=rows("signoffs", [row])))


def taught() -> SignatureSuspect:
    detector = SignatureSuspect()
    for each in WINDOWS:
        detector.run(each)
    return detector


def test_the_rules_have_a_weight_each_in_the_order_of_the_columns() -> None:
    assert tuple(PRIOR) == FEATURES


def test_whole_bags_signed_at_once_are_found_and_their_courier_named() -> None:
    detector = SignatureSuspect()
    found = [finding for each in WINDOWS for finding in detector.run(each)]
    parcels = {f.subject.id for f in found if f.subject.type is SubjectType.PARCEL}
    bags = {
        row["tracking_number"]
        for _, frame, row in world()
        if frame == "signoffs" and row["courier"] == BAD and row["occurred"] % HOUR < MINUTE
    }
    assert len(bags & parcels) >= 0.9 * len(bags)
    assert [
        f.subject.id for f in found if f.subject.type is SubjectType.COURIER and f.state is State.OPENED
    ] == [BAD]
    others = sum(1 for _, frame, _ in world() if frame == "signoffs") - len(bags)
    assert len(parcels - bags) < 0.05 * others


def test_an_impossible_order_of_scans_is_found_on_the_first_day() -> None:
    for impossible in (
        {"accepted": NOON - 10 * DAY, "ordered": NOON - 9 * DAY},
        {"accepted": NOON + HOUR},
        {"ordered": NOON + HOUR},
    ):
        (found,) = one(signoff(1, "K1", NOON, NOON - 2 * HOUR, **impossible))
        assert found.score > 0.9
        assert "impossible" in found.evidence["reasons"]
        assert "不可能" in found.evidence["zh"]


def test_an_ordinary_sign_off_says_nothing() -> None:
    assert one(signoff(1, "K1", NOON, NOON - 2 * HOUR)) == []


@pytest.mark.parametrize(("days", "asked"), [(0, False), (1, False), (3, True)])
def test_an_hour_is_unusual_only_after_whole_days(days: int, *, asked: bool) -> None:
    """A shop that began this morning has seen no evening yet."""
    detector = SignatureSuspect()
    for day in range(days + 1):
        noon = NOON + day * DAY
        morning = [
            signoff(1000 * day + n, f"K{n % 40}", noon - n * MINUTE // 2, noon - 6 * HOUR)
            for n in range(400, 0, -1)
        ]
        detector.run(window(noon - HOUR, noon, signoffs=rows("signoffs", morning)))
    night = NOON + days * DAY + 15 * HOUR
    found = one(signoff(9000, "K1", night, night - 2 * HOUR), detector)
    assert [f.evidence["reasons"][0] for f in found] == ["night"] * asked


def test_clocks_that_differ_by_seconds_make_no_impossible_order() -> None:
    assert one(signoff(1, "K1", NOON, None, accepted=NOON + 30_000, previous_status=11)) == []


DAWN = MONDAY + 8 * HOUR  # midnight of UTC


@pytest.mark.parametrize("day", [MONDAY, DAWN], ids=["the shop's day", "a day of UTC"])
def test_a_carrier_that_tells_dates_only_gives_no_impossible_order_and_nothing_was_signed_at_once(
    day: int,
) -> None:
    """Ordered in the afternoon of the day on which it was handed over, went out and was signed, as far as scans say."""
    detector = SignatureSuspect()
    signed = [
        signoff(n, "K1", day, day, accepted=day, ordered=day + 15 * HOUR) | {"received": day + 20 * HOUR}
        for n in range(9)
    ]
    at = day + 20 * HOUR
    assert detector.run(window(at - HOUR, at, signoffs=rows("signoffs", signed))) == []


@pytest.mark.parametrize(
    "known", [{"accepted": MONDAY + DAY}, {"ordered": MONDAY + 25 * HOUR, "accepted": MONDAY}, {}]
)
def test_a_date_before_the_day_of_the_order_is_impossible(known: dict[str, int]) -> None:
    """Or a day that is over before the parcel was handed over."""
    row = signoff(1, "K1", MONDAY, None, **({"ordered": MONDAY + 30 * HOUR} | known))
    assert len(one(row | {"accepted": row["accepted"] + 2 * MINUTE})) == 1


@pytest.mark.parametrize(
    ("oddity", "at", "before", "asked"),
    [
        ("before_order", MONDAY, None, False),
        ("before_order", MONDAY + 1000, None, True),
        ("before_order", MONDAY, MONDAY + 15 * HOUR, False),
        ("before_order", MONDAY, MONDAY + 25 * HOUR, True),
        ("paid_late", MONDAY, MONDAY + 15 * HOUR, False),
        ("paid_late", MONDAY, MONDAY + 25 * HOUR, True),
        ("too_fast", MONDAY, MONDAY, False),
        ("too_fast", MONDAY, MONDAY - 10 * MINUTE, False),
        ("too_fast", NOON, MONDAY + 10 * MINUTE, True),
        ("too_fast", NOON, MONDAY, False),
        ("after_end", MONDAY, MONDAY - 2 * DAY, True),
    ],
)
def test_an_odd_scan_that_tells_its_date_only_is_compared_by_days(
    oddity: str, at: int, before: int | None, *, asked: bool
) -> None:
    row = scan_again("P1", at) | {"oddity": oddity, "previous_occurred": before, "status": 4}
    detector = SignatureSuspect(open_score=0.1)
    assert bool(detector.run(window(NOON, NOON + HOUR, oddities=rows("oddities", [row])))) == asked


def test_an_earlier_stage_on_the_date_of_a_later_one_is_not_odd() -> None:
    for at, before, odd in ((MONDAY, MONDAY, False), (NOON, NOON, True), (NOON, MONDAY, False)):
        detector = SignatureSuspect(open_score=0.01)
        row = scan_again("P1", at) | {"oddity": "earlier_stage", "previous_occurred": before, "status": 2}
        found = detector.run(window(NOON, NOON + HOUR, oddities=rows("oddities", [row])))
        assert bool(found) == odd


def test_signed_in_another_city_is_a_question_and_in_the_same_is_none() -> None:
    (found,) = one(signoff(1, "K1", NOON, NOON - 2 * HOUR, region="110105"))
    assert found.evidence["reasons"][0] == "other_city"
    assert one(signoff(2, "K1", NOON, NOON - 2 * HOUR, region="440300")) == []
    assert one(signoff(3, "K1", NOON, NOON - 2 * HOUR, region=None)) == []


def test_signed_then_scanned_again_is_found_but_a_second_delivery_scan_is_not() -> None:
    detector = SignatureSuspect()
    one(signoff(1, "K1", NOON, NOON - 2 * HOUR), detector)
    later = NOON + 5 * HOUR
    again = rows("oddities", [scan_again("P1", later) | {"status": 13}])
    assert detector.run(window(NOON, later, oddities=again)) == []
    (found,) = detector.run(window(later, later + HOUR, oddities=rows("oddities", [scan_again("P1", later)])))
    assert "rescanned" in found.evidence["reasons"]
    assert found.started_at == NOON


def test_paid_after_it_was_shipped_is_a_finding_about_the_order() -> None:
    row = scan_again("O-1", NOON) | {"oddity": "paid_late", "status": 0}
    (found,) = SignatureSuspect().run(window(NOON - HOUR, NOON, oddities=rows("oddities", [row])))
    assert found.subject.type is SubjectType.ORDER


@pytest.mark.parametrize(("feeds", "asked"), [((), 1), (("shop",), 0), (("*",), 0), (("another",), 1)])
def test_where_customers_pay_at_the_door_a_late_payment_is_nothing_odd(
    feeds: tuple[str, ...], asked: int
) -> None:
    late = scan_again("O-1", NOON) | {"oddity": "paid_late", "status": 0, "feed": "shop"}
    impossible = scan_again("P-1", NOON) | {"oddity": "before_order", "feed": "shop"}
    detector = SignatureSuspect(paid_on_delivery=feeds)
    found = detector.run(window(NOON - HOUR, NOON, oddities=rows("oddities", [late, impossible])))
    assert [one.subject.id for one in found].count("O-1") == asked
    assert [one.subject.id for one in found].count("P-1") == 1


def test_not_received_raises_the_score_and_a_withdrawn_complaint_takes_it_back() -> None:
    detector = taught()
    late = WINDOWS[-1].until + DAY + 4 * HOUR
    one(signoff(9000, "K3", late, late - 3 * HOUR), detector)
    told = complaint(9000, "K3", late)
    (found,) = detector.run(window(late, late + 10 * HOUR, complaints=rows("complaints", [told])))
    assert found.evidence["reasons"][0] == "not_received"
    taken = told | {"status": "withdrawn"}
    (closed,) = detector.run(window(late, late + 11 * HOUR, complaints=rows("complaints", [taken])))
    assert closed.state is State.CLOSED


def test_whoever_complains_stands_for_nobody_else() -> None:
    """One of the ordinary sign-offs that are kept, each for sixty others."""
    detector = taught()
    late = WINDOWS[-1].until + DAY + 4 * HOUR + 20 * MINUTE
    many = [signoff(20_000 + n, f"K{n}", late, late - 3 * HOUR) for n in range(6000)]
    detector.run(window(late - HOUR, late + HOUR, signoffs=rows("signoffs", many)))
    kept = detector._kept
    place = kept.place("P20000")
    assert place is not None
    assert kept.weight[place] == 60.0
    told = complaint(20_000, "K0", late)
    detector.run(window(late + HOUR, late + 10 * HOUR, complaints=rows("complaints", [told])))
    assert kept.weight[place] == 1.0


def test_a_complaint_after_three_days_or_about_something_else_teaches_nothing() -> None:
    detector = taught()
    late = WINDOWS[-1].until + DAY + 4 * HOUR
    one(signoff(9000, "K3", late, late - 3 * HOUR), detector)
    slow = complaint(9000, "K3", late) | {"occurred": late + 3 * DAY}
    other = complaint(9000, "K3", late) | {"reason": "damaged"}
    unknown = complaint(9000, "K3", late) | {"delivered_at": None}
    said = detector.run(window(late, late + HOUR, complaints=rows("complaints", [slow, other, unknown])))
    assert said == []


def test_far_from_the_address_counts_only_against_what_is_usual() -> None:
    detector = SignatureSuspect()
    rng = np.random.default_rng(1)
    near = [
        signoff(
            n, f"K{n % COURIERS}", NOON + n * 2 * MINUTE, NOON - HOUR,
            scan_latitude=22.5 + rng.normal(0, 0.005), scan_longitude=114.0, latitude=22.5, longitude=114.0,
        )
        for n in range(400)
    ]  # fmt: skip
    detector.run(window(NOON, NOON + DAY, signoffs=rows("signoffs", near)))
    at = NOON + DAY
    ordinary = near[0] | {
        "tracking_number": "A",
        "occurred": at,
        "received": at,
        "out_for_delivery": at - HOUR,
    }
    far = ordinary | {
        "tracking_number": "B",
        "scan_latitude": 22.7,
        "delivered_to": 2,
        "occurred": at - 30_000_000,
    }
    signed = {
        f.subject.id: f.score
        for f in detector.run(window(at, at + HOUR, signoffs=rows("signoffs", [ordinary, far])))
    }
    assert "A" not in signed
    kept = {name: row for name, _, row, *_ in detector.state()["kept"]}
    assert max(kept["B"]) > 0


def test_a_sale_of_ten_times_the_parcels_keeps_the_share_of_suspects() -> None:
    def share(factor: int) -> float:
        detector = taught()
        start, rng = WINDOWS[-1].until, np.random.default_rng(2)
        many = [
            signoff(10_000 + n, f"K{n % (COURIERS * factor)}", start + int(rng.uniform(2, 12) * HOUR), start)
            for n in range(70 * factor)
        ]
        found = [
            f for each in windows([(r["received"], "signoffs", r) for r in many]) for f in detector.run(each)
        ]
        found += detector.run(window(start, start + DAY, signoffs=rows("signoffs", many)))
        return len({f.subject.id for f in found}) / len(many)

    assert share(10) <= share(1) + 0.05


def test_a_region_carrier_and_courier_never_seen_are_judged_by_the_common_rules() -> None:
    detector = taught()
    late = WINDOWS[-1].until + DAY + 4 * HOUR
    row = signoff(9000, "new", late, late - 2 * HOUR, carrier=None, region="XX", destination="XX")
    assert one(row, detector) == []
    (found,) = one(row | {"tracking_number": "Q", "destination": "YY"}, detector)
    assert found.evidence["reasons"][0] == "other_city"


def test_memory_is_bounded() -> None:
    detector = SignatureSuspect(capacity=50)
    many = [signoff(n, "K1", NOON, NOON - HOUR, region="110105") for n in range(500)]
    detector.run(window(NOON, NOON + HOUR, signoffs=rows("signoffs", many)))
    assert len(detector.state()["kept"]) <= 50


def test_a_courier_with_three_parcels_borrows_from_its_peers() -> None:
    peers = Peers()
    peers.count(peers.rows([f"K{n}" for n in range(100)]), np.full(100, 1.0), 100.0)
    few, many = peers.rows(["few", "many"])
    peers.count(np.array([few]), np.array([1.0]), 3.0)
    peers.count(np.array([many]), np.array([30.0]), 90.0)
    excess = peers.excess(np.array([few, many, -1]))
    assert 0 < excess[0] < excess[1]
    assert excess[2] == 0.0
    assert peers.outstanding(2.5, 4.0) == ["many"]


@pytest.mark.parametrize("restarts", [False, True])
def test_gestures_are_counted_over_windows_as_one_by_one(*, restarts: bool) -> None:
    rng = np.random.default_rng(7)
    gestures, kept = Gestures(), list[dict[str, Any]]()
    for hour in range(1, 20):
        now = NOON + hour * HOUR
        fresh = [
            signoff(
                1000 * hour + n,
                "K",
                now - int(rng.integers(0, 20 * MINUTE)) // (MINUTE // 2) * (MINUTE // 2),
                NOON,
            )
            | {
                "received": now - int(rng.integers(0, HOUR)),
                "courier": None if n % 9 == 0 else f"K{rng.integers(4)}",
            }
            for n in range(60)
        ]
        if restarts:
            other = Gestures()
            other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(gestures.state())))
            gestures = other
        count, grown = gestures.together(table_of(rows("signoffs", fresh)), now, 0)
        everyone = [*kept, *(row for row in fresh if row["courier"])]
        assert count.tolist() == [others(row, everyone) if row["courier"] else 0 for row in fresh]
        joined = [row for row in kept if others(row, fresh)]
        assert grown == {
            row["tracking_number"]: more for row in joined if (more := others(row, everyone)) >= 2
        }
        kept = [row for row in everyone if row["received"] > now - 6 * HOUR]


def others(row: dict[str, Any], among: list[dict[str, Any]]) -> int:
    return sum(
        one is not row
        and one["courier"] == row["courier"]
        and abs(one["occurred"] - row["occurred"]) <= MINUTE
        for one in among
    )


def test_the_adapter_refuses_what_is_not_finite_and_keeps_plain_numbers() -> None:
    model = OnlineLogistic({"a": 1.0, "b": 0.0}, -1.0)
    before = model.logits(np.array([[1.0, 1.0]]))
    model.learn(np.array([np.nan, 1.0]), label=True)
    model.learn(np.array([1.0, np.inf]), label=True)
    assert model.logits(np.array([[1.0, 1.0]])) == before
    for _ in range(200):
        model.learn(np.array([0.0, 1.0]), label=True)
    other = OnlineLogistic({"a": 1.0, "b": 0.0}, -1.0)
    other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(model.state())))
    for each in (model, other):
        each.learn(np.array([1.0, 1.0]), label=False)
    assert model.logits(np.eye(2)).tolist() == other.logits(np.eye(2)).tolist()
    assert model.logits(np.eye(2))[1] > before[0]


class Beside(Logistic):
    """The compiled model, with river's taught the same beside it, a row at a time."""

    def __init__(self) -> None:
        super().__init__(PRIOR, INTERCEPT)
        self.river = OnlineLogistic(PRIOR, INTERCEPT)
        self.taught = 0

    def learn_silence(self, rows: F64, told: F64, weight: F64, writes: float) -> F64:
        false = super().learn_silence(rows, told, weight, writes)
        for at, row in enumerate(rows):
            logit = self.river.logits(row[None])[0]
            before, score = 1 / (1 + math.exp(-logit)), 1 / (1 + math.exp(-(logit + told[at])))
            expected = score if told[at] else score * (1 - writes) / (1 - score * writes)
            assert false[at] == pytest.approx(expected, rel=1e-9)
            # River knows two answers: the nearer one with a part of the weight is the same step.
            if expected > before:
                self.river.learn(row, label=True, weight=weight[at] * (expected - before) / (1 - before))
            else:
                self.river.learn(row, label=False, weight=weight[at] * (before - expected) / before)
            self.taught += 1
        return false


def test_the_compiled_model_learns_what_river_learns_from_the_same_stream() -> None:
    detector, model = SignatureSuspect(), Beside()
    detector._model = model
    for each in WINDOWS:
        detector.run(each)
    ours, rivers = model.state(), model.river.state()
    assert model.taught > 400
    assert ours["weights"] != dict(PRIOR)
    assert ours["steps"] == rivers["steps"]
    for name in ("weights", "squares"):
        assert ours[name] == pytest.approx(rivers[name], rel=1e-9)
    assert ours["intercept"] == pytest.approx(rivers["intercept"], rel=1e-9)
    assert ours["learned"] == model.taught
    other = Logistic(PRIOR, INTERCEPT)
    other.restore(rivers)
    assert other.state() == rivers


@pytest.mark.parametrize("stands_for", [1.0, 30.0, 3000.0])
def test_where_nobody_complains_sign_offs_do_not_become_suspect(stands_for: float) -> None:
    """However many others each stands for: a platform's stand for hundreds."""
    model = Logistic(PRIOR, INTERCEPT)
    rows = np.zeros((2000, len(FEATURES)))
    rows[::7, FEATURES.index("fast")] = 1.0
    before = model.logits(rows[:2])
    weight = np.full(len(rows), stands_for)
    false = model.learn_silence(rows, np.zeros(len(rows)), weight, 0.5)
    assert (model.logits(rows[:2]) < before).all()
    assert (np.diff(false[1:7]) < 0).all()


@pytest.mark.parametrize("stands_for", [1.0, 50.0])
def test_ordinary_sign_offs_become_as_suspect_as_complaints_say(stands_for: float) -> None:
    """One in two hundred is false, half of them write. A complaint is one, whatever the silent ones stand for."""
    model, rng = Logistic(PRIOR, INTERCEPT), np.random.default_rng(5)
    false, writes, told = 0.005, 0.5, math.log(0.5 / 0.0001)
    for _ in range(300):
        silent = 4000 / stands_for
        complaints = rng.binomial(4000, false * writes)
        weight = np.full(int(silent) + complaints, stands_for)
        said = np.zeros(len(weight))
        weight[:complaints], said[:complaints] = 1.0, told
        order = rng.permutation(len(weight))
        rows = np.zeros((len(weight), len(FEATURES)))
        model.learn_silence(rows, said[order], weight[order], writes)
    score = 1 / (1 + np.exp(-model.logits(np.zeros((1, len(FEATURES)))))[0])
    assert 0.5 * false < score < 2 * false


@pytest.mark.parametrize("model", [Logistic, OnlineLogistic])
def test_what_is_not_finite_teaches_neither_model(model: type[Logistic | OnlineLogistic]) -> None:
    one = model({"a": 1.0, "b": 0.0}, -1.0)
    before = one.state()
    one.learn(np.array([np.nan, 1.0]), label=True)
    one.learn(np.array([1.0, 1.0]), label=True, weight=math.inf)
    one.learn(np.array([1.0, 1.0]), label=True, weight=0.0)
    assert one.state() == before
    one.learn(np.array([1.0, 0.0]), label=True, weight=50.0)
    assert one.state()["weights"]["a"] > 1.0
    assert one.state()["weights"]["b"] == 0.0


def test_a_drift_is_found_after_a_nan_and_is_not_ready_rather_than_no() -> None:
    drift = Drift()
    rng = np.random.default_rng(0)
    assert drift.update(0.0) is NOT_READY
    assert drift.update(math.nan) is NOT_READY
    calm = [drift.update(float(value)) for value in rng.normal(0, 0.2, 100)]
    assert not any(answer in (1, -1) for answer in calm)
    drift.update(math.inf)
    assert drift.update(0.3, 7) == 0  # something speaks for a rise, which the twin must know of
    twin = Drift()
    twin.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(drift.state())))
    after = [float(value) for value in rng.normal(0.6, 0.2, 30)]
    answers = [drift.update(value, at) for at, value in enumerate(after, 100)]
    assert 1 in answers[:12]
    assert answers == [twin.update(value, at) for at, value in enumerate(after, 100)]
    assert twin.began == drift.began


def test_a_change_is_dated_from_where_it_began_and_not_from_where_it_was_found() -> None:
    dated = []
    for seed in range(8):
        drift, rng = Drift(), np.random.default_rng(seed)
        answers = [drift.update(float(rng.normal(0.0 if at < 60 else 0.3, 0.2)), at) for at in range(90)]
        assert answers.index(1) > 60
        dated.append(drift.began)
    assert abs(float(np.median(dated)) - 60) <= 1


def test_a_constant_stream_has_a_floor_under_its_variance() -> None:
    drift = Drift()
    answers = [drift.update(5.0) for _ in range(60)] + [drift.update(5.0 + 1e-7) for _ in range(60)]
    assert not any(answer in (1, -1) for answer in answers)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_stream_gives_the_same_findings(seed: int) -> None:
    def said() -> list[Finding]:
        detector = SignatureSuspect()
        return [finding for each in windows(world(seed)) for finding in detector.run(each)]

    assert said() == said()
