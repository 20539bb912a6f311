"""`forestall` and `python -m monitor`."""

from __future__ import annotations

from monitor.cli.ending import interrupted_at_start


def main() -> None:
    interrupted_at_start(_verbs)


def _verbs() -> None:
    from monitor.cli.main import main as verbs

    verbs()


if __name__ == "__main__":
    main()
