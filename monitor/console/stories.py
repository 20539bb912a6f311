"""A subject's story as the page shows it: what is known of its parcels, then each finding and each decision, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.console.evidence import evidence_rows, parcel_rows
from monitor.console.words import incident_words, words
from notifier.actions import ActionKind

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story. `facts` are said after its title; `code` is what programs call a no."""

    what: str  # finding | action
    at: str
    title: str
    facts: tuple[str, ...]
    code: str
    sentence: str
    evidence: Rows
    subject: str  # empty where the whole story is of one


@dataclass(frozen=True, slots=True)
class StoryPage:
    parcel: Rows
    lines: list[Line]


def story(
    told: Mapping[str, Any], locale: str, local: Callable[[str], str], moment: Callable[[int], str]
) -> StoryPage:
    """`told` is what `explain` answers; `local` and `moment` say a moment of a record or in milliseconds by the clock on the
    wall.
    """
    many = len(told.get("subjects", ())) > 1
    lines = []
    for record in told.get("records", ()):
        about = f"{record['subject']['type']}:{record['subject']['id']}" if many else ""
        if record["what"] == "finding":
            lines.append(_finding(record, about, locale, local(record["as_of"]), moment))
        else:
            lines.append(_action(record, about, locale, local(record["decided_at"])))
    parcel = told.get("parcel")
    return StoryPage(parcel_rows(parcel, locale, local) if parcel else [], lines)


def _finding(
    record: Mapping[str, Any], about: str, locale: str, at: str, moment: Callable[[int], str]
) -> Line:
    w, say = words(locale), incident_words(locale)
    state = w[f"state_{record['state']}"]
    if why := record.get("close_reason"):
        state += w["colon"] + w.get(f"close_{why}", why)
    sentence = record["evidence"].get("zh" if locale == "zh-CN" else "en", "")
    return Line(
        what="finding",
        at=at,
        title=say["kind"].get(record["kind"], record["kind"]),
        facts=(state, f"{w['score']} {record['score']:.2f}"),
        code="",
        sentence=sentence if record["state"] != "closed" else "",  # of the day it was opened
        evidence=evidence_rows(record["evidence"], locale, moment),
        subject=about,
    )


def _action(record: Mapping[str, Any], about: str, locale: str, at: str) -> Line:
    w, say = words(locale), incident_words(locale)
    amount = f" {record['amount']:.2f} {record['currency']}" if record.get("amount") else ""
    plain = record["reason"] == "ok"
    facts = (
        f"{w['decision']}{w['colon']}{w.get('decided_' + record['decision'], record['decision'])}",
        "" if plain else say["cause"].get(record["reason"], record["reason"]),
        f"{w['words']} {record['template']}" if record["kind"] == ActionKind.MESSAGE else "",
        f"{w['rule']} {record['rule']}" if record.get("rule") else "",
        w.get(f"arm_{record['arm']}", record["arm"]) if record.get("arm") else "",
    )
    return Line(
        what="action",
        at=at,
        title=say["action"].get(record["kind"], record["kind"]) + amount,
        facts=tuple(fact for fact in facts if fact),
        code="" if plain else record["reason"],
        sentence="",
        evidence=[],
        subject=about,
    )
