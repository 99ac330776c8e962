"""`tollkeeper statement`: an account's journal, oldest first, with the balance after each line."""

from __future__ import annotations

import csv as csv_
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tollkeeper.cli import times
from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import wrong_usage
from tollkeeper.cli.json_form import to_dict
from tollkeeper.cli.options import DEFAULT_SERVER, AccountId, Csv, Json, Server, Zone, examples
from tollkeeper.cli.screen import amount, console, count, minute, print_json_value, signed, table
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

PAGE_SIZE = 1000

CSV_COLUMNS = (
    "sequence",
    "create_time",
    "kind",
    "credits",
    "settled",
    "reservation_id",
    "grant_id",
    "method",
    "path",
    "price_version",
    "note",
)

commands = typer.Typer()


@commands.command(
    "statement",
    epilog=examples(
        "tollkeeper statement acme",
        "tollkeeper statement acme --from 2027-01-01 --to 2027-02-01 --csv",
    ),
)
def statement(
    account_id: AccountId,
    *,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Only from this time on: a date, a time with its zone, or -30d.",
            show_default="the beginning",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Only before this time.", show_default="the end"),
    ] = None,
    zone: Zone = "UTC",
    csv: Csv = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Print every change of an account's settled balance."""
    if csv and json:
        raise wrong_usage("--csv and --json exclude each other")
    zone_info, now = times.parse_zone(zone), times.now()
    request = admin_pb2.ListEntriesRequest(account_id=account_id, page_size=PAGE_SIZE)
    for option, text, field in (
        ("--from", start, request.start_time),
        ("--to", end, request.end_time),
    ):
        if text is not None:
            found = times.parse_time(option, text, zone=zone_info, now=now)
            field.CopyFrom(times.to_timestamp(found))
    with connect(server) as ledger:
        entries = _entries(ledger, request)
        if csv:
            _print_csv(entries, zone_info)
        elif json:
            values = [to_dict(entry) for entry in entries]
            print_json_value({"account_id": account_id, "entries": values})
        else:
            _print_table(entries, zone_info)


def _entries(ledger: Ledger, request: admin_pb2.ListEntriesRequest) -> Iterator[admin_pb2.Entry]:
    while True:
        page = ledger.call(ledger.admin.ListEntries, request)
        yield from page.entries
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _print_csv(entries: Iterator[admin_pb2.Entry], zone: ZoneInfo) -> None:
    writer = csv_.writer(sys.stdout, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in entries:
        writer.writerow(
            (
                entry.sequence,
                times.from_timestamp(entry.create_time, zone).isoformat(),
                _kind(entry),
                entry.credits,
                entry.settled,
                entry.reservation_id,
                entry.grant_id,
                entry.method,
                entry.path,
                entry.price_version or "",
                entry.note,
            )
        )


def _print_table(entries: Iterator[admin_pb2.Entry], zone: ZoneInfo) -> None:
    numbers = ("#", "credits", "balance")
    columns = ("#", f"time ({zone.key})", "kind", "credits", "balance", "what")
    rows = table(*columns, numbers=numbers)
    total = 0
    for entry in entries:
        total += 1
        rows.add_row(
            str(entry.sequence),
            minute(entry.create_time, zone),
            _kind(entry).replace("_", " "),
            signed(entry.credits),
            amount(entry.settled),
            escape(_subject(entry)),
        )
    screen = console()
    if total:
        screen.print(rows)
    screen.print(count(total, "entry") if total == 1 else f"{amount(total)} entries")


def _kind(entry: admin_pb2.Entry) -> str:
    return admin_pb2.Entry.Kind.Name(entry.kind).removeprefix("KIND_").lower()


def _subject(entry: admin_pb2.Entry) -> str:
    """Say what an entry is about: the request that was charged, or the grant."""
    if entry.method or entry.path:
        about = f"{entry.method} {entry.path}"
    else:
        about = f"grant {entry.grant_id}" if entry.grant_id else ""
    return f"{about}: {entry.note}" if entry.note and about else about or entry.note
