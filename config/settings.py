"""What an operator can set: strict, immutable, and secrets never print.

One class a section of the TOML file; a field's description is its documentation. Durations are seconds unless
the name says otherwise; money is decimal text in major units ("50.00") and integer minor units inside.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class StoreSettings(Section):
    url: SecretStr | None = Field(
        None, description="redis://, rediss:// or unix://, with its password; none: the embedded Valkey"
    )
    prefix: str = Field(
        "forestall", pattern=r"^[a-z0-9_-]{1,32}$", description="first part of every key, one per shop"
    )
    shards: int = Field(1, ge=1, le=256, description="event streams; more than one only for several machines")
    maxmemory_mb: int = Field(
        1024, ge=16, description="of the embedded store; full means refused, never evicted"
    )
    allow_unsafe_folder: bool = Field(
        default=False, description="keep the embedded store on tmpfs or a network file system all the same"
    )


class HttpSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8787, ge=0, le=65535)
    token: SecretStr | None = Field(
        None, description="bearer token of everything that changes something; none: refused"
    )
    max_body_bytes: int = Field(2_000_000, ge=1024)
    public_url: str | None = Field(
        None, description="how a browser reaches the console; links in alerts begin with it"
    )


class IntakeSettings(Section):
    linger_ms: int = Field(5, ge=0, le=1000, description="how long events wait to share a stream entry")
    frame_events: int = Field(5000, ge=1, le=100_000)
    max_event_bytes: int = Field(65_536, ge=256)


class EngineSettings(Section):
    max_live_parcels: int = Field(4_000_000, ge=1000, description="room in the parcel table; fixed at start")
    tick_seconds: int = Field(1, ge=1, le=3600)
    sweep_seconds: int = Field(
        60, ge=1, le=3600, description="how long one pass over the table is spread over"
    )
    history_days: int = Field(7, ge=0, description="older events teach and trigger nothing")
    checkpoint_seconds: int = Field(60, ge=1)


class Settings(Section):
    """The whole file."""

    data_dir: Path = Field(Path("forestall-data"), description="checkpoints and the embedded store")
    shadow: bool = Field(True, description="decide and record everything, send nothing")
    timezone: str = Field("Asia/Shanghai", description="of the shop: days of budgets and calendars")
    locale: str = Field("zh-CN", description="of customers whose orders do not say")
    store: StoreSettings = StoreSettings()
    http: HttpSettings = HttpSettings()
    intake: IntakeSettings = IntakeSettings()
    engine: EngineSettings = EngineSettings()
