"""The books from the command line: explained, previewed, verified, exported, erased."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from config.settings import Settings
from monitor.bookkeeping import Books, explain_finding, explain_kind, open_books, write_audit
from monitor.cli.main import app
from monitor.cli.output import USAGE, Failed
from monitor.customer_data import erase
from monitor.story import Story
from notifier.actions import Reason
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.findings import late
from tests.money.shop import ANNA, NOW, coupon

RUN = CliRunner()


def chosen(valkey: Valkey, prefix: str, tmp_path: Path) -> Settings:
    store = {"url": valkey.url, "prefix": prefix}
    (tmp_path / "tenant-key").write_text("of a daemon that ran here")
    return Settings.model_validate(
        {"data_dir": tmp_path, "shadow": False, "store": store, "money": {"holdout_percent": 0}}
    )


@pytest.fixture
def environment(
    valkey: Valkey, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Settings]:
    for name, value in {
        "FORESTALL_STORE__URL": valkey.url,
        "FORESTALL_STORE__PREFIX": prefix,
        "FORESTALL_DATA_DIR": str(tmp_path),
        "FORESTALL_SHADOW": "false",
        "FORESTALL_MONEY__HOLDOUT_PERCENT": "0",
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)
    return lambda: chosen(valkey, prefix, tmp_path)


def in_books(settings: Settings, story: Callable[[Books], object]) -> None:
    async def run() -> None:
        async with open_books(settings) as books:
            await story(books)  # type: ignore[misc]

    asyncio.run(run())


def test_policy_explains_a_kind_step_by_step(environment: Callable[[], Settings]) -> None:
    result = RUN.invoke(app, ["policy", "explain", "promise_broken", "--order-value", "600", "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0] == {"question": "is there a rule", "answer": "yes", "detail": "late", "reason": None}
    assert any("10.00 CNY" in row["detail"] for row in rows)
    refused = explain_kind(environment(), "promise_broken", 0.1, 100, None, open_ticket=False)
    assert refused is not None
    assert Reason.BELOW_SCORE in {step.reason for step in refused}


def test_policy_explains_a_finding_of_the_daemon_with_what_is_known_of_its_order(
    environment: Callable[[], Settings],
) -> None:
    finding = late("SF1")

    async def story(books: Books) -> None:
        await Story(books.store).findings([finding])
        unknown = await explain_finding(books, finding.finding_id)
        assert unknown is not None
        assert Reason.ORDER_UNKNOWN in {step.reason for step in unknown}
        await books.store.put(books.store.key("parcel", "SF1"), "1001")
        order: dict[str, str | int] = {
            "customer_id": "c-1",
            "at:shipped": NOW,
            "contact": '{"phone":"1"}',
            "amount": 12900,
            "currency": "CNY",
        }
        await books.store.hash_set(books.store.key("order", "1001"), order)
        known = await explain_finding(books, "SF1")
        assert known is not None
        assert all(step.passed for step in known)

    in_books(environment(), story)
    assert RUN.invoke(app, ["policy", "explain", "F-nobody"]).exit_code == 1


def test_preview_shows_every_message_and_its_price(environment: Callable[[], Settings]) -> None:
    result = RUN.invoke(app, ["preview", "late_coupon", "--locale", "zh-CN"])
    assert result.exit_code == 0
    assert "¥5.00 优惠券" in result.stdout
    assert "2 SMS" in result.stdout
    assert RUN.invoke(app, ["preview"]).stdout.count(" SMS)") >= 30


def test_policy_check_names_what_is_wrong(environment: Callable[[], Settings], tmp_path: Path) -> None:
    assert RUN.invoke(app, ["policy", "check"]).exit_code == 0
    text = (Path(__file__).parents[2] / "config" / "policies" / "default.toml").read_text(encoding="utf-8")
    pack = tmp_path / "pack.toml"
    pack.write_text(text.replace('template = "arrived"', 'template = "arived"'), encoding="utf-8")
    result = RUN.invoke(app, ["policy", "check", str(pack)])
    assert result.exit_code != 0
    assert "arived" in str(result.exception) + result.output


def test_the_books_are_verified_exported_and_a_customer_is_erased(
    environment: Callable[[], Settings], tmp_path: Path
) -> None:
    async def before(books: Books) -> None:
        await books.store.hash_set(
            books.store.key("order", "1001"), {"customer_id": "c-1", "contact": '{"phone":"1"}'}
        )
        await books.ledger.claim_all([coupon("c-1", "1001"), coupon("c-2", "1002", amount=9_900)], NOW)
        await books.ledger.reject(coupon("c-2", "1002", amount=9_900).action_id, ANNA, NOW)
        await books.ledger.note("silence", 'S1 for 2 hours: kind="feed_silent"', ANNA, NOW)
        for name in ("audit.ndjson", "audit.parquet"):
            assert await write_audit(books, tmp_path / name) == 4

    async def after(books: Books) -> None:
        assert await erase(books.store, books.ledger, books.audit, "c-1", ANNA, NOW) == (1, [], 0, 0)
        assert await books.store.hash_get(books.store.key("order", "1001"), "contact") is None
        assert await books.audit.verify() == []

    in_books(environment(), before)
    assert RUN.invoke(app, ["ledger", "verify"]).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "audit.ndjson").read_text().splitlines()]
    frame = pl.read_parquet(tmp_path / "audit.parquet")
    assert frame["seq"].to_list() == [line["seq"] for line in lines] == [1, 2, 3, 4]
    assert frame["who"].to_list()[-1] == "anna"
    said = {name for line in lines for name in line}
    assert said <= set(frame.columns), "nothing that the log says is left out"
    assert frame["policy"].to_list()[0] == "default-1"
    told = RUN.invoke(app, ["uplift"])
    assert (told.exit_code, "too few customers" in told.stdout) == (0, True)
    assert json.loads(RUN.invoke(app, ["uplift", "--json"]).stdout)["verdict"] == "too_few"
    exported = json.loads(RUN.invoke(app, ["customer", "export", "c-1"]).stdout)
    assert [action["order_id"] for action in exported["actions"]] == ["1001"]
    assert exported["orders"]["1001"]["contact"] == {"phone": "1"}
    in_books(environment(), after)

    async def harm() -> None:
        async with Store(environment().store.url.get_secret_value(), environment().store.prefix) as store:  # type: ignore[union-attr]
            await store.increment(store.key("ledger", "live", "budget", "CNY", "day", "2026-11-22"), 1)

    asyncio.run(harm())
    assert RUN.invoke(app, ["ledger", "verify"]).exit_code == 1


@pytest.mark.parametrize(
    "verb",
    [
        ["ledger", "verify"],
        ["uplift"],
        ["customer", "export", "c-1"],
        ["customer", "erase", "c-1", "--reason", "asked"],
    ],
)
def test_books_of_nobody_are_not_founded_to_answer_from(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = RUN.invoke(app, verb).exception
    assert isinstance(told, Failed)
    assert told.code == USAGE
    assert "holds no shop's books; name its config with --config" in str(told)
    assert not (tmp_path / "forestall-data").exists()
