"""From settings to the arguments of concrete objects; errors an operator can mend become `ConfigError`."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, partial
from typing import Any, TypeVar

from pydantic import ValidationError

from config.loading import ConfigError, explain
from config.plugins import ChannelSettings
from config.policies import PolicyPack, load_pack, minor
from config.regions import regions
from config.settings import Settings
from monitor.console import Gate
from monitor.links import Links
from monitor.notifications.proposals import Desk
from monitor.secret_files import kept_secret
from monitor.tenant import key_file
from notifier import registry
from notifier.delivery import DeliveryRules
from notifier.http import Http
from notifier.ledger import Rules
from notifier.pacing import QuietHours
from notifier.sending import Channel, CouponProvider
from notifier.templates import TemplateProblemError, Templates

T = TypeVar("T")
UNLIMITED = 1_000_000  # messages a minute to a channel that states no limit
BASIS = 100  # a percent in the ledger's ten-thousandths


def pack_of(settings: Settings) -> PolicyPack:
    return load_pack(settings.policy.file)


def ledger_rules(settings: Settings, currency: str) -> Rules:
    money = settings.money

    def amount(value: Decimal) -> int:
        return minor(value, currency)

    return Rules(
        shadow=settings.shadow,
        holdout=round(money.holdout_percent * BASIS),
        cap=money.apologies,
        cap_days=money.apology_days,
        yearly=money.apologies_a_year,
        contact_cap=money.contact_apologies,
        address_cap=money.address_apologies,
        budget_tenant=amount(money.budget_month),
        budget_day=amount(money.budget_day),
        budget_incident=amount(money.budget_incident),
        budget_customer=amount(money.budget_customer),
        burst=money.burst,
        approval_above=amount(money.approval_above),
        two_above=amount(money.two_people_above),
        breaker=money.breaker_a_minute,
        breaker_factor=money.breaker_factor,
        explicit_consent=money.explicit_consent,
        timezone=settings.timezone,
    )


def delivery_rules(settings: Settings) -> DeliveryRules:
    delivery = settings.delivery
    quiet = QuietHours(delivery.quiet_from, delivery.quiet_until, settings.timezone)
    return DeliveryRules(
        quiet=quiet, concurrency=delivery.concurrency, resend_unknown=delivery.resend_unknown
    )


def templates_of(settings: Settings, pack: PolicyPack) -> Templates:
    """Every template that the pack speaks in, rendered with every sample: a broken one is found before it is needed."""
    folder = settings.policy.templates
    if folder is not None and not folder.is_dir():
        raise ConfigError([f"policy.templates: {folder} is no folder"])
    templates = Templates(folder, settings.timezone)
    spoken = {
        name
        for rule in pack.rules
        for action in rule.actions
        if action.kind != "coupon"
        for name in (action.template, action.fallback)
        if name
    }
    try:
        templates.check(spoken)
    except TemplateProblemError as error:
        raise ConfigError([f"policy.templates: {error}"]) from None
    return templates


@cache
def region_tables() -> Mapping[str, Any]:
    """What detectors know of places: the tree of regions, who touches whom, names in both languages."""
    known = regions()
    codes = [region.code for region in known]
    touching = {code: near for code in codes if (near := known.neighbours(code))}
    return {
        "parents": {code: known.parent(code) for code in codes},
        "neighbours": touching,
        "names": {code: (known.name(code), known.name(code, "en")) for code in codes},
    }


def outbound(settings: Settings) -> Http:
    """The way to all providers. Raises `ConfigError`."""
    given = settings.outbound
    try:
        return Http(
            proxy=None if given.proxy is None else given.proxy.get_secret_value(),
            ca_file=given.ca_file,
        )
    except OSError as error:
        why = error.strerror or "no certificates in PEM"
        raise ConfigError([f"outbound.ca_file: {given.ca_file}: {why}"]) from None
    except ValueError as error:
        raise ConfigError([f"outbound.proxy: {error}"]) from None


def channels(settings: Settings, http: Http) -> dict[str, Channel]:
    return {
        name: _plugin("channels", name, one, http, registry.channel)
        for name, one in settings.channels.items()
    }


def coupon_shops(settings: Settings, http: Http) -> dict[str, CouponProvider]:
    return {
        name: _plugin("coupons", name, one, http, registry.coupons) for name, one in settings.coupons.items()
    }


def _plugin(
    section: str,
    name: str,
    one: ChannelSettings,
    http: Http,
    build: Callable[[str, Mapping[str, Any], Http], T],
) -> T:
    where = f"{section}.{name}"
    try:
        return build(one.type, one.reveal(), http)
    except ValidationError as error:
        model = registry.load(
            registry.CHANNELS if section == "channels" else registry.COUPONS, one.type
        ).Config
        raise ConfigError(explain(error, where, model)) from None
    except ValueError as error:
        raise ConfigError([f"{where}.type: {error}"]) from None


def check_parts(settings: Settings) -> None:
    """Builds what a start would build of the config alone, and opens nothing. Raises `ConfigError` with every problem."""
    http = Http()
    alone: list[Callable[[], object]] = [
        lambda: outbound(settings),
        lambda: templates_of(settings, pack_of(settings)),
    ]
    plugins = (
        ("channels", settings.channels, registry.channel),
        ("coupons", settings.coupons, registry.coupons),
    )
    for section, named, build in plugins:
        alone += [partial(_plugin, section, name, one, http, build) for name, one in named.items()]
    problems = []
    for part in alone:
        try:
            part()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def links_of(settings: Settings) -> Links:
    """The buttons of alerts are signed by a secret of their own, derived from the installation's."""
    return Links(hmac.digest(tenant_key(settings), b"links of alerts", "sha256"))


def desk_of(settings: Settings, policy_version: str) -> Desk:
    return Desk(
        settings.incidents,
        policy_version,
        settings.timezone,
        settings.http.public_url,
        links_of(settings),
        settings.notify.link_hours * 3_600_000,
    )


def approvers_of(settings: Settings) -> tuple[str, ...]:
    """Who is asked at once: those named for it; else those who hear of incidents first."""
    notify = settings.notify
    return notify.approval_receivers or (notify.routes[0].receivers if notify.routes else ())


def gate_of(settings: Callable[[], Settings], token: str) -> Gate:
    secret = hmac.digest(tenant_key(settings()), b"console", "sha256")
    return Gate(lambda: settings().console, token, secret)


def messages_a_minute(settings: Settings) -> dict[str, int]:
    """What each channel's kind takes; where a kind has no limit, alerts are never put together for its sake."""
    limits = {}
    for name, one in settings.channels.items():
        kind = registry.CHANNELS.get(one.type)
        known = getattr(registry.load(registry.CHANNELS, one.type), "limits", None) if kind else None
        limits[name] = int(known.per_minute) if known is not None and known.per_minute else UNLIMITED
    return limits


def acknowledging(settings: Settings) -> frozenset[str]:
    """Channels that can be told quietly that somebody has an incident."""
    found = set()
    for name, one in settings.channels.items():
        kind = registry.load(registry.CHANNELS, one.type) if one.type in registry.CHANNELS else None
        can = getattr(kind, "capabilities", None)
        if can is not None and can.acknowledge:
            found.add(name)
    return frozenset(found)


def tenant_key(settings: Settings) -> bytes:
    given = settings.money.tenant_key
    return (given.get_secret_value() if given else kept_secret(key_file(settings))).encode()


def derived(key: bytes, purpose: str) -> bytes:
    """A secret of its own for each purpose, from the one that is kept."""
    return hmac.digest(key, f"forestall {purpose}".encode(), "sha256")


def http_token(settings: Settings) -> str:
    given = settings.http.token
    if given is None:
        return kept_secret(settings.data_dir / "token")
    if len(given.get_secret_value()) < 8:
        raise ConfigError(["http.token: shorter than 8 characters"])
    return given.get_secret_value()
