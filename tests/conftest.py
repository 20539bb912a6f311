"""What every test shares: one real Valkey a worker, emptied for each test that asks for it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from monitor.embedded import EmbeddedStore
from monitor.standin import Standin
from notifier.store import Store
from tests.clock import SECRET, Clock
from tests.memory import Memory

# Tests never assert a time: the first call of a kernel compiles it.
settings.register_profile("forestall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("forestall")

MEMORY = Memory()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    yield
    MEMORY.give_back()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests are marked `@pytest.mark.anyio` and run on asyncio's own loop."""
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A running server of this worker, with the settings of production.

    `STORE_SERVER=redis-server make test` runs every test on that server instead.
    """
    other = os.environ.get("STORE_SERVER")
    embedded = EmbeddedStore(
        tmp_path_factory.mktemp("valkey"),
        maxmemory_mb=512,
        allow_unsafe_folder=True,
        binary=Path(program(other)) if other else None,
    )
    asyncio.run(embedded.start())
    yield embedded
    asyncio.run(embedded.stop())


@pytest.fixture
async def store(valkey: EmbeddedStore, anyio_backend: object) -> AsyncIterator[Store]:
    """An empty store."""
    async with Store(valkey.url) as store:
        await store.call("FLUSHALL")
        yield store


@pytest.fixture
def clock() -> Clock:
    """The time of a whole daemon (`tests.whole`)."""
    return Clock()


@pytest.fixture
def standin(clock: Clock) -> Standin:
    """The providers behind it."""
    return Standin(secret=SECRET, clock=clock)


def program(name: str) -> str:
    """The path of a program of the operating system; skips in one line where it is missing, fails in CI."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed"
        if os.environ.get("FORESTALL_REQUIRE_SYSTEM") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def requires() -> Callable[[str], str]:
    """`requires("promtool")` is the program's path, or the end of the test."""
    return program


async def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    # Long enough for a daemon that compiles its kernels first, on a busy machine.
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (other processes set no event)
            await asyncio.sleep(0.005)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """`await eventually(lambda: ...)`: waits for what another process or task does, and fails after a while."""
    return until


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server_binary(request: pytest.FixtureRequest) -> Path | None:
    """For tests that must hold on both servers: the embedded one (None) and Debian's Redis."""
    return Path(program("redis-server")) if request.param == "redis" else None
