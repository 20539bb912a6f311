"""How a verb ends that somebody ends: words on stderr and the exit code that a shell gives."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class PipeClosedError(Exception):
    """Who reads what a verb prints has gone away (`| head`). Not an `OSError`: the command line's library ends with 1 at
    one, and it is nobody's failure.
    """


class InterruptedVerbError(Exception):
    """Somebody pressed Ctrl-C, or SIGTERM came; `code` is for `sys.exit`."""

    def __init__(self, code: int) -> None:
        super().__init__("interrupted" if code == INTERRUPTED else "ended by SIGTERM")
        self.code = code


@contextmanager
def as_our_own() -> Iterator[None]:
    """What the command line's library would end in its own way, for `main` to end in ours."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedVerbError(TERMINATED if error.args == (TERMINATED,) else INTERRUPTED) from None
    except BrokenPipeError:
        raise PipeClosedError from None
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # where rich was printing: it exits with 1
            raise PipeClosedError from None
        raise


@contextmanager
def terminated_cleanly() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that nothing is left behind, with a code of its own."""
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.raise_signal(signal.SIGINT)  # which an event loop knows how to end its tasks at

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(TERMINATED if came else INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
