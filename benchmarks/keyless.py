"""SMS without keys: how many are said twice, and how many never, by what is done about a lost reply.

    python -m benchmarks.keyless [--messages 1000] [--seed 1]

Twilio's channel over real HTTP, a real store with fsync always, a provider that answers 5 % of requests with 503, takes 8 % and
closes without a word, takes 3 % and hangs, and drops 2 % before taking them. Time is an argument: six hours of retries and
look-ups pass as fast as they go.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path

from notifier import registry
from notifier.compose import Composer
from notifier.delivery import DeliveryRules
from notifier.http import Http
from notifier.ledger import Claim, Ledger
from notifier.reconcile import Reconciler
from notifier.sending import Contact, Limits, Message
from notifier.store import Store
from notifier.templates import Templates
from tests.channels import twilio
from tests.fakes.server import FakeServer, Fault, Request, Response, Scripted
from tests.fakes.valkey import Valkey
from tests.money.sending import NO_QUIET, World, run_dry
from tests.money.shop import DAY, HOUR, IDENTITY, NOW, OPEN, message
from tests.money.test_delivery import WORDS

MINUTE = 60_000
POLICIES = ("hold", "look up (default)", "send again")


def trouble(dice: random.Random) -> Scripted | None:
    roll = dice.random()
    faults = (
        (0.05, Response(503)),
        (0.13, Fault.LOST_REPLY),
        (0.16, Fault.LOST_REPLY_HANG),
        (0.18, Fault.RESET),
    )
    return next((fault for edge, fault in faults if roll < edge), None)


async def contact_of(customer_id: str | None, _order_id: str | None) -> Contact:
    """A number of each customer's own: providers are asked by number."""
    return Contact(phone=f"+86139{int((customer_id or 'c-0')[2:]):08}")


async def play(url: str, policy: str, count: int, seed: int) -> tuple[int, int, int, int]:
    """How many were said twice, never said, are unknown at the end; and requests in all."""
    dice, fake = random.Random(seed), twilio.Fake()
    async with (
        Store(url, f"k{POLICIES.index(policy)}") as store,
        Http(deadline=4) as http,
        FakeServer(fake) as server,
    ):

        def faults(_request: Request) -> Scripted | None:
            return trouble(dice)

        server.trouble = faults
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        rules = DeliveryRules(quiet=NO_QUIET, resend_unknown=policy == "send again", per_channel=32)
        world = World(store, ledger, rules=rules)
        channel = registry.channel("twilio", twilio.CASE.options(server.url), http)
        channel.limits = Limits()  # a paced sender would only take longer
        world.customer = channel  # type: ignore[assignment]
        wanted = [
            message(f"c-{n}", f"o-{n}", variables={**WORDS, "order_id": f"o-{n}"}, expires_at=NOW + DAY)
            for n in range(count)
        ]
        await ledger.claim_all(wanted, NOW)
        delivery = await world.delivery(contacts=contact_of)
        composer = Composer(ledger, Templates())

        async def sent_as(claim: Claim) -> Message | None:
            return await composer.sent_as(claim, await contact_of(claim.proposal.customer_id, None))

        reconciler = Reconciler(store, ledger, {}, {"customer": channel}, sent_as)
        for now in range(NOW, NOW + 6 * HOUR, MINUTE):
            fake.now = now
            await run_dry(delivery, now)
            if policy == "look up (default)":
                await reconciler.unknowns(now)
        said = Counter(one["body"] for one in fake.sent)
        unknown = (await ledger.counts()).get("unknown", 0)
        return sum(n > 1 for n in said.values()), count - len(said), unknown, len(server.requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        "| a lost reply is | messages | said twice | never said | unknown at the end | requests |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(prefix="fk") as folder, Valkey(Path(folder)) as server:
        for policy in POLICIES:
            twice, never, unknown, requests = asyncio.run(
                play(server.url, policy, given.messages, given.seed)
            )
            print(f"| {policy} | {given.messages} | {twice} | {never} | {unknown} | {requests} |", flush=True)


if __name__ == "__main__":
    main()
