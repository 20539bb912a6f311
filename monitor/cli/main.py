"""`forestall VERB`. Human text on stderr, data on stdout; 0 done, 1 failed, 2 bad usage or bad config, 130 and 143 ended
by Ctrl-C and SIGTERM.

Verbs import what they need when they run: `forestall --help` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from monitor import __version__
from monitor.cli import console_streams, daemon, feeds, files, kernel_cache, money, people, setup
from monitor.cli.checks import not_empty
from monitor.cli.ending import InterruptedVerbError, PipeClosedError, as_our_own
from monitor.cli.output import Failed, say

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Verbs(TyperGroup):
    def make_context(self, *args: Any, **extra: Any) -> Any:
        with as_our_own():  # `--help` prints here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with as_our_own():
            return super().invoke(ctx)


app = typer.Typer(
    name="forestall",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Lets an online shop apologise before the customer complains.",
)
for part in (daemon, feeds, files, people, money, setup):
    part.register(app)


@app.callback(invoke_without_command=True)
def version(*, show: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if show:
        print(f"forestall {__version__}")  # noqa: T201
        raise typer.Exit


def main() -> None:
    console_streams.mend()
    kernel_cache.ensure(os.environ, Path(__file__).parents[1])
    try:
        not_empty(sys.argv[1:])
        app()
    except Failed as error:
        for line in error.lines:
            say(f"forestall: {line}")
        sys.exit(error.code)
    except InterruptedVerbError as error:
        say(f"forestall: {error}")
        sys.exit(error.code)
    except PipeClosedError:
        # What is still to be written at the end goes nowhere, as nobody is left to read it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise
        say(f"forestall: {error.filename or 'a file'}: {error.strerror}")
        sys.exit(1)
