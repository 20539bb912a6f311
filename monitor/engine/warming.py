"""Has every kernel compiled by small runs of what needs them: the first start says what it waits for.

    loaded from the cache? | two helper processes compile what is missing and end | loaded from the cache

The compiler never gives its memory back, some 800 MB: the process that stays does not compile. What the helpers could
not do it does all the same, and says so. What a daemon can do without (`rehearsal.later`) is compiled while it is at work.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import structlog
from numba.core import event

from monitor.engine import keeping, rehearsal
from monitor.engine.helpers import Helpers, Parts, seldom_collected
from monitor.linerows import PRESENCE

Steps: TypeAlias = Generator[Callable[[], bool | None], bool | None, None]
ROUNDS: Final = 2  # the cache may lose one of two writings of one file; the second round compiles only that
COMPILE: Final = "numba:compile"  # the compiler's name for it; loading from the cache is none
log = structlog.get_logger(__name__)


def _said() -> None:
    log.info("kernels.compiling", note="two helper processes do it, once, in the better part of a minute")


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    parts: Callable[..., Parts]
    arrow: bool = False
    waited_for: bool = True
    ended: threading.Event = field(default_factory=threading.Event)

    def helpers(self) -> Helpers:
        return Helpers(self.parts, arrow=self.arrow, waited_for=self.waited_for)

    def run(self) -> None:
        for part in self.parts(arrow=True) if self.arrow else self.parts():
            if self.ended.is_set():
                return
            part()


def warm_kernels(
    uptime: Callable[[], float], *, arrow: bool = True, compiling: Callable[[], None] = _said
) -> float:
    """Seconds it took: one where the compiled kernels were cached, the better part of a minute where not; `compiling` is
    called before that. `arrow`: those of Arrow frames as well, which would else wait for the first of them.
    """
    began, answer = uptime(), None
    for steps in (_steps(_Rehearsal(rehearsal.parts, arrow), compiling), _steps(_rest(), _nothing)):
        with contextlib.closing(steps), contextlib.suppress(StopIteration):
            while True:
                answer = steps.send(answer)()
        answer = None
    PRESENCE.here = True
    return uptime() - began


async def warmed(
    uptime: Callable[[], float], *, arrow: bool = True, compiling: Callable[[], None] = _said
) -> float:
    """As `warm_kernels`, beside what the loop does, without what can come later (`completing`). Cancelled, it ends its
    helpers.
    """
    began = uptime()
    await _run(_Rehearsal(rehearsal.parts, arrow), compiling)
    PRESENCE.here = await asyncio.to_thread(_loaded, _rest())
    return uptime() - began


@contextlib.asynccontextmanager
async def completing(uptime: Callable[[], float]) -> AsyncIterator[asyncio.Task[None]]:
    """Meanwhile a helper compiles what `warmed` has left out; done when that is loaded. Nothing is compiled or loaded in
    the loop's own thread.
    """
    task = asyncio.create_task(_complete(uptime))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _complete(uptime: Callable[[], float]) -> None:
    if PRESENCE.here:
        return
    began = uptime()
    try:
        await _run(_rest(), _nothing)
    except Exception as error:  # noqa: BLE001 - lines are decoded in full until the next start
        log.warning("kernels.incomplete", why=type(error).__name__)
        return
    PRESENCE.here = True
    log.info("kernels.complete", seconds=round(uptime() - began, 1))


async def _run(wanted: _Rehearsal, compiling: Callable[[], None]) -> None:
    answer, steps = None, _steps(wanted, compiling)
    with contextlib.closing(steps), contextlib.suppress(StopIteration):
        try:
            while True:
                answer = await asyncio.to_thread(steps.send(answer))
        finally:
            wanted.ended.set()


def _rest() -> _Rehearsal:
    return _Rehearsal(rehearsal.later, waited_for=False)


def _nothing() -> None:
    """Nobody waits."""


def _steps(wanted: _Rehearsal, compiling: Callable[[], None]) -> Steps:
    """What takes time, one after the other; each is sent what it answered."""
    keeping.read_what_is_whole()
    keeping.write_what_has_room()
    loaded = partial(_loaded, wanted)
    if not (yield loaded):
        compiling()
        done = False
        for _ in range(ROUNDS):
            with wanted.helpers() as helpers:
                all_well = yield helpers.wait
            done = bool(all_well and (yield loaded))
            if done or not all_well:
                break
        if not done:
            yield partial(_finish, wanted)


def _loaded(wanted: _Rehearsal) -> bool:
    """Whether all is in memory now and nothing would have to be compiled; the first that would ends the attempt."""
    try:
        with event.install_listener(COMPILE, _Refusing()):
            wanted.run()
    except _NotCachedError:
        return False
    return True


def _finish(wanted: _Rehearsal) -> None:
    """Loads what the helpers left in the cache, and compiles what they did not."""
    with event.install_listener(COMPILE, _Counting()) as counted, seldom_collected():
        wanted.run()
    if counted.kernels:
        log.warning(
            "kernels.compiled_here", kernels=counted.kernels, note="their compiler's memory stays in use"
        )


class _NotCachedError(BaseException):
    """A kernel would be compiled. Whatever handles errors on the way lets it pass."""


class _Refusing(event.Listener):
    """For its own thread: what others compile meanwhile is their affair."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - the compiler's interface
        if threading.get_ident() == self._thread:
            raise _NotCachedError

    def on_end(self, event: Any) -> None:
        """What was refused ends at once."""


class _Counting(event.Listener):
    kernels = 0

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - the compiler's interface
        self.kernels += 1

    def on_end(self, event: Any) -> None:
        """Counted when it began."""
