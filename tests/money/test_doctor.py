"""What `doctor` says of the ways out that policy needs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from config.settings import Settings
from monitor.doctor import Check, Verdict, examine

ROOM = {"type": "webhook", "url": "https://a.example", "secret": "s3cret"}
MAIL = {"type": "smtp", "host": "h", "sender": "a@b.example"}


def checks(tmp_path: Path, **more: Any) -> dict[str, Check]:
    async def run() -> list[Check]:
        settings = Settings.model_validate(
            {"data_dir": str(tmp_path), "store": {"allow_unsafe_folder": True}, **more}
        )
        return [one async for one in examine(settings)]

    return {one.name: one for one in asyncio.run(run())}


def test_a_way_out_that_policy_needs_and_nobody_configured_is_named(tmp_path: Path) -> None:
    found = checks(tmp_path, channels={"shop": ROOM})
    assert found["channels"].verdict is Verdict.WARNING
    assert found["channels"].detail.endswith("[channels.customer], [coupons.coupons]")
    whole = checks(tmp_path, channels={"shop": ROOM, "customer": ROOM}, coupons={"coupons": ROOM})
    assert whole["channels"].verdict is Verdict.OK
    assert "mail" not in whole


def test_mail_to_customers_without_a_way_to_say_no_is_warned_of(tmp_path: Path) -> None:
    given: dict[str, Any] = {"channels": {"shop": ROOM, "customer": MAIL}, "coupons": {"coupons": ROOM}}
    assert checks(tmp_path, **given)["mail"].verdict is Verdict.WARNING
    assert "mail" not in checks(tmp_path, **given, delivery={"unsubscribe_url": "https://care.example"})
