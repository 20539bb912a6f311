"""A replay small enough to count by hand: what is right, what is false, what nobody is asked to find."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.policies import load_pack
from monitor.cli.main import main
from monitor.evaluate import Costs, curves, evaluate, tune, with_thresholds
from monitor.evaluate.curves import style
from monitor.evaluate.tune import isotonic

START = datetime(2025, 5, 1, tzinfo=UTC)


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def finding(
    name: str,
    kind: str,
    subject: tuple[str, str],
    opened: float,
    score: float,
    closed: float | None = None,
    **evidence: str,
) -> list[dict[str, Any]]:
    base = {
        "finding_id": name, "detector": kind, "kind": kind, "subject": {"type": subject[0], "id": subject[1]},
        "opened_at": at(opened), "evidence": evidence,
    }  # fmt: skip
    lines = [{**base, "as_of": at(opened), "state": "opened", "score": score}]
    if closed is not None:
        lines.append(
            {**base, "as_of": at(closed), "state": "closed", "score": score, "close_reason": "moved"}
        )
    return lines


def anomaly(
    kind: str,
    subject: tuple[str, str],
    starts: float,
    ends: float | None,
    complained: float | None = None,
    *,
    minor: bool = False,
) -> dict[str, Any]:
    parcel = subject[1] if subject[0] == "parcel" else None
    return {
        "kind": kind, "subject": {"type": subject[0], "id": subject[1]}, "starts_at": at(starts), "due_at": at(starts + 10),
        "ends_at": None if ends is None else at(ends), "cause": "stuck", "minor": minor, "tracking_number": parcel,
        "order_id": f"O-{parcel}" if parcel else None, "complained_at": None if complained is None else at(complained),
        "cost": 3.0,
    }  # fmt: skip


def action(finding_id: str, kind: str, decided: float, amount: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "finding_id": finding_id, "kind": kind, "decided_at": at(decided), "customer_id": "C1", "reason": "shadow",
        "decision": "suppressed", "amount": amount, "rule": "late", **more,
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    parcel = "parcel"
    write(
        tmp_path / "findings.ndjson",
        [
            *finding(
                "F1", "facility_stalled", (parcel, "P1"), 80, 0.9, 120
            ),  # right, 20 h before the complaint
            *finding(
                "F2", "linehaul_stalled", (parcel, "P2"), 60, 0.7, 90
            ),  # right, though of another segment
            *finding("F3", "facility_stalled", (parcel, "P9"), 60, 0.4, 61),  # false
            *finding("F4", "facility_stalled", (parcel, "P4"), 60, 0.6, 70),  # only a minor anomaly
            *finding("F5", "facility_stalled", (parcel, "P1"), 10, 0.3, 11),  # false: before it began
            *finding(
                "F6", "fulfilment_stalled", ("order", "O-P5"), 30, 0.8
            ),  # right: the order of the parcel
            *finding(
                "F7", "complaint_spike", ("region", "330000"), 50, 0.95
            ),  # right: the province of the city
            *finding("F8", "complaint_spike", ("region", "440000"), 50, 0.5),  # false
            *finding("F9", "facility_stalled", (parcel, "P8"), 45, 0.2, 46, feed="kdniao"),  # told of silence
        ],
    )
    write(
        tmp_path / "actions.ndjson",
        [
            action("F1", "message", 81),
            action("F1", "coupon", 81, 5.0),
            action("F2", "message", 61),
            action("F3", "message", 62, arm="holdout", reason="holdout"),
            action("F9", "message", 45),
        ],
    )
    return tmp_path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    parcel = "parcel"
    (tmp_path / "truth.json").write_text(
        json.dumps({"scenario": "tiny", "start": at(0), "end": at(240)}), encoding="utf-8"
    )
    return write(
        tmp_path / "truth.ndjson",
        [
            anomaly("facility_stalled", (parcel, "P1"), 50, 130, complained=100),
            anomaly("facility_stalled", (parcel, "P2"), 50, 90),
            anomaly("facility_stalled", (parcel, "P3"), 50, 90, complained=80),
            anomaly("facility_stalled", (parcel, "P4"), 50, 90, minor=True),
            anomaly("fulfilment_stalled", (parcel, "P5"), 20, 50),
            anomaly("complaint_spike", ("region", "330100"), 40, 90),
            anomaly("feed_silent", ("feed", "kdniao"), 40, 50),
        ],
    )


def test_the_numbers_of_a_small_replay_are_those_counted_by_hand(replay: Path, truth: Path) -> None:
    row = evaluate(replay, truth, Costs(effect=0.5, redeemed=0.4, message=0.1)).row("stall")
    assert (row.anomalies, row.found, row.episodes, row.right, row.left_out) == (4, 3, 6, 3, 1)
    assert (row.precision, row.recall) == (0.5, 0.75)
    assert row.f1 == pytest.approx(0.6)
    assert row.alarms_a_day == 0.6
    assert row.false_alarms_a_day == 0.3
    assert row.delay_hours == 0.0  # 20, 0 and 0 hours after it was due
    assert (row.complaints, row.lead_hours, row.found_before, row.told_before) == (2, 20.0, 0.5, 0.5)
    assert row.cost == pytest.approx(5.0 * 0.4 + 3 * 0.1)
    assert row.averted == 0.5
    assert row.cost_per_averted == pytest.approx(4.6)
    assert row.brier == pytest.approx((0.01 + 0.09 + 0.16 + 0.09 + 0.04 + 0.04) / 6, abs=1e-4)
    assert row.average_precision == 0.75  # the three right ones stand first


def test_a_region_is_found_in_its_province_and_a_silent_feed_that_nobody_found_counts(
    replay: Path, truth: Path
) -> None:
    report = evaluate(replay, truth)
    spike, silence = report.row("complaint_spike"), report.row("feed_silent")
    assert (spike.anomalies, spike.found, spike.precision) == (1, 1, 0.5)
    assert (silence.anomalies, silence.found, silence.recall) == (1, 0, 0.0)
    assert report.told_of_silent_feeds == 1


def test_a_segment_has_its_own_precision_and_shares_the_recall(replay: Path, truth: Path) -> None:
    report = evaluate(replay, truth)
    assert report.row("facility_stalled").precision == 0.25
    assert report.row("facility_stalled").recall == pytest.approx(2 / 3, abs=1e-4)
    assert report.row("linehaul_stalled").precision == 1.0


def test_the_report_is_a_table_json_and_pictures(replay: Path, truth: Path, tmp_path: Path) -> None:
    report = evaluate(replay, truth)
    assert json.loads(json.dumps(report.as_dict()))["scenario"] == "tiny"
    assert {row["detector"] for row in report.rows()} >= {"stall", "complaint_spike", "feed_silent"}
    drawn = curves(report, tmp_path / "curves")
    assert [path.read_bytes()[:4] for path in drawn] == [b"\x89PNG"] * 2


def test_an_empty_replay_has_no_precision_and_no_recall(tmp_path: Path, truth: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    write(empty / "findings.ndjson", [])
    row = evaluate(empty, truth).row("stall")
    assert (row.precision, row.recall, row.episodes) == (None, 0.0, 0)
    assert curves(evaluate(empty, truth), tmp_path / "none") == []


def test_what_cannot_be_read_is_named_with_its_line(replay: Path, truth: Path) -> None:
    with (replay / "findings.ndjson").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(ValueError, match=r"findings\.ndjson, line 16"):
        evaluate(replay, truth)


def test_isotonic_shares_never_fall_and_keep_the_mean() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    real = np.array([False, True, False, True, True, True])
    shares = isotonic(score, real)
    assert shares.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0, 1.0]


def test_thresholds_keep_to_the_budget_of_false_alarms(tmp_path: Path) -> None:
    """Of forty episodes the surer ones last; of the twenty false ones the budget allows twelve in eight days."""
    lines = []
    for number in range(40):
        score = number / 40
        lasts = 48 if number >= 10 and number % 3 else 2
        lines += finding(
            f"F{number}", "facility_stalled", ("parcel", f"P{number}"), number * 5, score, number * 5 + lasts
        )
    lines += finding("L", "presumed_lost", ("parcel", "P0"), 239, 0.9, 240)
    write(tmp_path / "findings.ndjson", lines)
    all_of_them = tune(tmp_path, 100.0).thresholds[0]
    tuned = tune(tmp_path, 1.5)
    late = tuned.thresholds[0]
    assert all_of_them.min_score == 0.0
    assert late.rule == "late"
    assert late.min_score is not None
    assert late.min_score > 0.1
    assert late.false_a_day <= 1.5
    assert late.kept == 1.0
    assert f"min_score = {late.min_score:g}" in "\n".join(tuned.lines)
    lost = next(one for one in tuned.thresholds if "presumed_lost" in one.kinds)
    assert lost.min_score is None


PACK = """# mine
name = "mine"
version = "1"

[[rules]]     # ours
name = "late"
cause = "delay"
kinds = ["facility_stalled"]
min_score = 0.3   # enough

[[rules.actions]]
kind = "message"
template = "late"

[[ rules ]]
kinds = ["presumed_lost"]
name = 'lost'
cause = "lost"
[[rules.actions]]
kind = "ticket"
template = "ticket_lost"
"""


def test_a_pack_keeps_all_but_its_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "pack.toml"
    path.write_text(with_thresholds(PACK, {"late": 0.666, "lost": 0.0}), encoding="utf-8")
    old = tmp_path / "old.toml"
    old.write_text(PACK, encoding="utf-8")
    before, after = load_pack(old), load_pack(path)
    assert [rule.min_score for rule in after.rules] == [0.666, 0.0]
    assert [rule.actions for rule in after.rules] == [rule.actions for rule in before.rules]
    assert "# ours" in path.read_text(encoding="utf-8")
    assert "min_score = 0.666   # enough" in path.read_text(encoding="utf-8")
    assert with_thresholds(PACK, {}) == PACK


def test_a_pack_that_cannot_be_changed_line_by_line_is_refused() -> None:
    inline = 'name = "mine"\nrules = [{ name = "late", min_score = 0.1 }]\n'
    with pytest.raises(ValueError, match="by hand"):
        with_thresholds(inline, {"late": 0.5})


def test_what_tune_writes_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for number in range(40):
        parcel = ("parcel", f"P{number}")
        lines += finding(
            f"F{number}", "facility_stalled", parcel, number, number / 40, number + (20 if number > 20 else 1)
        )
    write(tmp_path / "findings.ndjson", lines)
    out = tmp_path / "tuned.toml"
    given = ["forestall", "tune", str(tmp_path), "--false-alarms", "0", "--pack", str(out)]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 0
    assert "alarms a day" in told.err
    assert all(
        line.startswith(("#", "[[rules]]", "name", "min_score")) for line in told.out.splitlines() if line
    )
    monkeypatch.setattr(sys, "argv", ["forestall", "policy", "check", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    late = next(rule for rule in load_pack(out).rules if rule.name == "late")
    assert late.min_score == 0.525


def test_no_two_curves_of_a_picture_look_alike() -> None:
    assert len({style(number) for number in range(19)}) == 19


def test_a_complaint_of_the_history_makes_an_episode_real(tmp_path: Path) -> None:
    lines = []
    events = []
    for number in range(30):
        lines += finding(
            f"F{number}", "facility_stalled", ("parcel", f"P{number}"), number, number / 30, number + 2
        )
        if number >= 15:
            events.append({
                "kind": "complaint", "event_id": f"e{number}", "complaint_id": f"c{number}", "status": "opened",
                "occurred_at": at(number + 20), "tracking_number": f"P{number}",
            })  # fmt: skip
    write(tmp_path / "findings.ndjson", lines)
    tuned = tune(tmp_path, 0.0, history=[write(tmp_path / "events.ndjson", events)]).thresholds[0]
    assert tuned.min_score == 0.5
    assert tuned.kept == 1.0


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("torn.ndjson", b'{"kind":"tracking","status":"accepted"}\n{"kind":"trac', "event 2"),
        ("bytes.ndjson", b'{"kind":"tracking"}\n\x80\xfe\x00\n', "event 2"),
        ("short.ndjson.gz", gzip.compress(b'{"kind":"tracking"}\n' * 99, mtime=0)[:30], "damaged"),
    ],
    ids=["torn", "bytes", "short"],
)
def test_a_damaged_history_is_named_where_nothing_was_found_as_well(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    body: bytes,
    says: str,
) -> None:
    write(tmp_path / "findings.ndjson", [])
    (tmp_path / name).write_bytes(body)
    given = ["forestall", "tune", str(tmp_path), "--false-alarms", "1", "--history", str(tmp_path / name)]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert name in line
    assert says in line


def test_a_packed_history_teaches_as_well(tmp_path: Path) -> None:
    lines = []
    events = []
    for number in range(30):
        lines += finding(
            f"F{number}", "facility_stalled", ("parcel", f"P{number}"), number, number / 30, number + 2
        )
        complaint = {"kind": "complaint", "status": "opened", "occurred_at": at(number + 20)}
        events += [{**complaint, "tracking_number": f"P{number}"}] if number >= 15 else []
    write(tmp_path / "findings.ndjson", lines)
    packed = tmp_path / "events.ndjson.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "events.ndjson", events).read_bytes()))
    assert tune(tmp_path, 0.0, history=[packed]).thresholds[0].min_score == 0.5


def test_a_prediction_is_real_when_the_promise_was_then_broken(tmp_path: Path) -> None:
    lines = []
    for number in range(30):
        parcel = ("parcel", f"P{number}")
        lines += finding(f"L{number}", "late_predicted", parcel, number, number / 30, number + 30)
        if number >= 20:
            lines += finding(f"B{number}", "promise_broken", parcel, number + 31, 0.9, number + 32)
    write(tmp_path / "findings.ndjson", lines)
    soon = next(one for one in tune(tmp_path, 0.0).thresholds if "late_predicted" in one.kinds)
    assert soon.min_score == 0.666
    assert soon.kept == 1.0


def test_a_rule_whose_scores_tell_nothing_is_left_as_it_is(tmp_path: Path) -> None:
    lines = []
    for number in range(40):
        parcel = ("parcel", f"P{number}")
        lines += finding(f"F{number}", "facility_stalled", parcel, number, 0.7, number + 1)
    write(tmp_path / "findings.ndjson", lines)
    tuned = tune(tmp_path, 0.5)
    assert tuned.thresholds[0].min_score is None
    assert "# late: no score keeps to the budget, left as it is" in tuned.lines
