"""One opinion of how many digits a currency has: in events, in policy, in metrics."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from babel.numbers import list_currencies

from config.policies import minor
from monitor.metrics import Metrics
from monitor.minor import to_major, to_minor
from monitor.sinks import LiveSink
from monitor.story import Story
from notifier.actions import Decided, Outcome, Reason
from notifier.store import Store
from tests.money.shop import NOW, coupon

CURRENCIES = sorted(list_currencies())


def test_an_orders_value_and_a_policys_step_are_in_the_same_units() -> None:
    """A step of the ladder from 500 must not begin at an order of 5."""
    assert len(CURRENCIES) > 150
    differing = [one for one in CURRENCIES if to_minor(Decimal(500), one) != minor(Decimal(500), one)]
    assert differing == []


@pytest.mark.parametrize(
    ("amount", "currency", "whole"), [(1990, "CNY", 19.9), (1990, "JPY", 1990.0), (1990, "KWD", 1.99)]
)
@pytest.mark.anyio
async def test_money_is_shown_in_whole_units_of_its_currency(
    store: Store, amount: int, currency: str, whole: float
) -> None:
    metrics = Metrics(process=False)
    sink = LiveSink(metrics, Story(store))
    gift = replace(coupon(), amount=amount, currency=currency)
    await sink.decisions([Decided(gift, Outcome.SEND, Reason.OK, NOW)])
    value = metrics.registry.get_sample_value
    assert value("forestall_spent_total", {"currency": currency}) == whole
    assert value("forestall_spent_minor_units_total", {"currency": currency}) == amount


def test_what_is_unlimited_stays_unlimited() -> None:
    assert to_major(float("inf"), "CNY") == float("inf")
