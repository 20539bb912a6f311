"""The customer confirmed receipt: nothing of the order is late or lost any more, and the no says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from config.settings import Settings
from detectors.findings import CloseReason, Finding, Kind, State, Subject, SubjectType
from monitor.columns import Batch
from monitor.core import Core, build_core
from monitor.vocabulary import Status
from notifier.store import Store
from tests.engine.shop import DAY, HOUR, START, Scan, columns, order
from tests.money.test_recheck import Told

pytestmark = pytest.mark.anyio


def core_of(settings: Settings, store: Store) -> Core:
    return build_core(settings, store, Told(), b"a key of tests, long enough!")


def finding(kind: Kind, state: State = State.OPENED) -> Finding:
    subject = Subject(SubjectType.PARCEL, "SF1")
    return Finding("stall", kind, subject, START, START + DAY, START + DAY, state, 0.9, {})


async def test_an_event_that_names_no_parcel_ends_those_that_the_order_was_shipped_in(
    tmp_path: Path, store: Store
) -> None:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "engine": {"max_live_parcels": 1000}})
    core = core_of(settings, store)
    await core.pipeline.tick(START)
    parcels = [Scan(number, Status.DEPARTED, START) for number in ("SF1", "SF2", "SF3")]
    shipped = [
        order("O1", "shipped", START, tracking_number=number, event_id=number) for number in ("SF1", "SF2")
    ]
    await core.pipeline.take(Batch(columns(parcels, core.names), orders=shipped))
    await core.pipeline.take(Batch(columns((), core.names), orders=[order("O1", "completed", START + HOUR)]))
    views = {number: core.engine.parcel(number) for number in ("SF1", "SF2", "SF3")}
    assert {number: view and view.finished for number, view in views.items()} == {
        "SF1": True,
        "SF2": True,
        "SF3": False,
    }


@pytest.mark.parametrize("then", [(), ("return_requested",)])
async def test_only_what_was_late_or_lost_is_over(
    tmp_path: Path, store: Store, then: tuple[str, ...]
) -> None:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "engine": {"max_live_parcels": 1000}})
    core = core_of(settings, store)
    told = [
        order("O1", status, START + hour * HOUR, tracking_number="SF1" if status == "shipped" else None)
        for hour, status in enumerate(("paid", "shipped", "completed", *then))
    ]
    await core.pipeline.take(Batch(columns((), core.names), orders=told))

    async def received(one: Finding) -> bool:
        return (await core.pipeline.facts.of([one], START + DAY))[one.finding_id].received

    for kind in (Kind.PRESUMED_LOST, Kind.PROMISE_BROKEN, Kind.LATE_PREDICTED, Kind.PICKUP_STALLED):
        assert await received(finding(kind)), kind
    for kind in (Kind.SIGNATURE_SUSPECT, Kind.RETURN_STALLED, Kind.REFUND_STALLED):
        assert not await received(finding(kind)), kind
    over = replace(finding(Kind.PROMISE_BROKEN, State.CLOSED), close_reason=CloseReason.DELIVERED)
    assert not await received(over)  # a word about the end itself


async def test_a_promise_that_names_a_day_is_not_overdue_on_that_day(tmp_path: Path, store: Store) -> None:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "engine": {"max_live_parcels": 1000}})
    midnight = START - START % DAY + 3 * DAY - 8 * HOUR  # in Shanghai
    core = core_of(settings, store)
    shipped = order("O1", "shipped", START, tracking_number="SF1", promised_at=midnight)
    await core.pipeline.take(Batch(columns((), core.names), orders=[shipped]))
    one = finding(Kind.LATE_PREDICTED)
    facts = await core.pipeline.facts.of([one], START + DAY)
    assert facts[one.finding_id].promised_at == midnight + DAY - 1000
