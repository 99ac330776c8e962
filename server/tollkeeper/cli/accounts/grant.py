"""`tollkeeper grant`: give credits to an account."""

from __future__ import annotations

from typing import Annotated

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
from tollkeeper.cli.terminal.screen import amount, console, facts, moment, print_json
from tollkeeper.v1 import admin_pb2, ledger_pb2

commands = typer.Typer()


@commands.command(
    "grant",
    epilog=examples(
        "tollkeeper grant acme 1000 --note 'invoice 7'",
        "tollkeeper grant acme 50 --priority 1 --expires +30d",
    ),
)
def grant(  # noqa: PLR0913 - an option each
    account_id: AccountId,
    credits: Annotated[
        int, typer.Argument(min=1, max=CREDITS_MAX, metavar="CREDITS", help="How many.")
    ],
    *,
    priority: Priority = 0,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the rest of the grant is lost: a date, a time with its zone, or +30d. "
            "Give an exact time if you may repeat the call.",
            show_default="never",
        ),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Give credits to an account."""
    request_id = new_request_id(request_id)
    expire_time = None
    if expires is not None:
        expire_time = times.to_timestamp(
            times.parse_time("--expires", expires, zone=times.parse_zone(zone), now=times.now())
        )
    request = admin_pb2.GrantCreditsRequest(
        account_id=account_id,
        credits=credits,
        priority=priority,
        expire_time=expire_time,
        note=note,
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.GrantCredits, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "were granted before" if answer.replayed else "granted"
    screen = console()
    screen.print(f"{amount(answer.grant.credits)} credits {done} to account {account_id}")
    screen.print(
        facts(
            ("grant", answer.grant.grant_id),
            ("remaining", amount(answer.grant.remaining)),
            ("priority", amount(answer.grant.priority)),
            ("expires", expiry(answer.grant)),
            ("note", answer.grant.note),
            ("available now", amount(answer.balance.available)),
            ("request_id", request_id),
        )
    )


def expiry(grant: ledger_pb2.Grant) -> str:
    """Write when a grant expires for a person."""
    return moment(grant.expire_time) if grant.HasField("expire_time") else "never"
