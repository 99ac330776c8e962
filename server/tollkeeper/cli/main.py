"""The command `tollkeeper`: puts the groups together, and turns a failure into an exit code."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from tollkeeper import __version__
from tollkeeper.cli import (
    account,
    account_changes,
    account_prices,
    alerts,
    consumption,
    debit,
    explain,
    gateway,
    grant,
    loadtest,
    migrate,
    overview,
    prices,
    prices_diff,
    prices_openapi,
    prices_show,
    recurring,
    recurring_replace,
    refund,
    serve,
    statement,
    totals,
    verify,
    webhook,
    webhook_deliveries,
)
from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.options import examples

commands = typer.Typer(
    name="tollkeeper",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("tollkeeper serve --prices prices.toml", "tollkeeper overview acme"),
)
_GROUPS = (
    serve,
    migrate,
    verify,
    grant,
    debit,
    refund,
    gateway,
    overview,
    explain,
    statement,
    consumption,
    totals,
    loadtest,
    alerts,
)
for _group in _GROUPS:
    commands.add_typer(_group.commands)
for _more in (account_changes.commands, account_prices.commands, alerts.account_commands):
    account.commands.add_typer(_more)
commands.add_typer(
    account.commands,
    name="account",
    help="Open, look at, change and close accounts.",
    epilog=examples("tollkeeper account create acme"),
)
recurring.commands.add_typer(recurring_replace.commands)
commands.add_typer(
    recurring.commands,
    name="recurring",
    help="Give credits every day, week, month or year, as a plan does.",
    epilog=examples("tollkeeper recurring create acme 10000 --every month"),
)

for _more in (prices_show.commands, prices_diff.commands, prices_openapi.commands):
    prices.commands.add_typer(_more)
commands.add_typer(
    prices.commands,
    name="prices",
    help="Publish, compare and look at price lists; write them into an API reference.",
    epilog=examples("tollkeeper prices publish prices.toml"),
)
webhook.commands.add_typer(webhook_deliveries.commands)
commands.add_typer(
    webhook.commands,
    name="webhook",
    help="Say who is told of threshold events by HTTP, and see what became of it.",
    epilog=examples("tollkeeper webhook create https://example.com/events"),
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer's callback
    if asked:
        typer.echo(f"tollkeeper {__version__}")
        raise typer.Exit


@commands.callback()
def tollkeeper(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Meter requests: fixed prices, credits held before and charged after, one ledger.

    serve, migrate and verify open the database; all other commands ask a running server.
    """


def main() -> None:
    """Run the command line of this process."""
    try:
        commands(prog_name="tollkeeper")
    except CommandError as error:
        fail(error)


def fail(error: CommandError) -> NoReturn:
    """End the process as a failure asks for."""
    sys.stderr.write(error.message + "\n")
    sys.exit(error.code)
