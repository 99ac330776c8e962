"""`tollkeeper verify`: checks every invariant of the ledger, in one snapshot of the database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.options import SECONDS_MAX, Config, Database, Json, examples
from tollkeeper.cli.serve.database import database_failures, load_settings
from tollkeeper.cli.terminal.screen import console, count, print_json_value, table
from tollkeeper.core.commands import ListAccounts

if TYPE_CHECKING:
    from tollkeeper.core.answers.views import Finding
    from tollkeeper.engine.ports import Reader, Store

INVARIANTS = 13
PAGE_SIZE = 1000
US_PER_S = 1_000_000

ANSWER_WITHIN_S = 4 * 3_600.0
"""How long the database may work before it answers: it sorts the whole ledger, and no caller is kept waiting."""

commands = typer.Typer()


@commands.command(
    "verify",
    epilog=examples(
        "tollkeeper verify", "tollkeeper verify --database sqlite:///tollkeeper.db --json"
    ),
)
def verify(
    *,
    database: Database = None,
    config: Config = None,
    overdue_tolerance_s: Annotated[
        int,
        typer.Option(
            "--overdue-tolerance",
            min=0,
            max=SECONDS_MAX,
            metavar="S",
            help="How long after its deadline a hold may still be open. Without a running server, "
            "nothing ends holds.",
        ),
    ] = 60,
    json: Json = False,
) -> None:
    """Check that credits are neither made nor lost; exit code 1 means that an account is wrong, and names it."""
    from tollkeeper.storage.schema import migrate  # noqa: PLC0415 - slow to load
    from tollkeeper.storage.store import open_store  # noqa: PLC0415 - likewise

    url = load_settings({"database": database}, config).database
    with database_failures():
        migrate.require_current(url)
        store: Store = open_store(url, answer_within_s=ANSWER_WITHIN_S)
        try:
            findings, accounts = _check(store.reader, overdue_tolerance_s * US_PER_S)
        finally:
            store.close()
    if json:
        print_json_value(
            {"accounts": accounts, "findings": [finding._asdict() for finding in findings]}
        )
    elif findings:
        _print_findings(findings)
    checked = f"checked {INVARIANTS} invariants of {count(accounts, 'account')}"
    if findings:
        raise CommandError(f"{checked}: {count(len(findings), 'finding')}", reason=Why.FINDINGS)
    if not json:
        console().print(f"{checked}: all hold")


def _check(reader: Reader, overdue_tolerance_us: int) -> tuple[list[Finding], int]:
    screen = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task("counting accounts")
        accounts = _count_accounts(reader)
        progress.update(task, description=f"checking {count(accounts, 'account')}")
        findings: list[Finding] = []
        for finding in reader.verify(overdue_tolerance_us=overdue_tolerance_us):
            findings.append(finding)
            progress.update(task, description=f"checking; {count(len(findings), 'finding')}")
    return findings, accounts


def _count_accounts(reader: Reader) -> int:
    total, after = 0, ""
    while True:
        page = reader.accounts(ListAccounts(page_size=PAGE_SIZE, after=after))
        total += len(page.accounts)
        if not page.next_after:
            return total
        after = page.next_after


def _print_findings(findings: list[Finding]) -> None:
    rows = table("account", "invariant", "finding", numbers=("invariant",), ids=("account",))
    for finding in findings:
        rows.add_row(finding.account_id or "-", str(finding.invariant), finding.message)
    console().print(rows)
