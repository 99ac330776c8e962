"""`tollkeeper overview`: asks for the Credit Cost Overview and prints it; `--csv` is its series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import exclude_each_other
from tollkeeper.cli.options import AccountId, Csv, Json, Server, Zone, examples
from tollkeeper.cli.reports.period import By, From, To, parse_period
from tollkeeper.cli.reports.usage_page import CSV_COLUMNS, csv_values
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.spreadsheet import CsvTable
from tollkeeper.cli.terminal.screen import console, print_json
from tollkeeper.cli.terminal.streams import DataOut
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

commands = typer.Typer()


@commands.command(
    "overview",
    epilog=examples(
        "tollkeeper overview acme",
        "tollkeeper overview acme --from -24h --by hour",
        "tollkeeper overview acme --from 2027-01-01 --by month --zone Europe/Berlin --csv",
    ),
)
def overview(
    account_id: AccountId,
    *,
    start: From = None,
    end: To = None,
    by: Annotated[By, typer.Option(help="The step of the plot, and of the CSV.")] = By.DAY,
    zone: Zone = "UTC",
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show what an account has, what it consumed, on which endpoints and when, and the prices."""
    if csv and json:
        raise exclude_each_other("--csv", "--json")
    period = parse_period(start, end, zone)
    request = ledger_pb2.GetOverviewRequest(
        account_id=account_id,
        start_time=period.start,
        end_time=period.end,
        granularity=ledger_pb2.Granularity.Value(f"GRANULARITY_{by.name}"),
        time_zone=zone,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.GetOverview, request)
    if json:
        print_json(answer)
    elif csv:
        _print_csv(answer, period.zone)
    else:
        from tollkeeper.cli.reports.overview_page import print_overview  # noqa: PLC0415 - slow to load

        print_overview(console(), answer, by=by.value, zone=period.zone)


def _print_csv(answer: ledger_pb2.GetOverviewResponse, zone: ZoneInfo) -> None:
    csv_table = CsvTable(DataOut(), ("start_time", *CSV_COLUMNS))
    for bucket in answer.series:
        start = times.from_timestamp(bucket.start_time, zone).isoformat()
        csv_table.row(start, *csv_values(bucket.usage))
