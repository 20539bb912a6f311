"""The ledger from the command line: beside a running daemon (or without one), on the same store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import polars as pl

from config.loading import ConfigError
from config.policies import KINDS, PolicyPack, minor
from config.settings import Settings
from detectors.findings import CloseReason, Finding, Instant, Kind, State, Subject, SubjectType
from monitor.assembly import channels, coupon_shops, ledger_rules, outbound, pack_of, tenant_key
from monitor.directory import Directory
from monitor.facts import Facts
from monitor.policy import OrderFacts, Step, decide
from monitor.recheck import looked_up
from monitor.storage import open_store
from monitor.story import Story
from monitor.tenant import is_kept
from notifier.audit import Audit
from notifier.identity import Identity
from notifier.ledger import Ledger
from notifier.reconcile import Reconciler
from notifier.reminder import Reminder
from notifier.store import Store
from notifier.templates import Templates
from notifier.told import Told

COLUMNS = (
    "seq",
    "at",
    "event",
    "id",
    "about",
    "outcome",
    "reason",
    "kind",
    "amount",
    "cur",
    "arm",
    "who",
    "why",
    "from",
    "to",
    "policy",
    "sum",
    "detail",
    "purpose",
    "source",
    "text",
    "customer",
    "recovered",
    "n",
)
NUMBERS = {"seq", "at", "amount", "n"}


@dataclass(frozen=True, slots=True)
class Books:
    settings: Settings
    store: Store
    pack: PolicyPack
    ledger: Ledger
    audit: Audit
    reconciler: Reconciler
    reminder: Reminder
    now: Instant
    as_of: Instant  # of the newest decision, where that is earlier: what "the last days" count from


@asynccontextmanager
async def open_books(settings: Settings) -> AsyncIterator[Books]:
    """Raises ConfigError where no daemon has been: empty books of its own would answer as if they were the shop's."""
    if not _kept(settings):
        where = f"data_dir: {settings.data_dir.absolute()} holds no shop's books"
        raise ConfigError([f"{where}; name its config with --config, or its folder with FORESTALL_DATA_DIR"])
    async with open_store(settings) as opened, outbound(settings) as http:
        pack, identity = pack_of(settings), Identity(tenant_key(settings))
        ledger = Ledger(opened.store, identity, ledger_rules(settings, pack.currency))
        audit = Audit(opened.store, ledger, identity)
        templates = Templates(settings.policy.templates, settings.timezone)
        sent_as = looked_up(ledger, templates, Directory(opened.store))
        shops, rooms = coupon_shops(settings, http), channels(settings, http)
        reconciler = Reconciler(opened.store, ledger, shops, rooms, sent_as)
        now = time.time_ns() // 1_000_000
        newest = await opened.store.call("ZRANGE", ledger.key("actions"), -1, -1, "WITHSCORES")
        as_of = min([now, *(int(score) for _, score in newest)])
        reminder = Reminder(opened.store, ledger, Told(settings.data_dir / "told"))
        yield Books(settings, opened.store, pack, ledger, audit, reconciler, reminder, now, as_of)


def _kept(settings: Settings) -> bool:
    return is_kept(settings) and (settings.store.url is not None or (settings.data_dir / "store").exists())


# What policy would say


def explain_kind(
    settings: Settings, kind: str, score: float, order_value: float, tier: str | None, *, open_ticket: bool
) -> tuple[Step, ...] | None:
    """Of a made-up parcel of today; None where `kind` is none."""
    if kind not in get_args(KINDS):
        return None
    pack, now = pack_of(settings), time.time_ns() // 1_000_000
    places = {
        "facility_congested": SubjectType.FACILITY,
        "carrier_degraded": SubjectType.CARRIER,
        "complaint_spike": SubjectType.REGION,
        "backlog_forecast": SubjectType.FACILITY,
        "feed_silent": SubjectType.FEED,
        "repeat_complainer": SubjectType.CUSTOMER,
    }
    subject = Subject(places.get(kind, SubjectType.PARCEL), "SAMPLE")
    finding = Finding("sample", Kind(kind), subject, now, now, now, State.OPENED, score)
    facts = OrderFacts(
        customer_id="sample",
        order_id="sample",
        amount=minor(Decimal(f"{order_value:.2f}"), pack.currency),
        currency=pack.currency,
        tier=tier,
        has_contact=True,
        open_ticket=open_ticket,
    )
    return decide(finding, facts, pack, now).steps


async def explain_finding(books: Books, given: str) -> tuple[Step, ...] | None:
    """Of a finding that the daemon published, with what is known of its order now."""
    stories = await Story(books.store).of(given)
    records = [one for _, told in stories for one in told if one.get("what") == "finding"]
    records = [one for one in records if one["finding_id"] == given] or records
    if not records:
        return None
    finding = _finding(records[-1])
    known = Facts(Directory(books.store), timezone=books.settings.timezone)
    facts = (await known.of([finding], books.now)).get(finding.finding_id)
    return decide(finding, facts, books.pack, books.now).steps


def _finding(record: Any) -> Finding:
    subject = record["subject"]
    reason = record.get("close_reason")
    return Finding(
        detector=record["detector"],
        kind=Kind(record["kind"]),
        subject=Subject(SubjectType(subject["type"]), subject["id"]),
        started_at=_moment(record["started_at"]),
        opened_at=_moment(record["opened_at"]),
        as_of=_moment(record["as_of"]),
        state=State(record["state"]),
        score=float(record["score"]),
        evidence=record.get("evidence") or {},
        close_reason=CloseReason(reason) if reason else None,
    )


def _moment(text: str) -> Instant:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# The audit log as a file


async def write_audit(books: Books, out: Path) -> int:
    """NDJSON as it is, Parquet with the columns that matter; how many entries."""
    bodies = [dict(record.body) async for record in books.audit.records()]
    _write(out, bodies)
    return len(bodies)


def _write(out: Path, bodies: Sequence[Mapping[str, Any]]) -> None:
    if out.suffix == ".ndjson":
        out.write_bytes(b"".join(msgspec.json.encode(body) + b"\n" for body in bodies))
    else:
        _frame(bodies).write_parquet(out)


def _frame(bodies: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    schema = {name: pl.Int64 if name in NUMBERS else pl.String for name in COLUMNS}
    rows = [{name: _cell(name, body.get(name)) for name in COLUMNS} for body in bodies]
    return pl.DataFrame(rows, schema=schema)


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return None
    return int(value) if name in NUMBERS else str(value)
