"""`tollkeeper debit`: take credits back that may have been spent already."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.cli.client import connect
from tollkeeper.cli.options import (
    CREDITS_MAX,
    AccountId,
    Json,
    RequestId,
    Server,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.screen import amount, console, facts, print_json
from tollkeeper.v1 import admin_pb2

commands = typer.Typer()


@commands.command(
    "debit", epilog=examples("tollkeeper debit acme 500 --note 'charge-back of invoice 7'")
)
def debit(
    account_id: AccountId,
    credits: Annotated[
        int, typer.Argument(min=1, max=CREDITS_MAX, metavar="CREDITS", help="How many.")
    ],
    *,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the statement.")] = "",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Take credits back from an account, even if they were spent.

    The balance may go below zero by it. The next credits that the account is given repay that first.
    """
    request_id = new_request_id(request_id)
    request = admin_pb2.DebitRequest(
        account_id=account_id, credits=credits, note=note, request_id=request_id
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.Debit, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "were taken back before" if answer.replayed else "taken back"
    screen = console()
    screen.print(f"{amount(answer.credits)} credits {done} from account {account_id}")
    screen.print(
        facts(
            ("settled", amount(answer.balance.settled)),
            ("available now", amount(answer.balance.available)),
            ("note", note),
            ("request_id", request_id),
        )
    )
