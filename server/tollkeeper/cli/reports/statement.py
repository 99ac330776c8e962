"""`tollkeeper statement`: an account's journal, oldest first, with the balance after each line."""

from __future__ import annotations

import io
import sys
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tollkeeper.cli import times
from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import exclude_each_other, wrong_usage
from tollkeeper.cli.options import AccountId, Csv, Json, Server, Zone, examples
from tollkeeper.cli.output_file import output_file
from tollkeeper.cli.reports import entry_forms
from tollkeeper.cli.reports.entry_forms import kind_of
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.screen import amount, console, count, second, signed, table
from tollkeeper.cli.terminal.streams import DataOut
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.spreadsheet import Writer

PAGE_SIZE = 1000

commands = typer.Typer()


class Form(StrEnum):
    """What other programs can read; the value is the ending of a file of it."""

    CSV = ".csv"
    JSON = ".json"
    JSONL = ".jsonl"
    PARQUET = ".parquet"


class Target(NamedTuple):
    """Where a statement goes: in a form or, for a person, in none; to a file or, without one, to stdout."""

    form: Form | None
    file: Path | None


@commands.command(
    "statement",
    epilog=examples(
        "tollkeeper statement acme",
        "tollkeeper statement acme --from 2027-01-01 --to 2027-02-01 --csv",
        "tollkeeper statement acme --from 2027-01-01 --output january.jsonl",
        "tollkeeper statement acme --zone Europe/Berlin --from 2027-01-01 --parquet january.parquet",
    ),
)
def statement(  # noqa: PLR0913 - an option each
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
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print JSON Lines: one entry a line, as --json has it.")
    ] = False,
    parquet: Annotated[
        Path | None,
        typer.Option("--parquet", metavar="FILE", help="Write Parquet; needs the extra `parquet`."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write to a file; its form is what its name ends with: .csv, .json, .jsonl "
            "or .parquet, unless an option says it.",
        ),
    ] = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Print every change of an account's settled balance, or export it, however long it is.

    A file is there whole or not at all. The charges of a period add up to its overview.
    """
    forms = {Form.CSV: csv, Form.JSONL: jsonl, Form.JSON: json, Form.PARQUET: parquet is not None}
    target = _target([form for form, wanted in forms.items() if wanted], parquet, output)
    zone_info, now = times.parse_zone(zone), times.now()
    request = admin_pb2.ListEntriesRequest(account_id=account_id, page_size=PAGE_SIZE)
    for option, text, field in (
        ("--from", start, request.start_time),
        ("--to", end, request.end_time),
    ):
        if text is not None:
            time = times.parse_time(option, text, zone=zone_info, now=now)
            field.CopyFrom(times.to_timestamp(time))
    if target.form is Form.PARQUET:
        entry_forms.require_parquet()
    with connect(server) as ledger, _progress(target) as progress:
        entries = _begun(_entries(ledger, request, progress))
        if target.form is None:
            _print_table(entries, zone_info)
        else:
            _export(entries, target, account_id, zone_info)


def _target(forms: list[Form], parquet: Path | None, output: Path | None) -> Target:
    """Find the one form and the one file that the options name."""
    if len(forms) > 1:
        raise exclude_each_other(*(f"--{form[1:]}" for form in forms))
    if parquet is not None and output is not None:
        raise exclude_each_other("--parquet", "--output")
    if output is None or forms:
        return Target(forms[0] if forms else None, parquet or output)
    ending = output.suffix.lower()
    if ending not in list(Form):
        known = ", ".join(Form)
        raise wrong_usage(
            f"--output: {output} must end with one of {known}, or add --csv or --jsonl"
        )
    return Target(Form(ending), output)


def _progress(target: Target) -> Progress:
    """Return a bar on the terminal, unless the statement itself is printed there."""
    seen = sys.stderr.isatty() and (target.file is not None or not sys.stdout.isatty())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # The statement itself goes to stdout, past the bar.
        redirect_stdout=False,
        disable=not seen,
    )


def _entries(
    ledger: Ledger, request: admin_pb2.ListEntriesRequest, progress: Progress
) -> Iterator[admin_pb2.Entry]:
    """Yield the entries, one page in memory at a time."""
    task, first = progress.add_task("reading entries", total=None), 0
    while True:
        page = ledger.call(ledger.admin.ListEntries, request)
        yield from page.entries
        if not page.next_page_token:
            return
        first = first or page.entries[0].sequence
        done = page.entries[-1].sequence + 1 - first
        progress.update(task, completed=done, total=max(done, page.sequence_end - first))
        request.page_token = page.next_page_token


def _begun(entries: Iterator[admin_pb2.Entry]) -> Iterator[admin_pb2.Entry]:
    """Ask for the first page now, so that a refusal comes before anything is printed."""
    first = list(islice(entries, 1))
    return chain(first, entries)


def _export(
    entries: Iterable[admin_pb2.Entry], target: Target, account_id: str, zone: ZoneInfo
) -> None:
    if target.file is None:
        _write_text(entries, DataOut(), target.form, account_id, zone)
        return
    with output_file(target.file) as file:
        if target.form is Form.PARQUET:
            entry_forms.write_parquet(entries, file)
        else:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            _write_text(entries, text, target.form, account_id, zone)
            text.flush()
            text.detach()


def _write_text(
    entries: Iterable[admin_pb2.Entry],
    to: Writer,
    form: Form | None,
    account_id: str,
    zone: ZoneInfo,
) -> None:
    if form is Form.CSV:
        entry_forms.write_csv(entries, to, zone)
    elif form is Form.JSONL:
        entry_forms.write_jsonl(entries, to)
    else:
        entry_forms.write_json(entries, to, account_id)


def _print_table(entries: Iterable[admin_pb2.Entry], zone: ZoneInfo) -> None:
    screen = console()
    when = f"time ({zone.key})"
    rows = table(
        *("#", when, "kind", "credits", "balance", "what", "reservation"),
        numbers=("#", "credits", "balance"),
        ids=(when, "kind", "reservation"),
        spare="reservation",
    )
    total = 0
    for entry in entries:
        total += 1
        rows.add_row(
            str(entry.sequence),
            second(entry.create_time, zone),
            kind_of(entry).replace("_", " "),
            signed(entry.credits),
            amount(entry.settled),
            subject(entry),
            entry.reservation_id,
        )
    if total:
        screen.print(rows)
    hint = "; a wider terminal shows their reservations, and so does --csv"
    left_out = total and rows.leaves_out_spare(screen.width)
    screen.print(count(total, "entry", "entries") + (hint if left_out else ""))


def subject(entry: admin_pb2.Entry) -> str:
    """Say what an entry is about: the request that was charged, or the grant."""
    if entry.method or entry.path:
        about = f"{entry.method} {entry.path}"
    else:
        about = f"grant {entry.grant_id}" if entry.grant_id else ""
        about += " (rolled over)" if entry.rolled_over else ""
    return f"{about}: {entry.note}" if entry.note and about else about or entry.note
