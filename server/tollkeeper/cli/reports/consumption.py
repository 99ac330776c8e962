"""`tollkeeper consumption`: the accounts by what they consumed in a period, most first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import exclude_each_other
from tollkeeper.cli.options import Csv, Json, Server, Zone, examples
from tollkeeper.cli.reports.period import From, To, parse_period
from tollkeeper.cli.reports.usage_page import (
    CSV_COLUMNS,
    MOSTLY_ZERO,
    TABLE_COLUMNS,
    csv_values,
    table_values,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.spreadsheet import CsvTable
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import console, count, minute, print_json_value, table
from tollkeeper.cli.terminal.streams import DataOut
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

PAGE_SIZE = 1000
TOP = 20

commands = typer.Typer()


@commands.command(
    "consumption",
    epilog=examples(
        "tollkeeper consumption",
        "tollkeeper consumption --from -7d --prefix team/ --top 5",
        "tollkeeper consumption --from 2027-01-01 --to 2027-02-01 --zone Europe/Berlin --csv",
    ),
)
def consumption(
    *,
    start: From = None,
    end: To = None,
    zone: Zone = "UTC",
    prefix: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Only accounts whose id begins with this.", show_default="all"
        ),
    ] = "",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many accounts.")] = TOP,
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List the accounts that consumed most: those with any usage in the period."""
    if csv and json:
        raise exclude_each_other("--csv", "--json")
    period = parse_period(start, end, zone)
    request = admin_pb2.ListConsumptionRequest(
        start_time=period.start, end_time=period.end, time_zone=zone, prefix=prefix
    )
    with connect(server) as ledger:
        answer = _top(ledger, request, top)
    if json:
        print_json_value(
            {name: value for name, value in to_dict(answer).items() if name != "next_page_token"}
        )
    elif csv:
        _print_csv(answer)
    else:
        _print_table(answer, period.zone)


def _top(
    ledger: Ledger, request: admin_pb2.ListConsumptionRequest, top: int
) -> admin_pb2.ListConsumptionResponse:
    """Return the first page with the accounts of as many pages as are asked for; the token says if there are more."""
    request.page_size = min(top, PAGE_SIZE)
    first = page = ledger.call(ledger.admin.ListConsumption, request)
    while page.next_page_token and len(first.accounts) < top:
        request.page_token = page.next_page_token
        request.page_size = min(top - len(first.accounts), PAGE_SIZE)
        page = ledger.call(ledger.admin.ListConsumption, request)
        first.accounts.extend(page.accounts)
    first.next_page_token = page.next_page_token
    return first


def _print_csv(answer: admin_pb2.ListConsumptionResponse) -> None:
    csv_table = CsvTable(DataOut(), ("account_id", *CSV_COLUMNS))
    for each in answer.accounts:
        csv_table.row(each.account_id, *csv_values(each.usage))


def _print_table(answer: admin_pb2.ListConsumptionResponse, zone: ZoneInfo) -> None:
    rows = table(
        "account", *TABLE_COLUMNS, numbers=TABLE_COLUMNS, ids=("account",), zeros=MOSTLY_ZERO
    )
    for each in answer.accounts:
        rows.add_row(each.account_id, *table_values(each.usage))
    screen = console()
    screen.print(f"{minute(answer.start_time, zone)} to {minute(answer.end_time, zone)} {zone.key}")
    if answer.accounts:
        screen.print(rows)
    more = "; there are more, ask with --top" if answer.next_page_token else ""
    screen.print(f"{count(len(answer.accounts), 'account')} with usage{more}")
