"""`python -m benchmarks.detection [table ...]`: detection quality, ours beside the anchors, from seeds and open data."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from benchmarks.detection.tables import Options

# A table is a function of `Options` that prints; one line each.
TABLES = {
    "weekly": "benchmarks.detection.weekly_table",
    "daily": "benchmarks.detection.daily_table",
    "survstat": "benchmarks.detection.survstat_table",
    "nab": "benchmarks.detection.nab_table",
    "worlds": "benchmarks.detection.worlds_table",
    "late": "benchmarks.detection.late_table",
    "young": "benchmarks.detection.young_table",
    "impossible": "benchmarks.detection.impossible_table",
    "habits": "benchmarks.detection.habits_table",
}
SHARED = Path(__file__).parents[3] / "shared" / "data"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}; none: all of them"
    )
    parser.add_argument("--seed", type=int, default=2026, help="of everything that is generated")
    parser.add_argument("--series", type=int, default=10, help="a scenario or signal")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with the open data sets")
    parser.add_argument(
        "--r-series", type=int, default=1, help="a scenario or signal for R, which is slow; 0: none"
    )
    parser.add_argument(
        "--seeds", type=_numbers, default=(), help="of worlds, as 201,202; none: five from --seed on"
    )
    parser.add_argument(
        "--scenarios", type=_words, help="of worlds, as calm,hub_jam,signatures,silence; none: all"
    )
    chosen = parser.parse_args()
    options = Options(
        chosen.seed, chosen.series, chosen.data, chosen.r_series, chosen.seeds, chosen.scenarios
    )
    for name in chosen.tables or TABLES:
        if name not in TABLES:
            parser.error(f"no table {name}; there are {', '.join(TABLES)}")
        import_module(TABLES[name]).table(options)


if __name__ == "__main__":
    main()
