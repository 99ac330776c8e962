"""`tollkeeper recurring replace`: let a plan take the place of another."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.accounts.recurring import Every, Number, Rollover, period, rolls_over
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
from tollkeeper.cli.terminal.screen import amount, console, facts, moment, print_json
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

commands = typer.Typer()


class When(Enum):
    """From when on the new one gives."""

    NOW = "now"
    NEXT_PERIOD = "next-period"


@commands.command(
    "replace",
    epilog=examples(
        "tollkeeper recurring replace acme 1 30000 --note 'plan L'",
        "tollkeeper recurring replace acme 1 5000 --when next-period --note 'plan S'",
    ),
)
def replace(  # noqa: PLR0913 - an option each
    account_id: AccountId,
    number: Number,
    credits: Annotated[
        int,
        typer.Argument(
            min=1, max=CREDITS_MAX, metavar="CREDITS", help="How many the new one gives a period."
        ),
    ],
    *,
    every: Annotated[
        Every | None,
        typer.Option(
            "--period", help="The period of the new one.", show_default="that of the old one"
        ),
    ] = None,
    rollover: Rollover = 0,
    priority: Priority = 0,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    when: Annotated[
        When,
        typer.Option(
            help="now: in proportion to the time that is left of the period. next-period: what was "
            "granted stays, and the new one gives from the next period on.",
        ),
    ] = When.NOW,
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Replace a recurring grant by another, such as for a customer who changes to another plan."""
    request_id = new_request_id(request_id)
    zone_info = times.parse_zone(zone)
    request = admin_pb2.ReplaceRecurringGrantRequest(
        account_id=account_id,
        recurring_grant_id=number,
        credits=credits,
        period=ledger_pb2.RecurringGrant.Period.Value(
            f"PERIOD_{every.name}" if every else "PERIOD_UNSPECIFIED"
        ),
        rollover_max=rollover,
        priority=priority,
        note=note,
        when=admin_pb2.ReplaceRecurringGrantRequest.When.Value(f"WHEN_{when.name}"),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.ReplaceRecurringGrant, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    _print_replaced(request, answer, zone_info)


def _print_replaced(
    request: admin_pb2.ReplaceRecurringGrantRequest,
    answer: admin_pb2.ReplaceRecurringGrantResponse,
    zone: ZoneInfo,
) -> None:
    new = answer.recurring_grant
    old = f"recurring grant {request.recurring_grant_id} of account {request.account_id}"
    done = "was replaced before" if answer.replayed else "is replaced"
    screen = console()
    screen.print(f"{old} {done} by {amount(new.credits)} credits every {period(new)}")
    screen.print(
        facts(
            ("recurring grant", new.recurring_grant_id),
            ("old one ends", moment(answer.end_time, zone)),
            ("taken back", amount(answer.voided_credits)),
            ("given now", amount(answer.granted_credits)),
            ("rolls over", rolls_over(new)),
            ("next", moment(new.next_time, zone) if new.HasField("next_time") else "none"),
            ("ends", moment(new.end_time, zone) if new.HasField("end_time") else "never"),
            ("priority", amount(new.priority)),
            ("note", new.note),
            ("available now", amount(answer.balance.available)),
            ("request_id", request.request_id),
        )
    )
