"""Words that left before the store was put back are not said again: what is beside the store knows of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.original import COPIED, Original
from monitor.standin import Standin
from notifier.actions import Reason
from notifier.delivery import DeliveryRules
from notifier.ledger import Ledger
from notifier.reconcile import Reconciler
from notifier.reminder import Reminder
from notifier.said import fingerprint
from notifier.sending import Capabilities, Instant, Message, Trace
from notifier.store import Store
from notifier.told import KEPT_MONTHS, Left, Told
from tests.clock import Clock
from tests.fakes.valkey import Valkey
from tests.full_disk import most_bytes
from tests.money.sending import LATER, NO_QUIET, Room, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, message
from tests.money.test_delivery import WORDS
from tests.whole import late_parcel, running, until

AFTER = NOW + HOUR
APOLOGY = message(variables=WORDS)


class Past:
    """A store, what was told beside it, and the copy of the store that comes back: it never heard of anything."""

    def __init__(self, before: World, after: World, folder: Path) -> None:
        self.before, self.after, self.folder = before, after, folder
        after.customer = before.customer
        after.customer.capabilities = Capabilities()
        self.told = Told(folder)

    async def says(self) -> None:
        await self.before.ledger.claim_all([APOLOGY], NOW)
        await run_dry(await self.before.delivery(told=self.told), NOW)

    def reminder(self) -> Reminder:
        return Reminder(self.after.store, self.after.ledger, Told(self.folder))

    async def comes_again(self, at: Instant = AFTER) -> None:
        await self.after.ledger.claim_all([APOLOGY], at)
        await run_dry(await self.after.delivery(told=self.told), at)

    async def state(self) -> str:
        return await self.after.state(APOLOGY.action_id)

    @property
    def said(self) -> int:
        return len(self.after.customer.read)


def noted(folder: Path) -> list[Left]:
    return [one for chunk in Told(folder).chunks() for one in chunk]


def play(valkey: Valkey, prefix: str, folder: Path, story: Callable[[Past], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as one, Store(valkey.url, prefix + "b") as other:
            before, after = (World(store, Ledger(store, IDENTITY, OPEN)) for store in (one, other))
            for world in (before, after):
                await world.ledger.open(None, NOW)
            await story(Past(before, after, folder))

    asyncio.run(run())


@pytest.mark.parametrize("known", [False, True], ids=["forgotten", "unsent in the copy"])
def test_what_was_said_is_unknown_and_said_again_by_a_person_alone(
    valkey: Valkey, prefix: str, tmp_path: Path, known: bool
) -> None:
    async def story(past: Past) -> None:
        if known:
            await past.after.ledger.claim_all([APOLOGY], NOW)
        await past.says()
        assert await past.reminder().forgets(AFTER)
        assert await past.reminder().remind(AFTER) == 1
        assert not await past.reminder().forgets(AFTER), "it was reminded"
        await past.comes_again()
        assert (past.said, await past.state()) == (1, "unknown")
        assert await past.after.ledger.resolve(APOLOGY.action_id, "retry", ANNA, AFTER)
        await past.comes_again()
        assert (past.said, await past.state()) == (2, "done")
        assert await past.reminder().remind(AFTER) == 0

    play(valkey, prefix, tmp_path, story)


def test_who_prefers_twice_to_never_says_it_twice(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    async def story(past: Past) -> None:
        past.after.rules = DeliveryRules(quiet=NO_QUIET, resend_unknown=True)
        await past.says()
        await past.reminder().remind(AFTER)
        await past.comes_again()
        assert (past.said, await past.state()) == (2, "done")

    play(valkey, prefix, tmp_path, story)


def test_what_surely_was_not_said_is_said(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    """The provider refused it for now, and the store was put back before it could be tried again."""

    async def story(past: Past) -> None:
        past.before.customer.answers.append(LATER)
        await past.says()
        assert past.said == 0
        assert not await past.reminder().forgets(AFTER)
        assert await past.reminder().remind(AFTER) == 0
        await past.comes_again()
        assert (past.said, await past.state()) == (1, "done")

    play(valkey, prefix, tmp_path, story)


@pytest.mark.parametrize("refused", [1, 700], ids=["once", "a night long"])
def test_what_was_refused_after_the_last_words_hides_no_older_copy(
    valkey: Valkey, prefix: str, tmp_path: Path, refused: int
) -> None:
    """Of what the provider refused nothing is known, so the words before it are the last that left."""

    async def story(past: Past) -> None:
        await past.says()
        for number in range(refused):
            await past.told.note(Left("A-refused", number + 1, NOW, "x" * 16), NOW)
            await past.told.note(Left("A-refused", number + 1), NOW)
        assert await Reminder(past.after.store, past.after.ledger, past.told).forgets(AFTER), "as it runs"
        assert await past.reminder().forgets(AFTER), "as it starts"
        assert not await Reminder(past.before.store, past.before.ledger, past.told).forgets(AFTER)

    play(valkey, prefix, tmp_path, story)


def test_a_refusal_by_the_provider_is_taken_back_behind_the_words_that_left(
    valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    async def story(past: Past) -> None:
        await past.says()
        past.before.customer.answers.append(LATER)
        await past.before.ledger.claim_all([message("c-2", "1002", variables=WORDS)], NOW + HOUR)
        await run_dry(await past.before.delivery(told=past.told), NOW + HOUR)
        assert [one.at > 0 for one in noted(tmp_path)] == [True, True, False]
        assert past.told.last == noted(tmp_path)[0]
        assert Told(tmp_path).last == noted(tmp_path)[0]

    play(valkey, prefix, tmp_path, story)


def test_the_last_words_of_a_month_before_are_found(tmp_path: Path) -> None:
    async def run() -> None:
        told = Told(tmp_path)
        left, at = Left("A1", 1, NOW), NOW + 35 * DAY
        await told.note(left, NOW)
        await told.note(Left("A2", 1, at), at)
        await told.note(Left("A2", 1), at)
        assert len(list(tmp_path.iterdir())) == 2
        assert (told.last, Told(tmp_path).last) == (left, left)

    asyncio.run(run())


def test_of_many_at_once_that_did_not_fit_on_the_disk_nothing_is_written_later(tmp_path: Path) -> None:
    async def run() -> None:
        told = Told(tmp_path)
        await told.note(Left("A0", 1, NOW), NOW)
        (path,) = tmp_path.iterdir()
        with most_bytes(path.stat().st_size + 100):
            notes = (told.note(Left(f"A{n}", 1, NOW), NOW) for n in range(1, 20))
            answers = await asyncio.gather(*notes, return_exceptions=True)
        sent = {f"A{n}" for n, answer in enumerate(answers, 1) if answer is None}
        assert 0 < len(sent) < 19
        await told.note(Left("A20", 1, NOW), NOW)
        assert {one.id for one in noted(tmp_path)} == {"A0", *sent, "A20"}

    asyncio.run(run())


def test_a_month_whose_first_line_does_not_fit_begins_with_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        told = Told(tmp_path)
        with most_bytes(10), pytest.raises(OSError, match="too large"):
            await told.note(Left("A1", 1, NOW), NOW)
        assert (noted(tmp_path), told.last) == ([], None)
        await told.note(Left("A2", 1, NOW), NOW)
        assert noted(tmp_path) == [Left("A2", 1, NOW)]

    asyncio.run(run())


@dataclass
class Asked(Room):
    """A room whose provider can be asked."""

    asked: list[Instant] = field(default_factory=list)
    trace_is: Trace = Trace.DONE

    async def trace(self, message: Message, began_at: Instant, now: Instant) -> Trace:
        self.asked.append(began_at)
        return self.trace_is


@pytest.mark.parametrize(("answer", "state", "said"), [(Trace.DONE, "done", 1), (Trace.ABSENT, "done", 2)])
def test_a_provider_that_can_be_asked_is_asked_about_the_time_before(
    valkey: Valkey, prefix: str, tmp_path: Path, answer: Trace, state: str, said: int
) -> None:
    async def story(past: Past) -> None:
        await past.says()
        await past.reminder().remind(AFTER)
        await past.comes_again()
        room, world = Asked("customer", trace_is=answer), past.after
        told = past.after.customer.read[0]
        reconciler = Reconciler(
            world.store, world.ledger, {}, {"customer": room}, lambda _: asyncio.sleep(0, told)
        )
        await reconciler.unknowns(AFTER + HOUR)
        assert room.asked == [NOW]
        await past.comes_again(AFTER + HOUR)
        assert (past.said, await past.state()) == (said, state)

    play(valkey, prefix, tmp_path, story)


def test_what_cannot_be_written_down_is_not_sent(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    """And goes when it can."""
    folder = tmp_path / "told"
    folder.write_bytes(b"no folder")

    async def story(past: Past) -> None:
        await past.says()
        assert (past.said, await past.before.state(APOLOGY.action_id)) == (0, "pending")
        folder.unlink()
        await run_dry(await past.before.delivery(told=past.told), NOW + HOUR)
        assert (past.said, await past.before.state(APOLOGY.action_id)) == (1, "done")
        assert noted(folder) == [
            Left(APOLOGY.action_id, 2, NOW + HOUR, fingerprint(past.after.customer.read[0].body))
        ]

    play(valkey, prefix, folder, story)


def test_many_at_once_are_all_written_and_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        told = Told(tmp_path)
        await asyncio.gather(*(told.note(Left(f"A{n}", 1, NOW), NOW) for n in range(50)))
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes() + b'{"id": "A50", "n')
        assert (last := Told(tmp_path).last) is not None
        assert last.id == "A49"
        await Told(tmp_path).note(Left("A51", 1, NOW), NOW)
        (found,) = Told(tmp_path).chunks()
        assert {one.id for one in found} == {f"A{n}" for n in (*range(50), 51)}

    asyncio.run(run())


def test_a_year_takes_the_room_of_five_months(tmp_path: Path) -> None:
    async def run() -> None:
        told = Told(tmp_path)
        for month in range(12):
            await told.note(Left("A1", 1, NOW), NOW + month * 31 * DAY)
        assert len(list(tmp_path.iterdir())) == KEPT_MONTHS

    asyncio.run(run())


@pytest.mark.anyio
async def test_a_daemon_whose_store_and_checkpoints_were_put_back_says_nothing_twice(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """The two agree with each other: only what left is beside them."""
    money = {"holdout_percent": 0, "budget_day": "0.01"}
    async with running(tmp_path, standin, clock, money=money) as shop:
        await late_parcel(shop)
        await shop.pass_time(1)
    for name in ("store", "checkpoints"):
        shutil.copytree(tmp_path / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("*.sock"))
    async with running(tmp_path, standin, clock, money=money) as shop:
        await shop.pass_time(30)
        await shop.pass_until(lambda: standin.counts.messages == 1)
        assert standin.counts.coupons == 0
    for name in ("store", "checkpoints"):
        shutil.rmtree(tmp_path / name)
        (tmp_path / "copy" / name).rename(tmp_path / name)
    async with running(tmp_path, standin, clock, money=money) as shop:
        assert set(await shop.daemon.ledger.switches()) == {"hold"}
        await shop.pass_time(1)
        answer = await shop.ask("POST", "/v1/commands/release", {"reason": "restored"}, **shop.bearer)
        assert "words that the store forgot" in str(answer.body), answer.body
        await until(shop.daemon.loop.caught_up.is_set)
        counts: dict[str, int] = {}
        while not counts.get("unknown"):
            await shop.pass_time(0.5)
            counts = await shop.daemon.ledger.counts()
    assert standin.counts.messages == 1
    assert standin.counts.repeated == 0, "nor was it asked to, and only its memory of keys prevented it"


@pytest.mark.anyio
async def test_a_daemon_whose_whole_folder_was_put_back_says_nothing_until_a_person_has_looked(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """Nothing in the copy tells that more was said since; that it is a copy does."""
    folder, copy = tmp_path / "data", tmp_path / "copy"
    money = {"holdout_percent": 0, "budget_day": "0.01"}
    async with running(folder, standin, clock, money=money) as shop:
        await late_parcel(shop)
        await shop.pass_time(1)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    async with running(folder, standin, clock, money=money) as shop:
        assert await shop.daemon.ledger.switches() == {}, "a restart is no copy"
        await shop.pass_time(30)
        await shop.pass_until(lambda: standin.counts.messages == 1)
    shutil.rmtree(folder)
    copy.rename(folder)
    async with running(folder, standin, clock, money=money) as shop:
        assert (await shop.daemon.status())["doubt"] == COPIED
        assert set(await shop.daemon.ledger.switches()) == {"hold"}
        await until(shop.daemon.loop.caught_up.is_set)
        while not (await shop.daemon.ledger.counts()).get("held"):  # all is decided
            await shop.pass_time(0.5)
        assert (standin.counts.messages, standin.counts.repeated) == (1, 0)
        answer = await shop.ask("POST", "/v1/commands/release", {"reason": "looked"}, **shop.bearer)
        assert answer.status == 200, answer.body
        assert (await shop.daemon.status())["doubt"] is None
    async with running(folder, standin, clock, money=money) as shop:
        assert await shop.daemon.ledger.switches() == {}


def test_only_a_file_with_another_number_and_another_time_is_a_copy(tmp_path: Path) -> None:
    one = Original(tmp_path)
    assert one.doubt() is None
    assert one.doubt() is None
    marked = tmp_path / "original"
    marked.chmod(0o640)  # renews the time, as a change of owner does
    assert one.doubt() is None
    one.trust()
    (tmp_path / "original.known").write_text(f"7 {marked.stat().st_ctime_ns}\n")  # numbered anew by a mount
    assert one.doubt() is None
    (tmp_path / "original.known").write_text("7 7\n")
    assert one.doubt() == COPIED
    assert one.doubt() == COPIED, "until a person says otherwise"
    one.trust()
    assert one.doubt() is None


def test_an_attempt_noted_of_old_says_nothing(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    async def story(past: Past) -> None:
        await past.says()
        late = NOW + 91 * DAY
        assert not await past.reminder().forgets(late)
        assert await past.reminder().remind(late) == 0
        await past.told.note(Left(APOLOGY.action_id, 3, late), late)
        assert await past.reminder().forgets(late)

    play(valkey, prefix, tmp_path, story)


def test_a_full_disk_is_no_fault_of_the_words_and_they_go_when_there_is_room(
    valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            world = World(store, ledger)
            world.rules = replace(world.rules, poison_after=3)
            await ledger.claim_all([APOLOGY], NOW)
            delivery = await world.delivery(told=Told(tmp_path))
            with most_bytes(0), capture_logs():  # what is written for people goes to a file here
                for number in range(6):
                    await run_dry(delivery, NOW + number * HOUR)
            assert (await world.state(APOLOGY.action_id), world.customer.read) == ("pending", [])
            assert {(one.verdict.state, one.verdict.reason, one.result) for one in world.steps} == {
                ("defer", Reason.UNRECORDED, None)
            }, "no send of the channel's, and no failure of it"
            await run_dry(delivery, NOW + 7 * HOUR)
            assert (await world.state(APOLOGY.action_id), len(world.customer.read)) == ("done", 1)

    asyncio.run(run())


def test_a_full_disk_says_nothing_of_a_channel_that_is_down(
    valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    folder = tmp_path / "told"

    async def story(past: Past) -> None:
        past.before.customer.answers.append(LATER)
        await past.says()
        delivery = await past.before.delivery(told=past.told)
        past.before.customer.answers += [LATER] * 2
        await run_dry(delivery, NOW + HOUR)
        down = delivery.down(NOW + HOUR + 4_000)
        assert down["customer"] > 0
        shutil.rmtree(folder)
        folder.write_bytes(b"no folder")
        await run_dry(delivery, NOW + HOUR + 60_000)
        assert past.before.steps[-1].verdict.reason is Reason.UNRECORDED
        assert delivery.down(NOW + HOUR + 4_000) == down

    play(valkey, prefix, folder, story)
