"""Which price list an account pays by, and from when on.

An account that was never put on a named list has no assignments: it pays by the default list, whose name is
empty. Otherwise the first assignment holds until the second begins, and so on; those that have ended are
forgotten, for the price of a request is frozen on its reservation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.errors import Reason, Refused, invalid
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, PriceBook, PriceList, Unlisted

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANGES_MAX = 16
"""The most changes to come that are kept for one account."""

ALWAYS_US = 0
"""The beginning of the assignment that every account has: the default list, until another list is named."""


class Assignment(NamedTuple):
    """The name of a price list, and the moment from which an account pays by it."""

    name: str
    effective_us: int


Pricing = tuple[Assignment, ...]
"""In the order of their moments, no two neighbours of one name; empty for the default list for good."""

NO_ASSIGNMENT = Assignment(DEFAULT_LIST, ALWAYS_US)


class Standing(NamedTuple):
    """How an account is priced at one moment: the present assignment, and those to come, soonest first."""

    present: Assignment = NO_ASSIGNMENT
    to_come: Pricing = ()


def present(pricing: Pricing, now_us: int) -> Assignment:
    """Return the assignment that holds now."""
    for each in reversed(pricing[1:]):
        if each.effective_us <= now_us:
            return each
    return pricing[0] if pricing else NO_ASSIGNMENT


def standing(pricing: Pricing, now_us: int) -> Standing:
    """Return what holds now and what is to come."""
    return Standing(
        present(pricing, now_us),
        tuple(each for each in pricing[1:] if each.effective_us > now_us),
    )


def check_moment(effective_us: int | None, *, now_us: int) -> None:
    """Raise Refused for an assignment that would begin in the past."""
    if effective_us is not None and effective_us < now_us:
        raise invalid("price_list_effective_time", "must not be in the past")


def assigned(
    pricing: Pricing, name: str, effective_us: int | None, *, book: PriceBook, now_us: int
) -> Pricing:
    """Put an account on a list from a moment on (None: now), in place of all that was to begin then or later.

    Raises Refused where no list of that name is in force at the moment, and where too much is to come already.
    """
    begins_us = now_us if effective_us is None else effective_us
    if name and book.in_force(begins_us, name) is None:
        raise Refused(
            Reason.PRICE_LIST_NOT_FOUND,
            f"there is no price list {name} in force at the moment from which the account is to pay by it; "
            "publish one that is",
            metadata={"price_list": name, "field": "price_list"},
        )
    first, *rest = pricing or (NO_ASSIGNMENT,)
    kept = [first, *(each for each in rest if each.effective_us < begins_us)]
    if kept[-1].name != name:
        kept.append(Assignment(name, begins_us))
    if sum(each.effective_us > now_us for each in kept[1:]) > CHANGES_MAX:
        raise invalid(
            "price_list_effective_time",
            f"would be change {CHANGES_MAX + 1} to come of the account's price list; {CHANGES_MAX} are kept",
        )
    # What began at this very moment may be replaced by the next call, which then needs what it followed.
    begun = [index for index, each in enumerate(kept) if each.effective_us < now_us]
    kept = kept[begun[-1] if begun else 0 :]
    return () if kept == [NO_ASSIGNMENT] else tuple(kept)


def prices_now(book: PriceBook, pricing: Pricing, now_us: int) -> PriceList | None:
    """Return the list that the account pays by, as of the moment from which it does; None before the first."""
    held = present(pricing, now_us)
    price_list = book.in_force(now_us, held.name)
    return (
        None
        if price_list is None
        else price_list.as_of(max(price_list.effective_us, held.effective_us))
    )


def prices_to_come(book: PriceBook, pricing: Pricing, now_us: int) -> tuple[PriceList, ...]:
    """Return the lists that the account will pay by, soonest first, each as of the moment from which it does.

    A moment from which there is no list, so that every endpoint is free, has one without prices and version 0.
    """
    before = book.in_force(now_us, present(pricing, now_us).name)
    found: list[PriceList] = []
    for at_us in _moments(book, pricing, now_us):
        name = present(pricing, at_us).name
        after = book.in_force(at_us, name)
        if after is not before:
            found.append(after.as_of(at_us) if after else _nothing(name, at_us))
        before = after
    return tuple(found)


def _moments(book: PriceBook, pricing: Pricing, now_us: int) -> Iterable[int]:
    """Return when anything may begin that the account pays by."""
    names = {present(pricing, now_us).name, *(each.name for each in pricing[1:])}
    moments = {each.effective_us for each in pricing[1:]}
    moments |= {each.effective_us for name in names for each in book.upcoming(now_us, name)}
    return sorted(at_us for at_us in moments if at_us > now_us)


def _nothing(name: str, at_us: int) -> PriceList:
    return PriceList(
        name=name, version=0, effective_us=at_us, prices=(), unlisted=Unlisted.FREE, note=""
    )
