"""`tollkeeper refund` and `void`: give back a charge, take back a grant."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.cli import times
from tollkeeper.cli.accounts.grant import expiry
from tollkeeper.cli.client import connect
from tollkeeper.cli.gateway import ReservationId
from tollkeeper.cli.options import (
    CREDITS_MAX,
    AccountId,
    Json,
    RequestId,
    Server,
    Zone,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.screen import amount, console, facts, print_json
from tollkeeper.v1 import admin_pb2

commands = typer.Typer()

Note = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the statement.")]


@commands.command(
    "refund",
    epilog=examples(
        "tollkeeper refund 19c8e1a2c-19c8e1a2d --note 'ticket 12'",
        "tollkeeper refund 19c8e1a2c-19c8e1a2d 5 --expires +30d",
    ),
)
def refund(
    reservation_id: ReservationId,
    credits: Annotated[
        int | None,
        typer.Argument(
            min=1,
            max=CREDITS_MAX,
            metavar="[CREDITS]",
            help="How many.",
            show_default="all that is left",
        ),
    ] = None,
    *,
    note: Note = "",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When a new grant expires: for what comes from an expired or voided grant, or from a charge "
            "whose reservation was moved out.",
            show_default="lost again; never, once it was moved out",
        ),
    ] = None,
    zone: Zone = "UTC",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Give back a charge, whole or in part, to the grants that paid for it.

    Once its reservation was moved out after the retention time, it is given back as a new grant.
    """
    request_id = new_request_id(request_id)
    request = admin_pb2.RefundRequest(
        reservation_id=reservation_id, credits=credits, note=note, request_id=request_id
    )
    if expires is not None:
        moment = times.parse_time(
            "--expires", expires, zone=times.parse_zone(zone), now=times.now()
        )
        request.expire_time.CopyFrom(times.to_timestamp(moment))
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.Refund, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "were given back before" if answer.replayed else "given back"
    screen = console()
    screen.print(f"{amount(answer.credits)} credits of {reservation_id} {done}")
    screen.print(
        facts(
            ("new grant", answer.grant_id),
            ("available now", amount(answer.balance.available)),
            ("request_id", request_id),
        )
    )


@commands.command(
    "void", epilog=examples("tollkeeper void acme 19c8e1a2c --note 'granted by mistake'")
)
def void(
    account_id: AccountId,
    grant_id: Annotated[str, typer.Argument(metavar="GRANT", help="What grant answered.")],
    *,
    note: Note = "",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Take back the credits of a grant that are neither spent nor held."""
    request_id = new_request_id(request_id)
    request = admin_pb2.VoidGrantRequest(
        account_id=account_id, grant_id=grant_id, note=note, request_id=request_id
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.VoidGrant, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "was voided before" if answer.replayed else "is voided"
    screen = console()
    screen.print(f"grant {grant_id} of account {account_id} {done}")
    screen.print(
        facts(
            ("credits", amount(answer.grant.credits)),
            ("expires", expiry(answer.grant)),
            ("note", answer.grant.note),
            ("available now", amount(answer.balance.available)),
            ("request_id", request_id),
        )
    )
