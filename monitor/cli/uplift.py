"""What the apologies are worth: the treated against the holdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.books import with_books
from monitor.cli.checks import MOST_DAYS, number
from monitor.cli.output import as_json, data, table

if TYPE_CHECKING:
    from monitor.bookkeeping import Books
    from monitor.uplift import Uplift

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def uplift(
    config: Config = None,
    *,
    days: int = typer.Option(90, callback=number(1, MOST_DAYS), help="Decisions of so many days."),
    within: int = typer.Option(
        14, callback=number(1, MOST_DAYS), help="Each customer is watched for so many days."
    ),
    json: Json = False,
) -> None:
    """Complaints averted: the treated against the holdout, with an interval that may be looked at at any time."""
    from monitor.averted import uplift as measured

    async def ask(books: Books) -> Any:
        return await measured(books.ledger, books.store, books.as_of, window=days, within=within)

    found = with_books(config, ask)
    if json:
        data(as_json(found.record()))
        return
    rows = [
        {"arm": name, "customers": one.customers, "complained": one.complained, "rate": _percent(one.rate)}
        for name, one in (("treated", found.treated), ("holdout", found.holdout))
    ]
    table(rows, ("arm", "customers", "complained", "rate"), json=False)
    for line in _verdict(found, within):
        data(line)


def _percent(rate: float) -> str:
    return "-" if rate != rate else f"{100 * rate:.2f} %"  # noqa: PLR0124 -- not a number: nobody in that arm


def _verdict(found: Uplift, within: int) -> list[str]:
    if not found.treated.customers and not found.holdout.customers:
        return [
            f"too few customers to tell: nobody has been watched for {within} days yet since the first decision"
        ]
    if found.averted is None or found.low is None or found.high is None:
        more = f"; some {found.needed:,} customers would show a quarter averted" if found.needed else ""
        return ["too few customers or complaints to tell" + more]
    said = {"fewer": "the treated complain less", "more": "the treated complain more"}
    points, interval = f"{100 * found.averted:.2f}", f"{100 * found.low:.2f} to {100 * found.high:.2f}"
    verdict = said.get(found.verdict, "not clear yet")
    lines = [f"averted: {points} points, 95 % interval {interval}, valid at every look: {verdict}"]
    for currency, (cost, most) in found.cost_per_averted().items():
        bound = f"at most {_money(most, currency)}" if most is not None else "no upper bound yet"
        lines.append(f"one averted complaint costs {_money(cost, currency)}, {bound}")
    return lines


def _money(amount: float, currency: str) -> str:
    from notifier.ops_message import money_text

    return money_text({currency: round(amount)}, "en")
