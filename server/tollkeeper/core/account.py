"""An account: what it has, what it holds, and the laws that tie the two.

    available = settled + credit_limit - held
    settled   = sum(remaining + held of the grants) - owed

*Owed* is what was charged and paid by no grant: drawn on the credit limit, or charged late. The next credits
that become free repay it, so while anything is owed no open grant has anything remaining.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple

from tollkeeper.core import grants as grants_
from tollkeeper.core.alerts import Alerts
from tollkeeper.core.credits import Balance
from tollkeeper.core.grants import Grants
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.limits import Limits
from tollkeeper.core.pricing import Pricing

SHARDS = 64
"""How many shards accounts are spread over; fixed for good, since every key carries its shard."""


@unique
class AccountState(IntEnum):
    """Whether an account may authorize; the numbers are the proto's."""

    ACTIVE = 1
    BLOCKED = 2
    CLOSED = 3


class Account(NamedTuple):
    """An account as of one instant, with its open grants in burn order.

    Hot: a tuple, not a dataclass (a third of the time).

    `key` is the ledger's own number for it and carries the shard in its lowest six bits; `charged` is what it was
    charged since it was opened; `sequence` is that of its last journal entry.
    """

    key: int
    account_id: str
    display_name: str
    state: AccountState
    credit_limit: int
    settled: int
    held: int
    charged: int
    sequence: int
    created_us: int
    grants: Grants
    limits: Limits = ()
    alerts: Alerts = ()
    pricing: Pricing = ()

    @property
    def available(self) -> int:
        """What a new request may still hold, in credits."""
        return self.settled + self.credit_limit - self.held

    @property
    def owed(self) -> int:
        """What was charged and paid by no grant, in credits."""
        return sum(grant.remaining + grant.held for grant in self.grants) - self.settled

    @property
    def balance(self) -> Balance:
        """The four figures that every answer carries."""
        return Balance(
            self.settled + self.credit_limit - self.held, self.settled, self.held, self.credit_limit
        )


def shard_of(key: int) -> int:
    """Return the shard that an account key carries."""
    return key & (SHARDS - 1)


def expire_grants(account: Account, now_us: int) -> tuple[Account, tuple[Entry, ...]]:
    """Do what is due on the account's grants: one entry for each that has expired, or was voided, with credits left."""
    if not grants_.is_due(account.grants, now_us):
        return account, ()
    due, grants = grants_.take_due(account.grants, now_us)
    entries: list[Entry] = []
    settled, sequence = account.settled, account.sequence
    for grant in due:
        settled -= grant.remaining
        sequence += 1
        entries.append(
            Entry(
                account_key=account.key,
                sequence=sequence,
                kind=EntryKind.GRANT_VOIDED if grant.void else EntryKind.GRANT_EXPIRED,
                credits=-grant.remaining,
                settled=settled,
                created_us=now_us,
                grant_id=grant.grant_id,
            )
        )
    after = account._replace(settled=settled, sequence=sequence, grants=grants)
    return after, tuple(entries)


def repaid(account: Account) -> Account:
    """Repay what is owed from what the account's grants have remaining, as far as it goes."""
    owed = account.owed
    if owed <= 0:
        return account
    return account._replace(grants=grants_.repay(account.grants, owed))
