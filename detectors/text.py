"""What a complaint is about and how upset its writer is, from the text alone, in Chinese and English, without a network.

Character n-grams into an online softmax regression (river, through `river_adapter`), begun from a small seed set of ours
(`data/complaints.csv`) and moved by every correction. It says "unknown" where it is not sure. Nothing of a text is kept:
only weights of hashed n-grams.
"""

from __future__ import annotations

import csv
import math
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from detectors.river_adapter import Softmax

SEED: Final = Path(__file__).parent / "data" / "complaints.csv"
UNKNOWN: Final = "unknown"
NO_COMPLAINT: Final = "none"
CATEGORIES: Final[Mapping[str, str]] = {
    "late": "logistics",
    "no_update": "logistics",
    "false_delivery": "logistics",
    "lost": "logistics",
    "where_is_it": "logistics",
    "damaged": "product",
    "wrong_item": "product",
    "missing_item": "product",
    "quality": "product",
    "promotion": "service",
    "refund_slow": "service",
    "rude": "service",
    "order_change": "order",
}
SEVERITIES: Final = ("general", "important", "major")
_TONES: Final[Mapping[str, str]] = {"calm": "general", "upset": "important", "furious": "major"}

BUCKETS: Final = 1 << 14  # bounds the weights, whatever customers write
EPOCHS: Final = 5
RATE: Final = 6.0
SURE: Final = 0.4  # of the best label; chance is 0.07
FAMILIAR: Final = 0.3  # share of the n-grams that some lesson had
CORRECTION: Final = 4  # a person's word weighs as much as four lessons
LONGEST: Final = 2000  # characters read
MOST_LABELS: Final = 50

_WORDS: Final = re.compile(r"[a-z]+(?:'[a-z]+)?|[\u4e00-\u9fff]+")
_STOP: Final = frozenset(
    [
        "the",
        "a",
        "an",
        "to",
        "of",
        "and",
        "is",
        "was",
        "it",
        "i",
        "my",
        "me",
        "in",
        "on",
        "for",
        "at",
        "has",
        "have",
        "been",
        "that",
        "this",
        "be",
        "with",
        "as",
        "you",
        "your",
    ]
)
# Words that no learned weight may talk down. Disappointment and anger:
_UPSET: Final = re.compile(
    r"失望|生气|气死|无语|太坑|坑人|敷衍|忍无可忍|受不了|恶劣|太差|差评|再也不(?:买|来)|浪费时间"
    r"|disappoint|frustrat|angry|annoy|terrible|awful|horrible|worst|ridiculous|fed up|never (?:again|order|buy)",
    re.IGNORECASE,
)
# Fury, threats, and harm to people:
_FURIOUS: Final = re.compile(
    r"骗子|诈骗|垃圾公司|滚|王八|12315|12305|工商局|消协|消费者协会|律师|起诉|法院|报警|曝光|媒体|受伤|过敏|中毒|着火|爆炸|触电"
    r"|furious|unacceptable|disgust|scam|fraud|thie(?:f|ves)|liars?\b|lawyer|attorney|\bsue\b|chargeback|police|outrag"
    r"|injur|allerg|poison|caught fire|explod|electric shock",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """`certainty` is the model's probability of the reason; 0 where it has none."""

    category: str
    reason: str | None
    severity: str
    certainty: float


def features(text: str) -> dict[int, float]:
    """Hashed n-grams of unit length: one to three characters of Chinese; words, pairs and four letters of English."""
    grams: Counter[str] = Counter()
    previous = ""
    for match in _WORDS.finditer(unicodedata.normalize("NFKC", text[:LONGEST]).casefold()):
        word = match[0]
        if word[0] >= "\u4e00":
            grams.update("z" + word[i : i + n] for n in (1, 2, 3) for i in range(len(word) - n + 1))
            previous = ""
            continue
        if word not in _STOP:
            grams["w" + word] += 1
            edged = f"^{word}$"
            for i in range(len(edged) - 3):
                grams["c" + edged[i : i + 4]] += 0.3  # type: ignore[assignment]  # weights, not counts
        if previous:
            grams[f"b{previous} {word}"] += 1
        previous = word
    hashed: dict[int, float] = {}
    for gram, count in grams.items():
        bucket = crc32(gram.encode()) % BUCKETS
        hashed[bucket] = hashed.get(bucket, 0.0) + min(float(count), 2.0)
    norm = math.sqrt(sum(value * value for value in hashed.values()))
    return {bucket: value / norm for bucket, value in hashed.items()} if norm else {}


def severity_floor(text: str) -> str:
    """What the words alone make of it; capitals and rows of exclamation marks count as raised voices."""
    said = text[:LONGEST]
    if _FURIOUS.search(said):
        return "major"
    shouted = re.search(r"[!！]{3,}|[?？]{4,}", said) or _in_capitals(said)
    return "important" if shouted or _UPSET.search(said) else "general"


def _in_capitals(text: str) -> bool:
    letters = [letter for letter in text if letter.isascii() and letter.isalpha()]
    return len(letters) >= 12 and sum(map(str.isupper, letters)) >= 0.8 * len(letters)


class ComplaintReader:
    """Begins with the seed set; the same lessons in the same order give the same reader."""

    def __init__(self) -> None:
        self._reasons = Softmax(RATE)
        self._tones = Softmax(RATE)
        self._familiar: set[int] = set()
        with SEED.open(encoding="utf-8", newline="") as file:
            lessons = [(features(row["text"]), row["reason"], row["tone"]) for row in csv.DictReader(file)]
        shuffle = random.Random(1)
        for _ in range(EPOCHS):
            shuffle.shuffle(lessons)
            for found, reason, tone in lessons:
                self._reasons.learn(found, reason)
                self._tones.learn(found, tone)
                self._familiar.update(found)

    def read(self, text: str) -> Reading:
        found = features(text)
        floor = severity_floor(text)
        mass = sum(found.values())
        if not found or sum(found[one] for one in found if one in self._familiar) < FAMILIAR * mass:
            return Reading(UNKNOWN, None, floor, 0.0)
        tones = self._tones.probabilities(found)
        tone = max(tones, key=tones.__getitem__)
        felt = _TONES[tone] if tones[tone] >= SURE else "general"
        severity = max(floor, felt, key=SEVERITIES.index)
        chances = self._reasons.probabilities(found)
        best = max(chances, key=chances.__getitem__)
        if best == NO_COMPLAINT or chances[best] < SURE:
            return Reading(UNKNOWN, None, severity, 0.0)
        return Reading(CATEGORIES.get(best, UNKNOWN), best, severity, chances[best])

    def learn(
        self, text: str, reason: str | None = None, severity: str | None = None, weight: int = 1
    ) -> None:
        """What a person, or the shop's own field, says of a text. `reason` "none": no complaint at all."""
        found = features(text)
        if not found:
            return
        labels = self._reasons.labels()
        for _ in range(weight):
            if reason and (reason in labels or len(labels) < MOST_LABELS):
                self._reasons.learn(found, reason)
            if severity in SEVERITIES:
                tone = next(tone for tone, level in _TONES.items() if level == severity)
                self._tones.learn(found, tone)
        self._familiar.update(found)

    def state(self) -> dict[str, Any]:
        return {
            "reasons": self._reasons.state(),
            "tones": self._tones.state(),
            "familiar": sorted(self._familiar),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._reasons.restore(state["reasons"])
        self._tones.restore(state["tones"])
        self._familiar = set(state["familiar"])
