"""Reads the keys of a price list, whatever form its file has, and notes everything that is wrong.

Keys and headings are known in any case, with blanks around them and between their words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, Price, Unlisted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

PRICE_KEYS = ("method", "path", "credits", "note", "charge_on")
FREE, DENIED = "free", "denied"
UNLISTED: Mapping[str, Unlisted] = {FREE: Unlisted.FREE, DENIED: Unlisted.DENIED}

_NAMES: Mapping[type, str] = {str: "a text", int: "a whole number", list: "a list"}
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


class Keys(NamedTuple):
    """How one form of file names the parts of a list."""

    prices: str
    others: tuple[str, ...]
    unlisted: Mapping[str, Unlisted]
    entry: str
    """What an entry must be."""
    none: str
    """How a list without prices is written."""


class Location(NamedTuple):
    """Where a price is: a number to sort by, and words for a person."""

    at: int
    words: str


class Finding(NamedTuple):
    """Something that is wrong. `price` is the index of its price, None where it is of the list.

    `key` is what cannot be read, empty for all of the price.
    """

    at: int
    text: str
    price: int | None = None
    key: str = ""


class Read(NamedTuple):
    """What was read; valid only where there are no findings. `places` says where each price is.

    Where `is_lost`, the head of the file is wrong, and everything below may seem so by that alone.
    """

    prices: tuple[Price, ...]
    unlisted: Unlisted
    note: str
    places: tuple[Location, ...]
    findings: tuple[Finding, ...]
    name: str = DEFAULT_LIST
    is_lost: bool = False


def known_form(key: str) -> str:
    """Return a key or a heading as it is known: `Charge on` is `charge_on`."""
    return _BETWEEN_WORDS.sub("_", key.strip()).lower()


def named(place: Location, method: object, path: object) -> str:
    """Say which price is meant, as far as it is known."""
    name = f"{method} {path}".strip() if isinstance(method, str) and isinstance(path, str) else ""
    return f"{place.words} ({name})" if name else place.words


def read_list(found: Mapping[str, object], keys: Keys, lines: Sequence[int] = ()) -> Read:
    """Read a list that is keys and values already; `lines` are those of its prices, where they are known."""
    return _Reading(keys, lines).read(found)


class _Reading:
    """One pass over a file, which goes on after a finding so that all are reported at once."""

    def __init__(self, keys: Keys, lines: Sequence[int]) -> None:
        self.keys = keys
        self.lines = lines
        self.findings: list[Finding] = []
        self.place = Location(0, "")
        self.before = ""
        """What a finding begins with: nothing for the list, else which price it is of."""
        self.index: int | None = None

    def read(self, given: Mapping[str, object]) -> Read:
        known = ("unlisted", "note", "name", self.keys.prices, *self.keys.others)
        values = self.known_keys(given, known)
        default, *_ = self.keys.unlisted
        unlisted = self.value(values, "unlisted", str, default)
        if unlisted not in self.keys.unlisted:
            allowed = " or ".join(f'"{name}"' for name in self.keys.unlisted)
            self.found("unlisted", f'is "{unlisted}"; must be {allowed}')
        note, name = (self.value(values, key, str, "") for key in ("note", "name"))
        entries = self.entries(values)
        places = self.places(len(entries))
        prices = tuple(map(self.price, range(len(entries)), places, entries))
        return Read(
            prices,
            self.keys.unlisted.get(unlisted, Unlisted.FREE),
            note,
            places,
            tuple(self.findings),
            name,
        )

    def entries(self, found: Mapping[str, object]) -> list[object]:
        if self.keys.prices not in found:
            self.found(
                self.keys.prices, f"is missing; for a list without prices, write {self.keys.none}"
            )
            return []
        return cast("list[object]", self.value(found, self.keys.prices, list, None))

    def places(self, count: int) -> tuple[Location, ...]:
        numbers = range(1, count + 1)
        if len(self.lines) != count:
            return tuple(Location(number, f"price {number}") for number in numbers)
        return tuple(
            Location(line, f"price {number}, line {line}")
            for number, line in zip(numbers, self.lines, strict=True)
        )

    def price(self, index: int, place: Location, entry: object) -> Price:
        self.index, self.place, self.before = index, place, f"{place.words}: "
        if not isinstance(entry, dict):
            self.findings.append(
                Finding(place.at, f"{self.before}must be {self.keys.entry}", index)
            )
            return Price("", "", 0)
        values = self.known_keys(cast("dict[str, object]", entry), PRICE_KEYS)
        self.before = f"{named(place, values.get('method'), values.get('path'))}: "
        charge_on = cast("list[object]", self.value(values, "charge_on", list, []))
        if not all(isinstance(item, str) for item in charge_on):
            self.found("charge_on", 'must be a list of texts, as ["2xx", "404"]')
        return Price(
            self.value(values, "method", str, None),
            self.value(values, "path", str, None),
            self.value(values, "credits", int, None),
            self.value(values, "note", str, ""),
            tuple(map(str, charge_on)),
        )

    def known_keys(self, given: Mapping[str, object], known: tuple[str, ...]) -> dict[str, object]:
        """Return what is given under the keys as they are known."""
        found: dict[str, object] = {}
        unknown: list[str] = []
        twice: list[str] = []
        for key, value in given.items():
            name = known_form(key)
            if name not in known:
                unknown.append(key)
            elif name in found:
                twice.append(name)
            else:
                found[name] = value
        if self.index is not None:
            self.before = f"{named(self.place, found.get('method'), found.get('path'))}: "
        for key in unknown:
            self.found(key, f"no such key; there are {', '.join(known)}")
        for key in twice:
            self.found(key, "is there twice")
        return found

    def value(self, found: Mapping[str, object], key: str, kind: type[T], default: T | None) -> T:
        """Return a key's value; None as the default says that the key is required."""
        value = found.get(key, default)
        if value is None:
            self.found(key, "is missing")
            return kind()
        if not isinstance(value, kind) or isinstance(value, bool):
            self.found(key, f"must be {_NAMES[kind]}")
            return kind()
        return value

    def found(self, key: str, fault: str) -> None:
        self.findings.append(
            Finding(self.place.at, f"{self.before}{key}: {fault}", self.index, key)
        )


def unlisted_word(unlisted: Unlisted) -> str:
    """Write what becomes of endpoints that are not named."""
    return "denied" if unlisted is Unlisted.DENIED else "free"
