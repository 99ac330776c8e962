"""Price lists: what one request to an endpoint costs, and from when on.

A list is whole and never changes. Of the patterns that match a path, the order of `Price.rank` decides; of
the lists of one name, the greatest effective time not after now, then the later version. Who pays by which
name: `assignments.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from enum import IntEnum, unique
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.pricing.patterns import (
    REST,
    definiteness,
    has_verb,
    is_placeholder,
    literal_prefix,
    normal_form,
    segments_of,
    shape_of,
    verb_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from tollkeeper.core.outcome import ChargeOn
    from tollkeeper.core.pricing.paths import Path
    from tollkeeper.core.pricing.patterns import Segments

ANY_METHOD = "*"
GET = "GET"
HEAD = "HEAD"
DEFAULT_LIST = ""
"""The name of the list of every account that is not on another."""
UNLISTED_ENDPOINT_ID = 1
UNLISTED_ENDPOINT = (ANY_METHOD, "/**")
"""The endpoint that denials of unlisted endpoints are counted under."""


@unique
class Unlisted(IntEnum):
    """What becomes of endpoints that the list does not name; the numbers are the proto's."""

    FREE = 1
    DENIED = 2


class Price(NamedTuple):
    """What one request to an endpoint costs. `method` and `path` are as the price list writes them.

    `endpoint_id` is the ledger's number for (method, path), 0 before the list is published.
    """

    method: str
    path: str
    credits: int
    note: str = ""
    charge_on: ChargeOn = ()
    endpoint_id: int = 0

    @property
    def segments(self) -> Segments:
        """The segments of the pattern."""
        return segments_of(self.path)

    @property
    def rank(self) -> tuple[object, ...]:
        """The greatest of those that match wins: literal prefix, named method, then the more definite pattern."""
        segments = self.segments
        prefix = len(literal_prefix(segments))
        return (
            prefix,
            self.method != ANY_METHOD,
            prefix == len(segments),
            sum(not is_placeholder(segment) for segment in segments),
            sum(map(has_verb, segments)),
            segments[-1:] != (REST,),
            len(segments),
            tuple(map(definiteness, segments)),
        )

    @property
    def shape(self) -> tuple[str, Segments]:
        """What two prices of one list may not share: the pattern without the names in its braces."""
        return self.method, shape_of(self.segments)


class _Form(NamedTuple):
    """What a pattern is but the words in it. All that `Price.rank` looks at, so no two forms are of one rank.

    A pattern is read as its method and then its segments; `places` are those of them that a request must have, and
    `verbs` those of which it must have the verb. It matches paths of `length` segments, and longer ones too where it is
    `open`.
    """

    places: tuple[int, ...]
    verbs: tuple[int, ...]
    length: int
    open: bool


def _form_of(price: Price) -> _Form:
    segments = price.segments
    is_open = segments[-1:] == (REST,)
    method = () if price.method == ANY_METHOD else (0,)
    literal = (place for place, each in enumerate(segments, 1) if not is_placeholder(each))
    verbs = tuple(place for place, each in enumerate(segments, 1) if has_verb(each))
    return _Form((*method, *literal), verbs, len(segments) - is_open, is_open)


_Lookup = tuple["Callable[[Segments], Hashable]", "dict[Hashable, Price]"]
"""What of a request is looked up, and where."""


def _lookup(form: _Form, prices: Sequence[Price]) -> _Lookup:
    key_of = _key_of(form)
    found: dict[Hashable, Price] = {}
    # A spelling that is written goes before one that only means the same. Of two that match the same the first
    # counts; a published list has no such two.
    for spell in (normal_form, str):
        for each in reversed(prices):
            found[key_of((each.method, *segments_of(spell(each.path))))] = each
    return key_of, found


def _key_of(form: _Form) -> Callable[[Segments], Hashable]:
    words_of = _words_of(form.places)
    return _WordsAndVerbs(words_of, form.verbs) if form.verbs else words_of


class _WordsAndVerbs(NamedTuple):
    """Takes of a request what must be equal, and the verbs of other segments. No closure: a published list travels."""

    words_of: Callable[[Segments], Hashable]
    verbs: tuple[int, ...]

    def __call__(self, request: Segments) -> Hashable:
        return (self.words_of(request), *(verb_of(request[place]) for place in self.verbs))


def _words_of(places: Sequence[int]) -> Callable[[Segments], Hashable]:
    return itemgetter(*places) if places else _nothing_of


def _nothing_of(_request: Segments) -> Hashable:
    return None


class _Table:
    """The prices of a list, compiled: a dictionary for each form, the best of the forms first.

    So the first price that is found is the best of all that match, after at most one access for each form that
    the path's length allows, however many prices there are and whatever the path is.
    """

    def __init__(self, prices: Iterable[Price]) -> None:
        by_form: dict[_Form, list[Price]] = {}
        self._names_head = False
        for price in prices:
            self._names_head |= price.method == HEAD
            by_form.setdefault(_form_of(price), []).append(price)
        self._length_max = 1 + max((form.length for form in by_form), default=0)
        """All paths of so many segments or more are alike."""
        self._by_length: list[list[_Lookup]] = [[] for _ in range(self._length_max + 1)]
        for form in sorted(by_form, key=lambda form: by_form[form][0].rank, reverse=True):
            lookup = _lookup(form, by_form[form])
            last = self._length_max if form.open else form.length
            for lookups in self._by_length[form.length : last + 1]:
                lookups.append(lookup)

    def best(self, method: str, segments: Segments) -> Price | None:
        """Return the price of the greatest rank of those that match; HEAD costs what GET costs but by its own. Hot."""
        lookups = self._by_length[min(len(segments), self._length_max)]
        if method == HEAD:
            own = _first(lookups, (HEAD, *segments)) if self._names_head else None
            if own is not None and own.method == HEAD:
                return own
            method = GET
        request = (method, *segments)
        for key_of, prices in lookups:
            price = prices.get(key_of(request))
            if price is not None:
                return price
        return None


def _first(lookups: Iterable[_Lookup], request: Segments) -> Price | None:
    prices_found = (prices.get(key_of(request)) for key_of, prices in lookups)
    return next((price for price in prices_found if price is not None), None)


class PriceList:
    """One published list. What a look-up costs does not depend on how long it is: see `_Table`."""

    def __init__(
        self,
        *,
        version: int,
        effective_us: int,
        prices: Iterable[Price],
        unlisted: Unlisted,
        note: str,
        name: str = DEFAULT_LIST,
    ) -> None:
        self.name = name
        self.version = version
        self.effective_us = effective_us
        self.prices = tuple(prices)
        self.unlisted = unlisted
        self.note = note
        self._table = _Table(self.prices)

    def as_of(self, effective_us: int) -> PriceList:
        """Return this list with another moment from which it holds."""
        if effective_us == self.effective_us:
            return self
        moved = copy(self)
        moved.effective_us = effective_us
        return moved

    def match(self, method: str, path: Path) -> Price | None:
        """Return the price of a request, the dearest of the path's readings, or None where it is unlisted.

        Where the list denies unlisted endpoints, one unlisted reading is enough for None.
        """
        if len(path.readings) == 1:
            return self._table.best(method, path.readings[0])
        prices = [self._table.best(method, reading) for reading in path.readings]
        listed = [price for price in prices if price is not None]
        if not listed or (self.unlisted is Unlisted.DENIED and len(listed) < len(prices)):
            return None
        return max(listed, key=lambda price: (price.credits, price.rank))


class PriceBook:
    """The published lists that are, or will be, in force, of every name.

    `version` is the newest ever published, 0 for none; `published_us` is when that was.
    """

    def __init__(self, lists: Iterable[PriceList], *, version: int, published_us: int = 0) -> None:
        self.lists = tuple(sorted(lists, key=lambda each: (each.effective_us, each.version)))
        self.version = version
        self.published_us = published_us
        by_name: dict[str, list[PriceList]] = {}
        for each in self.lists:
            by_name.setdefault(each.name, []).append(each)
        self._by_name = {
            name: (tuple(lists), [each.effective_us for each in lists])
            for name, lists in by_name.items()
        }

    def in_force(self, now_us: int, name: str = DEFAULT_LIST) -> PriceList | None:
        """Return the list of a name that is in force, or None before the first."""
        lists, moments = self._by_name.get(name, _NO_LISTS)
        index = bisect_right(moments, now_us)
        return lists[index - 1] if index else None

    def upcoming(self, now_us: int, name: str = DEFAULT_LIST) -> tuple[PriceList, ...]:
        """Return the lists of a name that will be in force later, soonest first."""
        lists, moments = self._by_name.get(name, _NO_LISTS)
        return lists[bisect_right(moments, now_us) :]


_NO_LISTS: tuple[tuple[PriceList, ...], list[int]] = ((), [])
