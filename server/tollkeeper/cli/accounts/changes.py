"""`tollkeeper account update | block | unblock | close | limits`: what is changed of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli.accounts.account import print_account, state_of
from tollkeeper.cli.accounts.limit_spec import LimitSpecs, describe, parse_limits
from tollkeeper.cli.client import connect
from tollkeeper.cli.failure import exclude_each_other, wrong_usage
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
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import (
    amount,
    console,
    count,
    minute,
    print_json,
    print_json_value,
    second,
    table,
)
from tollkeeper.cli.times import parse_zone
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo

    from tollkeeper.cli.terminal.layout import Table

commands = typer.Typer()


@commands.command(
    "update",
    epilog=examples(
        "tollkeeper account update acme --credit-limit 500",
        "tollkeeper account update acme --name 'Acme Corporation'",
    ),
)
def update(
    account_id: AccountId,
    *,
    credit_limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=CREDITS_MAX,
            metavar="N",
            help="How far below zero the settled balance may go.",
            show_default="as it is",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A name for people.", show_default="as it is"),
    ] = None,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Change the credit limit of an account, or its name.

    A credit limit below the credits in use refuses new requests and changes nothing else.
    """
    if credit_limit is None and name is None:
        raise wrong_usage("give what is to change: --credit-limit, --name, or both")
    request = admin_pb2.UpdateAccountRequest(
        account_id=account_id, credit_limit=credit_limit, display_name=name
    )
    _change(request, lambda _: "is changed", request_id=request_id, server=server, json=json)


@commands.command("block", epilog=examples("tollkeeper account block acme"))
def block(
    account_id: AccountId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Deny every new request of an account; its open holds can still be settled."""
    _set_state(
        account_id, admin_pb2.ACCOUNT_STATE_BLOCKED, request_id=request_id, server=server, json=json
    )


@commands.command("unblock", epilog=examples("tollkeeper account unblock acme"))
def unblock(
    account_id: AccountId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Let an account authorize requests again, also one that was closed."""
    _set_state(
        account_id, admin_pb2.ACCOUNT_STATE_ACTIVE, request_id=request_id, server=server, json=json
    )


@commands.command("close", epilog=examples("tollkeeper account close acme"))
def close(
    account_id: AccountId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Close an account whose settled balance is 0 and which holds nothing; its journal stays.

    Its recurring grants end. Void its grants first, and settle its holds.
    """
    _set_state(
        account_id, admin_pb2.ACCOUNT_STATE_CLOSED, request_id=request_id, server=server, json=json
    )


@commands.command(
    "limits",
    epilog=examples(
        "tollkeeper account limits acme",
        "tollkeeper account limits acme --limit 'daily=1000 credits/day, zone=Europe/Berlin'",
        "tollkeeper account limits acme --none",
    ),
)
def limits(
    account_id: AccountId,
    *,
    limit: LimitSpecs = None,
    none: Annotated[bool, typer.Option("--none", help="Take all limits away.")] = False,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Set all the limits of an account, or show how they stand.

    A limit goes on counting if only its maximum changes, or whether it refuses.
    """
    if limit and none:
        raise exclude_each_other("--limit", "--none")
    if not (limit or none):
        _show_limits(account_id, server=server, json=json)
        return
    wanted = admin_pb2.LimitSet(limits=parse_limits(limit))
    _change(
        admin_pb2.UpdateAccountRequest(account_id=account_id, limits=wanted),
        lambda account: f"has {count(len(account.limits), 'limit')}",
        request_id=request_id,
        server=server,
        json=json,
    )


def limit_table(found: Iterable[ledger_pb2.LimitStatus], zone: ZoneInfo) -> Table:
    """Return a table of limits as they stand."""
    numbers = ("used", "held", "remaining", "over")
    resets = f"resets ({zone.key})"
    rows = table("limit", *numbers, resets, numbers=numbers, ids=(resets,))
    for status in found:
        is_short = status.limit.window == ledger_pb2.Limit.WINDOW_SECOND
        written = second if is_short else minute
        rows.add_row(
            describe(status.limit),
            amount(status.used),
            amount(status.held),
            amount(status.remaining),
            amount(status.over),
            written(status.reset_time, zone),
        )
    return rows


def _show_limits(account_id: str, *, server: str, json: bool) -> None:
    query = ledger_pb2.GetOverviewRequest(account_id=account_id)
    with connect(server) as ledger:
        limits = ledger.call(ledger.ledger.GetOverview, query).limits
    if json:
        print_json_value(
            {"account_id": account_id, "limits": [to_dict(status) for status in limits]}
        )
        return
    screen = console()
    if limits:
        screen.print(limit_table(limits, parse_zone("UTC")))
    screen.print(f"account {account_id} has {count(len(limits), 'limit')}")


def _set_state(
    account_id: str,
    state: admin_pb2.AccountState.ValueType,
    *,
    request_id: str | None,
    server: str,
    json: bool,
) -> None:
    _change(
        admin_pb2.UpdateAccountRequest(account_id=account_id, state=state),
        lambda account: f"is {state_of(account)}",
        request_id=request_id,
        server=server,
        json=json,
    )


def _change(
    request: admin_pb2.UpdateAccountRequest,
    said: Callable[[admin_pb2.Account], str],
    *,
    request_id: str | None,
    server: str,
    json: bool,
) -> None:
    """Carry out a change, and show the account after it below what is `said` of it."""
    request.request_id = new_request_id(request_id)
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.UpdateAccount, request, request_id=request.request_id)
    if json:
        print_json(answer, request_id=request.request_id)
        return
    account = answer.account
    console().print(f"account {account.account_id} {said(account)}")
    print_account(account, request.request_id)
