"""The daemon whole, in this process: events over HTTP in, coupons and words out, the same after a restart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.standin import Standin
from notifier.store import StoreUnreachableError
from tests.whole import Clock, late_parcel, running, scan, until

pytestmark = pytest.mark.anyio


async def test_a_late_parcel_brings_a_coupon_and_one_message(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)
        assert standin.counts.tasks >= 1  # faster shipping
        assert standin.counts.amount == 500
        story = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)
        assert any(
            line.endswith(")") and "coupon 5.00 CNY: send, because ok" in line for line in story["lines"]
        )
        assert (
            await shop.value("actions_total", kind="coupon", decision="send", reason="ok", arm="treated") == 1
        )
        assert await shop.value("spent_minor_units_total", currency="CNY") == 500
        parcel = json.loads((await shop.ask("GET", "/v1/parcels/SF1")).body)
        assert {finding["kind"] for finding in parcel["findings"]} >= {"promise_broken"}


async def test_a_promise_that_passes_while_the_parcel_waits_in_a_locker_brings_no_apology(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """It came in time; that it was not fetched is not ours to pay for. Its neighbour in a hub is late by our doing."""
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop, 1)
        await late_parcel(shop, 2)
        await shop.pass_time(1)
        await shop.send(
            scan("held_for_pickup", clock.now, 1, facility="LOCKER"), scan("arrived", clock.now, 2)
        )
        await shop.pass_time(27)
        await until(lambda: standin.counts.coupons == 1)
        theirs = {"decision": "suppressed", "reason": "customer_cause", "arm": ""}
        assert await shop.value("actions_total", kind="coupon", **theirs) == 1
        assert (
            await shop.value("actions_total", kind="coupon", decision="send", reason="ok", arm="treated") == 1
        )
        story = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)
        assert any("customer_cause" in line for line in story["lines"])


async def test_after_a_restart_nothing_is_done_twice(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)
    sent = standin.counts.messages
    async with running(tmp_path, standin, clock) as shop:
        assert shop.daemon.live_parcels == 1
        await shop.pass_time(3)
        assert (await shop.ask("GET", "/readyz")).status == 200
        await shop.daemon.delivery.idle()
        assert (standin.counts.coupons, standin.counts.messages) == (1, sent)


async def test_in_shadow_mode_all_is_decided_and_nothing_leaves(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock, shadow=True) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        assert (
            await shop.value(
                "actions_total", kind="coupon", decision="suppressed", reason="shadow", arm="treated"
            )
            == 1
        )
        assert await shop.value("shadow") == 1
        await shop.daemon.delivery.idle()
        assert (standin.counts.coupons, standin.counts.messages) == (0, 0)


async def test_bad_events_are_told_one_by_one_and_the_good_ones_taken(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        reply = await shop.send(scan("accepted", clock.now), {"kind": "tracking"}, scan("flying", clock.now))
        told = json.loads(reply.body)
        assert (reply.status, told["accepted"]) == (422, 1)
        assert [error["index"] for error in told["errors"]] == [1, 2]
        letters = json.loads((await shop.ask("GET", "/v1/deadletters", **shop.bearer)).body)
        assert {letter["reason"] for letter in letters} == {"missing_field", "unknown_status"}


async def test_what_is_refused_again_stays_one_letter_until_a_person_drops_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """An event of the day after tomorrow is refused by its receiver, not by what it is."""
    async with running(tmp_path, standin, clock) as shop:
        await shop.send(scan("accepted", clock.now + 2 * 86_400_000 + 60_000), {"kind": "tracking"})

        async def command(name: str, **arguments: Any) -> Any:
            reply = await shop.ask("POST", f"/v1/commands/deadletter-{name}", arguments, **shop.bearer)
            return json.loads(reply.body)

        said = await command("replay")
        assert (said["taken"], said["refused"]) == (0, 2)
        letters = json.loads((await shop.ask("GET", "/v1/deadletters", **shop.bearer)).body)
        assert [(one["feed"], one["format"]) for one in letters] == [("http", "event")] * 2
        assert "say which" in (await command("drop"))["error"]
        assert "reason: one of" in (await command("drop", reason="bad_mood"))["error"]
        assert (await command("drop", reason="missing_field"))["dropped"] == 1
        assert (await command("drop", all=True))["dropped"] == 1


async def test_what_changes_something_needs_the_token(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        for method, path in (
            ("POST", "/v1/events"),
            ("POST", "/v1/commands/hold"),
            ("GET", "/v1/deadletters"),
        ):
            assert (await shop.ask(method, path, {})).status == 401
        done = await shop.ask("POST", "/v1/commands/kill", {"reason": "drill"}, **shop.bearer)
        assert done.status == 200
        await late_parcel(shop)
        await shop.pass_time(28)
        assert (
            await shop.value(
                "actions_total", kind="coupon", decision="suppressed", reason="kill_switch", arm="treated"
            )
            == 1
        )


async def test_a_store_that_is_away_is_said_to_be_away(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """Whoever asks can ask again: that is no error of the server."""
    async with running(tmp_path, standin, clock) as shop:

        async def away(currency: str, now: int) -> Any:
            raise StoreUnreachableError("the store does not answer")

        shop.daemon.ledger.budgets = away  # type: ignore[method-assign]
        answer = await shop.ask("GET", "/v1/status")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(answer.body) == {"error": "the store does not answer"}


@pytest.mark.parametrize("hours", ["abc", -1, 0, 1e300, True, None, [2]])
async def test_hours_that_are_none_are_refused_and_named(
    tmp_path: Path, standin: Standin, clock: Clock, hours: Any
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        for name, what in (("snooze", {"incident": "I1"}), ("silence", {"matchers": ["kind=parcels_late"]})):
            answer = await shop.ask("POST", f"/v1/commands/{name}", {**what, "hours": hours}, **shop.bearer)
            assert (answer.status, b"hours" in answer.body) == (400, True)


async def test_metrics_are_clean_and_say_nothing_of_persons(
    tmp_path: Path, standin: Standin, clock: Clock, requires: Callable[[str], str]
) -> None:
    promtool = requires("promtool")
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        text = (await shop.ask("GET", "/metrics")).body
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
        for private in (b"13800138000", b"SF1", b"C1", b"O1"):
            assert private not in text


TOTAL = "forestall_event_outcomes_total"


async def test_what_became_of_events_is_counted(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await late_parcel(shop)
        await shop.pass_time(1)
        applied = await shop.value("event_outcomes_total", outcome="applied")
        assert applied >= 1
        assert await shop.value("event_outcomes_total", outcome="duplicate") == applied
        assert await shop.value("event_outcomes_total", outcome="applied") == applied
        # from the start on, or its first burst would be no growth
        assert shop.daemon.registry.get_sample_value(TOTAL, {"outcome": "table_full"}) == 0.0
    async with running(tmp_path, standin, clock) as shop:
        assert await shop.value("event_outcomes_total", outcome="applied") == 0


async def test_a_shop_is_as_old_as_its_last_order(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    """And a help desk as its last complaint; a feed that has only been named has no age."""
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        shop.daemon.engine.names.sources.code("to come")
        await shop.pass_time(3)
        for feed in ("shop", "feed"):
            assert await shop.value("feed_age_seconds", feed=feed) == 3 * 3600
        ages = shop.daemon.metrics.values("feed_age_seconds", "feed")
        assert "to come" not in ages
        counted = {"detector": "complaint_spike", "reason": "no_place"}
        assert shop.daemon.registry.get_sample_value("forestall_uncounted_total", counted) == 0.0
        for detector in ("facility_congested", "backlog_forecast"):
            counted = {"detector": detector, "reason": "no_room"}
            assert shop.daemon.registry.get_sample_value("forestall_uncounted_total", counted) == 0.0


async def test_a_reload_takes_new_limits_and_a_wrong_one_changes_nothing(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        from monitor.reloading import reload

        config = tmp_path / "forestall.toml"
        shop.daemon.config = config
        config.write_text('[money]\nbudget_day = "1.00"\n', encoding="utf-8")
        reload(shop.daemon)
        assert await shop.value("config_reload_success") == 1
        assert shop.daemon.ledger.rules.budget_day == 100
        config.write_text("[money]\nbudget_dya = 3\n", encoding="utf-8")
        reload(shop.daemon)
        assert await shop.value("config_reload_success") == 0
        assert shop.daemon.ledger.rules.budget_day == 100
