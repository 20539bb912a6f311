"""`forestall` and `python -m monitor`."""

from __future__ import annotations

import sys

from monitor.cli.ending import INTERRUPTED


def main() -> None:
    try:
        from monitor.cli.main import main as verbs

        verbs()
    except KeyboardInterrupt:  # while the modules of the verbs are still being read
        print("forestall: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
