"""Words for customers, staff and ops: `<locale>/<name>.j2`, first line the title, then an empty line and the body.

Jinja's immutable sandbox, strict about undefined names, without globals: there is no `range`, so a template can loop
over nothing but what it is given, and every template is rendered with samples when it is loaded. Texts are short,
factual and promise nothing: repeated or hollow apologies do harm (Halperin et al., Economic Journal 2022).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, get_currency_precision
from jinja2 import StrictUndefined, Template, TemplateError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.templates.carriers import carrier_name
from notifier.templates.samples import SAMPLES, VARIANTS
from notifier.templates.sms import Segments, segments

OWN: Final = Path(__file__).parent
LONGEST_TITLE: Final = 120
LONGEST_BODY: Final = 2_000
LONGEST_VALUE: Final = 200
LAST: Final = "en"
PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "facility": "网点",
        "region": "地区",
        "carrier": "承运商",
        "lane": "线路",
        "feed": "数据源",
        "courier": "快递员",
        "supplier": "供应商",
    }
}


class TemplateProblemError(Exception):
    """A template cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Rendered:
    title: str
    body: str
    locale: str  # of the template found: perhaps not the one asked for
    sms: Segments


class Templates:
    """`folder` holds an operator's own templates, which go before ours of the same name and locale."""

    def __init__(self, folder: Path | None = None, timezone: str = "Asia/Shanghai") -> None:
        self._timezone = timezone
        self._environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
        )
        self._environment.globals.clear()
        self._environment.filters |= {"money": _money, "day": _day, "date": _date}
        self._sources: dict[tuple[str, str], Path] = {}
        for root in (OWN, folder):
            if root is not None:
                found = [path for path in sorted(root.glob("*/*.j2")) if _is_locale(path.parent.name)]
                self._sources |= {(path.parent.name, path.stem): path for path in found}
        self._cache: dict[tuple[str, str], tuple[Template, Template]] = {}

    def become(self, other: Templates) -> None:
        """From now on the words of `other`, for all who hold this one. A reload checks first, and then changes at once."""
        self._timezone, self._environment = other._timezone, other._environment
        self._sources, self._cache = other._sources, other._cache

    def names(self) -> list[str]:
        return sorted({name for _, name in self._sources})

    def locales(self, name: str) -> list[str]:
        return sorted(locale for locale, other in self._sources if other == name)

    def check(self, wanted: Iterable[str]) -> None:
        """Renders each in every locale it has with every sample. Raises `TemplateProblemError`."""
        for name in sorted(wanted):
            if not self.locales(name):
                raise TemplateProblemError(f"no template {name!r}; there are: {', '.join(self.names())}")
            for locale in self.locales(name):
                for sample in SAMPLES:
                    self.render(name, locale, sample)

    def preview(self, name: str, locale: str, sample: int = 0) -> Rendered:
        """As the customer would see it, with sample data."""
        return self.render(name, locale, SAMPLES[sample])

    def variants(self, name: str, locale: str) -> list[tuple[str, Rendered]]:
        """Each wording that the facts can choose, with the name of the first sample that leads to it."""
        found: dict[Rendered, str] = {}
        for label, sample in VARIANTS.items():
            found.setdefault(self.render(name, locale, sample), label)
        return [(label, rendered) for rendered, label in found.items()]

    def spoken_facts(
        self, variables: Mapping[str, Any], locale: str, timezone: str | None = None
    ) -> dict[str, str]:
        """Days and names as the reader spells them, for gateways that hold the text and take variables."""
        babel, zone = Locale.parse(_parsable(locale)), _zone(timezone, self._timezone)
        moments = {"promised_day": variables.get("promised_at"), "coupon_day": variables.get("coupon_until")}
        facts = {
            name: spell_day(moment, zone, babel) for name, moment in moments.items() if moment is not None
        }
        carrier = carrier_name(variables.get("carrier"), babel.language)
        return facts | ({"carrier_name": carrier} if carrier else {})

    def render(
        self, name: str, locale: str, variables: Mapping[str, Any], timezone: str | None = None
    ) -> Rendered:
        """`variables` as of `samples`: amounts in minor units with `currency`, times in milliseconds UTC."""
        found = self._locale(name, locale)
        title, body = self._template(found, name)
        spoken = self._spoken(variables, found, timezone)
        try:
            texts = " ".join(title.render(spoken).split()), body.render(spoken).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise TemplateProblemError(f"{found}/{name}: {type(error).__name__}: {_short(error)}") from None
        if len(texts[0]) > LONGEST_TITLE or len(texts[1]) > LONGEST_BODY:
            raise TemplateProblemError(
                f"{found}/{name}: {len(texts[0])} and {len(texts[1])} characters; "
                f"a title has at most {LONGEST_TITLE}, a body {LONGEST_BODY}"
            )
        return Rendered(*texts, locale=found, sms=segments(texts[1]))

    def _locale(self, name: str, wanted: str) -> str:
        for locale in chain(wanted):
            if (locale, name) in self._sources:
                return locale
        others = self.locales(name)
        if not others:
            raise TemplateProblemError(f"no template {name!r}")
        return others[0]

    def _template(self, locale: str, name: str) -> tuple[Template, Template]:
        if (locale, name) not in self._cache:
            path = self._sources[locale, name]
            try:
                title, _, body = path.read_text(encoding="utf-8").partition("\n\n")
                compiled = self._environment.from_string(title), self._environment.from_string(body)
            except (OSError, UnicodeDecodeError, TemplateError) as error:
                raise TemplateProblemError(f"{path}: {type(error).__name__}: {_short(error)}") from None
            self._cache[locale, name] = compiled
        return self._cache[locale, name]

    def _spoken(self, variables: Mapping[str, Any], locale: str, timezone: str | None) -> dict[str, Any]:
        """Text loses control characters and excess; the filters find locale and zone."""
        babel = Locale.parse(locale.replace("-", "_"))
        kind = str(variables.get("subject_type") or "")
        cleaned: dict[str, Any] = {key: _clean(value) for key, value in variables.items()}
        cleaned["carrier_name"] = carrier_name(cleaned.get("carrier"), babel.language)
        # Of claims that were written before there was such a fact.
        cleaned.setdefault("overdue", variables.get("kind") == "promise_broken")
        cleaned["subject_type_name"] = PLACES.get(babel.language, {}).get(kind, kind)
        texts = variables.get("texts") or {}
        cleaned["texts"] = {language: _clean(texts.get(language)) for language in ("zh", "en")}
        cleaned |= {"_locale": babel, "_zone": _zone(timezone, self._timezone)}
        return cleaned


def chain(locale: str) -> list[str]:
    """zh-Hans-CN -> zh-Hans-CN, zh-CN, zh, en: never a language that the customer did not ask for before English."""
    parts = locale.replace("_", "-").split("-")
    found = ["-".join(parts), f"{parts[0]}-{parts[-1]}", parts[0]]
    if parts[0] == "zh":
        found.append("zh-CN")
    return [*dict.fromkeys(found), LAST]


@pass_context
def _money(context: Context, minor: Any) -> str:
    return spell_money(minor, str(context.get("currency") or "CNY"), context["_locale"])


@pass_context
def _date(context: Context, moment: Any) -> str:
    """Without the year: of days that are near."""
    return spell_date(moment, context["_zone"], context["_locale"])


@pass_context
def _day(context: Context, moment: Any) -> str:
    return spell_day(moment, context["_zone"], context["_locale"])


def spell_money(minor: Any, currency: str, locale: Locale) -> str:
    if isinstance(minor, bool) or not isinstance(minor, int):
        raise TypeError("an amount is an integer of minor units")
    return str(
        format_currency(Decimal(minor).scaleb(-get_currency_precision(currency)), currency, locale=locale)
    )


def spell_day(moment: Any, zone: ZoneInfo, locale: Locale) -> str:
    return str(format_date(_local(moment, zone), "long", locale=locale))


def spell_date(moment: Any, zone: ZoneInfo, locale: Locale) -> str:
    return str(format_skeleton("MMMMd", _local(moment, zone), locale=locale))


def _local(moment: Any, zone: ZoneInfo) -> datetime:
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
        raise TypeError("a moment is milliseconds since 1970")
    return datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone)


def _parsable(locale: str) -> str:
    """The nearest name that Babel knows; customers' locales come from shops."""
    for one in chain(locale):
        if one and _is_locale(one):
            return one.replace("-", "_")
    return LAST


def _is_locale(name: str) -> bool:
    try:
        Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _zone(name: str | None, otherwise: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or otherwise)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(otherwise)


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kept = "".join(mark for mark in value if unicodedata.category(mark) not in {"Cc", "Cf", "Co", "Cs"})
    return kept[:LONGEST_VALUE]


def _short(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]
