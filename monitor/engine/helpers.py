"""Processes that compile kernels into the cache and end: the compiler's memory goes with them.

They draw the parts of the rehearsal from one pipe, so that both are busy until the end. A helper whose daemon is gone
(kill -9) ends after the part it has in hand, within half a minute; what it compiled stays in the cache.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypeAlias

import structlog

from monitor.engine import keeping

HELPERS: Final = 2
LARGE: Final = 600_000_000  # bytes: two helpers that have grown larger are too much for a small machine
_MODULE: Final = "monitor.engine.helpers"
_ARROW: Final = "--arrow"
_BEHIND: Final = 10  # as `os.nice` takes it: what nobody waits for
_SELDOM: Final = (50_000, 20, 20)  # as `gc.set_threshold` takes it
Parts: TypeAlias = Sequence[Callable[[], None]]
log = structlog.get_logger(__name__)


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """The compiler makes objects by the hundred thousand, and to look through them as often as usual for garbage takes
    a fifth of its time. Never looking would take twice the memory.
    """
    usual = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class Helpers:
    """Started on entering; whoever still works on leaving is ended."""

    def __init__(self, parts: Callable[..., Parts], *, arrow: bool = False, waited_for: bool = True) -> None:
        """`parts`: a function of a module; they share what it returns. `arrow`: what it is called with, if true.
        `waited_for`: or else what this process does goes first.
        """
        self._parts, self._arrow = parts, arrow
        self._nice = 0 if waited_for else _BEHIND
        self._ending, self._wanted = False, 0
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def __enter__(self) -> Self:
        drawn, filled = os.pipe()
        try:
            parts = len(_of(self._parts, arrow=self._arrow))
            self._wanted = min(parts, HELPERS)
            os.write(filled, bytes(range(parts)))
            os.close(filled)  # or nobody would see the end
            for _ in range(self._wanted):
                self._start(drawn)
        except OSError as error:
            log.warning("kernels.helper_failed", why=str(error))
        finally:
            os.close(drawn)
        return self

    def _start(self, parts: int) -> None:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the helper has ended
        # Modules are found where this process finds them, not in the working directory.
        parts_of = f"{self._parts.__module__}:{self._parts.__name__}"
        command = [sys.executable, "-P", "-m", _MODULE, str(os.getpid()), parts_of, str(self._nice)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command += [_ARROW] if self._arrow else []
        try:
            helper = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=parts,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                process_group=0,  # who interrupts the daemon from a terminal interrupts it alone: it ends them
            )
        except OSError:
            errors.close()
            raise
        self._running.append((helper, errors))

    def wait(self) -> bool:
        """Until all have ended; whether they did all that they drew. Says of whom failed what it said last."""
        all_well = len(self._running) == self._wanted
        for helper, errors in self._running:
            code = helper.wait()
            if code and not self._ending:
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                log.warning("kernels.helper_failed", code=code, why=last)
                all_well = False
        return all_well

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        for helper, errors in self._running:
            helper.terminate()  # does nothing to one that has been waited for
            helper.wait()
            errors.close()


def _of(parts: Callable[..., Parts], *, arrow: bool) -> Parts:
    return parts(arrow=True) if arrow else parts()


def _drawn(parent: int) -> Iterator[int]:
    """Numbers of parts, while there are any and the parent lives."""
    while os.getppid() == parent and (number := os.read(sys.stdin.fileno(), 1)):
        yield number[0]


def main() -> None:
    keeping.read_what_is_whole()  # and where nothing can be written it is of no use
    nice = int(sys.argv[3])
    if os.getpriority(os.PRIO_PROCESS, 0) < nice:  # one that began anew has gone behind already
        os.nice(nice)
    module, name = sys.argv[2].split(":")
    parts = _of(getattr(importlib.import_module(module), name), arrow=_ARROW in sys.argv)
    with seldom_collected():
        for number in _drawn(int(sys.argv[1])):
            parts[number]()
            if resident() > LARGE:  # begins anew, as the same process
                os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves


def resident() -> int:
    """Bytes of memory in use; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


if __name__ == "__main__":
    main()
