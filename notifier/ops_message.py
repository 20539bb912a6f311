"""From the content of an ops alert (`Proposal.variables`, plain JSON) to the message that channels carry.

Called at the moment of sending. Titles and bodies come from `templates/ops/`, in Chinese and English; bodies are a
small Markdown that every chat can be given: paragraphs, `- ` lists and `**bold**`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from babel.numbers import format_currency, get_currency_precision
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.sending import Button, Message, Tell

TEMPLATES = Path(__file__).parent / "templates" / "ops"
OPS_TEMPLATES = frozenset({"ops/incident", "ops/digest", "ops/report"})
LOCALES = ("zh-CN", "en")
TELL: Mapping[str, Tell] = {
    **dict.fromkeys(("first", "new_incidents", "grew", "resolved", "acknowledged"), "edit"),
    **dict.fromkeys(("repeat", "escalated", "woke"), "channel"),
}
_STYLES = {"acknowledge": "primary", "approve": "primary", "noise": "danger", "reject": "danger"}
_BLANK = re.compile(r"\n{3,}")


@cache
def words() -> Mapping[str, Mapping[str, Any]]:
    """The fixed words of ops messages and the console, by locale."""
    loaded: Mapping[str, Mapping[str, Any]] = json.loads((TEMPLATES / "words.json").read_text("utf-8"))
    return loaded


@cache
def _environment() -> jinja2.Environment:
    return ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=False,
    )


def ops_message(
    variables: Mapping[str, Any], *, key: str, locale: str = "zh-CN", image: bytes | None = None
) -> Message:
    """`key` is the idempotency key of the outbox entry; `image` a PNG of `variables["series"]`, where wanted."""
    locale = locale if locale in LOCALES else "en"
    say = words()[locale]
    if "report" in variables:
        return _report(variables, say, key, locale)
    incidents = variables["incidents"]
    single = incidents[0] if len(incidents) == 1 and not variables["digest"] else None
    return Message(
        key=key,
        title=_render(f"title.{locale}.j2", variables, say),
        body=_BLANK.sub("\n\n", _render(f"body.{locale}.j2", variables, say)).strip(),
        locale=locale,
        severity=variables["severity"],
        fields=_fields(single, variables, say, locale) if single else _totals(variables, say, locale),
        link=variables["link"],
        buttons=tuple(
            Button(say["act"][item["act"]], item["url"], _STYLES.get(item["act"], "default"))
            for item in variables["buttons"]
        ),
        image=image,
        thread=variables["thread"],
        why=say["reason"][variables["reason"]],
        tell=TELL.get(variables["reason"], "thread"),
        mention=tuple(variables["mention"]),
        labels=dict(variables["labels"]),
        started_at=single["since"] if single else None,
        ended_at=single["resolved_at"] if single else None,
        template="ops/digest" if variables["digest"] else "ops/incident",
        variables=variables,
    )


def _report(variables: Mapping[str, Any], say: Mapping[str, Any], key: str, locale: str) -> Message:
    zone = variables["timezone"]
    period = f"{moment(variables['since'], zone)} – {moment(variables['until'], zone)}"
    spent = money_text(variables["money"], locale)
    return Message(
        key=key,
        title=f"{say['report'][variables['report']]} · {period}",
        body=_BLANK.sub("\n\n", _render(f"{_form(variables)}.{locale}.j2", variables, say)).strip(),
        locale=locale,
        severity="info",
        fields=((say["field"]["money" if _form(variables) == "approvals" else "spent"], spent),)
        if spent
        else (),
        link=variables.get("link"),
        buttons=tuple(
            Button(
                f"{say['act'][item['act']]} {item['of']}", item["url"], _STYLES.get(item["act"], "default")
            )
            for item in variables.get("buttons", ())
        ),
        why=say["report"]["why"],
        template="ops/report",
        variables=variables,
    )


def _form(variables: Mapping[str, Any]) -> str:
    return "approvals" if variables["report"] == "approvals" else "report"


def advice_text(step: Mapping[str, Any], locale: str) -> str:
    """One step of what to do, as a person reads it, without markup."""
    template = _environment().get_template(f"advice.{locale}.j2")
    return template.render({"step": step, "words": words()[locale]}).strip().replace("**", "")


def _render(name: str, variables: Mapping[str, Any], say: Mapping[str, Any]) -> str:
    environment = _environment()

    def place(one: Mapping[str, Any]) -> str:
        return place_name(one, say)

    def family(one: Mapping[str, Any]) -> str:
        return str(say["family"].get(one["family"], one["family"]))

    zone = variables["timezone"]
    environment.filters["moment"] = lambda at: moment(at, zone)
    environment.filters["money"] = lambda amount, currency: money_text({currency: amount}, name.split(".")[1])
    template = environment.get_template(name)  # after the filters: it is compiled with those there are
    return template.render({**variables, "words": say, "place": place, "family": family}).strip()


def place_name(one: Mapping[str, Any], say: Mapping[str, Any]) -> str:
    if not one["place"]:
        return str(say["nowhere"])
    return f"{say['place_type'].get(one['place_type'], one['place_type'])} {one['place']}"


def moment(at: int, timezone: str) -> str:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(timezone)).strftime("%m-%d %H:%M")


def money_text(money: Mapping[str, int], locale: str) -> str:
    tag = locale.replace("-", "_")
    return " + ".join(
        format_currency(amount / 10 ** get_currency_precision(currency), currency, locale=tag)
        for currency, amount in sorted(money.items())
    )


def whole_money(money: Mapping[str, int], locale: str) -> str:
    """Without the cents, where there is little room."""
    tag = locale.replace("-", "_")
    return " + ".join(
        format_currency(
            round(amount / 10 ** get_currency_precision(currency)),
            currency,
            locale=tag,
            format="¤#,##0",
            currency_digits=False,
        )
        for currency, amount in sorted(money.items())
    )


def _fields(
    one: Mapping[str, Any], variables: Mapping[str, Any], say: Mapping[str, Any], locale: str
) -> tuple[tuple[str, str], ...]:
    zone, names = variables["timezone"], say["field"]
    kinds = ", ".join(f"{say['kind'].get(name, name)} {number:,}" for name, number in one["kinds"])
    rows = (
        (names["place"], place_name(one, say)),
        (names["since"], moment(one["since"], zone)),
        (names["until"], moment(one["resolved_at"], zone) if one["resolved_at"] else ""),
        (names["lasted"] if one["resolved_at"] else names["so_far"], _lasted(one, variables["at"], say)),
        (names["parcels"], _parcels(one)),
        (names["money"], "" if one["resolved_at"] else money_text(one["money"], locale)),
        *([] if one["resolved_at"] else _measures(one["evidence"], names)),
        (names["carriers"], ", ".join(f"{name} {number:,}" for name, number in one["carriers"])),
        (
            names["hubs"],
            ", ".join(f"{name} {number:,}" for name, number in one["facilities"])
            if one["place_type"] != "facility"
            else "",
        ),
        (
            names["lanes"],
            ", ".join(f"{name} {number:,}" for name, number in one.get("lanes", ()))
            if one["place_type"] not in {"facility", "lane"}
            else "",
        ),
        (names["kinds"], kinds),
        (names["claimed"], one["acknowledged_by"]),
        (names["note"], one["note"]),
    )
    return tuple((name, value) for name, value in rows if value)


def _measures(evidence: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Of a place: what it holds beside the usual, what is forecast with its interval, complaints beside the usual."""
    return [
        (names["stock"], _against(evidence, "stock", "usual")),
        (names["forecast"], _interval(evidence, 24)),
        (names["forecast_later"], _interval(evidence, 72)),
        (names["complaints"], _against(evidence, "cases", "expected")),
    ]


def _lasted(one: Mapping[str, Any], at: int, say: Mapping[str, Any]) -> str:
    """From its beginning to its end, or to the moment of the message; nothing of an hour or less that goes on."""
    hours = ((one["resolved_at"] or at) - one["since"]) / 3_600_000
    if not one["resolved_at"] and hours < 1:
        return ""
    return (
        str(say["hours"]).format(f"{hours:,.1f}")
        if hours < 48
        else str(say["days"]).format(f"{hours / 24:,.1f}")
    )


def _parcels(one: Mapping[str, Any]) -> str:
    """Open and in all; of what is over only how many there were."""
    if not one["total"]:
        return ""
    return f"{one['total']:,}" if one["resolved_at"] else f"{one['open']:,} / {one['total']:,}"


def _against(evidence: Mapping[str, Any], name: str, usual: str) -> str:
    """A number beside its usual one, where both are known."""
    value, level = evidence.get(name), evidence.get(usual)
    if not isinstance(value, int | float) or not isinstance(level, int | float):
        return ""
    return f"{value:,.0f} ({value - level:+,.0f} / {level:,.0f})"


def _interval(evidence: Mapping[str, Any], hours: int) -> str:
    names = [f"{word}_{hours}" for word in ("forecast", "low", "high")]
    values = [float(evidence[name]) for name in names if isinstance(evidence.get(name), int | float)]
    return f"{values[0]:,.0f} ({values[1]:,.0f}–{values[2]:,.0f})" if len(values) == len(names) else ""


def _totals(variables: Mapping[str, Any], say: Mapping[str, Any], locale: str) -> tuple[tuple[str, str], ...]:
    totals = variables["totals"]
    rows = (
        (say["field"]["parcels"], f"{totals['open']:,}"),
        (say["field"]["money"], money_text(totals["money"], locale)),
    )
    return tuple((name, value) for name, value in rows if value)
