"""Turns the messages of AdminService into commands, and answers into messages; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.commands import (
    CreateAccount,
    Debit,
    GrantCredits,
    ListAccounts,
    ListEntries,
    ListPrices,
    PublishPrices,
    Refund,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.reservation import ReservationName
from tollkeeper.core.validation.fields import Fields
from tollkeeper.rpc.convert.events import alert_message, alerts_of
from tollkeeper.rpc.convert.limits import limit_message, limits_of
from tollkeeper.rpc.convert.pricing import price_list_time, set_pricing
from tollkeeper.rpc.convert.recurring import recurring_grant_message
from tollkeeper.rpc.convert.values import (
    Query,
    grant_message,
    grant_name,
    next_page,
    page_name,
    page_number,
    period_us,
    price_list_message,
    price_list_messages,
    set_balance,
    set_origin,
    set_time,
    time_us,
)
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from tollkeeper.core.answers.views import (
        AccountPage,
        AccountView,
        Debited,
        EntryPage,
        EntryView,
        GrantView,
        PricePage,
        Published,
        Refunded,
    )

# Accounts


def create_account_command(message: admin_pb2.CreateAccountRequest) -> CreateAccount:
    """Read a CreateAccount."""
    fields = Fields()
    command = CreateAccount(
        account_id=fields.account_id("account_id", message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        display_name=fields.text("display_name", message.display_name),
        credit_limit=fields.credit_limit("credit_limit", message.credit_limit),
        limits=limits_of(fields, "limits", message.limits),
        price_list=fields.price_list_name("price_list", message.price_list),
        price_list_effective_us=price_list_time(fields, message, given=bool(message.price_list)),
        alerts=alerts_of(fields, "alerts", message.alerts),
    )
    fields.done()
    return command


def create_account_response(answer: AccountView) -> admin_pb2.CreateAccountResponse:
    """Return the account as it is."""
    return admin_pb2.CreateAccountResponse(account=_account(answer))


def update_account_command(message: admin_pb2.UpdateAccountRequest) -> UpdateAccount:
    """Read an UpdateAccount; what is unset stays."""
    fields = Fields()
    command = UpdateAccount(
        account_id=fields.account_id("account_id", message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        display_name=fields.text("display_name", message.display_name)
        if message.HasField("display_name")
        else None,
        state=fields.state("state", message.state) if message.HasField("state") else None,
        credit_limit=fields.credit_limit("credit_limit", message.credit_limit)
        if message.HasField("credit_limit")
        else None,
        limits=limits_of(fields, "limits.limits", message.limits.limits)
        if message.HasField("limits")
        else None,
        price_list=fields.price_list_name("price_list", message.price_list)
        if message.HasField("price_list")
        else None,
        price_list_effective_us=price_list_time(
            fields, message, given=message.HasField("price_list")
        ),
        alerts=alerts_of(fields, "alerts", message.alerts) if message.HasField("alerts") else None,
    )
    fields.done()
    return command


def update_account_response(answer: AccountView) -> admin_pb2.UpdateAccountResponse:
    """Return the account as it is now."""
    return admin_pb2.UpdateAccountResponse(account=_account(answer))


def account_query(message: admin_pb2.GetAccountRequest) -> str:
    """Read a GetAccount."""
    fields = Fields()
    account_id = fields.account_id("account_id", message.account_id)
    fields.done()
    return account_id


def account_response(answer: AccountView) -> admin_pb2.GetAccountResponse:
    """Return the account."""
    return admin_pb2.GetAccountResponse(account=_account(answer))


def accounts_query(message: admin_pb2.ListAccountsRequest) -> ListAccounts:
    """Read a ListAccounts."""
    fields = Fields()
    query = ListAccounts(
        page_size=fields.page_size("page_size", message.page_size),
        after=page_name(fields, _accounts(message), message.page_token),
        prefix=fields.account_id_prefix("prefix", message.prefix),
    )
    fields.done()
    return query


def accounts_response(
    message: admin_pb2.ListAccountsRequest, answer: AccountPage
) -> admin_pb2.ListAccountsResponse:
    """Return a page of accounts, and the token of the next."""
    return admin_pb2.ListAccountsResponse(
        accounts=map(_account, answer.accounts),
        next_page_token=next_page(_accounts(message), answer.next_after),
    )


def _accounts(message: admin_pb2.ListAccountsRequest) -> Query:
    return ("accounts", message.prefix)


def _account(account: AccountView) -> admin_pb2.Account:
    message = admin_pb2.Account(
        limits=map(limit_message, account.limits),
        recurring_grants=map(recurring_grant_message, account.recurring),
        alerts=map(alert_message, account.alerts),
        account_id=account.account_id,
        display_name=account.display_name,
        state=admin_pb2.AccountState.ValueType(account.state),
        credit_limit=account.credit_limit,
    )
    set_time(message.create_time, account.created_us)
    set_balance(message.balance, account.balance)
    set_pricing(message, account.pricing)
    return message


# Grants


def grant_credits_command(message: admin_pb2.GrantCreditsRequest) -> GrantCredits:
    """Read a GrantCredits; without expire_time it never expires."""
    fields = Fields()
    command = GrantCredits(
        account_id=fields.account_id("account_id", message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        credits=fields.granted_credits("credits", message.credits),
        priority=fields.priority("priority", message.priority),
        expires_us=time_us(fields, "expire_time", message.expire_time)
        if message.HasField("expire_time")
        else None,
        note=fields.text("note", message.note),
    )
    fields.done()
    return command


def grant_credits_response(answer: GrantView) -> admin_pb2.GrantCreditsResponse:
    """Return the grant as it was given, and the balance now."""
    message = admin_pb2.GrantCreditsResponse(grant=grant_message(answer), replayed=answer.replayed)
    set_balance(message.balance, answer.balance)
    return message


def void_grant_command(message: admin_pb2.VoidGrantRequest) -> VoidGrant:
    """Read a VoidGrant."""
    fields = Fields()
    command = VoidGrant(
        account_id=fields.account_id("account_id", message.account_id),
        grant_id=fields.grant("grant_id", message.grant_id, message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        note=fields.text("note", message.note),
    )
    fields.done()
    return command


def void_grant_response(answer: GrantView) -> admin_pb2.VoidGrantResponse:
    """Return the grant as it is left, and the balance now."""
    message = admin_pb2.VoidGrantResponse(grant=grant_message(answer), replayed=answer.replayed)
    set_balance(message.balance, answer.balance)
    return message


def debit_command(message: admin_pb2.DebitRequest) -> Debit:
    """Read a Debit."""
    fields = Fields()
    command = Debit(
        account_id=fields.account_id("account_id", message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        credits=fields.granted_credits("credits", message.credits),
        note=fields.text("note", message.note),
    )
    fields.done()
    return command


def debit_response(answer: Debited) -> admin_pb2.DebitResponse:
    """Return what was taken back, and the balance now."""
    message = admin_pb2.DebitResponse(credits=answer.credits, replayed=answer.replayed)
    set_balance(message.balance, answer.balance)
    return message


def refund_command(message: admin_pb2.RefundRequest) -> Refund:
    """Read a Refund; without credits it gives back all that is left."""
    fields = Fields()
    command = Refund(
        reservation=fields.reservation("reservation_id", message.reservation_id),
        request_id=fields.request_id("request_id", message.request_id),
        credits=fields.refunded_credits("credits", message.credits)
        if message.HasField("credits")
        else None,
        note=fields.text("note", message.note),
        expires_us=time_us(fields, "expire_time", message.expire_time)
        if message.HasField("expire_time")
        else None,
    )
    fields.done()
    return command


def refund_response(answer: Refunded) -> admin_pb2.RefundResponse:
    """Return what was given back, and the balance now."""
    message = admin_pb2.RefundResponse(credits=answer.credits, replayed=answer.replayed)
    if answer.grant_id:
        message.grant_id = grant_name(answer.grant_id)
    set_balance(message.balance, answer.balance)
    return message


# Prices


def publish_prices_command(message: admin_pb2.PublishPricesRequest) -> PublishPrices:
    """Read a PublishPrices; without effective_time it holds from now on.

    `allow_empty` is a safeguard and no content: a repeat may differ in it, where it is not needed.
    """
    fields = Fields()
    given = message.prices
    if not message.HasField("prices"):
        fields.bad("prices", "must be set")
    elif not given.prices and not message.allow_empty:
        fields.bad(
            "prices.prices", "is empty, so nothing has a price; set allow_empty if that is meant"
        )
    if given.version:
        fields.bad("prices.version", "must be unset; the ledger assigns it")
    command = PublishPrices(
        request_id=fields.request_id("request_id", message.request_id),
        prices=fields.prices(
            "prices.prices",
            [
                Price(each.method, each.path, each.credits, each.note, tuple(each.charge_on))
                for each in given.prices
            ],
        ),
        unlisted=fields.unlisted("prices.unlisted", given.unlisted),
        effective_us=time_us(fields, "prices.effective_time", given.effective_time)
        if given.HasField("effective_time")
        else None,
        note=fields.text("prices.note", given.note),
        name=fields.price_list_name("prices.name", given.name),
    )
    fields.done()
    return command


def publish_prices_response(answer: Published) -> admin_pb2.PublishPricesResponse:
    """Return the list as it was published."""
    return admin_pb2.PublishPricesResponse(
        prices=price_list_message(answer.prices), replayed=answer.replayed
    )


def prices_query(message: admin_pb2.ListPricesRequest) -> ListPrices:
    """Read a ListPrices."""
    fields = Fields()
    query = ListPrices(
        page_size=fields.page_size("page_size", message.page_size),
        before=page_number(fields, _prices(message), message.page_token) or None,
        name=fields.price_list_name("name", message.name) if message.HasField("name") else None,
    )
    fields.done()
    return query


def prices_response(
    message: admin_pb2.ListPricesRequest, answer: PricePage
) -> admin_pb2.ListPricesResponse:
    """Return a page of price lists, and the token of the next."""
    return admin_pb2.ListPricesResponse(
        price_lists=price_list_messages(answer.lists),
        next_page_token=next_page(_prices(message), answer.next_before),
    )


def _prices(message: admin_pb2.ListPricesRequest) -> Query:
    return ("prices", message.name) if message.HasField("name") else ("prices",)


# The journal


def entries_query(message: admin_pb2.ListEntriesRequest) -> ListEntries:
    """Read a ListEntries."""
    fields = Fields()
    start_us, end_us = period_us(fields, message)
    query = ListEntries(
        account_id=fields.account_id("account_id", message.account_id),
        page_size=fields.page_size("page_size", message.page_size),
        after=page_number(fields, _entries(message), message.page_token),
        start_us=start_us,
        end_us=end_us,
    )
    fields.done()
    return query


def entries_response(
    message: admin_pb2.ListEntriesRequest, answer: EntryPage
) -> admin_pb2.ListEntriesResponse:
    """Return a page of an account's journal, and the token of the next."""
    return admin_pb2.ListEntriesResponse(
        entries=map(entry_message, answer.entries),
        next_page_token=next_page(_entries(message), answer.next_after),
        sequence_end=answer.sequence_end,
    )


def _entries(message: admin_pb2.ListEntriesRequest) -> Query:
    start, end = message.start_time, message.end_time
    return (
        "entries",
        message.account_id,
        *(start.seconds, start.nanos, message.HasField("start_time")),
        *(end.seconds, end.nanos, message.HasField("end_time")),
    )


def entry_message(view: EntryView) -> admin_pb2.Entry:
    """Return an entry of a journal."""
    entry = view.entry
    message = admin_pb2.Entry(
        sequence=entry.sequence,
        kind=admin_pb2.Entry.Kind.ValueType(entry.kind),
        credits=entry.credits,
        settled=entry.settled,
        method=view.method,
        path=view.path,
        price_version=entry.price_version,
        note=entry.note,
    )
    set_time(message.create_time, entry.created_us)
    if entry.reservation_id:
        message.reservation_id = str(ReservationName(entry.account_key, entry.reservation_id))
    if entry.grant_id:
        message.grant_id = grant_name(entry.grant_id)
        set_origin(message, entry.grant_id)
    return message
