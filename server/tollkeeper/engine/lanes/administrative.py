"""The administrative commands: one entry for each, with the rows that it needs and how it is carried out.

The rest follows from the command. Its class has its content for the record, and its first answer is known by the
record: the attempt that wrote it was the first. PublishPrices is no operation of a batch and has no entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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
from tollkeeper.core.commands import (
    CreateAccount,
    Debit,
    GrantCredits,
    Refund,
    UpdateAccount,
    VoidGrant,
)
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
    ReplaceRecurringGrant,
)
from tollkeeper.engine.lanes import operators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tollkeeper.engine.lanes.working_copy import Working
    from tollkeeper.engine.ports import Loaded, Needs

Administrative = (
    CreateAccount
    | UpdateAccount
    | GrantCredits
    | CreateRecurringGrant
    | EndRecurringGrant
    | ReplaceRecurringGrant
    | VoidGrant
    | Debit
    | Refund
)
AdministrativeAnswer = (
    AccountView
    | GrantView
    | RecurringView
    | RecurringEnded
    | RecurringReplaced
    | Debited
    | Refunded
)


def _account(needs: Needs, command: Any) -> None:  # noqa: ANN401 - any command with an account_id
    needs.account_ids.add(command.account_id)


def _account_with_all_grants(needs: Needs, command: Any) -> None:  # noqa: ANN401 - likewise
    needs.account_ids.add(command.account_id)
    needs.all_grants_of_ids.add(command.account_id)


def _charge(needs: Needs, command: Refund) -> None:
    account_key = command.reservation.account_key
    needs.account_keys.add(account_key)
    needs.all_grants_of_keys.add(account_key)
    needs.reservations.add(command.reservation)
    if command.charge_sequence:
        needs.charges.add((account_key, command.charge_sequence))


class Entry(NamedTuple):
    """`need` adds the rows that a command needs; `carry_out` raises Refused, having changed nothing."""

    need: Callable[[Needs, Any], None]
    carry_out: Callable[[Working, Any], AdministrativeAnswer]


ENTRIES: Mapping[type[Administrative], Entry] = {
    CreateAccount: Entry(_account, operators.create_account),
    UpdateAccount: Entry(_account, operators.update_account),
    GrantCredits: Entry(_account, operators.grant_credits),
    CreateRecurringGrant: Entry(_account, operators.create_recurring_grant),
    EndRecurringGrant: Entry(_account, operators.end_recurring_grant),
    ReplaceRecurringGrant: Entry(_account_with_all_grants, operators.replace_recurring_grant),
    VoidGrant: Entry(_account_with_all_grants, operators.void_grant),
    Debit: Entry(_account, operators.debit),
    Refund: Entry(_charge, operators.refund),
}


def need(needs: Needs, command: Administrative) -> None:
    """Add the rows that a command needs, and the record of its request_id."""
    needs.admin_digests.add(digest_of(command.request_id))
    ENTRIES[type(command)].need(needs, command)


def carry_out(work: Working, command: Administrative) -> AdministrativeAnswer:
    """Carry out one command. Raises Refused, having changed nothing."""
    return ENTRIES[type(command)].carry_out(work, command)


def was_done_at(loaded: Loaded, command: Administrative, at_us: int) -> bool:
    """Say whether the record of a command was written by the attempt of that time: its answer was the first."""
    record = loaded.admin.get(digest_of(command.request_id))
    return record is not None and record.created_us == at_us
