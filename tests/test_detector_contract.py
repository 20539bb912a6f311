"""What every registered detector must keep, whatever it detects.

A detector's data is its module of recordings, `tests/recordings/<name>.py`: `WINDOWS` (place detectors: a list of
`Window`) or `FRAMES` (parcel detectors: a list of (finished, parcels, now)) is its recorded stream, which must make it
speak. `OPTIONS` are its constructor's keywords there; `SPEAKS_COLD = True` is for those that need no learning. A registered detector without one fails here. The golden findings lie beside it in
`<name>.json`; FORESTALL_REWRITE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec import structs

from benchmarks.detection.waiting import waiting_in
from detectors.findings import Finding, State
from detectors.interfaces import FRAMES, ParcelDetector, PlaceDetector, Verdict, Waits, Window, empty
from detectors.registry import PARCEL, PLACE, parcel, place
from detectors.tables import table_of

RECORDINGS = Path(__file__).parent / "recordings"
SHOP = {"timezone": "Asia/Shanghai"}
STATE_LIMIT = 64_000_000  # bytes of any detector's checkpoint


def recording(name: str) -> Any:
    if not (RECORDINGS / f"{name}.py").exists():
        pytest.fail(f"detector {name} is registered and has no recording tests/recordings/{name}.py")
    return import_module(f"tests.recordings.{name}")


def build(name: str) -> Any:
    """As the program builds it, with the options of its recording."""
    options = getattr(recording(name), "OPTIONS", {})
    return place(name, SHOP, **options) if name in PLACE else parcel(name, SHOP, **options)


def run(detector: PlaceDetector, windows: Sequence[Window]) -> Iterator[list[Finding]]:
    for window in windows:
        yield detector.run(window)


def look(
    detector: ParcelDetector, frames: Sequence[tuple[pl.DataFrame, pl.DataFrame, int]]
) -> list[list[Verdict]]:
    said = []
    for finished, parcels, now in frames:
        if isinstance(detector, Waits):
            detector.waited(waiting_in(table_of(parcels), now, detector.every), now)
        said.append(list(detector.look(table_of(parcels), now)))
        detector.learn(table_of(finished), now)
    return said


def plain(value: Any) -> Any:
    """As it reads after JSON: what goldens hold."""
    return json.loads(json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, default=dict))


def fields(finding: Finding) -> dict[str, Any]:
    return {**structs.asdict(finding), "subject": structs.asdict(finding.subject)}


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def findings_of(name: str) -> list[Any]:
    module = recording(name)
    return [rounded(plain(fields(one))) for said in run(build(name), module.WINDOWS) for one in said]


def verdicts_of(name: str) -> list[Any]:
    module = recording(name)
    return [rounded(plain(asdict(one))) for said in look(build(name), module.FRAMES) for one in said]


every_place = pytest.mark.parametrize("name", sorted(PLACE))
every_parcel = pytest.mark.parametrize("name", sorted(PARCEL))
every = pytest.mark.parametrize("name", sorted({**PLACE, **PARCEL}))


@every
def test_it_has_a_recording_that_makes_it_speak_and_says_what_it_said_before(name: str) -> None:
    said = findings_of(name) if name in PLACE else verdicts_of(name)
    assert said, f"nothing in the recording of {name} makes it speak"
    golden = RECORDINGS / f"{name}.json"
    if os.environ.get("FORESTALL_REWRITE_GOLDEN"):
        golden.write_text(
            json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
    assert said == json.loads(golden.read_text(encoding="utf-8"))


@every
def test_its_sentences_stand_in_both_languages(name: str) -> None:
    for one in findings_of(name) if name in PLACE else verdicts_of(name):
        assert one["evidence"]["zh"]
        assert one["evidence"]["en"]
        assert 0 <= one["score"] <= 1


@every_place
def test_it_leaves_its_inputs_untouched(name: str) -> None:
    module = recording(name)
    detector = build(name)
    for window in module.WINDOWS:
        copies = {frame: getattr(window, frame).clone() for frame in FRAMES}
        detector.run(window)
        for frame, copy in copies.items():
            assert getattr(window, frame).equals(copy)


@every_place
def test_it_reads_only_the_frames_it_asks_for(name: str) -> None:
    module = recording(name)
    wants = build(name).wants
    assert wants <= set(FRAMES)
    given = [
        window.replaced(**{frame: empty(frame) for frame in FRAMES if frame not in wants})
        for window in module.WINDOWS
    ]
    assert list(run(build(name), given)) == list(run(build(name), module.WINDOWS))


@every_parcel
def test_it_leaves_its_frames_untouched(name: str) -> None:
    module = recording(name)
    detector = build(name)
    for finished, parcels, now in module.FRAMES:
        before = finished.clone(), parcels.clone()
        detector.look(table_of(parcels), now)
        detector.learn(table_of(finished), now)
        assert finished.equals(before[0])
        assert parcels.equals(before[1])


@every_place
def test_it_says_nothing_when_it_has_seen_nothing_before(name: str) -> None:
    module = recording(name)
    loudest = max(module.WINDOWS, key=lambda window: sum(getattr(window, frame).height for frame in FRAMES))
    assert getattr(module, "SPEAKS_COLD", False) or build(name).run(loudest) == []


@every_parcel
def test_it_opens_nothing_when_it_has_seen_nothing_before(name: str) -> None:
    module = recording(name)
    _, parcels, now = max(module.FRAMES, key=lambda frame: frame[1].height)
    assert not any(verdict.open for verdict in build(name).look(table_of(parcels), now))


@every_place
def test_it_goes_on_after_a_restart_as_if_there_had_been_none(name: str) -> None:
    module = recording(name)
    whole = list(run(build(name), module.WINDOWS))
    half = len(module.WINDOWS) // 2
    first = build(name)
    said = list(run(first, module.WINDOWS[:half]))
    second = build(name)
    second.restore(through_checkpoint(first.state))
    said += run(second, module.WINDOWS[half:])
    assert said == whole


@every_parcel
def test_it_judges_after_a_restart_as_if_there_had_been_none(name: str) -> None:
    module = recording(name)
    whole = look(build(name), module.FRAMES)
    half = len(module.FRAMES) // 2
    first = build(name)
    said = look(first, module.FRAMES[:half])
    second = build(name)
    second.restore(through_checkpoint(first.state))
    assert said + look(second, module.FRAMES[half:]) == whole


def through_checkpoint(state: Callable[[], dict[str, Any]]) -> Any:
    """Plain values only, and bounded: what a checkpoint holds."""
    packed = msgspec.msgpack.encode(state())
    assert len(packed) < STATE_LIMIT
    return msgspec.msgpack.decode(packed)


@every_place
def test_later_data_never_changes_what_was_said_before(name: str) -> None:
    module = recording(name)
    half = len(module.WINDOWS) // 2
    whole = list(run(build(name), module.WINDOWS))
    assert list(run(build(name), module.WINDOWS[:half])) == whole[:half]


@every_parcel
def test_later_parcels_never_change_what_was_said_before(name: str) -> None:
    module = recording(name)
    half = len(module.FRAMES) // 2
    whole = look(build(name), module.FRAMES)
    assert look(build(name), module.FRAMES[:half]) == whole[:half]


@every_place
def test_numbers_that_are_none_neither_break_nor_poison_it(name: str) -> None:
    """NaN and infinity are refused, once and for good: what follows is judged as if they had never come."""
    module = recording(name)
    half = len(module.WINDOWS) // 2
    detector = build(name)
    list(run(detector, module.WINDOWS[:half]))
    before = detector.run(module.WINDOWS[half])
    again = build(name)
    list(run(again, module.WINDOWS[:half]))
    assert len(again.run(poisoned(module.WINDOWS[half]))) <= len(before) + 1
    later = list(run(again, module.WINDOWS[half + 1 :]))
    assert all(0 <= finding.score <= 1 for said in later for finding in said)
    json.dumps(plain([fields(finding) for said in later for finding in said]), allow_nan=False)


def poisoned(window: Window) -> Window:
    """Every float of one row of each frame is NaN or infinite."""
    changed: dict[str, Any] = {}
    for name in FRAMES:
        frame: pl.DataFrame = getattr(window, name)
        floats = [column for column, kind in frame.schema.items() if kind.is_float()]
        if floats and frame.height:
            bad = frame.head(1).with_columns(
                [pl.lit(float("nan")).cast(frame.schema[c]).alias(c) for c in floats]
            )
            worse = frame.head(1).with_columns(
                [pl.lit(float("inf")).cast(frame.schema[c]).alias(c) for c in floats]
            )
            changed[name] = pl.concat([frame, bad, worse])
    return window.replaced(**changed)


@every_place
def test_an_episode_opens_before_it_is_updated_and_closes_once(name: str) -> None:
    module = recording(name)
    states: dict[str, list[State]] = {}
    for said in run(build(name), module.WINDOWS):
        for finding in said:
            states.setdefault(finding.finding_id, []).append(finding.state)
            assert (finding.close_reason is not None) == (finding.state is State.CLOSED)
            assert finding.started_at <= finding.as_of
            assert finding.opened_at <= finding.as_of
    for episode in states.values():
        assert episode[0] is State.OPENED
        assert State.OPENED not in episode[1:]
        assert State.CLOSED not in episode[:-1]


def test_the_registry_names_classes_by_their_own_names() -> None:
    for name, path in {**PLACE, **PARCEL}.items():
        module, _, attribute = path.partition(":")
        assert getattr(import_module(module), attribute).name == name
