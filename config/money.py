"""What limits spending and sending. Money is decimal text in major units; 0 switches a limit off."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from config.section import Section


def _text(value: object) -> object:
    """A float has lost its cents before we see it."""
    if isinstance(value, float):
        raise ValueError('write money as text: "5.00"')  # noqa: TRY004 - pydantic wants a ValueError
    return value


Amount = Annotated[Decimal, BeforeValidator(_text), Field(ge=0, max_digits=14)]


class MoneySettings(Section):
    tenant_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="secret behind coupon codes and the holdout; none: made at the first start",
    )
    budget_day: Amount = Decimal("2000.00")
    budget_month: Amount = Decimal("30000.00")
    budget_incident: Amount = Decimal("1000.00")
    budget_customer: Amount = Field(Decimal("100.00"), description="in 400 days")
    burst: float = Field(2.0, ge=0, description="how far an hour may run ahead of an even pace over the day")
    approval_above: Amount = Field(
        Decimal("50.00"), description="a single compensation above it waits for a person"
    )
    two_people_above: Amount = Field(
        Decimal(0),
        description="a single compensation above it takes two people, and so does ending hold, breaker and kill "
        "switch; 0: one is enough",
    )
    holdout_percent: float = Field(10.0, ge=0, le=50, description="customers watched and kept silent")
    apologies: int = Field(1, ge=0, description="a customer, in `apology_days`")
    apology_days: int = Field(90, ge=1, le=400)
    apologies_a_year: int = Field(3, ge=0)
    contact_apologies: int = Field(1, ge=0, description="a phone or e-mail, in `apology_days`")
    address_apologies: int = Field(
        3, ge=0, description="an address, in `apology_days`: families and offices share one"
    )
    breaker_a_minute: int = Field(600, ge=0, description="decisions a minute that are never too many")
    breaker_factor: float = Field(10.0, ge=1, description="times the usual rate; then decisions are held")
    explicit_consent: bool = Field(default=False, description="offers only to those who said yes")


class DeliverySettings(Section):
    quiet_from: time = time(21)
    quiet_until: time = time(8)
    resend_unknown: bool = Field(default=False, description="customer messages: rather twice than never")
    concurrency: int = Field(32, ge=1, le=500)
    unsubscribe_url: str | None = Field(
        None,
        pattern=r"^https://[^\s<>]+$|^http://(localhost|127\.0\.0\.1)[^\s<>]*$",
        description="how customers reach this program's /u/; then mails carry a one-click opt-out",
    )


class PolicySettings(Section):
    file: Path | None = Field(None, description="a policy pack; none: the default one")
    templates: Path | None = Field(
        None, description="folder of templates that go before ours: LOCALE/NAME.j2"
    )
