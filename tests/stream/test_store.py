"""The one door to the store: raw replies, scripts by digest, errors that say one line and quote nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.embedded import EmbeddedStore
from notifier.store import (
    Script,
    Store,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    StoreUnreachableError,
    safe_url,
)

pytestmark = pytest.mark.anyio
PERSONAL = "13800138000"


@pytest.fixture
async def either(tmp_path: Path, server_binary: Path | None, anyio_backend: object) -> AsyncIterator[Store]:
    """A store on each of the two servers."""
    keeper = EmbeddedStore(tmp_path, maxmemory_mb=64, allow_unsafe_folder=True, binary=server_binary)
    await keeper.start()
    async with Store(keeper.url, "shop") as store:
        await store.check()
        yield store
    await keeper.stop()


async def test_every_key_has_the_tenants_hash_tag(store: Store) -> None:
    assert store.key("events", 3) == "{forestall}:events:3"


async def test_streams_are_read_from_positions(either: Store) -> None:
    stream = either.key("s")
    assert await either.stream_read({stream: "0"}, count=10) == {}
    first = await either.stream_add(stream, {"e": b"1"})
    second = await either.stream_add(stream, {"batch": b"2", "n": 5})
    found = await either.stream_read({stream: first}, count=10)
    assert [entry.id for entry in found[stream]] == [second]
    assert found[stream][0].get(b"batch") == b"2"
    assert found[stream][0].mapping() == {"batch": b"2", "n": b"5"}
    assert await either.stream_trim(stream, second) == 1
    assert [entry.id for entry in await either.stream_range(stream)] == [second]
    assert [entry.id for entry in await either.stream_newest(stream)] == [second]
    assert await either.stream_read({stream: second}, count=10, seconds=0.01) == {}


async def test_much_at_once_is_what_a_read_gives(either: Store) -> None:
    first, second = either.key("s"), either.key("t")
    assert await either.stream_take({first: "0"}, count=10) == {}
    for size in range(0, 3_000_000, 500_000):
        await either.stream_add(first, {"batch": bytes(size)})
    await either.stream_add(second, {"batch": b"\xff"})
    positions = {first: "0", second: "0"}
    found = await either.stream_take(positions, count=4)
    assert found == await either.stream_read(positions, count=4)
    assert [len(entry.fields[1]) for entry in found[first]] == [0, 500_000, 1_000_000, 1_500_000]


async def test_who_takes_much_hears_of_a_store_that_is_away_or_refuses(either: Store, tmp_path: Path) -> None:
    await either.put(either.key("text"), "x")
    with pytest.raises(StoreRefusedError):
        await either.stream_take({either.key("text"): "0"}, count=1)
    async with Store(f"unix://{tmp_path / 'nobody'}") as nobody:
        with pytest.raises(StoreUnreachableError):
            await nobody.stream_take({"s": "0"}, count=1)


async def test_a_taker_that_is_cancelled_ends_at_once_and_its_thread_with_the_store(tmp_path: Path) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        left.set()
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "silent")
    async with server, Store(f"unix://{tmp_path / 'silent'}", timeout=3600) as store:
        taker = asyncio.create_task(store.stream_take({"s": "0"}, count=1))
        await came.wait()
        taker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taker
        assert not left.is_set()
        await store.close()
        await left.wait()


async def test_a_thread_that_connects_after_the_end_asks_nothing(tmp_path: Path) -> None:
    """It was about to when the store was closed, which had nothing of it to close yet."""
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.put(await reader.read())
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "silent")
    async with server, Store(f"unix://{tmp_path / 'silent'}", timeout=3600) as store:
        await store.close()
        with pytest.raises(StoreUnreachableError):
            await store.stream_take({"s": "0"}, count=1)
        assert await asked.get() == b""


async def test_a_waiting_reader_wakes_when_an_entry_comes(either: Store) -> None:
    stream = either.key("s")
    reader = asyncio.create_task(either.stream_read({stream: "0"}, count=10, seconds=30))
    await asyncio.sleep(0)
    added = await either.stream_add(stream, {"e": b"1"})
    assert [entry.id for entry in (await reader)[stream]] == [added]


async def test_hashes_sets_and_strings(either: Store) -> None:
    key = either.key
    await either.hash_set(key("h"), {"a": 1, "b": "x"})
    assert await either.hash_all(key("h")) == {"a": b"1", "b": b"x"}
    assert await either.hash_get_many(key("h"), ["b", "c"]) == [b"x", None]
    assert await either.hash_delete(key("h"), "a") == 1
    assert await either.call("SADD", key("set"), "a", "b") == 2
    assert await either.set_members(key("set")) == {b"a", b"b"}
    await either.sorted_add(key("z"), {"late": 9, "early": 1.5})
    assert await either.sorted_range(key("z"), "-inf", "(9") == [b"early"]
    assert await either.put(key("one"), "x", only_new=True)
    assert not await either.put(key("one"), "y", only_new=True)
    assert await either.increment(key("n"), 5) == 5
    assert sorted([name async for name in either.keys("*")]) == sorted(
        map(key, ["h", "set", "z", "one", "n"])
    )
    assert await either.delete(key("one"), key("n")) == 2


async def test_a_script_runs_by_digest_and_again_after_the_server_forgot_it(either: Store) -> None:
    script = Script("return {KEYS[1], tonumber(ARGV[1]) + 1}")
    assert await either.script(script, ["k"], 41) == [b"k", 42]
    await either.call("SCRIPT", "FLUSH")
    assert await either.script(script, ["k"], 1) == [b"k", 2]


async def test_an_atomic_pipeline_does_all_or_nothing(either: Store) -> None:
    key = either.key("n")
    assert await either.pipeline().call("INCR", key).script(Script("return 7"), [key]).run() == [1, 7]
    with pytest.raises(StoreRefusedError):
        await either.pipeline().call("INCR", key).call("NOSUCHCOMMAND", PERSONAL).run()
    assert await either.get(key) == b"1"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("LPUSH", "{shop}:string", PERSONAL), "another type"),
        (("NOSUCHCOMMAND", PERSONAL), "the store answered ERR"),
        (("EVAL", "return redis.call('SET', ARGV[1])", 0, PERSONAL), "the store answered ERR"),
        (("EVAL", "return 1 < ARGV[1]", 0, PERSONAL), "script line 1: attempt to compare"),
        (("EVAL", "return redis.error_reply('HOLD ' .. ARGV[1])", 0, PERSONAL), "the store answered HOLD"),
        (("XADD", "{shop}:string", "1-1", "e", PERSONAL), "another type"),
    ],
)
async def test_an_error_says_what_is_wrong_and_quotes_nothing(
    either: Store, command: tuple[str | int, ...], says: str
) -> None:
    await either.put("{shop}:string", "x")
    with pytest.raises(StoreRefusedError) as caught:
        await either.call(*command)
    assert says in str(caught.value)
    assert PERSONAL not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert "\n" not in str(caught.value)


async def test_a_full_store_says_so_and_still_reads(either: Store) -> None:
    stream = either.key("s")
    await either.stream_add(stream, {"e": b"1"})
    await either.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreFullError, match="full"):
        await either.stream_add(stream, {"e": b"2"})
    assert len((await either.stream_read({stream: "0"}, count=9))[stream]) == 1


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_store_that_takes_no_writes_for_a_while_says_so_in_a_pipeline_as_well(
    either: Store, atomic: bool
) -> None:
    await either.call("CONFIG", "SET", "min-replicas-to-write", 1)
    key, script = either.key("n"), Script("return redis.call('INCR', KEYS[1])")
    for ask in (
        either.pipeline(atomic=atomic).call("INCR", key).call("INCR", key).run,
        either.pipeline(atomic=atomic).script(script, [key]).run,
    ):
        with pytest.raises(StoreFullError) as error:
            await ask()
        assert error.value.code == "NOREPLICAS"
    await either.call("CONFIG", "SET", "min-replicas-to-write", 0)
    assert await either.call("INCR", key) == 1


async def test_a_store_made_a_replica_while_it_waits_is_away_and_no_mistake(
    either: Store, tmp_path: Path
) -> None:
    async with Store(either.url, "shop") as other:
        waiting = asyncio.create_task(either.stream_read({either.key("s"): "$"}, count=1, seconds=20))
        while not int((await other.info("clients")).get("blocked_clients", 0)):  # noqa: ASYNC110 -- the server knows
            await asyncio.sleep(0)
        await other.call("REPLICAOF", "127.0.0.1", 9)
        with pytest.raises(StoreUnreachableError) as error:
            await waiting
        assert error.value.code == "UNBLOCKED"
        await other.call("REPLICAOF", "NO", "ONE")


async def test_a_wrong_or_missing_password_is_named(either: Store, tmp_path: Path) -> None:
    await either.call("CONFIG", "SET", "requirepass", "right")
    socket = either.url.removeprefix("unix://")
    for url, says in [
        (f"unix://:wrong@{socket}", "refuses the user name or password"),
        (f"unix://{socket}", "asks for a password"),
    ]:
        async with Store(url) as other:
            with pytest.raises(StoreRefusedError, match=says) as caught:
                await other.ping()
            assert "wrong" not in f"{caught.value}"
    async with Store(f"unix://:right@{socket}") as other:
        await other.ping()


async def test_an_unreachable_store_is_named_without_its_password() -> None:
    async with Store("redis://user:secret@127.0.0.1:1/0") as other:
        with pytest.raises(StoreUnreachableError) as caught:
            await other.ping()
    assert str(caught.value) == "the store at redis://127.0.0.1:1/0 does not answer"
    assert safe_url("rediss://u:p@host:6380/1?ssl_ca_certs=x") == "rediss://host:6380/1"


async def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreRefusedError, match="redis://, rediss:// or unix://"):
        Store("https://example.com")


async def test_a_store_too_old_or_a_replica_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def old(*_: str) -> dict[str, str]:
        return {"redis_version": "5.0.14"}

    monkeypatch.setattr(store, "info", old)
    with pytest.raises(StoreRefusedError, match=r"Redis 5\.0\.14; 6\.2 or newer"):
        await store.check()

    async def replica(*_: str) -> dict[str, str]:
        return {"redis_version": "7.2.4", "role": "slave"}

    monkeypatch.setattr(store, "info", replica)
    with pytest.raises(StoreRefusedError, match="replica"):
        await store.check()


async def test_a_store_that_goes_away_is_unreachable_and_comes_back(tmp_path: Path) -> None:
    keeper = EmbeddedStore(tmp_path, maxmemory_mb=64, allow_unsafe_folder=True)
    await keeper.start()
    async with Store(keeper.url) as store:
        await store.ping()
        await keeper.stop()
        with pytest.raises(StoreError):
            await store.ping()
        await keeper.start()
        await store.ping()
    await keeper.stop()


async def test_a_cancelled_caller_ends_wherever_its_command_is(store: Store) -> None:
    """The client library's own way of limiting a send may swallow the cancellation."""

    async def for_ever() -> None:
        while True:
            await store.ping()

    for turns in range(100):
        caller = asyncio.create_task(for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)
        caller.cancel()
        done, _ = await asyncio.wait({caller}, timeout=5)
        assert done, f"cancelled after {turns} turns of the loop, it goes on"
        assert caller.cancelled()
