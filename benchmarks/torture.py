"""`make torture`: kill -9 the money path and its store, with a provider that fails, and count at the end.

    python -m benchmarks.torture [--findings 2000] [--kills 150] [--store-kills 30] [--seed 1]

Prints one table and ends with 1 where a coupon was paid twice or not at all, a budget is not exact, the ledger does not
verify, or the workers' output shows personal data or a secret.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.torture import Outcome, Plan, Torture


def play(plan: Plan) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="ft") as folder:
        return asyncio.run(Torture(plan, Path(folder), lambda line: print(line, file=sys.stderr)).run())


def row(name: str, outcome: Outcome) -> str:
    cells = [
        outcome.findings,
        outcome.worker_kills,
        outcome.store_kills,
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
    return " | ".join(["", name, *map(str, cells), ""]).strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--store-kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keyless", type=int, default=200, help="findings of the runs with a gateway without keys"
    )
    chosen = parser.parse_args()
    heads = "findings worker-kills store-kills requests coupons paid-twice unpaid said-twice unsaid unknown budget time"
    names = ["run", *heads.split()]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    full = play(Plan(chosen.findings, chosen.kills, chosen.store_kills, chosen.seed))
    print(row("keys", full), flush=True)
    bad = list(full.problems) + [f"output shows {leak!r}" for leak in full.leaks]
    if (
        full.orders_twice
        or full.orders_without
        or full.messages_without
        or full.budget != full.findings * 500
    ):
        bad.append("the books do not agree with what was asked for")
    for policy in ("hold", "resend") if chosen.keyless else ():
        one = play(Plan(chosen.keyless, 10, 2, chosen.seed, keyless=policy))
        print(row(f"no keys, {policy}", one), flush=True)
        bad += one.problems
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
