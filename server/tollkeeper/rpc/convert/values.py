"""Turns the core's values into messages, and back: the parts that several calls have in common.

Times are exact to the microsecond in both directions. The calls themselves are in
`convert_ledger.py` and `convert_admin.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.recurring_grants import origin_of
from tollkeeper.rpc.convert import page_token
from tollkeeper.v1 import ledger_pb2, prices_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from google.protobuf.timestamp_pb2 import Timestamp

    from tollkeeper.core.answers.views import GrantView
    from tollkeeper.core.credits import Balance
    from tollkeeper.core.grants import Grant
    from tollkeeper.core.pricing.price_lists import PriceList
    from tollkeeper.core.validation.fields import Fields
    from tollkeeper.v1 import admin_pb2

    Period: TypeAlias = (
        admin_pb2.ListEntriesRequest
        | admin_pb2.ListConsumptionRequest
        | admin_pb2.GetPlatformOverviewRequest
        | ledger_pb2.GetOverviewRequest
    )

Query = tuple[str | int | None, ...]
"""What a page token belongs to: the name of a list, and its filters."""

_NAME = re.compile(r"[!-~]{1,128}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def page_name(fields: Fields, query: Query, token: str) -> str:
    """Read the account that a list goes on after; empty at its beginning."""
    return page_place(fields, query, token, _NAME)


def page_number(fields: Fields, query: Query, token: str) -> int:
    """Read the number that a list goes on from; 0 at its beginning."""
    return int(page_place(fields, query, token, _NUMBER) or 0)


def page_place(fields: Fields, query: Query, token: str, places: re.Pattern[str]) -> str:
    """Read a place out of a token. A token of another query, or of no query, is a bad field."""
    if not token:
        return ""
    place = page_token.decode(query, token)
    if place is None or not places.fullmatch(place):
        fields.bad("page_token", "must be the next_page_token of a call with the same filters")
        return ""
    return place


def next_page(query: Query, place: str | int) -> str:
    """Return the token of the next page; none where `place` is empty or zero."""
    return page_token.encode(query, str(place)) if place else ""


def time_us(fields: Fields, field: str, at: Timestamp) -> int | None:
    """Read an instant that is set."""
    return fields.time_us(field, at.seconds, at.nanos)


def period_us(fields: Fields, message: Period) -> tuple[int | None, int | None]:
    """Read the bounds of a period; None for one that is unset."""
    start_us = end_us = None
    if message.HasField("start_time"):
        start_us = time_us(fields, "start_time", message.start_time)
    if message.HasField("end_time"):
        end_us = time_us(fields, "end_time", message.end_time)
    fields.period("end_time", start_us, end_us)
    return start_us, end_us


def set_time(to: Timestamp, time_us: int) -> None:
    """Set an instant, given in microseconds since 1970."""
    to.seconds = time_us // 1_000_000
    to.nanos = time_us % 1_000_000 * 1_000


def set_balance(to: ledger_pb2.Balance, balance: Balance) -> None:
    """Set the four figures of a balance."""
    to.available, to.settled, to.held, to.credit_limit = balance


def grant_name(grant_id: int) -> str:
    """Return what callers know a grant by."""
    return f"{grant_id:x}"


def grant_message(grant: Grant | GrantView) -> ledger_pb2.Grant:
    """Return a grant; one that never expires has no expire_time."""
    message = ledger_pb2.Grant(
        grant_id=grant_name(grant.grant_id),
        credits=grant.credits,
        remaining=grant.remaining,
        priority=grant.priority,
        note=grant.note,
    )
    set_time(message.create_time, grant.created_us)
    if grant.expires_us != NEVER_US:
        set_time(message.expire_time, grant.expires_us)
    set_origin(message, grant.grant_id)
    return message


def set_origin(to: ledger_pb2.Grant | admin_pb2.Entry, grant_id: int) -> None:
    """Set which recurring grant made a grant, if one did."""
    origin = origin_of(grant_id)
    if origin is not None:
        to.recurring_grant_id = str(origin.number)
        to.rolled_over = origin.rolled_over


def price_list_message(prices: PriceList) -> prices_pb2.PriceList:
    """Return a published price list."""
    message = prices_pb2.PriceList(
        version=prices.version,
        unlisted=prices_pb2.PriceList.Unlisted.ValueType(prices.unlisted),
        note=prices.note,
        name=prices.name,
        prices=(
            prices_pb2.Price(
                method=price.method,
                path=price.path,
                credits=price.credits,
                note=price.note,
                charge_on=price.charge_on,
            )
            for price in prices.prices
        ),
    )
    set_time(message.effective_time, prices.effective_us)
    return message


def price_list_messages(lists: Sequence[PriceList]) -> list[prices_pb2.PriceList]:
    """Return several price lists, in their order."""
    return [price_list_message(each) for each in lists]
