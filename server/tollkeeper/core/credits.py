"""Bounds of credits, so that no sum of them leaves a signed 64-bit integer."""

from __future__ import annotations

from typing import NamedTuple

PRICE_MAX = 10**12
"""The most that one request may cost, in credits."""

GRANT_MAX = 10**15
"""The most credits of one grant, and the largest credit limit."""

BALANCE_MAX = 10**18
"""The largest settled balance that a grant may lead to."""


class Balance(NamedTuple):
    """What an account has at one instant, in credits: available = settled + credit_limit - held."""

    available: int
    settled: int
    held: int
    credit_limit: int
