"""Turns the price lists that accounts are on into the core's values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.pricing.assignments import ALWAYS_US
from tollkeeper.rpc.convert.values import set_time, time_us

if TYPE_CHECKING:
    from tollkeeper.core.pricing.assignments import Standing
    from tollkeeper.core.validation.fields import Fields
    from tollkeeper.v1 import admin_pb2


def price_list_time(
    fields: Fields,
    message: admin_pb2.CreateAccountRequest | admin_pb2.UpdateAccountRequest,
    *,
    given: bool,
) -> int | None:
    """Read from when on an account pays by a list; None for now. `given` says whether there is a list."""
    if not message.HasField("price_list_effective_time"):
        return None
    if not given:
        fields.bad("price_list_effective_time", "must be unset without price_list")
    return time_us(fields, "price_list_effective_time", message.price_list_effective_time)


def set_pricing(to: admin_pb2.Account, pricing: Standing) -> None:
    """Set the list that an account pays by, and those to come."""
    to.price_list = pricing.present.name
    if pricing.present.effective_us != ALWAYS_US:
        set_time(to.price_list_effective_time, pricing.present.effective_us)
    for each in pricing.to_come:
        set_time(
            to.upcoming_price_lists.add(price_list=each.name).effective_time, each.effective_us
        )
