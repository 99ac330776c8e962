"""`tollkeeper account`: open accounts, look at one, list them."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.cli.accounts.alert_spec import AlertSpecs, describe_alert, parse_alerts
from tollkeeper.cli.accounts.limit_spec import LimitSpecs, describe, parse_limits
from tollkeeper.cli.accounts.price_list import pricing_facts
from tollkeeper.cli.client import Ledger, connect
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
        typer.Option(
            min=0,
            max=CREDITS_MAX,
            metavar="N",
            help="How far below zero the settled balance may go.",
        ),
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
    console().print(f"account {answer.account.account_id} is open")
    print_account(answer.account, request_id)


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
    print_account(answer.account)


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
        ids=("account",),
        zeros=("held", "credit limit"),
    )
    for account in accounts:
        rows.add_row(
            account.account_id,
            account.display_name,
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


def print_account(account: admin_pb2.Account, request_id: str = "") -> None:
    """Print an account for a person."""
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
