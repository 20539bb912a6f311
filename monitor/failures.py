"""Errors that an operator can mend, as one clear line each; everything else is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.loading import ConfigError
from monitor.checkpoint import CheckpointError
from monitor.cli.output import USAGE, Failed
from monitor.embedded import EmbeddedStoreError
from monitor.feeds.registry import FeedConfigError
from monitor.files import FileError
from monitor.intake import IntakeBusyError
from monitor.ownership import FolderTakenError
from monitor.server import PortTaken
from notifier.outbox import FencedError
from notifier.store import StoreError

OPERATOR = (
    StoreError,
    EmbeddedStoreError,
    CheckpointError,
    FencedError,
    FolderTakenError,
    PortTaken,
    FileError,
    IntakeBusyError,
)


@contextmanager
def told_to_operator() -> Iterator[None]:
    try:
        yield
    except (ConfigError, FeedConfigError) as error:
        raise Failed(*error.problems, code=USAGE) from None
    except FileError as error:
        raise Failed(str(error), code=USAGE) from None
    except OPERATOR as error:
        raise Failed(str(error)) from None
    except BaseExceptionGroup as group:
        mine, rest = group.split(OPERATOR)
        if rest is not None or mine is None:
            raise
        raise Failed(*dict.fromkeys(map(str, _leaves(mine)))) from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
