"""What policy would do and say, what the ledger holds, and a customer's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.books import with_books
from monitor.cli.checks import MOST_DAYS, MOST_MONEY, new_file, number
from monitor.cli.client import user
from monitor.cli.output import FAILED, USAGE, Failed, as_json, data, say, settings, table
from monitor.cli.uplift import uplift

if TYPE_CHECKING:
    from monitor.bookkeeping import Books
    from notifier.templates import Rendered

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the audit log.")]


def register(app: typer.Typer) -> None:
    policy = typer.Typer(no_args_is_help=True)
    policy.command("explain")(explain)
    policy.command("check")(check)
    app.add_typer(policy, name="policy", help="What is done about which finding.")
    app.command()(preview)
    app.command()(uplift)
    ledger = typer.Typer(no_args_is_help=True)
    for verb in (verify, receivers, reconcile):
        ledger.command()(verb)
    ledger.command("export")(export_audit)
    app.add_typer(ledger, name="ledger", help="The books: verified, compared with the shop, exported.")
    customer = typer.Typer(no_args_is_help=True)
    customer.command("export")(export_customer)
    customer.command("erase")(erase_customer)
    app.add_typer(customer, name="customer", help="A customer's own data.")


def explain(
    finding: Annotated[
        str, typer.Argument(help="A finding or parcel of this daemon, or a kind: promise_broken")
    ],
    config: Config = None,
    *,
    score: float = typer.Option(0.9, callback=number(0, 1), help="Of a kind: how sure the finding is."),
    order_value: float = typer.Option(
        129.0, callback=number(0, MOST_MONEY), help="Of a kind: in major units."
    ),
    tier: str | None = typer.Option(None, help="Of a kind: the customer's tier."),
    open_ticket: bool = typer.Option(
        False, "--open-ticket", help="Of a kind: the customer talks to a person."
    ),
    json: Json = False,
) -> None:
    """Each question that policy asks about a finding, with its answer; nothing is decided."""
    from monitor.bookkeeping import explain_finding, explain_kind

    chosen = settings(config).settings
    steps = explain_kind(chosen, finding, score, order_value, tier, open_ticket=open_ticket)
    if steps is None:
        steps = with_books(config, lambda books: explain_finding(books, finding))
    if steps is None:
        raise Failed(f"{finding}: neither a kind of finding nor one that this daemon knows")
    rows = [
        {
            "question": one.question,
            "answer": "yes" if one.passed else "no",
            "detail": one.detail,
            "reason": one.reason,
        }
        for one in steps
    ]
    table(rows, ("question", "answer", "detail", "reason"), json=json)


def check(
    file: Annotated[Path | None, typer.Argument(help="A policy pack; none: the configured one.")] = None,
) -> None:
    """Strict validation of a pack and of every template that it speaks in."""
    from config.loading import ConfigError
    from config.policies import load_pack
    from monitor.assembly import templates_of

    try:
        pack = load_pack(file)
        templates_of(settings(None).settings, pack)
    except ConfigError as error:
        raise Failed(*error.problems, code=USAGE) from None
    say(f"{pack.fingerprint}: {len(pack.rules)} rules, all right")


def preview(
    template: Annotated[str | None, typer.Argument(help="None: all of them.")] = None,
    config: Config = None,
    *,
    locale: str | None = typer.Option(None, help="None: every locale that there is."),
    json: Json = False,
) -> None:
    """Messages as their readers see them, with sample data, and what they cost as SMS."""
    from notifier.templates import TemplateProblemError, Templates

    chosen = settings(config).settings
    templates = Templates(chosen.policy.templates, chosen.timezone)
    try:
        for name in [template] if template else templates.names():
            templates.check([name])
            for found in [locale] if locale else templates.locales(name):
                variants = templates.variants(name, found)
                for variant, shown in variants:
                    _show(name, variant if len(variants) > 1 else "", shown, json=json)
    except TemplateProblemError as error:
        raise Failed(str(error), code=USAGE) from None


def _show(name: str, variant: str, shown: Rendered, *, json: bool) -> None:
    if json:
        sms = {"encoding": shown.sms.encoding, "segments": shown.sms.count}
        text = {"title": shown.title, "body": shown.body}
        data(as_json({"template": name, "variant": variant, "locale": shown.locale, **text, **sms}))
    else:
        about = ", ".join(filter(None, (shown.locale, variant, f"{shown.sms.count} SMS")))
        data(f"{name} ({about})\n  {shown.title}\n  {shown.body}\n")


def verify(config: Config = None) -> None:
    """Whether chain, records and budgets of the ledger agree; every disagreement in one line."""
    problems = with_books(config, lambda books: books.audit.verify())
    for line in problems:
        data(line)
    if problems:
        raise typer.Exit(FAILED)
    say("the chain, every record and every budget agree")


def receivers(
    config: Config = None,
    *,
    days: int = typer.Option(90, callback=number(1, MOST_DAYS), help="How far back."),
    limit: int = typer.Option(20, callback=number(1, 1_000_000)),
    json: Json = False,
) -> None:
    """Who got most: where abuse shows first."""
    from notifier.ops_message import money_text

    async def ask(books: Books) -> list[Any]:
        found = await books.audit.receivers(books.as_of - days * 86_400_000, limit)
        currency = books.pack.currency
        return [
            {
                "customer_id": one.customer_id,
                "amount": money_text({currency: one.amount}, "en"),
                "minor_units": one.amount,
                "coupons": one.coupons,
                "actions": one.actions,
            }
            for one in found
        ]

    table(with_books(config, ask), ("customer_id", "amount", "coupons", "actions"), json=json)


def reconcile(config: Config = None) -> None:
    """Compare all codes with the coupon shop, and ask about what is unknown; before `release` after a restore."""
    from notifier.sending import CouponsUnavailableError

    async def ask(books: Books) -> tuple[int, Any, dict[str, int]]:
        forgotten = await books.reminder.remind(books.now)
        return (
            forgotten,
            await books.reconciler.shop(books.now),
            await books.reconciler.unknowns(books.now),
        )

    try:
        forgotten, found, unknowns = with_books(config, ask)
    except CouponsUnavailableError as error:
        raise Failed(f"{error}: the shop does not list its codes; nothing is concluded, hold on") from None
    say(f"{found.at_shop} codes at the shop, {found.unknown_to_us} of them unknown here and now kept")
    if forgotten:
        say(f"{forgotten} words left that this store does not know of: they are not said again, but unknown")
    if found.found:
        say(f"{len(found.found)} claims were there before we asked: done, their words unknown")
    say(
        f"unknown sends: {unknowns['done']} done, {unknowns['failed']} not delivered, {unknowns['retry']} sent again, "
        f"{unknowns['unknown']} without an answer"
    )
    for action in found.missing:
        data(f"{action}: done here, not at the shop")
    for action in found.unpaid:
        data(f"{action}: at the shop, given up here")
    if found.missing or found.unpaid:
        raise typer.Exit(FAILED)


def export_audit(
    out: Annotated[Path, typer.Argument(help=".ndjson or .parquet")], config: Config = None
) -> None:
    """Every change of state of every claim: who, when, why, from where."""
    from monitor.bookkeeping import write_audit

    if out.suffix not in {".ndjson", ".parquet"}:
        raise Failed(f"{out}: name it .ndjson or .parquet", code=USAGE)
    new_file(out)
    try:
        count = with_books(config, lambda books: write_audit(books, out))
    except OSError as error:  # polars names no file
        raise Failed(f"{out}: {error.strerror or 'cannot be written'}") from None
    say(f"{out}: {count} entries")


def export_customer(customer_id: str, config: Config = None) -> None:
    """All that is known of a customer, as JSON: decisions, coupons, consent, orders with their contact."""
    from monitor.customer_data import export

    data(as_json(with_books(config, lambda books: export(books.store, books.audit, customer_id))))


def erase_customer(customer_id: str, config: Config = None, *, reason: Reason = "") -> None:
    """Take a customer's name and contact out; what was decided and paid stays in the books without them."""
    from monitor.customer_data import STAYS, Erased, erase
    from notifier.ledger import Person

    async def ask(books: Books) -> Erased:
        person = Person(user(), reason or "erasure", "cli")
        return await erase(books.store, books.ledger, books.audit, customer_id, person, books.now)

    done = with_books(config, ask)
    say(f"{done.actions} actions without the name now")
    say(f"deleted: {done.letters} dead letters and {done.events} waiting events that spoke of the customer")
    for place in STAYS:
        say(f"left in {place}")
    if done.left:
        raise Failed(f"being sent or unknown, try again when they are settled: {', '.join(done.left)}")
