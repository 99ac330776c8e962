"""An account: what it has, what it holds, and the laws that tie the two.

    available = settled + credit_limit - held
    settled   = sum(remaining + held of the grants) - owed

*Owed* is what was charged or debited and paid by no grant: drawn on the credit limit, charged late, or taken back
after it was spent. The next credits that become free repay it, so while anything is owed no open grant has anything
remaining.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple
from zlib import crc32

from tollkeeper.core import grants as grants_
from tollkeeper.core.alerts.rules import Alerts
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.fast_tuples import new_tuple
from tollkeeper.core.grants import Grant, Grants
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.limits import Limits
from tollkeeper.core.pricing.assignments import Pricing
from tollkeeper.core.recurring import recurring_grants as recurring_
from tollkeeper.core.recurring.recurring_grants import NO_RECURRING, Recurring, RecurringGrant

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
    recurring: Recurring = NO_RECURRING

    @property
    def available(self) -> int:
        """What a new request may still hold, in credits."""
        return self.settled + self.credit_limit - self.held

    @property
    def owed(self) -> int:
        """What was charged or debited and paid by no grant, in credits."""
        owed = -self.settled
        # Runs for every charge; a sum over a generator takes twice as long.
        for grant in self.grants:
            owed += grant.remaining + grant.held
        return owed

    @property
    def balance(self) -> Balance:
        """The four figures that every answer carries."""
        _, _, _, _, credit_limit, settled, held, *_ = self
        return new_tuple(Balance, (settled + credit_limit - held, settled, held, credit_limit))


def account_not_found(account_id: str) -> Refused:
    """Return the refusal of a call that names an account which there is not."""
    return Refused(
        Reason.ACCOUNT_NOT_FOUND,
        f"there is no account {account_id}",
        metadata={"account_id": account_id},
    )


def shard_of_id(account_id: str) -> int:
    """Return the shard of an account id: its CRC-32, fixed for good."""
    return crc32(account_id.encode("ascii")) & (SHARDS - 1)


def shard_of(key: int) -> int:
    """Return the shard that an account key carries."""
    return key & (SHARDS - 1)


def do_what_is_due(account: Account, now_us: int) -> tuple[Account, tuple[Entry, ...]]:
    """Do what is due on the account's grants, in the order of time.

    Those that have expired, or were voided, with credits left lose them, one entry each; and the periods of recurring
    grants that have begun are granted, each at its beginning.
    """
    if account.recurring and account.recurring[0].next_us <= now_us:
        return _with_periods_begun(account, now_us)
    if not grants_.is_due(account.grants, now_us):
        return account, ()
    return _expired(account, now_us, now_us=now_us)


def _expired(account: Account, until_us: int, *, now_us: int) -> tuple[Account, tuple[Entry, ...]]:
    """Take what remains of the grants that are due at `until_us`; the entries are of now."""
    due, grants = grants_.take_due(account.grants, until_us)
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


def _with_periods_begun(account: Account, now_us: int) -> tuple[Account, tuple[Entry, ...]]:
    """Do what is due, where that includes periods of recurring grants: also many, after a long sleep."""
    entries: list[Entry] = []
    closed: list[Grant] = []
    while (at_us := account.recurring[0].next_us) <= now_us:
        begun = [each for each in account.recurring if each.next_us == at_us]
        left = [recurring_.left_of(each, account.grants) for each in begun]
        account, gone = _expired(account, at_us, now_us=now_us)
        entries.extend(gone)
        for each, credits in zip(begun, left, strict=True):
            account, entry = _with_period(account, each, credits, now_us=now_us)
            entries.extend(entry)
        # What is used up is put aside, so that the periods of a year cost no more each than those of a day.
        closed.extend(grant for grant in account.grants if not grant.remaining + grant.held)
        still_open = tuple(grant for grant in account.grants if grant.remaining + grant.held)
        account = account._replace(grants=still_open)
    account, gone = _expired(account, now_us, now_us=now_us)
    grants = sorted((*closed, *account.grants), key=lambda grant: grant.burn_order)
    return account._replace(grants=tuple(grants)), (*entries, *gone)


def _with_period(
    account: Account, recurring: RecurringGrant, left: int, *, now_us: int
) -> tuple[Account, tuple[Entry, ...]]:
    """Grant the next period of a recurring grant; what is owed is repaid from it before anything else."""
    after, grants = recurring_.begun(recurring, left)
    others = tuple(each for each in account.recurring if each.number != recurring.number)
    account = account._replace(recurring=recurring_.sorted_by_due((*others, after)))
    entries: list[Entry] = []
    for grant in grants:
        account, entry = granted(account, grant, now_us=now_us)
        entries.append(entry)
    return account, tuple(entries)


def granted(account: Account, grant: Grant, *, now_us: int) -> tuple[Account, Entry]:
    """Add a grant, which repays what is owed before anything else."""
    entry = Entry(
        account_key=account.key,
        sequence=account.sequence + 1,
        kind=EntryKind.GRANT,
        credits=grant.credits,
        settled=account.settled + grant.credits,
        created_us=now_us,
        grant_id=grant.grant_id,
        note=grant.note,
    )
    grants = grants_.repay(grants_.inserted(account.grants, grant), account.owed)
    after = account._replace(settled=entry.settled, sequence=entry.sequence, grants=grants)
    return after, entry


def repaid(account: Account) -> Account:
    """Repay what is owed from what the account's grants have remaining, as far as it goes."""
    owed = account.owed
    if owed <= 0:
        return account
    return account._replace(grants=grants_.repay(account.grants, owed))
