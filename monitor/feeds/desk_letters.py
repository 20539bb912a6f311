"""Dead letters of what readers read: which are new, and a push as a payload that can be read again."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from monitor.feeds.base import Push, Read, Reader
from monitor.letters import Format, Letter
from monitor.vocabulary import DeadReason

# What a payload means without its signature; nothing else of a request is kept with a dead letter.
KEPT_HEADERS: Final = frozenset({"x-shopify-topic", "x-wc-webhook-topic"})
KEPT_QUERY: Final = frozenset({"orderId", "order_id"})
REMEMBERED: Final = 20_000  # letters already parked: providers send whole histories again and again
CODE_EVERY_MS: Final = 3_600_000  # a copy of an unknown code, whose events are in the stream all the same


class Fresh(NamedTuple):
    """A letter, and what it will be known by."""

    letter: Letter
    keys: Sequence[str]


class _Fault(NamedTuple):
    reason: DeadReason
    detail: str
    key: str
    again_after: int | None  # milliseconds; None: never


@dataclass(slots=True)
class Known:
    """What has become a letter already, by a digest of its content. Bounded; a restart forgets it."""

    _parked: OrderedDict[str, int] = field(default_factory=OrderedDict)  # when

    def fresh(self, reader: Reader, form: Format, reads: Iterable[Read]) -> list[Fresh]:
        """Of each push at most one letter for each reason: the whole push, so that it can be read again."""
        found: list[Fresh] = []
        seen: set[str] = set()
        for push, parsed in reads:
            faults: dict[DeadReason, list[_Fault]] = {}
            for fault in _faults(reader, Read(push, parsed)):
                if fault.key not in seen and self._is_new(fault, push.received_at):
                    faults.setdefault(fault.reason, []).append(fault)
                seen.add(fault.key)
            for reason, some in faults.items():
                detail = "; ".join(dict.fromkeys(one.detail for one in some))[:500]
                letter = letter_of(reader.name, form, push, reason, detail)
                found.append(Fresh(letter, [one.key for one in some]))
        return found

    def _is_new(self, fault: _Fault, now: int) -> bool:
        at = self._parked.get(fault.key)
        if at is None:
            return True
        self._parked.move_to_end(fault.key)
        return fault.again_after is not None and now - at >= fault.again_after

    def note(self, letters: Iterable[Fresh]) -> None:
        """Only when they are parked: what the store refused comes again, and is parked then."""
        for letter, keys in letters:
            for key in keys:
                self._parked[key] = letter.at
                self._parked.move_to_end(key)
        while len(self._parked) > REMEMBERED:
            self._parked.popitem(last=False)


def _faults(reader: Reader, read: Read) -> Iterable[_Fault]:
    for dead in read.parsed.dead:
        key = _key(reader.name, dead.reason, dead.detail, dead.raw.decode("utf-8", "replace"))
        yield _Fault(dead.reason, dead.detail, key, None)
    for code, event in read.parsed.unknown:
        # Where each push brings the parcel's whole history again, one push tells of a code what a thousand would.
        about = [code] if reader.repeats else [code, str(event["event_id"])]
        key = _key(reader.name, DeadReason.UNKNOWN_CODE, *about)
        yield _Fault(
            DeadReason.UNKNOWN_CODE, f"code {code[:40]!r}", key, CODE_EVERY_MS if reader.repeats else None
        )


def _key(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


def letter_of(name: str, form: Format, push: Push, reason: DeadReason, detail: str) -> Letter:
    return Letter(reason, detail, packed(push), name, push.received_at, format=form)


def packed(push: Push) -> bytes:
    kept = {
        "headers": {name: value for name, value in push.headers.items() if name in KEPT_HEADERS},
        "query": {name: value for name, value in push.query.items() if name in KEPT_QUERY},
    }
    try:
        body = {"body": push.raw.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(push.raw).decode()}
    return msgspec.json.encode({**kept, **body})


def unpacked(letter: Letter) -> Push:
    """Raises `LookupError`, `ValueError` or `TypeError` where the payload is no push."""
    kept = msgspec.json.decode(letter.raw)
    raw = kept["body"].encode() if "body" in kept else base64.b64decode(kept["base64"])
    return Push(raw, kept["headers"], kept["query"], letter.at)
