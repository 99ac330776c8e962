"""The price lists of a ledger as commands need them: which one holds when, and how each stands."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from tollkeeper.cli import times
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.prices.file import PriceFile
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, Price, PriceList, Unlisted
from tollkeeper.v1 import admin_pb2, prices_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tollkeeper.cli.client import Ledger

PAGE_SIZE = 100

Lists = list[prices_pb2.PriceList]


class Standing(StrEnum):
    """What has become of a list."""

    TO_COME = "to come"
    IN_FORCE = "in force"
    PAST = "past"
    REPLACED = "replaced"
    """A later version holds from the same moment, so this one never does, or no longer."""


def all_lists(ledger: Ledger, name: str | None = DEFAULT_LIST) -> Lists:
    """Ask for every list of a name, or of all where it is None, newest version first."""
    lists: Lists = []
    token = ""
    while True:
        request = admin_pb2.ListPricesRequest(page_size=PAGE_SIZE, page_token=token, name=name)
        page = ledger.call(ledger.admin.ListPrices, request)
        lists.extend(page.price_lists)
        token = page.next_page_token
        if not token:
            return lists


def in_force(lists: Lists, name: str = DEFAULT_LIST) -> prices_pb2.PriceList:
    """Return the list that holds now; `lists` are those of its name."""
    holding = holding_at(lists, times.now())
    if holding is not None:
        return holding
    if name:
        raise CommandError(
            f"no price list {name} is in force; "
            f"publish one with: tollkeeper prices publish FILE --name {name}",
            reason=Why.NO_SUCH_PRICE_LIST,
        )
    raise CommandError(
        "no price list is in force, so every endpoint is free; "
        "publish one with: tollkeeper prices publish FILE",
        reason=Why.NO_SUCH_PRICE_LIST,
    )


def of_name(lists: Lists, name: str) -> Lists:
    """Return the lists of one name."""
    return [each for each in lists if each.name == name]


def title(prices: prices_pb2.PriceList) -> str:
    """Say which list this is."""
    return f"price list {prices.name}" if prices.name else "price list"


def holding_at(lists: Lists, moment: datetime) -> prices_pb2.PriceList | None:
    """Return the list of one name that holds at a moment; of two from the same moment the later version does."""
    begun = [each for each in lists if times.from_timestamp(each.effective_time) <= moment]
    return max(begun, key=_order, default=None)


def by_version(lists: Lists, version: int) -> prices_pb2.PriceList:
    """Return a list by its version."""
    for each in lists:
        if each.version == version:
            return each
    newest = max((each.version for each in lists), default=0)
    raise CommandError(
        f"there is no price list version {version}; the newest is {newest}",
        reason=Why.NO_SUCH_PRICE_LIST,
    )


def standing(prices: prices_pb2.PriceList, lists: Lists, now: datetime) -> Standing:
    """Say how a list stands among those of its name."""
    lists = of_name(lists, prices.name)
    since = times.from_timestamp(prices.effective_time)
    last = holding_at(lists, since)
    if last is not None and last.version != prices.version:
        return Standing.REPLACED
    if since > now:
        return Standing.TO_COME
    held = holding_at(lists, now)
    return (
        Standing.IN_FORCE if held is not None and held.version == prices.version else Standing.PAST
    )


def successor(prices: prices_pb2.PriceList, lists: Lists) -> prices_pb2.PriceList | None:
    """Return the list of its name that a list gives way to, None for the last."""
    later = [each for each in of_name(lists, prices.name) if _order(each)[0] > _order(prices)[0]]
    return (
        holding_at(later, times.from_timestamp(min(later, key=_order).effective_time))
        if later
        else None
    )


def predecessor(prices: prices_pb2.PriceList, lists: Lists) -> prices_pb2.PriceList | None:
    """Return the list of its name that holds until a list begins, None for the first."""
    earlier = [each for each in of_name(lists, prices.name) if _order(each) < _order(prices)]
    return max(earlier, key=_order, default=None)


def to_come(lists: Lists, now: datetime) -> Lists:
    """Return the lists that will hold, soonest first."""
    found = [each for each in lists if standing(each, lists, now) is Standing.TO_COME]
    return sorted(found, key=_order)


def to_message(file: PriceFile) -> prices_pb2.PriceList:
    """Return a price list as the protos carry it."""
    return prices_pb2.PriceList(
        prices=[
            prices_pb2.Price(
                method=price.method,
                path=price.path,
                credits=price.credits,
                note=price.note,
                charge_on=price.charge_on,
            )
            for price in file.prices
        ],
        unlisted=prices_pb2.PriceList.Unlisted.ValueType(file.unlisted),
        note=file.note,
        name=file.name,
    )


def from_message(message: prices_pb2.PriceList) -> PriceFile:
    """Return a price list as a file would have it."""
    return PriceFile(
        tuple(
            Price(each.method, each.path, each.credits, each.note, tuple(each.charge_on))
            for each in message.prices
        ),
        Unlisted.DENIED if message.unlisted == Unlisted.DENIED else Unlisted.FREE,
        message.note,
        message.name,
    )


def compiled(file: PriceFile) -> PriceList:
    """Return a price list that paths can be looked up in."""
    prices: Sequence[Price] = file.prices
    return PriceList(
        version=0,
        effective_us=0,
        prices=prices,
        unlisted=file.unlisted,
        note=file.note,
        name=file.name,
    )


def _order(prices: prices_pb2.PriceList) -> tuple[int, int]:
    return prices.effective_time.ToMicroseconds(), prices.version
