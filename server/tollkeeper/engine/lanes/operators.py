"""How each administrative command is carried out on the working copy of a batch; the table is `administrative.py`.

Each begins with its request_id: a repeat is answered from the record of the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import administer
from tollkeeper.core.account import AccountState, do_what_is_due, shard_of_id
from tollkeeper.core.administer import digest_of
from tollkeeper.core.answers.views import (
    AccountView,
    Debited,
    GrantView,
    RecurringEnded,
    RecurringReplaced,
    RecurringView,
    Refunded,
)
from tollkeeper.core.change import Change
from tollkeeper.core.commands import (
    CreateAccount,
    Debit,
    GrantCredits,
    Refund,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.operators import create_recurring, replace_recurring
from tollkeeper.core.operators import debit as debits
from tollkeeper.core.operators import refund as refunds
from tollkeeper.core.pricing.assignments import check_moment, standing
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
    ReplaceRecurringGrant,
)
from tollkeeper.core.recurring.recurring_grants import by_number

if TYPE_CHECKING:
    from tollkeeper.core.account import Account
    from tollkeeper.core.administer import AdminRecord
    from tollkeeper.core.grants import Grant
    from tollkeeper.engine.lanes.working_copy import Working


def create_account(work: Working, command: CreateAccount) -> AccountView:
    """Open an account."""
    key = work.keys.get(command.account_id)
    existing = None if key is None else work.accounts[key]
    record = _record(work, command)
    if record is not None and existing is not None:
        return _view(work, existing)
    if record is None:
        check_moment(command.price_list_effective_us, now_us=work.now_us)
    new_key = work.ids.next_account_key(work.now_us, shard_of_id(command.account_id))
    account = administer.create_account(
        existing,
        command,
        book=work.book,
        now_us=work.now_us,
        new_key=new_key,
        new_ids=work.new_ids(),
    )
    work.keys[command.account_id] = new_key
    work.keep(Change(account))
    work.keep_record(administer.record_of(command))
    return _view(work, account)


def update_account(work: Working, command: UpdateAccount) -> AccountView:
    """Change an account."""
    record = _record(work, command)
    if record is None:
        check_moment(command.price_list_effective_us, now_us=work.now_us)
    account = work.account(command.account_id)
    if record is None:
        # An account that is closed must hold nothing; what is past its deadline is held no more.
        closing = command.state is AccountState.CLOSED
        ended = work.overdue_ended(account) if closing and account.held else []
        change = administer.update_account(
            ended[-1].account if ended else account,
            command,
            book=work.book,
            now_us=work.now_us,
            new_ids=work.new_ids(),
        )
        for each in ended:
            work.keep(each)
        account = work.keep(change)
        work.keep_record(administer.record_of(command))
    return _view(work, account)


def grant_credits(work: Working, command: GrantCredits) -> GrantView:
    """Give credits to an account."""
    record = _record(work, command)
    if record is None:
        administer.check_expiry(command.expires_us, now_us=work.now_us)
    account = work.account(command.account_id)
    if record is None:
        grant, change = administer.grant_credits(
            account, command, now_us=work.now_us, new_id=work.ids.next(work.now_us)
        )
        record = _keep_grant(work, command, grant, change)
        return _grant_view(work, command, record, change.account, replayed=False)
    return _grant_view(work, command, record, account, replayed=True)


def create_recurring_grant(work: Working, command: CreateRecurringGrant) -> RecurringView:
    """Give credits at the beginning of every period; a first one that has begun is granted at once."""
    record = _record(work, command)
    if record is None:
        create_recurring.check_end(command.end_us, now_us=work.now_us)
    account = work.account(command.account_id)
    if record is not None:
        due, _ = do_what_is_due(account, work.now_us)
        made = create_recurring.as_made(command, record.result)
        return RecurringView(made, due.balance, replayed=True)
    new, change = create_recurring.create_recurring_grant(account, command, now_us=work.now_us)
    work.keep(change)
    work.keep_record(administer.record_of(command, **create_recurring.what_was_made(new)))
    return RecurringView(new, change.account.balance)


def end_recurring_grant(work: Working, command: EndRecurringGrant) -> RecurringEnded:
    """Let no period of a recurring grant begin any more."""
    record = _record(work, command)
    if record is None:
        create_recurring.check_end(command.end_us, now_us=work.now_us)
    account = work.account(command.account_id)
    if record is not None:
        due, _ = do_what_is_due(account, work.now_us)
        end_us = record.result["end_us"]
        return RecurringEnded(command.number, end_us, due.balance, replayed=True)
    ended, change = create_recurring.end_recurring_grant(account, command, now_us=work.now_us)
    work.keep(change)
    work.keep_record(administer.record_of(command, end_us=ended.end_us))
    return RecurringEnded(command.number, ended.end_us, change.account.balance)


def replace_recurring_grant(work: Working, command: ReplaceRecurringGrant) -> RecurringReplaced:
    """Let a recurring grant take the place of another."""
    record = _record(work, command)
    account = work.account(command.account_id)
    if record is not None:
        due, _ = do_what_is_due(account, work.now_us)
        first = replace_recurring.as_replaced(
            command, record.result, str(record.content["time_zone"])
        )
        return RecurringReplaced(*first, due.balance, replayed=True)
    replaced, change = replace_recurring.replace_recurring_grant(
        account, command, now_us=work.now_us
    )
    work.keep(change)
    record = administer.record_of(command, **replace_recurring.what_was_replaced(replaced))
    # No field of the call, so a repeat is not compared with it: the old one's zone, which a repeat answers.
    zone = {"time_zone": replaced.recurring.time_zone}
    work.keep_record(record._replace(content={**record.content, **zone}))
    return RecurringReplaced(*replaced, change.account.balance)


def void_grant(work: Working, command: VoidGrant) -> GrantView:
    """Take back what a grant has left."""
    record = _record(work, command)
    account = work.account(command.account_id)
    if record is None:
        grant, change = administer.void_grant(account, command, now_us=work.now_us)
        record = _keep_grant(work, command, grant, change)
        return _voided_view(work, record, change.account, replayed=False)
    return _voided_view(work, record, account, replayed=True)


def debit(work: Working, command: Debit) -> Debited:
    """Take credits back, also where they have been spent."""
    record = _record(work, command)
    account = work.account(command.account_id)
    if record is not None:
        due, _ = do_what_is_due(account, work.now_us)
        first = record.result
        return Debited(first["credits"], first["created_us"], due.balance, replayed=True)
    change = debits.debit(account, command, now_us=work.now_us)
    work.keep(change)
    work.keep_record(administer.record_of(command, credits=command.credits, created_us=work.now_us))
    return Debited(command.credits, work.now_us, change.account.balance)


def refund(work: Working, command: Refund) -> Refunded:
    """Give back a charge, whole or in part."""
    record = _record(work, command)
    if record is not None:  # also where the reservation has been moved out since
        due, _ = do_what_is_due(work.accounts[command.reservation.account_key], work.now_us)
        first = record.result
        return Refunded(first["credits"], first["grant_id"], due.balance, replayed=True)
    administer.check_expiry(command.expires_us, now_us=work.now_us)
    charge = work.charge(command)
    if charge is None:
        reservation = work.reservation(command.reservation)
        account = work.accounts[command.reservation.account_key]
        answer, change = refunds.refund(
            account, reservation, command, now_us=work.now_us, new_id=work.ids.next(work.now_us)
        )
    else:
        answer, change = refunds.refund_from_journal(
            work.accounts[command.reservation.account_key],
            charge.entry,
            command,
            refunded=charge.refunded,
            now_us=work.now_us,
            new_id=work.ids.next(work.now_us),
        )
        work.keep_charge(charge._replace(refunded=charge.refunded + answer.credits))
    work.keep(change)
    work.keep_record(
        administer.record_of(command, credits=answer.credits, grant_id=answer.grant_id)
    )
    return answer


def _record(work: Working, command: administer.AdminCommand) -> AdminRecord | None:
    record = work.admin.get(digest_of(command.request_id))
    if record is not None:
        administer.check_repeat(record, command)
    return record


def _keep_grant(
    work: Working, command: GrantCredits | VoidGrant, grant: Grant, change: Change
) -> AdminRecord:
    record = administer.record_of(
        command,
        grant_id=grant.grant_id,
        remaining=grant.remaining,
        created_us=grant.created_us,
        expires_us=grant.expires_us,
    )
    work.keep(change)
    work.keep_record(record)
    return record


def _view(work: Working, account: Account) -> AccountView:
    due, _ = do_what_is_due(account, work.now_us)
    return AccountView(
        due.account_id,
        due.display_name,
        due.state,
        due.credit_limit,
        due.created_us,
        due.balance,
        tuple(state.limit for state in due.limits),
        tuple(state.rule for state in due.alerts),
        standing(due.pricing, work.now_us),
        by_number(due.recurring),
    )


def _grant_view(
    work: Working, command: GrantCredits, record: AdminRecord, account: Account, *, replayed: bool
) -> GrantView:
    due, _ = do_what_is_due(account, work.now_us)
    return GrantView(
        grant_id=record.result["grant_id"],
        credits=command.credits,
        remaining=record.result["remaining"],
        priority=command.priority,
        created_us=record.result["created_us"],
        expires_us=record.result["expires_us"],
        note=command.note,
        balance=due.balance,
        replayed=replayed,
    )


def _voided_view(
    work: Working, record: AdminRecord, account: Account, *, replayed: bool
) -> GrantView:
    """Return the grant as it was left: nothing remains of it. The account has all its grants here."""
    due, _ = do_what_is_due(account, work.now_us)
    grant = next(each for each in due.grants if each.grant_id == record.result["grant_id"])
    return GrantView(
        grant_id=grant.grant_id,
        credits=grant.credits,
        remaining=grant.remaining,
        priority=grant.priority,
        created_us=grant.created_us,
        expires_us=grant.expires_us,
        note=grant.note,
        balance=due.balance,
        replayed=replayed,
    )
