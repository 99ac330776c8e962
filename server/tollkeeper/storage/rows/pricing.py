"""The price lists that an account is on, as a column."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import shard_of
from tollkeeper.core.pricing.assignments import Assignment, Pricing

if TYPE_CHECKING:
    from tollkeeper.core.account import Account


def pricing_column(pricing: Pricing) -> str:
    """Return the column `pricing` of an account."""
    return json.dumps(pricing) if pricing else ""


@lru_cache(maxsize=4_096)
def pricing_of(text: str) -> Pricing:
    """Read which lists an account is on. Raises ValueError or TypeError for a broken text."""
    return tuple(Assignment(name, int(begins_us)) for name, begins_us in json.loads(text))


def pricing_update(account: Account) -> tuple[Any, ...]:
    """Return the column `pricing`, and the key."""
    return pricing_column(account.pricing), shard_of(account.key), account.key
