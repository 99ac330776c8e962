"""The recurring grants of accounts, as columns."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import shard_of
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import NO_RECURRING, Recurring, RecurringGrant

if TYPE_CHECKING:
    from tollkeeper.core.account import Account


def recurring_columns(recurring: Recurring) -> tuple[str, int]:
    """Return the columns `recurring` and `next_grant_us` of an account; they are in due order."""
    if not recurring:
        return "", 0
    next_us = recurring[0].next_us
    return json.dumps([list(each) for each in recurring]), 0 if next_us == NEVER_US else next_us


@lru_cache(maxsize=4_096)
def recurring_of(text: str) -> Recurring:
    """Read the recurring grants of an account. Raises ValueError or TypeError for a broken text."""
    if not text:
        return NO_RECURRING
    return tuple(
        RecurringGrant(number, credits, RecurringPeriod(period), *rest)
        for number, credits, period, *rest in json.loads(text)
    )


def recurring_update(account: Account) -> tuple[Any, ...]:
    """Return the columns of an account's recurring grants, and its key."""
    return (*recurring_columns(account.recurring), shard_of(account.key), account.key)
