"""The content of an administrative command, which its record keeps: a repeat must have the same.

Each such command has a method `content`. It returns the fields that matter, by their names in the proto and in its
order. A field that the caller did not set is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.core.alerts.rules import AlertRule
    from tollkeeper.core.limits import Limit
    from tollkeeper.core.pricing.price_lists import Price

Content = Mapping[str, str | int | None]


def text_of_limits(limits: Sequence[Limit]) -> str:
    """Return the limits in words."""
    return "; ".join(
        f"{each.name}: {each.maximum} {each.unit.name} a {each.window.name} in {each.time_zone}"
        f" of {each.method} {each.path}{'' if each.enforce else ' in shadow'}"
        for each in limits
    )


def text_of_alerts(rules: Sequence[AlertRule]) -> str:
    """Return the alert rules in words."""
    return "; ".join(
        f"{each.name}: {each.subject.name} {each.threshold}{'%' if each.percent else ''}"
        f" a {each.window.name if each.window else 'crossing'} in {each.time_zone} of {each.limit}"
        for each in rules
    )


def digest_of_prices(prices: Sequence[Price]) -> str:
    """Return what stands for a whole price list; the ids of its endpoints do not matter."""
    text = repr([price._replace(endpoint_id=0) for price in prices])
    return blake2b(text.encode(), digest_size=16).hexdigest()
