"""`tollkeeper recurring create`, `list` and `end`: give credits every day, week, month or year, and stop doing so."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.client import connect
from tollkeeper.cli.options import (
    CREDITS_MAX,
    AccountId,
    Json,
    Priority,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import (
    amount,
    console,
    count,
    facts,
    minute,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from google.protobuf.timestamp_pb2 import Timestamp

    from tollkeeper.cli.terminal.layout import Table


From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="From when periods are counted, by the clocks of --zone: a date, a time with its "
        "zone, or +7d. In the past, the period that contains now is given at once, in full.",
        show_default="now",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        help="No period begins then or later.",
        show_default="never ends",
    ),
]
Rollover = Annotated[
    int,
    typer.Option(
        min=0,
        max=CREDITS_MAX,
        metavar="N",
        help="So many of the credits left at the end of a period roll over; the rest expires.",
    ),
]

Number = Annotated[
    str, typer.Argument(metavar="NUMBER", help="The recurring grant, as `list` shows it.")
]

commands = typer.Typer(no_args_is_help=True)


class Every(Enum):
    """How often."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@commands.command(
    "create",
    epilog=examples(
        "tollkeeper recurring create acme 10000 --every month --note 'plan M'",
        "tollkeeper recurring create acme 500 --every day --rollover 100 --zone Europe/Berlin "
        "--from 2027-01-01",
    ),
)
def create(  # noqa: PLR0913 - an option each
    account_id: AccountId,
    credits: Annotated[
        int,
        typer.Argument(min=1, max=CREDITS_MAX, metavar="CREDITS", help="How many each period."),
    ],
    *,
    every: Annotated[Every, typer.Option(help="The period.")],
    start: From = None,
    end: Until = None,
    rollover: Rollover = 0,
    priority: Priority = 0,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Give credits to an account at the beginning of every period."""
    request_id = new_request_id(request_id)
    zone_info = times.parse_zone(zone)
    request = admin_pb2.CreateRecurringGrantRequest(
        account_id=account_id,
        credits=credits,
        period=ledger_pb2.RecurringGrant.Period.Value(f"PERIOD_{every.name}"),
        anchor=_time("--from", start, zone_info),
        time_zone=zone,
        rollover_max=rollover,
        priority=priority,
        note=note,
        end_time=_time("--until", end, zone_info),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.CreateRecurringGrant, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    _print_made(request, answer, zone_info)


@commands.command("list", epilog=examples("tollkeeper recurring list acme"))
def list_recurring(
    account_id: AccountId,
    *,
    zone: Zone = "UTC",
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List the recurring grants of an account; those that have ended are there for a while."""
    zone_info = times.parse_zone(zone)
    with connect(server) as ledger:
        request = admin_pb2.GetAccountRequest(account_id=account_id)
        answer = ledger.call(ledger.admin.GetAccount, request)
    recurring = answer.account.recurring_grants
    if json:
        print_json_value({"recurring_grants": [to_dict(each) for each in recurring]})
        return
    screen = console()
    if recurring:
        screen.print(recurring_table(recurring, zone_info))
    screen.print(count(len(recurring), "recurring grant"))


@commands.command(
    "end",
    epilog=examples(
        "tollkeeper recurring end acme 1", "tollkeeper recurring end acme 1 --at 2027-01-01"
    ),
)
def end_recurring(
    account_id: AccountId,
    number: Number,
    *,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="No period begins then or later: a date, a time with its zone, or +30d.",
            show_default="now",
        ),
    ] = None,
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """End a recurring grant: no further period begins, and credits already given stay."""
    request_id = new_request_id(request_id)
    zone_info = times.parse_zone(zone)
    request = admin_pb2.EndRecurringGrantRequest(
        account_id=account_id,
        recurring_grant_id=number,
        end_time=_time("--at", at, zone_info),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.EndRecurringGrant, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    screen = console()
    screen.print(f"no period of recurring grant {number} begins at the end or later")
    screen.print(
        facts(
            ("account", account_id),
            ("ends", moment(answer.end_time, zone_info)),
            ("available now", amount(answer.balance.available)),
            ("request_id", request_id),
        )
    )


def _print_made(
    request: admin_pb2.CreateRecurringGrantRequest,
    answer: admin_pb2.CreateRecurringGrantResponse,
    zone: ZoneInfo,
) -> None:
    grant = answer.recurring_grant
    given = f"{amount(grant.credits)} credits every {period(grant)}"
    done = "were set up before" if answer.replayed else "from now on"
    screen = console()
    screen.print(f"{given} for account {request.account_id}, {done}")
    screen.print(
        facts(
            ("recurring grant", grant.recurring_grant_id),
            ("rolls over", rolls_over(grant)),
            ("next", moment(grant.next_time, zone) if grant.HasField("next_time") else "none"),
            ("ends", moment(grant.end_time, zone) if grant.HasField("end_time") else "never"),
            ("priority", amount(grant.priority)),
            ("note", grant.note),
            ("available now", amount(answer.balance.available)),
            ("request_id", request.request_id),
        )
    )


def recurring_table(recurring: Iterable[ledger_pb2.RecurringGrant], zone: ZoneInfo) -> Table:
    """Return recurring grants as a table of the terminal."""
    columns = ("no", "credits", "every", "in", "next", "rolls over", "ends", "priority", "note")
    rows = table(*columns, numbers=("no", "credits", "priority"), ids=("in", "next", "ends"))
    for each in recurring:
        rows.add_row(
            each.recurring_grant_id,
            amount(each.credits),
            period(each),
            each.time_zone,
            next_beginning(each, zone),
            rolls_over(each),
            _end(each, zone),
            amount(each.priority),
            each.note,
        )
    return rows


def period(recurring: ledger_pb2.RecurringGrant) -> str:
    """Name the period of a recurring grant."""
    return ledger_pb2.RecurringGrant.Period.Name(recurring.period).removeprefix("PERIOD_").lower()


def rolls_over(recurring: ledger_pb2.RecurringGrant) -> str:
    """Write what rolls over at the end of a period."""
    most = recurring.rollover_max
    return f"up to {amount(most)}" if most else "nothing"


def next_beginning(recurring: ledger_pb2.RecurringGrant, zone: ZoneInfo) -> str:
    """Write when the next period begins."""
    return minute(recurring.next_time, zone) if recurring.HasField("next_time") else "none"


def _end(recurring: ledger_pb2.RecurringGrant, zone: ZoneInfo) -> str:
    return minute(recurring.end_time, zone) if recurring.HasField("end_time") else "never"


def _time(option: str, text: str | None, zone: ZoneInfo) -> Timestamp | None:
    if text is None:
        return None
    return times.to_timestamp(times.parse_time(option, text, zone=zone, now=times.now()))
