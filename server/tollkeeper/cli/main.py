"""The command `tollkeeper`: puts the groups together, and turns a failure into an exit code."""

from __future__ import annotations

import contextlib
import sys
import traceback
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
    terminal,
    totals,
    verify,
    webhook,
    webhook_deliveries,
)
from tollkeeper.cli.failure import CommandError, ExitCode, Why
from tollkeeper.cli.help_page import make_helpful
from tollkeeper.cli.json_form import to_json_line
from tollkeeper.cli.options import examples
from tollkeeper.cli.usage import asks_for_json, usage_error

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
        terminal.write(f"tollkeeper {__version__}\n")
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


make_helpful(commands)


def main() -> None:
    """Run the command line of this process."""
    terminal.prepare()
    arguments = sys.argv[1:]
    as_json = asks_for_json(arguments)
    try:
        code = _run(arguments)
        terminal.flush()
    except terminal.ReaderGoneError:
        terminal.let_go()
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


def fail(error: CommandError, *, as_json: bool = False) -> NoReturn:
    """End the process as a failure asks for."""
    with contextlib.suppress(terminal.ReaderGoneError):
        terminal.flush()
    if as_json:
        terminal.tell(to_json_line(error.values()) + "\n")
    elif not error.told:
        terminal.tell(error.message + "\n")
    sys.exit(error.code)


def _interrupted() -> CommandError:
    return CommandError("interrupted", ExitCode.INTERRUPTED, reason=Why.INTERRUPTED)


def _unexpected(error: Exception) -> CommandError:
    return CommandError(
        f"{type(error).__name__}: this is a fault of tollkeeper; the lines before say where",
        reason=Why.INTERNAL_ERROR,
    )
