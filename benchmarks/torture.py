"""`make torture`: kill -9 the daemon and its store, with a provider that fails, and count at the end.

    python -m benchmarks.torture [--findings 2000] [--kills 150] [--store-kills 30] [--seed 1]

The daemon is `forestall run` from its command line, fed over HTTP; half of its lives end at a named point, half at a
random moment. Prints one table and ends with 1 where a coupon was paid twice or not at all, a message was said twice
or not at all, a budget is not exact, the ledger does not verify, or what the daemon wrote or answered shows personal
data or a secret.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.shop import AMOUNT
from tests.faults.torture import Outcome, Plan, Torture

HEADS = (
    "run", "findings", "kills", "store kills", "ended itself", "requests", "coupons", "paid twice", "unpaid", "said twice",
    "unsaid", "unknown", "budget", "time",
)  # fmt: skip


def play(plan: Plan) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ft") as folder:
        return asyncio.run(Torture(plan, Path(folder), lambda line: print(line, file=sys.stderr)).run())


def row(name: str, outcome: Outcome) -> str:
    cells = [
        name,
        outcome.findings,
        outcome.kills,
        outcome.store_kills,
        outcome.ended,
        outcome.requests,
        outcome.coupons,
        outcome.orders_twice,
        outcome.orders_without,
        outcome.messages_twice,
        outcome.messages_without,
        outcome.unknown,
        f"{outcome.budget / 100:.2f}",
        f"{outcome.seconds:.0f} s",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def problems(outcome: Outcome, *, keyless: bool = False) -> list[str]:
    """What must not be; a gateway without keys may hear a message twice, or leave one to a person."""
    found = list(outcome.problems) + [f"output shows {leak!r}" for leak in outcome.leaks]
    if outcome.last_code != 0:
        found.append(f"the daemon, told to stop, ended with {outcome.last_code}")
    if outcome.orders_twice or outcome.orders_without or outcome.budget != outcome.findings * AMOUNT:
        found.append("coupons and budget do not agree with what was asked for")
    if not keyless and (outcome.messages_twice or outcome.messages_without):
        found.append("messages were said twice, or not at all")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.torture", description=__doc__)
    parser.add_argument("--findings", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--store-kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keyless", type=int, default=200, help="findings of the runs with a gateway without keys"
    )
    chosen = parser.parse_args()
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    full = play(Plan(chosen.findings, chosen.kills, chosen.store_kills, chosen.seed))
    print(row("keys", full), flush=True)
    bad = problems(full)
    for policy in ("hold", "resend") if chosen.keyless else ():
        one = play(Plan(chosen.keyless, 10, 2, chosen.seed, keyless=policy, hurry=True))
        print(row(f"no keys, {policy}", one), flush=True)
        bad += problems(one, keyless=True)
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
