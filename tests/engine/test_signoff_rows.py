"""What the place stage hands over about orders that cannot be, and where a parcel should have gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.detection import DetectionSettings
from detectors.findings import Finding, Kind
from detectors.interfaces import Window
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
