"""Complaints averted: customers who were apologised to, against the holdout that was kept silent and watched.

    claims -> one unit a customer (first eligible decision) -> did they complain within `days`? -> difference, interval

Intention to treat: whoever was eligible when their arm was looked up counts in that arm, whatever became of the apology
afterwards (no money, no channel, a person's no); whoever was turned down before the arm was looked up counts in neither.
Treated customers are capped for a while and holdout customers never are, so only the first eligible decision of a
customer in `lookback` is a unit: later ones would load the holdout with those to whom it happens again.

The interval is an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central
limit theory and asymptotic confidence sequences", 2021), for the difference of two means: it may be looked at every week,
and acted on at any of those looks, and still misses the truth in at most `ALPHA` of all worlds. A fixed-sample
interval that is looked at every week misses it several times as often. Too few customers: it says so, and gives none.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from detectors.findings import Instant
from notifier.actions import Arm, Reason
from notifier.ledger import Claim

DAY: Final = 86_400_000
ALPHA: Final = 0.05
TUNED_FOR: Final = 2_000  # customers at which the sequence is tightest; it holds at any number
FEWEST: Final = 100  # customers an arm
FEWEST_COMPLAINTS: Final = 20  # of both arms together, and as many who did not complain
POWER_Z: Final = 1.959964 + 0.841621  # two-sided 5 %, 80 %
HOPED: Final = 0.25  # of complaints averted: what the sample size is said for
BEFORE_THE_ARM: Final = frozenset(
    {
        Reason.KILL_SWITCH,
        Reason.OPTED_OUT,
        Reason.NO_CONSENT,
        Reason.ALREADY_COMPENSATED,
        Reason.CUSTOMER_CAP,
        Reason.CONTACT_CAP,
        Reason.DEPENDENCY,
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One customer at their first eligible decision. `spent` in minor units by currency."""

    customer_id: str
    order_ids: frozenset[str]
    arm: Arm
    at: Instant
    spent: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    customers: int = 0
    complained: int = 0

    @property
    def rate(self) -> float:
        return self.complained / self.customers if self.customers else math.nan

    @property
    def smoothed(self) -> float:
        """One more who did and one more who did not: no arm is ever without variance."""
        return (self.complained + 1) / (self.customers + 2)


@dataclass(frozen=True, slots=True)
class Uplift:
    """`averted` is holdout rate less treated rate, `low` to `high` its interval: None where there are too few.
    `needed` customers in all would show a quarter of complaints averted, at the rate and the shares seen so far.
    """

    treated: Group
    holdout: Group
    averted: float | None = None
    low: float | None = None
    high: float | None = None
    needed: int | None = None
    spent: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`too_few`, `fewer` complaints among the treated, `more`, or `unclear`."""
        if self.low is None or self.high is None:
            return "too_few"
        return "fewer" if self.low > 0 else "more" if self.high < 0 else "unclear"

    def cost_per_averted(self) -> dict[str, tuple[float, float | None]]:
        """Minor units by currency: at the estimate, and at the lower end (None: it may be that nothing is averted).
        Empty where the estimate is not above zero.
        """
        if self.averted is None or self.averted <= 0:
            return {}
        number = self.averted * self.treated.customers
        least = (self.low or 0) * self.treated.customers
        return {
            currency: (amount / number, amount / least if least > 0 else None)
            for currency, amount in sorted(self.spent.items())
        }

    def record(self) -> dict[str, Any]:
        """As JSON values, for the digest and the command line."""
        return {
            "treated": [self.treated.customers, self.treated.complained],
            "holdout": [self.holdout.customers, self.holdout.complained],
            "verdict": self.verdict,
            "averted": self.averted,
            "low": self.low,
            "high": self.high,
            "needed": self.needed,
            "spent": dict(self.spent),
            "cost_per_averted": {name: list(costs) for name, costs in self.cost_per_averted().items()},
        }


def half_width(treated: Group, holdout: Group) -> float:
    """Of the confidence sequence. The two arms are one sequence of weighted outcomes, whose variance is
    p(1-p)/share summed over the arms.
    """
    count = treated.customers + holdout.customers
    variance = sum(arm.smoothed * (1 - arm.smoothed) * count / arm.customers for arm in (treated, holdout))
    rho = (-2 * math.log(ALPHA) + math.log(-2 * math.log(ALPHA)) + 1) / TUNED_FOR  # squared
    spread = count * rho + 1
    return math.sqrt(variance) * math.sqrt(
        2 * spread / (count**2 * rho) * math.log(math.sqrt(spread) / ALPHA)
    )


def compare(treated: Group, holdout: Group, spent: dict[str, int] | None = None) -> Uplift:
    found = Uplift(treated, holdout, needed=_needed(treated, holdout), spent=spent or {})
    complained = treated.complained + holdout.complained
    silent = treated.customers + holdout.customers - complained
    if min(treated.customers, holdout.customers) < FEWEST or min(complained, silent) < FEWEST_COMPLAINTS:
        return found
    averted, half = holdout.rate - treated.rate, half_width(treated, holdout)
    return replace(found, averted=averted, low=averted - half, high=averted + half)


def _needed(treated: Group, holdout: Group) -> int | None:
    """The usual formula for two proportions at one look; a sequence looked at often needs about half as many again."""
    count = treated.customers + holdout.customers
    base = holdout.rate if holdout.complained else treated.rate
    if not treated.customers or not holdout.customers or not 0 < base < 1:
        return None
    share, hoped = holdout.customers / count, base * (1 - HOPED)
    variance = base * (1 - base) / share + hoped * (1 - hoped) / (1 - share)
    return math.ceil(variance * (POWER_Z / (base - hoped)) ** 2)


@dataclass(slots=True)
class _Customer:
    arm: Arm
    at: Instant
    orders: set[str]
    spent: dict[str, int]


async def units(claims: AsyncIterable[Claim], since: Instant, until: Instant, days: int) -> list[Unit]:
    """Of customers whose first eligible decision among `claims` is from `since` on and before `until`; `claims` come by
    time of decision and begin a cap's length before `since`. Money counts for `days` after it.
    """
    found: dict[str, _Customer] = {}
    async for claim in claims:
        proposal, customer = claim.proposal, claim.proposal.customer_id
        if customer in {None, "erased"} or claim.arm is None or claim.shadow:
            continue
        assert customer is not None  # noqa: S101 -- for the type checker
        if customer not in found:
            if not proposal.capped or claim.reason in BEFORE_THE_ARM:
                continue
            found[customer] = _Customer(claim.arm, claim.decided_at, set(), {})
        one = found[customer]
        if claim.decided_at - one.at <= days * DAY:
            if proposal.order_id and claim.decided_at == one.at:
                one.orders.add(proposal.order_id)
            if claim.reserved:
                one.spent[proposal.currency] = one.spent.get(proposal.currency, 0) + claim.reserved
    return [
        Unit(customer, frozenset(one.orders), one.arm, one.at, tuple(sorted(one.spent.items())))
        for customer, one in found.items()
        if since <= one.at < until
    ]


def measure(given: Iterable[tuple[Unit, bool]]) -> Uplift:
    """Units with whether they complained in time."""
    groups = {Arm.TREATED: Group(), Arm.HOLDOUT: Group()}
    spent: dict[str, int] = {}
    for unit, complained in given:
        one = groups[unit.arm]
        groups[unit.arm] = Group(one.customers + 1, one.complained + complained)
        for currency, amount in unit.spent:
            spent[currency] = spent.get(currency, 0) + amount
    return compare(groups[Arm.TREATED], groups[Arm.HOLDOUT], spent)
