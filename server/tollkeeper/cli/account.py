"""`tollkeeper account`: open, look at, block and unblock accounts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from tollkeeper.cli.account_prices import pricing_facts
from tollkeeper.cli.alert_spec import AlertSpecs, describe_alert, parse_alerts
from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import wrong_usage
from tollkeeper.cli.json_form import to_dict
from tollkeeper.cli.limit_spec import LimitSpecs, describe, parse_limits
from tollkeeper.cli.options import (
    DEFAULT_SERVER,
    AccountId,
    Json,
    RequestId,
    Server,
    examples,
    new_request_id,
)
from tollkeeper.cli.screen import (
    amount,
    console,
    count,
    facts,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import admin_pb2, events_pb2

PAGE_SIZE = 1000

commands = typer.Typer(no_args_is_help=True)


@commands.command(
    "create",
    epilog=examples(
        "tollkeeper account create acme",
        "tollkeeper account create acme --credit-limit 500 --limit 'daily=1000 credits/day'",
        "tollkeeper account create acme --price-list partner",
        "tollkeeper account create acme --alert 'low=remaining 100'",
    ),
)
def create(  # noqa: PLR0913 - an option each
    account_id: AccountId,
    *,
    credit_limit: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="How far below zero the settled balance may go."),
    ] = 0,
    name: Annotated[str, typer.Option(metavar="TEXT", help="A name for people.")] = "",
    limit: LimitSpecs = None,
    alert: AlertSpecs = None,
    price_list: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The price list that it pays by. From a later moment on: account prices.",
            show_default="the default list",
        ),
    ] = "",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Open an account, with nothing in it."""
    request_id = new_request_id(request_id)
    request = admin_pb2.CreateAccountRequest(
        account_id=account_id,
        display_name=name,
        credit_limit=credit_limit,
        limits=parse_limits(limit),
        price_list=price_list,
        alerts=events_pb2.AlertSet(rules=parse_alerts(alert)),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.CreateAccount, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    console().print(f"account {escape(answer.account.account_id)} is open")
    _print_account(answer.account, request_id)


@commands.command("show", epilog=examples("tollkeeper account show acme"))
def show(account_id: AccountId, *, server: Server = DEFAULT_SERVER, json: Json = False) -> None:
    """Show an account and its balance."""
    with connect(server) as ledger:
        answer = ledger.call(
            ledger.admin.GetAccount, admin_pb2.GetAccountRequest(account_id=account_id)
        )
    if json:
        print_json(answer)
        return
    _print_account(answer.account)


@commands.command(
    "list",
    epilog=examples("tollkeeper account list", "tollkeeper account list --prefix eu/ --json"),
)
def list_accounts(
    *,
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Only accounts whose id begins with this.")
    ] = "",
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List accounts in the order of their ids."""
    with connect(server) as ledger:
        accounts = _all_accounts(ledger, prefix)
    if json:
        print_json_value({"accounts": [to_dict(account) for account in accounts]})
        return
    rows = table(
        "account",
        "name",
        "state",
        "available",
        "settled",
        "held",
        "credit limit",
        numbers=("available", "settled", "held", "credit limit"),
    )
    for account in accounts:
        rows.add_row(
            escape(account.account_id),
            escape(account.display_name),
            state_of(account),
            amount(account.balance.available),
            amount(account.balance.settled),
            amount(account.balance.held),
            amount(account.credit_limit),
        )
    screen = console()
    if accounts:
        screen.print(rows)
    screen.print(count(len(accounts), "account"))


@commands.command("block", epilog=examples("tollkeeper account block acme"))
def block(
    account_id: AccountId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Deny every new request of an account; what it holds can still be settled."""
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
    """Let an account authorize requests again."""
    _set_state(
        account_id, admin_pb2.ACCOUNT_STATE_ACTIVE, request_id=request_id, server=server, json=json
    )


@commands.command(
    "limits",
    epilog=examples(
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
    """Set all the limits of an account; one that changes in nothing but its maximum goes on counting."""
    if bool(limit) == none:
        raise wrong_usage("give every limit of the account with --limit, or --none")
    wanted = admin_pb2.LimitSet(limits=parse_limits(limit))
    request_id = new_request_id(request_id)
    request = admin_pb2.UpdateAccountRequest(
        account_id=account_id, limits=wanted, request_id=request_id
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.UpdateAccount, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    found = count(len(answer.account.limits), "limit")
    console().print(f"account {escape(answer.account.account_id)} has {found}")
    _print_account(answer.account, request_id)


def _set_state(
    account_id: str,
    state: admin_pb2.AccountState.ValueType,
    *,
    request_id: str | None,
    server: str,
    json: bool,
) -> None:
    request_id = new_request_id(request_id)
    request = admin_pb2.UpdateAccountRequest(
        account_id=account_id, state=state, request_id=request_id
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.admin.UpdateAccount, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    console().print(f"account {escape(answer.account.account_id)} is {state_of(answer.account)}")
    _print_account(answer.account, request_id)


def _all_accounts(ledger: Ledger, prefix: str) -> list[admin_pb2.Account]:
    accounts: list[admin_pb2.Account] = []
    token = ""
    while True:
        request = admin_pb2.ListAccountsRequest(
            page_size=PAGE_SIZE, page_token=token, prefix=prefix
        )
        page = ledger.call(ledger.admin.ListAccounts, request)
        accounts.extend(page.accounts)
        token = page.next_page_token
        if not token:
            return accounts


def state_of(account: admin_pb2.Account) -> str:
    """Name the state of an account for a person."""
    name = admin_pb2.AccountState.Name(account.state)
    return name.removeprefix("ACCOUNT_STATE_").lower()


def _print_account(account: admin_pb2.Account, request_id: str = "") -> None:
    balance = account.balance
    console().print(
        facts(
            ("account", account.account_id),
            ("name", account.display_name),
            ("state", state_of(account)),
            ("available", amount(balance.available)),
            ("settled", amount(balance.settled)),
            ("held", amount(balance.held)),
            ("credit limit", amount(balance.credit_limit)),
            *(("limit", describe(limit)) for limit in account.limits),
            *pricing_facts(account),
            *(("alert", describe_alert(rule)) for rule in account.alerts),
            ("opened", moment(account.create_time)),
            ("request_id", request_id),
        )
    )
