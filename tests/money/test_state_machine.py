"""Any order of events, repeats, crashes, answers, clock steps, refunds and people: the ledger agrees with its model.

`STEPS=200` runs the long version: that many stories of fifty steps.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.actions import Outcome, Reason
from notifier.audit import Audit
from notifier.delivery import Delivery
from notifier.ledger import Ledger
from notifier.outbox import Begun, Entry, Outbox, Verdict
from notifier.sending import Coupon, SendResult
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.model import Model
from tests.money.sending import DONE, LATER, LOST, NEVER, World
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN
from tests.money.test_delivery import gifts

STORIES = int(os.environ.get("STEPS", "12"))
RULES = replace(OPEN, holdout=2_000, budget_day=2_600, approval_above=900, yearly=3)
_prefixes = itertools.count()
customers = st.sampled_from([f"c-{number}" for number in range(4)])
orders = st.sampled_from(["1", "2", "3"])
answers = st.sampled_from([DONE, LATER, LOST, NEVER])
POINTS = (
    "before the trace",
    "after the trace",
    "before the coupon",
    "after the coupon",
    "after the message",
    "before the result",
    "after the result",
)


class Stopping(Outbox):
    """Stops for ever at a named point, as a worker does that is killed there."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        super().__init__(store, ledger)
        self.stop_at = ""
        self.stuck = asyncio.Event()

    async def passing(self, point: str) -> None:
        if point == self.stop_at:
            self.stuck.set()
            await asyncio.Future[None]()

    async def begin(self, entry: Entry, now: int, said: str = "") -> Begun | None:
        await self.passing("before the trace")
        begun = await super().begin(entry, now, said)
        await self.passing("after the trace")
        return begun

    async def finish(self, entry: Entry, verdict: Verdict, now: int) -> bool:
        await self.passing("before the result")
        finished = await super().finish(entry, verdict, now)
        await self.passing("after the result")
        return finished


class Story(RuleBasedStateMachine):
    valkey: Valkey

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = NOW
        self.store = Store(self.valkey.url, f"m{next(_prefixes)}")
        self.ledger = Ledger(self.store, IDENTITY, RULES)
        self.world = World(self.store, self.ledger)
        self.model = Model(RULES, IDENTITY)
        self.run(self.ledger.open(None, NOW))
        self.outbox = Stopping(self.store, self.ledger)
        self.delivery: Delivery = self.run(self.world.delivery(self.outbox))

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(story)

    def teardown(self) -> None:
        try:
            self.run(self._come_to_rest())
            assert self.run(Audit(self.store, self.ledger, IDENTITY).verify()) == []
        finally:
            self.run(self.store.close())
            self.runner.close()

    async def _come_to_rest(self) -> None:
        """Nothing may be left that nobody will ever send: with all doors open, all that is due goes or is given up."""
        await self.ledger.revive(ANNA, self.now)
        await self.ledger.release(ANNA, self.now)
        for claim in await self.ledger.held():  # the words with a yes, some of their coupons with a no
            refused = claim.coupon_code is not None and claim.action_id < "A8"
            await (self.ledger.reject if refused else self.ledger.approve)(claim.action_id, ANNA, self.now)
        for _ in range(4):
            self.now += DAY
            await self._deliver()
        counts = await self.ledger.counts()
        assert not {"pending", "sending", "waiting", "held"} & {
            state for state, number in counts.items() if number
        }, counts

    # What happens

    @rule(
        customer=customers,
        order=orders,
        amount=st.sampled_from([500, 500, 500, 1_000]),
        times=st.integers(1, 2),
    )
    def a_parcel_is_late(self, customer: str, order: str, amount: int, times: int) -> None:
        order = f"{customer}-{order}"
        pair = gifts(customer, order, amount=amount, expires_at=self.now + 2 * DAY)
        for _ in range(times):
            expected = [self.model.claim(one, self.now) for one in pair]
            decided = self.run(self.ledger.claim_all(pair, self.now))
            assert [(one.outcome, one.reason) for one in decided] == expected

    @precondition(lambda self: self.model.kept)
    @rule(pick=st.integers(0, 99), amount=st.sampled_from([1, 500, 5_000]))
    def an_event_comes_again_under_another_policy(self, pick: int, amount: int) -> None:
        kept = sorted(self.model.kept.items())
        action, one = kept[pick % len(kept)]
        changed = replace(one.proposal, amount=amount * bool(one.proposal.amount), policy_version="p-2")
        assert changed.action_id == action
        (decided,) = self.run(self.ledger.claim_all([changed], self.now))
        assert (decided.outcome, decided.reason, decided.repeated) == (one.outcome, one.reason, True)

    @rule(shop=st.lists(answers, max_size=3), gateway=st.lists(answers, max_size=3))
    def delivery_runs(self, shop: list[SendResult], gateway: list[SendResult]) -> None:
        self.world.shop.answers.extend(shop)
        self.world.customer.answers.extend(gateway)
        self.run(self._deliver())

    @rule(where=st.sampled_from(POINTS))
    def delivery_crashes(self, where: str) -> None:
        """The worker stops for ever at a point, and another takes over after the lease."""
        self.run(self._crash(where))
        self.now += 200_000
        self.the_daemon_starts_anew()
        self.run(self._deliver())

    @rule()
    def the_daemon_starts_anew(self) -> None:
        head = self.run(self.ledger.head())
        self.run(self.store.close())
        self.store = Store(self.valkey.url, self.store.prefix)
        self.ledger = Ledger(self.store, IDENTITY, RULES)
        assert self.run(self.ledger.open(head, self.now)) == head
        self.world.store, self.world.ledger = self.store, self.ledger
        self.outbox = Stopping(self.store, self.ledger)
        self.delivery = self.run(self.world.delivery(self.outbox))

    @rule(step=st.sampled_from([-DAY, -HOUR, 60_000, HOUR, DAY, 30 * DAY, 91 * DAY]))
    def the_clock_steps(self, step: int) -> None:
        self.now += step

    @rule(customer=customers, order=orders)
    def an_order_is_refunded(self, customer: str, order: str) -> None:
        self.world.moved[f"{customer}-{order}"] = Reason.RECOVERED

    @rule(customer=customers)
    def a_customer_opts_out(self, customer: str) -> None:
        self.model.opted_out.add(customer)
        self.run(
            self.ledger.consent(
                customer, "all", allowed=False, now=self.now, source="sms", text_version="1", who="customer"
            )
        )

    @precondition(lambda self: any(one.outcome is Outcome.HELD for one in self.model.kept.values()))
    @rule(word=st.sampled_from(["approve", "reject"]), pick=st.integers(0, 99))
    def a_person_decides(self, word: str, pick: int) -> None:
        held = sorted(key for key, one in self.model.kept.items() if one.outcome is Outcome.HELD)
        action = held[pick % len(held)]
        decide = self.ledger.approve if word == "approve" else self.ledger.reject
        assert self.run(decide(action, ANNA, self.now)) == self.model.word(action, word, self.now)

    @precondition(lambda self: any(one.dead and not one.proposal.amount for one in self.model.kept.values()))
    @rule(pick=st.integers(0, 99))
    def a_person_sends_again_what_failed(self, pick: int) -> None:
        given_up = sorted(key for key, one in self.model.kept.items() if one.dead and not one.proposal.amount)
        action = given_up[pick % len(given_up)]
        assert self.run(self.ledger.resolve(action, "retry", ANNA, self.now))
        self.model.again(action, self.now)

    @rule(on=st.booleans())
    def the_kill_switch_is_turned(self, on: bool) -> None:
        self.model.killed = on
        self.run((self.ledger.kill if on else self.ledger.revive)(ANNA, self.now))

    @rule()
    def everything_is_held(self) -> None:
        self.model.hold = True
        self.run(self.ledger.hold(ANNA, self.now))

    @rule()
    def everything_is_released(self) -> None:
        self.model.hold = False
        held = [self.model.kept[claim.action_id].proposal for claim in self.run(self.ledger.held())]
        for proposal in sorted(held, key=lambda one: one.depends_on is not None):
            self.model.let_go(proposal.action_id, self.now)
        self.run(self.ledger.release(ANNA, self.now))

    # What holds

    @invariant()
    def money_is_exact(self) -> None:
        spent: int = self.run(self.ledger.budgets("CNY", self.now))["day"].spent
        assert spent == self.model.spent.get(self._day(), 0)
        assert spent <= RULES.budget_day

    @invariant()
    def every_decision_is_the_models(self) -> None:
        claims = self.run(self.ledger.claims(sorted(self.model.kept)))
        assert {one.action_id: (one.outcome, one.reason) for one in claims} == {
            action: (one.outcome, one.reason) for action, one in self.model.kept.items()
        }

    @invariant()
    def nobody_is_paid_twice_or_without_a_decision(self) -> None:
        intents = [coupon.intent for coupon in self.world.shop.made.values()]
        assert len(set(intents)) == len(intents)
        orders = [(coupon.customer_id, coupon.order_id) for coupon in self.world.shop.made.values()]
        assert len(set(orders)) == len(orders)
        for intent in intents:
            assert self.model.kept[intent].outcome is Outcome.SEND

    @invariant()
    def nothing_fails_by_our_own_mistake(self) -> None:
        claims = self.run(self.ledger.claims(sorted(self.model.kept)))
        assert [one.detail for one in claims if hasattr(builtins, one.detail or "-")] == []

    def _day(self) -> str:
        from datetime import datetime
        from zoneinfo import ZoneInfo

        return datetime.fromtimestamp(self.now / 1000, ZoneInfo(RULES.timezone)).strftime("%Y-%m-%d")

    async def _deliver(self) -> None:
        while await self.delivery.run_once(self.now):
            await self.delivery.idle()
        await self._learn()

    async def _learn(self) -> None:
        """What delivery gave up: only it knows what the shop and the gateway said."""
        alive = [action for action, one in sorted(self.model.kept.items()) if not one.dead]
        for claim in await self.ledger.claims(alive):
            if claim.state == "failed":
                self.model.kept[claim.action_id].dead = True
                self.model.release(claim.action_id)

    async def _crash(self, where: str) -> None:
        shop, room = self.world.shop, self.world.customer
        issue, send = shop.issue, room.send
        stuck = self.outbox.stuck
        self.outbox.stop_at = where

        async def stop(*_: Any) -> SendResult:
            stuck.set()
            return await asyncio.Future[SendResult]()

        async def issue_then_stop(coupon: Coupon, now: int) -> SendResult:
            await issue(coupon, now)
            return await stop()

        async def send_then_stop(message: Any, now: int) -> SendResult:
            await send(message, now)
            return await stop()

        if where == "before the coupon":
            shop.issue = stop  # type: ignore[method-assign,assignment]
        elif where == "after the coupon":
            shop.issue = issue_then_stop  # type: ignore[method-assign]
        elif where == "after the message":
            room.send = send_then_stop  # type: ignore[method-assign]
        try:
            await self.delivery.run_once(self.now)
            idle = asyncio.ensure_future(self.delivery.idle())
            await asyncio.wait(
                {idle, asyncio.ensure_future(stuck.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            await self.delivery.drain(0.05)  # what is not stuck may end; the rest dies
            idle.cancel()
            await asyncio.gather(idle, return_exceptions=True)
        finally:
            shop.issue, room.send = issue, send  # type: ignore[method-assign]
        await self._learn()


def test_no_story_parts_the_ledger_from_its_model(valkey: Valkey) -> None:
    Story.valkey = valkey
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
