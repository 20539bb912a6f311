"""What the place stage hands over about sign-offs and orders that cannot be, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from config.detection import DetectionSettings
from detectors.findings import Finding, Kind
from detectors.interfaces import Window
from monitor.engine import place_stage
from monitor.engine.layout import ODDITY
from monitor.engine.rows import RowLog
from monitor.vocabulary import Status
from tests.engine.shop import HOUR, START, Scan, Shop, order


class Watcher:
    """A place detector that only remembers what it was shown."""

    name = "watcher"
    every = 60_000
    wants = frozenset({"signoffs", "oddities"})

    def __init__(self) -> None:
        self.signoffs: list[dict[str, Any]] = []
        self.oddities: list[dict[str, Any]] = []

    def run(self, window: Window) -> list[Finding]:
        self.signoffs += window.signoffs.to_dicts()
        self.oddities += window.oddities.to_dicts()
        return []

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


def test_an_order_paid_after_it_was_shipped_is_an_oddity_of_the_order() -> None:
    watcher = Watcher()
    shop = Shop(place=[watcher])
    shop.until(START)
    shop.order(order("O-1", "placed", START - 9 * HOUR))
    shop.order(order("O-1", "shipped", START - 5 * HOUR, tracking_number="P1", carrier="sf"))
    shop.order(order("O-1", "paid", START - 2 * HOUR))
    shop.order(order("O-2", "placed", START - 9 * HOUR), order("O-2", "paid", START - 8 * HOUR))
    shop.order(order("O-2", "shipped", START - 5 * HOUR, tracking_number="P2", carrier="sf"))
    shop.until(START + HOUR)
    assert [(row["oddity"], row["tracking_number"]) for row in watcher.oddities] == [("paid_late", "O-1")]


def test_the_address_told_with_the_order_stands_beside_the_sign_off() -> None:
    watcher = Watcher()
    shop = Shop(place=[watcher])
    shop.until(START)
    shop.order(order("O-1", "placed", START - 9 * HOUR, latitude=22.5, longitude=114.0))
    shop.order(order("O-1", "shipped", START - 5 * HOUR, tracking_number="P1", carrier="sf"))
    shop.scan(Scan("P1", Status.OUT_FOR_DELIVERY, START - 2 * HOUR))
    shop.scan(Scan("P1", Status.DELIVERED, START - HOUR, latitude=22.6, longitude=114.0))
    shop.until(START + HOUR)
    (row,) = watcher.signoffs
    assert (row["latitude"], row["longitude"]) == (22.5, 114.0)


def test_the_setting_for_cash_on_delivery_reaches_the_detector() -> None:
    for feeds, asked in ((("shop",), []), ((), ["O-1"])):
        shop = Shop(detection_settings=DetectionSettings(paid_on_delivery_feeds=feeds), place=None)
        shop.until(START)
        shop.order(order("O-1", "placed", START - 9 * HOUR))
        shop.order(order("O-1", "shipped", START - 5 * HOUR, tracking_number="P1", carrier="sf"))
        shop.order(order("O-1", "paid", START - 2 * HOUR))
        found = shop.until(START + HOUR)
        assert [one.subject.id for one in found if one.kind is Kind.SIGNATURE_SUSPECT] == asked


class Seldom(Watcher):
    every = 24 * HOUR


def test_a_detector_for_which_many_rows_wait_does_not_wait_until_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place_stage, "MANY", 3)
    watcher = Seldom()
    shop = Shop(place=[watcher])
    shop.until(START)
    for number in range(5):
        at = START + (number + 1) * HOUR
        shop.scan(Scan(f"P{number}", Status.OUT_FOR_DELIVERY, at - HOUR // 2))
        shop.scan(Scan(f"P{number}", Status.DELIVERED, at))
        shop.until(at)
        assert len(watcher.signoffs) == (3 if number >= 2 else 0)


def test_rows_that_no_detector_could_read_are_counted() -> None:
    log = RowLog(ODDITY, ["one", "other"], limit=5)
    for _ in range(4):
        log.append(np.zeros(2, ODDITY))
    assert log.dropped == 4
    assert log.waiting("one") == 4
    assert len(log.read("one")) == 4
    assert (log.waiting("one"), log.waiting("other")) == (0, 4)
