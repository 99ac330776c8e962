"""The command `tollkeeper`: puts the groups together, and turns a failure into an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from tollkeeper import __version__
from tollkeeper.cli import gateway, loadtest
from tollkeeper.cli.accounts import (
    account,
    alerts,
    changes,
    debit,
    grant,
    price_list,
    recurring,
    recurring_replace,
    refund,
)
from tollkeeper.cli.ending import fail
from tollkeeper.cli.failure import CommandError, ExitCode, Why
from tollkeeper.cli.options import examples
from tollkeeper.cli.prices import annotate_openapi, diff, publish, show
from tollkeeper.cli.reports import consumption, explain, overview, statement, totals
from tollkeeper.cli.serve import migrate, serve, verify
from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.help_page import make_helpful
from tollkeeper.cli.tls_options import add_tls_options
from tollkeeper.cli.usage import asks_for_json, usage_error
from tollkeeper.cli.webhooks import deliveries, webhook

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
for _more in (changes.commands, price_list.commands, alerts.account_commands):
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

for _more in (show.commands, diff.commands, annotate_openapi.commands):
    publish.commands.add_typer(_more)
commands.add_typer(
    publish.commands,
    name="prices",
    help="Publish, compare and look at price lists; write them into an API reference.",
    epilog=examples("tollkeeper prices publish prices.toml"),
)
webhook.commands.add_typer(deliveries.commands)
commands.add_typer(
    webhook.commands,
    name="webhook",
    help="Say who is told of threshold events by HTTP, and see what became of it.",
    epilog=examples("tollkeeper webhook create https://example.com/events"),
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        streams.write(f"tollkeeper {__version__}\n")
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


add_tls_options(commands)
make_helpful(commands)


def main() -> None:
    """Run the command line of this process."""
    streams.prepare()
    arguments = sys.argv[1:]
    as_json = asks_for_json(arguments)
    try:
        code = _run(arguments)
        streams.flush()
    except streams.ReaderGoneError:
        streams.let_go()
        sys.exit(ExitCode.READER_GONE)
    except CommandError as error:
        fail(error, as_json=as_json)
    except Exception as error:
        if as_json:
            traceback.print_exc()
            fail(_unexpected(error), as_json=True)
        raise
    if code == ExitCode.INTERRUPTED and as_json:
        fail(_interrupted(), as_json=True)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Carry out a command and return its exit code. Raises CommandError."""
    try:
        ended = typer.main.get_command(commands).main(
            arguments, prog_name="tollkeeper", standalone_mode=False
        )
    except typer.TyperException as error:
        raise usage_error(error) from None
    except typer.Abort:
        return ExitCode.INTERRUPTED
    return ended if isinstance(ended, int) else ExitCode.OK


def _interrupted() -> CommandError:
    return CommandError("interrupted", ExitCode.INTERRUPTED, reason=Why.INTERRUPTED)


def _unexpected(error: Exception) -> CommandError:
    return CommandError(
        f"{type(error).__name__}: this is a fault of tollkeeper; the lines before say where",
        reason=Why.INTERNAL_ERROR,
    )
