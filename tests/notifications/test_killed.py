"""Kill -9 of a real process between sending an alert and recording it, over real HTTP and a real store."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from monitor.embedded import EmbeddedStore
from monitor.notifications.proposals import propose
from notifier.actions import Outcome, Proposal
from notifier.ledger import Ledger
from notifier.store import Store
from tests.channels import dingtalk, slack_bot, webhook
from tests.fakes.server import FakeServer, Request
from tests.incidents.story import HOUR
from tests.money.shop import IDENTITY, OPEN
from tests.notifications.test_messages import DESK, a_jam
from tests.notifications.test_posts import a_digest

_prefixes = count()
NOW = a_jam().at
POINTS = (
    "after_begin",
    "after_reply",
    "before_reference",
    "after_reference",
    "before_finish",
    "after_finish",
)
LEASE = 100_000


def title(request: Request) -> str:
    """What tells one post from another, whatever the chat."""
    value = request.json()
    if "data" in value:
        return str(value["data"]["title"])
    return str(value[value["msgtype"]]["title"] if "msgtype" in value else value["text"])


class Chat:
    """A fake that counts what its readers see: repeated keys are seen once, where the provider has keys."""

    def __init__(self, case: Any) -> None:
        self.fake = case.Fake()
        self.seen: Counter[str] = Counter()
        self.keys: set[str] = set()

    def __call__(self, request: Request) -> Any:
        reply = self.fake(request)
        key = request.headers.get("webhook-id")
        if "/files." in request.path or (key is not None and key in self.keys):
            return reply
        self.keys |= {key} if key else set()
        if "update" not in request.path:
            self.seen[title(request)] += 1
        return reply


async def worker(store: EmbeddedStore, prefix: str, kind: str, options: Any, now: int, **more: Any) -> int:
    given = {"store": store.url, "prefix": prefix, "type": kind, "options": options, "now": now, **more}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.notifications.alert_worker", json.dumps(given)
    )
    return await process.wait()


def killed(
    valkey: EmbeddedStore, kind: str, case: Any, proposal: Proposal, point: str, passing: int
) -> tuple[Counter[str], str, int]:
    """What was seen, the state of the claim at the end, and how the first process ended."""

    async def run() -> tuple[Counter[str], str, int]:
        prefix, chat = f"killed{next(_prefixes)}", Chat(case)
        async with FakeServer(chat) as server, Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            (claimed,) = await ledger.claim_all([proposal], NOW)
            assert claimed.outcome is Outcome.SEND
            options = case.CASE.options(server.url)
            ended = await worker(valkey, prefix, kind, options, NOW, die_at=point, die_after=passing)
            await ledger.claim_all([proposal], NOW + 1)  # a replay claims it again
            assert await worker(valkey, prefix, kind, options, NOW + LEASE) == 0
            assert await worker(valkey, prefix, kind, options, NOW + 2 * LEASE) == 0
            claim = await ledger.get(proposal.action_id)
            assert claim is not None
            return chat.seen, claim.state, ended

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "case", "most", "point"),
    [
        ("webhook", webhook, 1, "after_reply"),
        ("webhook", webhook, 1, "before_finish"),
        *(("dingtalk", dingtalk, 2, point) for point in POINTS if "reference" not in point),
        *(("slack_bot", slack_bot, 2, point) for point in POINTS),
    ],
)
def test_killed_at_any_moment_an_alert_arrives_and_is_repeated_at_most_once_where_the_chat_has_no_keys(
    valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, kind: str, case: Any, most: int, point: str
) -> None:
    _now_of(case, monkeypatch)
    seen, state, ended = killed(valkey, kind, case, replace(propose(a_jam(), DESK), channel="ops"), point, 1)
    assert ended == -signal.SIGKILL
    assert state == "done"
    assert 1 <= sum(seen.values()) <= most, seen
    if point in {"after_begin", "after_reference", "before_finish", "after_finish"} and kind == "slack_bot":
        assert sum(seen.values()) == 1, "the post is known by then, and is not made again"


@pytest.mark.slow
@pytest.mark.parametrize("passing", [1, 2])
def test_killed_between_the_parts_of_a_long_alert_every_part_arrives(
    valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, passing: int
) -> None:
    _now_of(dingtalk, monkeypatch)
    proposal = replace(propose(a_digest(), DESK), channel="ops", expires_at=NOW + HOUR)
    seen, state, ended = killed(valkey, "dingtalk", dingtalk, proposal, "after_reply", passing)
    assert (state, ended) == ("done", -signal.SIGKILL)
    numbers = sorted(seen)
    assert len(numbers) >= 3
    assert [name[:5] for name in numbers] == [f"({n}/{len(numbers)})" for n in range(1, len(numbers) + 1)]
    assert sum(seen.values()) == len(numbers) + 1, "the part that was on its way is said once more"


def _now_of(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures are judged by the clock of this story."""
    if hasattr(case, "NOW"):
        monkeypatch.setattr(case, "NOW", NOW)
