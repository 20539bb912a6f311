"""A policy pack with other thresholds: the text of the old one, its comments and order kept, and only `min_score` changed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, Final

_TABLE: Final = re.compile(r"\s*\[")
_RULE: Final = re.compile(r"\s*\[\[\s*rules\s*\]\]")
_NAME: Final = re.compile(r"\s*name\s*=\s*(?P<value>\"[^\"]*\"|'[^']*')")
_SCORE: Final = re.compile(r"(?P<before>\s*min_score\s*=\s*)[^#\s]+")


def with_thresholds(text: str, thresholds: Mapping[str, float]) -> str:
    """`thresholds` by the name of a rule. ValueError where the text is written in a way that cannot be changed line by line:
    what comes out is read again, and must be the old pack but for the scores.
    """
    wanted = deepcopy(tomllib.loads(text))
    for rule in wanted["rules"]:
        if rule["name"] in thresholds:
            rule["min_score"] = thresholds[rule["name"]]
    lines = text.splitlines()
    for first, last in reversed(list(_rules(lines))):
        lines[first:last] = _changed(lines[first:last], thresholds)
    changed = "\n".join(lines) + "\n"
    try:
        same = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise ValueError("this pack is not written a key a line: set the min_score lines by hand")
    return changed


def _rules(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From each `[[rules]]` to the next table."""
    tables = [at for at, line in enumerate(lines) if _TABLE.match(line)]
    for at, after in pairwise([*tables, len(lines)]):
        if _RULE.match(lines[at]):
            yield at, after


def _changed(rule: Sequence[str], thresholds: Mapping[str, float]) -> list[str]:
    named = [at for at, line in enumerate(rule) if _NAME.match(line)]
    if not named:
        return list(rule)
    found = _NAME.match(rule[named[0]])
    name: Any = tomllib.loads(f"name = {found['value']}")["name"] if found else None
    if name not in thresholds:
        return list(rule)
    score = f"{thresholds[name]:g}"
    if any(_SCORE.match(line) for line in rule):
        return [_SCORE.sub(lambda one: one["before"] + score, line, count=1) for line in rule]
    return [*rule[: named[0] + 1], f"min_score = {score}", *rule[named[0] + 1 :]]
