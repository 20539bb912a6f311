"""The shop's coupons are held against the ledger once a day, by the clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.app import Daemon
from monitor.standin import Standin
from tests.whole import HOUR, Clock, late_parcel, running, until

pytestmark = pytest.mark.anyio


async def finds_what_is_missing(daemon: Daemon, now: int) -> bool:
    with capture_logs() as lines:
        await daemon.compare_books(now)
    return "books.differ" in {line["event"] for line in lines}


async def test_the_books_are_compared_once_a_day_however_often_the_daemon_is_started(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)
        standin._coupons.clear()
        await shop.pass_time(1)
        assert await finds_what_is_missing(shop.daemon, clock.now), "never compared before"
    last = clock.now
    for hours, due in ((23, False), (25, True), (26, False), (1, True)):  # at last it was set back
        clock.now = last + hours * HOUR
        async with running(tmp_path, standin, clock) as shop:
            assert await finds_what_is_missing(shop.daemon, clock.now) is due
