"""What an operator can set: strict, immutable, and secrets never print.

One class a section of the TOML file; a field's description is its documentation. Durations are seconds unless
the name says otherwise; money is decimal text in major units ("50.00") and integer minor units inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator

from config.detection import DetectionSettings
from config.money import DeliverySettings, MoneySettings, PolicySettings
from config.plugins import ChannelSettings, FeedSettings
from config.section import Section
from config.zones import ZoneName


def _parts(url: SecretStr) -> SplitResult | None:
    """None where it is no address. A password that is not encoded ends one early: what follows looks like a path, a query
    or a fragment, and the host is another.
    """
    try:
        parts = urlsplit(url.get_secret_value())
        cut = parts.port == 0 or "#" in url.get_secret_value()
    except ValueError:  # its text repeats part of the value
        return None
    return None if cut else parts


class StoreSettings(Section):
    url: SecretStr | None = Field(
        None, description="redis://, rediss:// or unix://, with its password; none: the embedded Valkey"
    )
    prefix: str = Field(
        "forestall", pattern=r"^[a-z0-9_-]{1,32}$", description="first part of every key, one per shop"
    )
    shards: int = Field(1, ge=1, le=256, description="event streams; more than one only for several machines")
    keep_stream_hours: float = Field(
        0.0,
        ge=0,
        description="how long events stay in the stream after they were taken, for replays of what happened",
    )
    maxmemory_mb: int = Field(
        1024, ge=16, description="of the embedded store; full means refused, never evicted"
    )
    allow_unsafe_folder: bool = Field(
        default=False, description="keep the embedded store on tmpfs or a network file system all the same"
    )

    @field_validator("url")
    @classmethod
    def _of_a_store(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        parts = _parts(url)
        if parts is None or (parts.scheme != "unix" and "@" in parts.path + parts.query):
            raise ValueError("is no address of a store; percent-encode the signs of a password")
        return url


class HttpSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8787, ge=0, le=65535)
    token: SecretStr | None = Field(
        None, description="bearer token of everything that changes something; none: refused"
    )
    max_body_bytes: int = Field(2_000_000, ge=1024)
    ready_lag_seconds: float = Field(30.0, gt=0, description="further behind than this, /readyz says no")
    public_url: str | None = Field(
        None, description="how a browser reaches the console; links in alerts begin with it"
    )


class IntakeSettings(Section):
    linger_ms: int = Field(5, ge=0, le=1000, description="how long events wait to share a stream entry")
    frame_events: int = Field(5000, ge=1, le=100_000)
    max_event_bytes: int = Field(65_536, ge=256)


class EngineSettings(Section):
    max_live_parcels: int = Field(4_000_000, ge=1000, description="room in the parcel table; fixed at start")
    huge_pages: Literal["auto", "always", "never"] = Field(
        "auto",
        description="what the parcel table lies on (Linux); auto: small until it has filled; always: whole from the start; fixed at start",
    )
    tick_seconds: int = Field(1, ge=1, le=3600)
    replay_tick_seconds: int = Field(60, ge=1, le=3600, description="of event time, in `replay`")
    sweep_seconds: int = Field(
        60, ge=1, le=3600, description="how long one pass over the table is spread over"
    )
    history_days: int = Field(7, ge=0, description="older events teach and trigger nothing")
    checkpoint_seconds: int = Field(60, ge=1)


class IncidentRule(Section):
    """When findings of one family become an alert, and when it is over."""

    for_seconds: int = Field(0, ge=0, description="how long it must last before it fires")
    keep_firing_seconds: int = Field(300, ge=0, description="how long it must be gone before it resolves")
    min_members: int = Field(
        1, ge=1, description="open findings it takes to fire; it resolves below half of them"
    )
    severity: Literal["critical", "warning", "info"] = "warning"


class InhibitRule(Section):
    """While a source fires, targets whose `equal` labels agree are not told to anyone (missing equals empty)."""

    source: tuple[str, ...] = Field(description="matchers of the incident that speaks")
    target: tuple[str, ...] = Field(description="matchers of the incidents that keep quiet")
    equal: tuple[str, ...] = ()


class Maintenance(Section):
    """A planned time in which matching incidents are recorded and not told; their endings still are."""

    name: str
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    yearly: bool = Field(False, description="the same days every year: 11.11, 6.18")
    match: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _a_time(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        return self


class EscalationStep(Section):
    after_seconds: int = Field(ge=1, description="firing so long and acknowledged by nobody")
    receivers: tuple[str, ...] = ()
    mention: tuple[str, ...] = ()


class IncidentSettings(Section):
    rules: Mapping[str, IncidentRule] = Field(
        {
            "parcels_stalled": IncidentRule(min_members=10, for_seconds=60),
            "parcels_late": IncidentRule(min_members=50, for_seconds=300, severity="info"),
            "orders_stalled": IncidentRule(min_members=10, for_seconds=60),
            "signatures": IncidentRule(min_members=3),
            "customers": IncidentRule(min_members=3, severity="info"),
            "facility_congested": IncidentRule(severity="critical"),
            "carrier_degraded": IncidentRule(severity="critical"),
            "complaint_spike": IncidentRule(severity="critical", keep_firing_seconds=900),
            "backlog_forecast": IncidentRule(),
            "feed_silent": IncidentRule(severity="critical"),
        },
        description="by family of incident; a family not named has the defaults of a rule",
    )
    inhibit: tuple[InhibitRule, ...] = Field(
        (
            InhibitRule(source=('kind="feed_silent"',), target=('kind!="feed_silent"',), equal=("feed",)),
            InhibitRule(
                source=('kind="carrier_degraded"', 'place_type="carrier"'),
                target=('kind=~"facility_congested|parcels_stalled|parcels_late|backlog_forecast"',),
                equal=("carrier",),
            ),
            InhibitRule(
                source=('kind="facility_congested"',),
                target=('kind=~"backlog_forecast|parcels_stalled|parcels_late"',),
                equal=("facility",),
            ),
        )
    )
    maintenance: tuple[Maintenance, ...] = ()
    escalation: tuple[EscalationStep, ...] = ()
    max_incidents: int = Field(5000, ge=10, description="open at once; more are folded into one per family")
    max_members: int = Field(
        100_000, ge=100, description="open findings known one by one; more are only counted"
    )
    history: int = Field(500, ge=0, description="resolved incidents kept for the console")
    people_rate: float = Field(120.0, gt=0, description="parcels one person sorts in an hour")
    vehicle_load: float = Field(800.0, gt=0, description="parcels one vehicle takes")


class Route(Section):
    """Who is told of which incidents, and how often; the first that matches, and the next where `go_on`."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,40}$")
    receivers: tuple[str, ...] = Field(description="names of [channels.NAME]")
    match: tuple[str, ...] = Field((), description='such as kind="facility_congested" or region=~"33.*"')
    go_on: bool = Field(False, description="later routes are asked as well")
    group_by: tuple[str, ...] = Field(("incident",), description="incidents equal in these share a message")
    group_wait_seconds: int = Field(30, ge=0)
    group_interval_seconds: int = Field(300, ge=1)
    repeat_interval_seconds: int | None = Field(
        None,
        ge=1,
        description="none: 4 hours while critical, 12 while a warning, a day for information; "
        "twice as long after each repeat, at most a day",
    )
    send_resolved: bool = True
    locale: Literal["zh-CN", "en"] | None = None


class NotifySettings(Section):
    routes: tuple[Route, ...] = ()
    locale: Literal["zh-CN", "en"] = "zh-CN"
    per_minute: Mapping[str, int] = Field(
        {}, description="messages a receiver takes in a minute; more become one digest (default 18)"
    )
    link_hours: int = Field(72, ge=1, description="how long a button works")
    charts_url: str | None = Field(
        None,
        description="where chats fetch the charts of alerts from this daemon; none: http.public_url; empty: nowhere",
    )
    heartbeat_url: SecretStr | None = Field(
        None, description="fetched while all is well: its silence is the alarm"
    )
    heartbeat_seconds: int = Field(60, ge=5)
    daily_digest_hour: int | None = Field(9, ge=0, le=23, description="in the shop's time zone")
    weekly_digest_day: int | None = Field(0, ge=0, le=6, description="Monday is 0")
    digest_receivers: tuple[str, ...] = ()
    approval_receivers: tuple[str, ...] = Field(
        (),
        description="asked at once, and each hour, about what waits for approval, with buttons; none: the first route's"
        " receivers are asked at once",
    )


class ConsoleSettings(Section):
    """Who may look and who may act. The bearer token of [http] is the operator's."""

    read_token: SecretStr | None = Field(None, description="signs in to look, not to act")
    open_reading: bool = Field(False, description="whoever reaches the port may look, without a token")
    session_hours: int = Field(12, ge=1, le=720)
    proxy_header: str = Field(
        "", description="header in which a trusted proxy names who signed in there, such as X-Forwarded-User"
    )
    proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="addresses whose header is believed; all others are ignored"
    )
    operators: tuple[str, ...] = Field((), description="of those the proxy names, who may act")


class OutboundSettings(Section):
    """How this daemon reaches providers: channels, coupon shops, pollers, the heartbeat. Mail has its own."""

    proxy: SecretStr | None = Field(
        None,
        description="http(s)://[user:password@]host:port that all of it goes through; the environment's is not read",
    )
    ca_file: Path | None = Field(
        None, description="certificate authorities of your own (PEM), beside the public ones"
    )

    @field_validator("proxy")
    @classmethod
    def _of_a_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is None:
            return None
        parts = _parts(proxy)
        if (
            parts is None
            or parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
        ):
            raise ValueError(
                "must be http://host:port or https://host:port; percent-encode the signs of a password"
            )
        return proxy


class Settings(Section):
    """The whole file."""

    data_dir: Path = Field(Path("forestall-data"), description="checkpoints and the embedded store")
    shadow: bool = Field(True, description="decide and record everything, send nothing")
    timezone: ZoneName = Field("Asia/Shanghai", description="of the shop: days of budgets and calendars")
    locale: str = Field("zh-CN", description="of customers whose orders do not say")
    store: StoreSettings = StoreSettings()
    http: HttpSettings = HttpSettings()
    intake: IntakeSettings = IntakeSettings()
    engine: EngineSettings = EngineSettings()
    detection: DetectionSettings = DetectionSettings()
    incidents: IncidentSettings = IncidentSettings()
    notify: NotifySettings = NotifySettings()
    console: ConsoleSettings = ConsoleSettings()
    money: MoneySettings = MoneySettings()
    policy: PolicySettings = PolicySettings()
    delivery: DeliverySettings = DeliverySettings()
    outbound: OutboundSettings = OutboundSettings()
    channels: Mapping[str, ChannelSettings] = {}
    coupons: Mapping[str, ChannelSettings] = Field({}, description="coupon shops; policy speaks of `coupons`")
    feeds: Mapping[str, FeedSettings] = {}
    pollers: Mapping[str, FeedSettings] = Field(
        {}, description="what is asked because it does not push, or because pushes get lost"
    )
    sources: Mapping[str, FeedSettings] = Field({}, description="watched folders and Kafka topics")
