"""`tollkeeper overview`: asks for the Credit Cost Overview and prints it; `--csv` is its series."""

from __future__ import annotations

import csv as csv_
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import wrong_usage
from tollkeeper.cli.options import DEFAULT_SERVER, AccountId, Csv, Json, Server, Zone, examples
from tollkeeper.cli.screen import console, print_json
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from google.protobuf.timestamp_pb2 import Timestamp

USAGE_COLUMNS = ("requests", "credits", "released", "expired", "denied", "refunded_credits")

commands = typer.Typer()


class By(StrEnum):
    """The width of a bucket."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


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
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Where the period begins: a date, a time with its zone, now, or -7d.",
            show_default="the first of this month",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME",
            help="Where the period ends; a date is not part of it.",
            show_default="now; without --from, the first of the next month",
        ),
    ] = None,
    by: Annotated[By, typer.Option(help="The step of the plot, and of the CSV.")] = By.DAY,
    zone: Zone = "UTC",
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Show what an account has, what it consumed, on which endpoints and when, and the prices."""
    if csv and json:
        raise wrong_usage("--csv and --json exclude each other")
    zone_info = times.parse_zone(zone)
    now = times.now()
    if start is not None and end is None:
        end = times.NOW
    request = ledger_pb2.GetOverviewRequest(
        account_id=account_id,
        start_time=_timestamp("--from", start, zone_info, now),
        end_time=_timestamp("--to", end, zone_info, now),
        granularity=ledger_pb2.Granularity.Value(f"GRANULARITY_{by.name}"),
        time_zone=zone,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.ledger.GetOverview, request)
    if json:
        print_json(answer)
    elif csv:
        _print_csv(answer, zone_info)
    else:
        from tollkeeper.cli.overview_page import print_overview  # noqa: PLC0415 - slow to load

        print_overview(console(), answer, by=by.value, zone=zone_info)


def _timestamp(option: str, text: str | None, zone: ZoneInfo, now: datetime) -> Timestamp | None:
    if text is None:
        return None
    return times.to_timestamp(times.parse_time(option, text, zone=zone, now=now))


def _print_csv(answer: ledger_pb2.GetOverviewResponse, zone: ZoneInfo) -> None:
    writer = csv_.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("start_time", *USAGE_COLUMNS))
    for bucket in answer.series:
        usage = bucket.usage
        writer.writerow(
            (
                times.from_timestamp(bucket.start_time, zone).isoformat(),
                usage.requests,
                usage.credits,
                usage.released,
                usage.expired,
                usage.denied,
                usage.refunded_credits,
            )
        )
