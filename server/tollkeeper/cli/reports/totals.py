"""`tollkeeper totals`: what all accounts together consumed, by endpoint and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import exclude_each_other
from tollkeeper.cli.options import Csv, Json, Server, Zone, examples
from tollkeeper.cli.reports.period import By, From, To, parse_period
from tollkeeper.cli.reports.usage_page import (
    CSV_COLUMNS,
    consumed,
    csv_values,
    endpoint_table,
    print_not_charged,
    print_plot,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.spreadsheet import CsvTable
from tollkeeper.cli.terminal.screen import console, minute, print_json
from tollkeeper.cli.terminal.streams import DataOut
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.terminal.screen import Screen

commands = typer.Typer()


@commands.command(
    "totals",
    epilog=examples(
        "tollkeeper totals",
        "tollkeeper totals --from -24h --by hour",
        "tollkeeper totals --from 2027-01-01 --by month --zone Europe/Berlin --csv",
    ),
)
def totals(
    *,
    start: From = None,
    end: To = None,
    by: Annotated[By, typer.Option(help="The step of the plot, the JSON and the CSV.")] = By.DAY,
    zone: Zone = "UTC",
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show what all accounts together consumed, on which endpoints and when.

    The CSV has a line for each step and endpoint with any usage; so has the JSON, below each endpoint.
    """
    if csv and json:
        raise exclude_each_other("--csv", "--json")
    period = parse_period(start, end, zone)
    request = admin_pb2.GetPlatformOverviewRequest(
        start_time=period.start,
        end_time=period.end,
        granularity=ledger_pb2.Granularity.Value(f"GRANULARITY_{by.name}"),
        time_zone=zone,
        endpoint_series=csv or json,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.GetPlatformOverview, request)
    if json:
        print_json(answer)
    elif csv:
        _print_csv(answer, period.zone)
    else:
        _print_page(answer, by=by.value, zone=period.zone)


def _print_csv(answer: admin_pb2.GetPlatformOverviewResponse, zone: ZoneInfo) -> None:
    lines = [
        (bucket.start_time.seconds, index, bucket)
        for index, endpoint in enumerate(answer.endpoints)
        for bucket in endpoint.series
    ]
    csv_table = CsvTable(DataOut(), ("start_time", "method", "path", *CSV_COLUMNS))
    for _, index, bucket in sorted(lines, key=lambda line: line[:2]):
        endpoint = answer.endpoints[index]
        start = times.from_timestamp(bucket.start_time, zone).isoformat()
        csv_table.row(start, endpoint.method, endpoint.path, *csv_values(bucket.usage))


def _print_page(answer: admin_pb2.GetPlatformOverviewResponse, *, by: str, zone: ZoneInfo) -> None:
    screen = console()
    period = f"{minute(answer.start_time, zone)} to {minute(answer.end_time, zone)} {zone.key}"
    screen.print(f"All accounts, {period}", "bold")
    screen.print(consumed(answer.total))
    if answer.total.credits:
        screen.print()
        print_plot(screen, answer.series, by=by, zone=zone)
    if answer.endpoints:
        _print_endpoints(screen, answer)
    print_not_charged(screen, answer.total)


def _print_endpoints(screen: Screen, answer: admin_pb2.GetPlatformOverviewResponse) -> None:
    screen.print()
    screen.print(endpoint_table(answer.endpoints, answer.total))
