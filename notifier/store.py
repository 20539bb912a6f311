"""The one door to Redis or Valkey: connections, streams, hashes, sets, scripts.

Replies come as RESP3 gives them, untouched by the client library: bytes, integers, floats, `dict` for maps, `set`
for sets, None for nothing. Every key begins with `{prefix}:`; the braces keep all keys of one tenant in one slot, so
scripts may touch any of them on a cluster, too. Nothing is ever retried here: a script whose reply was lost may have
run, and only the caller knows whether running it twice is harmless.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

from redis import Redis as PlainRedis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from notifier.store_errors import (
    StoreError,
    StoreFullError,
    StoreRefusedError,
    StoreUnreachableError,
    from_reply,
    safe_url,
)

__all__ = [
    "Entry",
    "Pipeline",
    "Script",
    "Store",
    "StoreError",
    "StoreFullError",
    "StoreRefusedError",
    "StoreUnreachableError",
    "safe_url",
]

Value: TypeAlias = bytes | str | int | float
Fields: TypeAlias = Mapping[str, Value]

OLDEST = (6, 2)  # XTRIM by MINID; Valkey's compatibility version is 7.2 or newer
FLAGS = 7  # the first version whose scripts have flags
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream; `fields` alternate name and value."""

    id: str
    fields: list[bytes]

    def get(self, name: bytes) -> bytes | None:
        for position in range(0, len(self.fields), 2):
            if self.fields[position] == name:
                return self.fields[position + 1]
        return None

    def mapping(self) -> dict[str, bytes]:
        names = [name.decode("utf-8", "replace") for name in self.fields[::2]]
        return dict(zip(names, self.fields[1::2], strict=True))


@dataclass(frozen=True)
class Script:
    """A Lua script; all its keys are passed as KEYS. `urgent`: runs while the store is out of memory, where the server can
    be told so.
    """

    text: str
    urgent: bool = False

    @classmethod
    def load(cls, path: Path) -> Script:
        return cls(path.read_text(encoding="utf-8"))

    @cached_property
    def sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @cached_property
    def flagged(self) -> Script:
        return Script("#!lua flags=allow-oom\n" + self.text)


@dataclass(slots=True)
class Pipeline:
    """Commands that travel together: `atomic` ones run as one transaction (MULTI/EXEC).

    Not atomic means: each has its own result, and one may fail while the others are done; `run` then raises the
    first error after all have run.
    """

    store: Store
    atomic: bool = True
    commands: list[tuple[Any, ...]] = field(default_factory=list)
    _loaded: set[str] = field(default_factory=set)  # digests of scripts, since the last run

    def call(self, *command: Value) -> Pipeline:
        self.commands.append(command)
        return self

    def add(self, stream: str, fields: Fields) -> Pipeline:
        return self.call("XADD", stream, "*", *_flat(fields))

    def script(self, script: Script, keys: Sequence[str], *args: Value) -> Pipeline:
        """By text, not by digest: inside a transaction there is no second try for a forgotten script."""
        return self.call("EVAL", script.text, len(keys), *keys, *args)

    def digested(self, script: Script, keys: Sequence[str], *args: Value) -> Pipeline:
        """By digest, loaded before its first use in each run, which has an answer too: the server may be another one by then."""
        if script.sha not in self._loaded:
            self._loaded.add(script.sha)
            self.call("SCRIPT", "LOAD", script.text)
        return self.call("EVALSHA", script.sha, len(keys), *keys, *args)

    async def run(self) -> list[Any]:
        commands, self.commands = self.commands, []
        self._loaded.clear()
        return await self.store.run(commands, atomic=self.atomic) if commands else []


class Store:
    """A store under one key prefix. `url` is redis://, rediss:// or unix://; connecting happens at first use."""

    def __init__(self, url: str, prefix: str = "forestall", *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.prefix = prefix
        self.url = safe_url(url)
        self._timeout = timeout
        self._client: Any = self._connect(url, 32, health_check=15)
        self._waiting: Any = self._connect(url, 64, health_check=0)  # for commands that block
        self._closed = False
        self._flags: bool | None = None  # whether the server knows flags of scripts; not asked yet
        self._plain: Any = self._connect_plainly(url)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="store")
        self._taking: set[Future[Any]] = set()

    @staticmethod
    def _connect(url: str, connections: int, health_check: int) -> Redis:
        """Without a timeout of its own: Python 3.11's `asyncio.wait_for`, with which the client library guards each
        send, may swallow a cancellation, and then a task that should end goes on for ever. `_ask` has the deadline.
        """
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=connections,
                timeout=TIMEOUT_SECONDS,
                protocol=3,
                legacy_responses=False,
                retry=None,
                socket_timeout=None,
                **({} if url.startswith("unix:") else {"socket_connect_timeout": TIMEOUT_SECONDS}),
                socket_read_size=1 << 18,
                health_check_interval=health_check,
                client_name="forestall",
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
        except ValueError as error:
            raise StoreRefusedError("the store's URL must be redis://, rediss:// or unix://") from error
        client = Redis.from_pool(pool)
        client.response_callbacks.clear()
        return client

    def _connect_plainly(self, url: str) -> PlainRedis:
        """For a thread: what comes is copied three times less often on its way than through asyncio's streams."""
        client = PlainRedis.from_url(
            url,
            protocol=3,
            legacy_responses=False,
            retry=None,
            socket_timeout=self._timeout,
            socket_read_size=1 << 18,
            client_name="forestall",
            redis_connect_func=self._greet,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        client.response_callbacks.clear()
        return client

    def _greet(self, connection: Any) -> None:
        """In the thread, once connected: `close` ends a connection that it sees, and one that it came too early for ends
        here.
        """
        if self._closed:
            raise RedisConnectionError
        connection.on_connect()

    def key(self, *parts: str | int) -> str:
        return ":".join(("{" + self.prefix + "}", *map(str, parts)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()
        await self._waiting.aclose()
        self._closed = True
        self._plain.connection_pool.disconnect()  # a thread that still waits for an answer ends with it
        await asyncio.gather(*map(asyncio.wrap_future, tuple(self._taking)), return_exceptions=True)

    # Commands

    async def call(self, *command: Value) -> Any:
        return await self._ask(self._client.execute_command(*command))

    async def wait(self, seconds: float, *command: Value) -> Any:
        """A command that blocks up to `seconds` on the server; None where nothing came."""
        return await self._ask(self._waiting.execute_command(*command), seconds=seconds)

    async def run(self, commands: Iterable[tuple[Value, ...]], *, atomic: bool) -> list[Any]:
        pipe = self._client.pipeline(transaction=atomic)
        for command in commands:
            pipe.execute_command(*command)
        return cast("list[Any]", await self._ask(pipe.execute()))

    def pipeline(self, *, atomic: bool = True) -> Pipeline:
        return Pipeline(self, atomic)

    async def script(self, script: Script, keys: Sequence[str], *args: Value) -> Any:
        """By digest; by text where the server does not know it (a new or restarted server)."""
        if script.urgent and await self._knows_flags():
            script = script.flagged
        try:
            return await self._ask(
                self._client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args), NoScriptError
            )
        except NoScriptError:
            return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def _knows_flags(self) -> bool:
        """Servers before 7 take the line of flags for a mistake; there a script waits for room."""
        if self._flags is None:
            version = (await self.info("server")).get("redis_version", "0")
            self._flags = int(version.split(".")[0]) >= FLAGS
        return self._flags

    async def _ask(self, question: Awaitable[Any], *let: type[RedisError], seconds: float = 0.0) -> Any:
        """`seconds`: how long the server may wait before it begins to answer."""
        try:
            async with asyncio.timeout(seconds + self._timeout):
                return await question
        except let:
            raise
        except ResponseError as error:
            raise from_reply(str(error), getattr(error, "status_code", None)) from None
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            refusal = error if isinstance(error, AuthenticationError) else error.__cause__
            if isinstance(refusal, AuthenticationError):  # the client library counts it as a lost connection
                raise from_reply(str(refusal), refusal.status_code or "WRONGPASS") from None
            if isinstance(error, BusyLoadingError):
                raise from_reply("", "LOADING") from None
            raise StoreUnreachableError(f"the store at {self.url} does not answer") from None
        except RedisError as error:
            raise StoreRefusedError(f"the store's client gave up: {type(error).__name__}") from None

    # The server

    async def ping(self) -> None:
        await self.call("PING")

    async def info(self, *sections: str) -> dict[str, str]:
        text: bytes = await self.call("INFO", *sections)
        lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
        return {name: value for name, sep, value in lines if sep}

    async def check(self) -> dict[str, str]:
        """Whether this server will do; the answer is its INFO. Raises `StoreRefusedError` with the reason if not."""
        info = await self.info()
        version = info.get("redis_version", "0")
        numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
        if tuple(numbers) < OLDEST:
            raise StoreRefusedError(f"the store is Redis {version}; 6.2 or newer is needed")
        if info.get("role") not in {None, "master"}:
            raise StoreRefusedError("the store is a replica; name the primary")
        return info

    # Keys

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self.call("GET", key))

    async def put(
        self, key: str, value: Value, *, only_new: bool = False, milliseconds: int | None = None
    ) -> bool:
        """False where `only_new` found the key."""
        life: tuple[Value, ...] = ("PX", milliseconds) if milliseconds else ()
        return await self.call("SET", key, value, *life, *(("NX",) if only_new else ())) is not None

    async def delete(self, *keys: str) -> int:
        return cast("int", await self.call("DEL", *keys)) if keys else 0

    async def expire(self, key: str, milliseconds: int) -> None:
        await self.call("PEXPIRE", key, milliseconds)

    async def increment(self, key: str, by: int = 1) -> int:
        return cast("int", await self.call("INCRBY", key, by))

    async def keys(self, *pattern: str) -> AsyncIterator[str]:
        """Keys of ours that match, each at least once: `keys("claim", "*")`."""
        cursor: Value = "0"
        while True:
            cursor, found = await self.call("SCAN", cursor, "MATCH", self.key(*pattern), "COUNT", 1000)
            for key in found:
                yield key.decode()
            if int(cursor) == 0:
                return

    # Hashes and sets

    async def hash_get(self, key: str, name: str) -> bytes | None:
        return cast("bytes | None", await self.call("HGET", key, name))

    async def hash_get_many(self, key: str, names: Sequence[str]) -> list[bytes | None]:
        return cast("list[bytes | None]", await self.call("HMGET", key, *names)) if names else []

    async def hash_all(self, key: str) -> dict[str, bytes]:
        found: dict[bytes, bytes] = await self.call("HGETALL", key)
        return {name.decode(): value for name, value in found.items()}

    async def hash_set(self, key: str, fields: Fields) -> None:
        await self.call("HSET", key, *_flat(fields))

    async def hash_delete(self, key: str, *names: str) -> int:
        return cast("int", await self.call("HDEL", key, *names)) if names else 0

    async def set_remove(self, key: str, *members: Value) -> int:
        return cast("int", await self.call("SREM", key, *members)) if members else 0

    async def set_members(self, key: str) -> set[bytes]:
        return set(await self.call("SMEMBERS", key))

    async def sorted_add(self, key: str, scores: Mapping[str, float]) -> None:
        await self.call("ZADD", key, *(part for member, score in scores.items() for part in (score, member)))

    async def sorted_range(self, key: str, low: Value, high: Value, limit: int = 1000) -> list[bytes]:
        """Members with scores from `low` to `high`, lowest first."""
        return cast("list[bytes]", await self.call("ZRANGEBYSCORE", key, low, high, "LIMIT", 0, limit))

    # Streams

    async def stream_add(self, stream: str, fields: Fields) -> str:
        return cast("bytes", await self.call("XADD", stream, "*", *_flat(fields))).decode()

    async def stream_read(
        self, positions: Mapping[str, str], *, count: int, seconds: float | None = None
    ) -> dict[str, list[Entry]]:
        """Entries after each stream's position; with `seconds` it waits that long for the first."""
        block: tuple[Value, ...] = ("BLOCK", max(1, int(seconds * 1000))) if seconds else ()
        command = ("XREAD", "COUNT", count, *block, "STREAMS", *positions, *positions.values())
        found = await (self.wait(seconds, *command) if seconds else self.call(*command))
        return _streams(found)

    async def stream_take(self, positions: Mapping[str, str], *, count: int) -> dict[str, list[Entry]]:
        """As `stream_read` without waiting, for megabytes at once: half the processor time, and a change of thread."""
        command = ("XREAD", "COUNT", count, "STREAMS", *positions, *positions.values())
        taking = self._threads.submit(self._plain.execute_command, *command)
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        return _streams(await self._ask(asyncio.wrap_future(taking)))

    async def stream_range(
        self, stream: str, start: str = "-", end: str = "+", count: int = 1000
    ) -> list[Entry]:
        return _entries(await self.call("XRANGE", stream, start, end, "COUNT", count))

    async def stream_newest(self, stream: str, count: int = 1) -> list[Entry]:
        return _entries(await self.call("XREVRANGE", stream, "+", "-", "COUNT", count))

    async def stream_delete(self, stream: str, *ids: str) -> int:
        return cast("int", await self.call("XDEL", stream, *ids)) if ids else 0

    async def stream_length(self, stream: str) -> int:
        return cast("int", await self.call("XLEN", stream))

    async def stream_trim(self, stream: str, oldest: str) -> int:
        """Drops the entries before `oldest`; never by length, which would drop what nobody has read."""
        return cast("int", await self.call("XTRIM", stream, "MINID", oldest))


def _flat(fields: Fields) -> list[Value]:
    return [part for pair in fields.items() for part in pair]


def _entries(raw: Iterable[Any]) -> list[Entry]:
    return [Entry(entry[0].decode(), entry[1]) for entry in raw]


def _streams(raw: Any) -> dict[str, list[Entry]]:
    return {name.decode(): _entries(entries) for name, entries in raw.items()} if raw else {}
