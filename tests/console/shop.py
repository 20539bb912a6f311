"""A shop's console for tests: real incidents behind it, and a service that remembers what it was told to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from config.policies import load_pack
from config.settings import ConsoleSettings, IncidentRule, IncidentSettings, Settings
from detectors.findings import Finding, Instant, Kind, SubjectType
from monitor.api import Actor, Json
from monitor.console import DaemonSource, Gate, console_routes
from monitor.incidents import Incidents
from monitor.links import Links
from monitor.notifications import Notifications
from tests.incidents.story import MINUTE, T0, finding, jam, silent, stuck

TOKEN, READ_TOKEN = "operator-token-1", "reader-token-1"
LINKS = Links(b"links of tests " * 2)
REGIONS = ("110000", "310000", "320000", "330000", "440000", "510000", "610000", "210000")


class Browser:
    """Asks the application as a browser does: keeps cookies, follows nothing by itself."""

    def __init__(self, app: Starlette, host: str = "127.0.0.1") -> None:
        transport = httpx.ASGITransport(app=app, client=(host, 5000))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        self.cookies = self._client.cookies

    def get(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.post(path, **more))


class Remembered:
    """Answers and used links, as the store keeps them."""

    def __init__(self) -> None:
        self.given: list[tuple[str, bool]] = []
        self.used: set[str] = set()
        self.spent: dict[str, Instant] = {}

    async def add(self, rule: str, *, useful: bool) -> None:
        self.given.append((rule, useful))

    async def all(self) -> Mapping[str, Mapping[str, int]]:
        return {"facility_congested": {"useful": 7, "noise": 1}}

    async def take(self, nonce: str, now: Instant) -> bool:
        fresh = nonce not in self.used
        self.used.add(nonce)
        return fresh

    async def free(self, nonce: str) -> None:
        self.used.discard(nonce)

    async def use(self, nonce: str, expires_at: Instant, now: Instant) -> None:
        self.spent[nonce] = expires_at - now


class Service:
    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any], Actor]] = []
        self.audited: list[tuple[str, str, str, Actor]] = []
        self.outbox_now: dict[str, Any] = {"outbox": {"pending": 3, "done": 991}}

    async def status(self) -> Json:
        return {
            "mode": "shadow: nothing leaves",
            "lag_seconds": 0.4,
            "live_parcels": 1_234_567,
            "open_findings": {"facility_stalled": 10_000, "promise_broken": 31},
            "budgets": {"day": "12.00 CNY spent, 488.00 CNY left"},
            "budget": {
                "day": {"spent": 1200, "left": 48800, "currency": "CNY"},
                "month": {"spent": 1200, "left": None, "currency": "CNY"},
            },
            **self.outbox_now,
        }

    async def explain(self, subject: str) -> Json | None:
        if "SF1" not in subject and not subject.startswith("incident:"):
            return None
        return {
            "subject": subject,
            "subjects": [subject],
            "parcel": {"carrier": "SF", "facility": "沈阳分拨中心", "segment": "facility", "findings": []},
            "records": [
                {
                    "what": "finding",
                    "as_of": "2026-11-22T07:00:00Z",
                    "kind": "facility_stalled",
                    "state": "opened",
                    "score": 0.98,
                    "evidence": {"zh": "在网点停留 41 小时", "en": "41 hours in a facility", "age_hours": 41},
                },
                {
                    "what": "action",
                    "decided_at": "2026-11-22T07:00:01Z",
                    "kind": "coupon",
                    "amount": 5.0,
                    "currency": "CNY",
                    "channel": "coupons",
                    "decision": "suppressed",
                    "reason": "customer_cap",
                    "rule": "late",
                },
            ],
        }

    async def outbox(self, state: str | None) -> Sequence[Json]:
        return [
            {
                "entry_id": "A1",
                "kind": "coupon",
                "subject": "parcel:SF1",
                "amount": 88.0,
                "currency": "CNY",
                "rule": "late",
                "cause": "needs_approval",
            }
        ]

    async def dead_letters(self, count: int) -> Sequence[Json]:
        return [
            {
                "entry_id": "1-0",
                "at": "2026-11-22T07:00:00Z",
                "feed": "sf",
                "reason": "bad_time",
                "detail": "",
                "payload": '{"phone":"13912345678"}<script>alert(1)</script>',
            }
        ]

    async def command(self, name: str, arguments: Json, actor: Actor) -> Json:
        self.told.append((name, dict(arguments), actor))
        return {"message": "done"}

    async def audit(self, event: str, about: str, why: str, actor: Actor) -> None:
        self.audited.append((event, about, why, actor))


@dataclass
class Shop:
    settings: Settings = field(
        default_factory=lambda: Settings(
            console=ConsoleSettings(
                read_token=SecretStr(READ_TOKEN), proxy_header="X-Forwarded-User", operators=("zhang",)
            ),
            incidents=IncidentSettings(rules={"parcels_stalled": IncidentRule()}),
            channels={"ops": {"type": "slack", "url": "https://hooks.example/T0/s3cret"}},
        )
    )
    now: Instant = T0
    people: Instant | None = None  # their clock, where it is another than the daemon's

    def __post_init__(self) -> None:
        self.book = Incidents(self.settings.incidents)
        self.notifications = Notifications(self.settings.notify)
        self.service = Service()
        self.remembered = Remembered()
        self.source = DaemonSource(
            self.service,
            self.book,
            self.notifications,
            self.remembered,
            lambda: self.settings,
            load_pack,
            lambda: self.now,
            lambda: self.now if self.people is None else self.people,
        )

    def see(self, *findings: Finding) -> None:
        self.notifications.observe(self.book.advance(findings, self.now))
        self.notifications.due(self.now, self.book.get)

    def app(self) -> Starlette:
        gate = Gate(lambda: self.settings.console, TOKEN, b"cookie secret of tests")
        return Starlette(routes=console_routes(self.source, gate, LINKS))

    def fill(self, facilities: int = 60, parcels: int = 10_000) -> None:
        """A bad morning: one jam with a growing pile, a silent feed, a spike, and hubs with stuck parcels."""
        evidence: dict[str, Any] = {
            "stock": 8000,
            "usual": 2000.0,
            "ratio": 4.0,
            "arrivals_per_hour": 500.0,
            "departures_per_hour": 300.0,
            "zh": "网点 沈阳分拨中心 积压 8,000 件，是平时（约 2,000 件）的 4.0 倍",
            "en": "hub 沈阳分拨中心 holds 8,000 parcels, 4.0 times the usual 2,000",
        }
        spike = finding(
            Kind.COMPLAINT_SPIKE,
            SubjectType.REGION,
            "510000",
            zh="成都投诉是平时的 3 倍",
            en="3 times the usual",
        )
        self.see(jam("沈阳分拨中心", region="210000", **evidence), silent("yto-push"), spike)
        for step in range(12):
            self.now += 5 * MINUTE
            batch = range(step * parcels // 12, (step + 1) * parcels // 12)
            self.see(
                *(
                    stuck(
                        number,
                        self.now,
                        facility="沈阳分拨中心" if number % 3 == 0 else f"HUB-{number % facilities}",
                        region=REGIONS[number % len(REGIONS)],
                        amount=1999,
                    )
                    for number in batch
                )
            )
