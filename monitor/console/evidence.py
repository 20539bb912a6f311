"""What a finding, an incident or a parcel stands on, as people read it: named facts, moments by the clock, who has how many."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from config.regions import regions
from detectors.findings import Subject, SubjectType
from detectors.signature_words import REASONS
from monitor.console.evidence_names import NAMES, SEGMENT, SOONER, STATUS
from monitor.console.words import LOCALES, incident_words, words
from monitor.incidents import View
from monitor.notifications.places import named
from monitor.vocabulary import Segment

TOP: Final = 6
SMALL: Final = 0.1  # a number below it has no first decimal to show
MOMENTS: Final = frozenset({"since", "clear_by", "promised", "p5", "p10", "p50", "p90", "p95"})
TIMES: Final = frozenset({"since", "last_scan", "promised_at", "carrier_estimate"})  # of a parcel's record
SHOWN_ELSEWHERE: Final = frozenset({"zh", "en", "since_local"})
_ORDER: Final = {name: at for at, name in enumerate(NAMES)}
_LANE: Final = re.compile(r"(\d{6}|\?)[->](\d{6}|\?)")


def evidence_rows(
    evidence: Mapping[str, Any], locale: str, moment: Callable[[int], str]
) -> list[tuple[str, str]]:
    """Known names first and in their order; what has no name of ours keeps its own. `moment` takes milliseconds."""
    given = [name for name in evidence if name not in SHOWN_ELSEWHERE and evidence[name] is not None]
    return [(_name(name, locale), _value(name, evidence[name], locale, moment)) for name in _sorted(given)]


def parcel_rows(parcel: Mapping[str, Any], locale: str, local: Callable[[str], str]) -> list[tuple[str, str]]:
    """A parcel's record; what was found about it is told by its story. `local` takes a moment as records write it."""
    given = _sorted(name for name in parcel if parcel[name] not in (None, "") and name != "findings")
    rows = []
    for name in given:
        value = parcel[name]
        if name == "expected":
            rows.append((words(locale)["expected_arrival"], _expected(value, locale, local)))
        else:
            shown = local(value) if name in TIMES else _value(name, value, locale, str)
            rows.append((words(locale)["in_this_leg"] if name == "since" else _name(name, locale), shown))
    return rows


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))


def _name(name: str, locale: str) -> str:
    return NAMES.get(name, (name, name))[LOCALES.index(locale)]


def _expected(quantiles: Mapping[str, str], locale: str, local: Callable[[str], str]) -> str:
    said = {name: local(at) for name, at in quantiles.items()}
    return words(locale)["expected_between"].format(**said)


def _value(name: str, value: Any, locale: str, moment: Callable[[int], str]) -> str:
    if isinstance(value, bool):
        return words(locale)["yes" if value else "no"]
    if name in MOMENTS and isinstance(value, int):
        return moment(value)
    if isinstance(value, Mapping):
        if {"name", "seen"} <= value.keys():  # one of a spike's reasons or carriers
            return f"{_word(name, value['name'], locale)} {value['seen']:,}"
        pairs = (
            f"{_word('reasons', key, locale)} {_value('', one, locale, moment)}" for key, one in value.items()
        )
        return _joined(pairs, locale)
    if isinstance(value, list | tuple):
        return _joined((_value(name, one, locale, moment) for one in value), locale)
    if isinstance(value, int | float) and name != "segment":
        return (
            f"{value:,}"
            if isinstance(value, int)
            else f"{value:,.1f}"
            if abs(value) >= SMALL
            else f"{value:.2g}"
        )
    return _word(name, value, locale)


def _word(name: str, value: Any, locale: str) -> str:
    """A name or code as people say it."""
    index, text = LOCALES.index(locale), str(value)
    if name in {"region", "regions", "destination"}:
        return regions().name(text, locale)
    if name == "lane" and (way := _LANE.fullmatch(text)):
        return " → ".join(regions().name(end, locale) for end in way.groups())
    if name == "segment":
        text = Segment(value).name.lower() if isinstance(value, int) else text
        return SEGMENT.get(text, (text, text))[index]
    if name == "status":
        return STATUS.get(text, (text, text))[index]
    if name == "sooner":
        return SOONER.get(text, (text, text))[index]
    if name in {"reason", "reasons", "category"}:
        return REASONS.get(text, (str(incident_words(locale)["complaint"].get(text, text)),) * 2)[index]
    return text


def _joined(texts: Iterable[str], locale: str) -> str:
    return words(locale)["comma"].join(texts)


def breakdown(view: View, locale: str) -> list[tuple[str, list[tuple[str, int]]]]:
    """Of the open findings: kinds, carriers, facilities, lanes and regions, the most first."""
    w, say = words(locale), incident_words(locale)

    def lane(name: str) -> str:
        return named(Subject(SubjectType.LANE, name), locale)

    def region(name: str) -> str:
        return regions().name(name, locale)

    def kind(name: str) -> str:
        return say["kind"].get(name, name)

    return [
        (w["kind"], _top(view.kinds, kind)),
        (say["field"]["carriers"], _top(view.carriers, str)),
        (say["field"]["hubs"], _top(view.facilities, str)),
        (say["field"]["lanes"], _top(view.lanes, lane)),
        (w["map"], _top(view.regions, region)),
    ]


def _top(counts: Mapping[str, int], name: Callable[[str], str]) -> list[tuple[str, int]]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name(key), count) for key, count in ranked[:TOP]]
