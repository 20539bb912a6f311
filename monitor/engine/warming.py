"""Has every kernel compiled by small runs of what needs them: the first start says what it waits for.

    loaded from the cache? | two helper processes compile what is missing and end | loaded from the cache

The compiler never gives its memory back, some 800 MB: the process that stays does not compile. What the helpers could
not do it does all the same, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TypeAlias

import structlog
from numba.core import event

from monitor.engine import keeping, rehearsal
from monitor.engine.helpers import Helpers, seldom_collected

Steps: TypeAlias = Generator[Callable[[], bool | None], bool | None, None]
ROUNDS: Final = 2  # the cache may lose one of two writings of one file; the second round compiles only that
COMPILE: Final = "numba:compile"  # the compiler's name for it; loading from the cache is none
log = structlog.get_logger(__name__)


def _said() -> None:
    log.info("kernels.compiling", note="two helper processes do it, once, in the better part of a minute")


def warm_kernels(
    uptime: Callable[[], float], *, arrow: bool = True, compiling: Callable[[], None] = _said
) -> float:
    """Seconds it took: one where the compiled kernels were cached, the better part of a minute where not; `compiling` is
    called before that. `arrow`: those of Arrow frames as well, which would else wait for the first of them.
    """
    began, answer = uptime(), None
    steps = _steps(arrow, threading.Event(), compiling)
    with contextlib.closing(steps), contextlib.suppress(StopIteration):
        while True:
            answer = steps.send(answer)()
    return uptime() - began


async def warmed(
    uptime: Callable[[], float], *, arrow: bool = True, compiling: Callable[[], None] = _said
) -> float:
    """As `warm_kernels`, beside what the loop does. Cancelled, it ends its helpers."""
    began, answer, ended = uptime(), None, threading.Event()
    steps = _steps(arrow, ended, compiling)
    with contextlib.closing(steps), contextlib.suppress(StopIteration):
        try:
            while True:
                answer = await asyncio.to_thread(steps.send(answer))
        finally:
            ended.set()
    return uptime() - began


def _steps(arrow: bool, ended: threading.Event, compiling: Callable[[], None]) -> Steps:
    """What takes time, one after the other; each is sent what it answered."""
    keeping.read_what_is_whole()
    keeping.write_what_has_room()
    loaded = partial(_loaded, arrow, ended)
    if not (yield loaded):
        compiling()
        done = False
        for _ in range(ROUNDS):
            with Helpers(rehearsal.parts.__module__, arrow=arrow) as helpers:
                all_well = yield helpers.wait
            done = bool(all_well and (yield loaded))
            if done or not all_well:
                break
        if not done:
            yield partial(_finish, arrow, ended)


def _loaded(arrow: bool, ended: threading.Event) -> bool:
    """Whether all is in memory now and nothing would have to be compiled; the first that would ends the attempt."""
    try:
        with event.install_listener(COMPILE, _Refusing()):
            _rehearse(arrow, ended)
    except _NotCachedError:
        return False
    return True


def _finish(arrow: bool, ended: threading.Event) -> None:
    """Loads what the helpers left in the cache, and compiles what they did not."""
    with event.install_listener(COMPILE, _Counting()) as counted, seldom_collected():
        _rehearse(arrow, ended)
    if counted.kernels:
        log.warning(
            "kernels.compiled_here", kernels=counted.kernels, note="their compiler's memory stays in use"
        )


def _rehearse(arrow: bool, ended: threading.Event) -> None:
    for part in rehearsal.parts(arrow=arrow):
        if ended.is_set():
            return
        part()


class _NotCachedError(BaseException):
    """A kernel would be compiled. Whatever handles errors on the way lets it pass."""


class _Refusing(event.Listener):
    def on_start(self, event: Any) -> None:  # noqa: ARG002 - the compiler's interface
        raise _NotCachedError

    def on_end(self, event: Any) -> None:
        """What was refused ends at once."""


class _Counting(event.Listener):
    kernels = 0

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - the compiler's interface
        self.kernels += 1

    def on_end(self, event: Any) -> None:
        """Counted when it began."""
