"""Policy packs: what to do about which finding, in TOML, strict.

A pack is data; `monitor/policy.py` decides with it. Money is decimal text in major units in the file and integer
minor units here, so every amount has a currency with it.
"""

from __future__ import annotations

import hashlib
import tomllib
from decimal import Decimal, InvalidOperation
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from babel.numbers import get_currency_precision
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.loading import ConfigError, explain

KINDS = Literal[
    "pickup_stalled",
    "facility_stalled",
    "linehaul_stalled",
    "customs_stalled",
    "delivery_stalled",
    "collection_stalled",
    "fulfilment_stalled",
    "return_stalled",
    "refund_stalled",
    "late_predicted",
    "promise_broken",
    "presumed_lost",
    "signature_suspect",
    "complaint_spike",
    "facility_congested",
    "carrier_degraded",
    "backlog_forecast",
    "feed_silent",
    "repeat_complainer",
]
ACTIONS = Literal["message", "coupon", "upgrade_shipping", "ticket", "ops_alert", "high_care"]
ROLES = {
    "message": "customer",
    "coupon": "coupons",
    "ops_alert": "ops",
    "upgrade_shipping": "shop",
    "ticket": "shop",
    "high_care": "shop",
}
COMPLAINTS = {"complaint_spike", "repeat_complainer"}  # found without any tracking fact of ours
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


def _decimal(value: Any) -> Decimal:
    """Text, because 5.1 as a float is not five yuan and ten."""
    if not isinstance(value, str | Decimal):
        raise ValueError('write money as text: "5.00"')  # noqa: TRY004 -- pydantic wants a ValueError
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError('is not a number like "5.00"') from None
    if not amount.is_finite() or amount < 0 or amount >= 10**9:
        raise ValueError("must be from 0 to a billion")
    return amount


Money = Annotated[Decimal, BeforeValidator(_decimal)]


def minor(amount: Decimal, currency: str) -> int:
    """Major to minor units; what is finer than the currency's smallest coin is an error, not rounded."""
    scaled = amount.scaleb(get_currency_precision(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} is finer than the smallest unit of {currency}")
    return int(scaled)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Step(Part):
    """Of a ladder: the amount from this order value on."""

    order_from: Money
    amount: Money


class Action(Part):
    kind: ACTIONS
    template: Name
    fallback: Name | None = Field(None, description="template of the words where the coupon does not come")
    channels: tuple[Name, ...] = Field((), description="names of [channels]; none: the role of the kind")
    purpose: Literal["service", "offer"] = "service"
    with_coupon: bool = Field(False, description="waits for the rule's coupon and speaks of it")
    amount: Money = Decimal(0)
    ladder: tuple[Step, ...] = ()
    coupon_days: int = Field(30, ge=1, le=365)
    minimum_order: Money = Decimal(0)
    capped: bool | None = Field(None, description="counts as an apology; none: messages and coupons do")
    holdout: bool = True
    on_arrival: bool = Field(False, description="a word when the parcel arrives, to those who had an apology")

    @model_validator(mode="after")
    def _coherent(self) -> Action:
        if (self.kind == "coupon") != bool(self.amount):
            raise ValueError("a coupon has an amount, and nothing else has")
        if self.ladder != tuple(sorted(self.ladder, key=lambda step: step.order_from)):
            raise ValueError("the ladder must rise by order_from")
        if self.with_coupon and self.kind != "message":
            raise ValueError("only a message speaks of a coupon")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.channels or (ROLES[self.kind],)


class Rule(Part):
    name: Name
    kinds: tuple[KINDS, ...] = Field(min_length=1)
    cause: Name = Field(description="what is compensated; rules with one cause never pay twice for one order")
    min_score: float = Field(0.5, ge=0, le=1)
    after_hours: float = Field(0, ge=0, description="since the start of the episode; acts then, not before")
    expires_hours: float = Field(48, gt=0, description="an action not sent by then is dropped")
    skip_open_ticket: bool = True
    skip_customer_cause: bool = True
    on_close: bool = Field(False, description="say so when the episode ends (ops)")
    actions: tuple[Action, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Rule:
        coupons = [action for action in self.actions if action.kind == "coupon"]
        if len(coupons) > 1:
            raise ValueError("one rule gives one coupon")
        if coupons and (told := sorted(set(self.kinds) & COMPLAINTS)):
            raise ValueError(f"no money for what customers say alone: {', '.join(told)}")
        if any(action.with_coupon for action in self.actions) and not coupons:
            raise ValueError("with_coupon needs a coupon in the same rule")
        if len({(action.kind, action.template) for action in self.actions}) < len(self.actions):
            raise ValueError("two actions of one kind need two templates")
        return self


class PolicyPack(Part):
    """`version` is the family of the pack; `fingerprint` changes with every byte that matters."""

    name: Name
    version: str = Field(min_length=1, max_length=32)
    currency: str = Field("CNY", pattern=r"^[A-Z]{3}$")
    locale: str = Field("zh-CN", description="of ops alerts, tickets, and customers whose orders do not say")
    tiers: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        default_factory=dict, description="amounts of a customer tier, as a factor"
    )
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> PolicyPack:
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError("two rules have one name")
        seen: dict[str, str] = {}
        for rule in self.rules:
            for kind in rule.kinds:
                if kind in seen:
                    raise ValueError(f"rules {seen[kind]} and {rule.name} both speak of {kind}")
                seen[kind] = rule.name
            for action in rule.actions:
                for amount in (
                    action.amount,
                    action.minimum_order,
                    *(part for step in action.ladder for part in (step.order_from, step.amount)),
                ):
                    minor(amount, self.currency)
        return self

    @cached_property
    def fingerprint(self) -> str:
        text = self.model_dump_json(exclude_none=True).encode()
        return f"{self.name}-{self.version}-{hashlib.blake2b(text, digest_size=4).hexdigest()}"

    def rule_of(self, kind: str) -> Rule | None:
        return next((rule for rule in self.rules if kind in rule.kinds), None)

    def templates(self) -> set[str]:
        return {
            name
            for rule in self.rules
            for action in rule.actions
            for name in (action.template, action.fallback)
            if name
        }


def pack_text(path: Path | None = None) -> str:
    """As it is written; the default pack where no path is given."""
    if path:
        return path.read_text(encoding="utf-8")
    return (files("config") / "policies" / "default.toml").read_text(encoding="utf-8")


def load_pack(path: Path | None = None) -> PolicyPack:
    """The default pack where no path is given. Raises `ConfigError`: key, path, problem, nearest key."""
    name = str(path) if path else "default policy"
    try:
        return PolicyPack.model_validate(tomllib.loads(pack_text(path)))
    except ValidationError as error:
        raise ConfigError(explain(error, name, PolicyPack)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: not valid TOML: {error}"]) from None
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{name}: cannot be read: no text in UTF-8"]) from None
