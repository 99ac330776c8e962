"""Takes credits back that may have been spent already, such as those of a payment that was charged back.

A debit is one entry of the journal. No grant is named: what is owed by it is repaid at once from what the open grants
have remaining, in burn order, and else by the next credits that become free.

The law behind it: consumed credits of all grants + owed = charged, net of refunds, + debited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.account import Account, do_what_is_due, repaid
from tollkeeper.core.change import Change
from tollkeeper.core.credits import BALANCE_MAX
from tollkeeper.core.errors import invalid
from tollkeeper.core.journal import Entry, EntryKind

if TYPE_CHECKING:
    from tollkeeper.core.commands import Debit


def debit(account: Account, command: Debit, *, now_us: int) -> Change:
    """Take the credits from the settled balance, also below zero; what is held stays held.

    In every state of the account. Raises Refused where the balance would be too far below zero.
    """
    due, entries = do_what_is_due(account, now_us)
    settled = due.settled - command.credits
    if settled < -BALANCE_MAX:
        raise invalid("credits", f"would lead to a balance under -{BALANCE_MAX}")

    entry = Entry(
        account_key=due.key,
        sequence=due.sequence + 1,
        kind=EntryKind.DEBIT,
        credits=-command.credits,
        settled=settled,
        created_us=now_us,
        note=command.note,
    )
    after = due._replace(settled=settled, sequence=entry.sequence)
    return Change(repaid(after), (*entries, entry))
