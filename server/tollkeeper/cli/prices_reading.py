"""Reads the keys of a price list, whatever form its file has, and notes everything that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from tollkeeper.core.prices import DEFAULT_LIST, Price, Unlisted

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

PRICE_KEYS = ("method", "path", "credits", "note", "charge_on")
FREE, DENIED = "free", "denied"
UNLISTED: Mapping[str, Unlisted] = {FREE: Unlisted.FREE, DENIED: Unlisted.DENIED}

_NAMES: Mapping[type, str] = {str: "a text", int: "a whole number", list: "a list"}


class Keys(NamedTuple):
    """How one form of file names the parts of a list."""

    prices: str
    others: tuple[str, ...]
    unlisted: Mapping[str, Unlisted]
    entry: str
    """What an entry must be."""


class Read(NamedTuple):
    """What was read; valid only where there are no findings. `places` says where each price is."""

    prices: tuple[Price, ...]
    unlisted: Unlisted
    note: str
    places: tuple[str, ...]
    findings: tuple[str, ...]
    name: str = DEFAULT_LIST


def read_list(found: Mapping[str, object], keys: Keys) -> Read:
    """Read a list that is keys and values already."""
    reading = _Reading(keys)
    prices, unlisted, note = reading.price_list(found)
    name = reading.value("", found, "name", str, DEFAULT_LIST)
    places = tuple(f"price {number}" for number in range(1, len(prices) + 1))
    return Read(prices, unlisted, note, places, tuple(reading.findings), name)


class _Reading:
    """One pass over a file, which goes on after a finding so that all are reported at once."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.findings: list[str] = []

    def price_list(self, found: Mapping[str, object]) -> tuple[tuple[Price, ...], Unlisted, str]:
        self.no_others("", found, ("unlisted", "note", "name", self.keys.prices, *self.keys.others))
        default, *_ = self.keys.unlisted
        unlisted = self.value("", found, "unlisted", str, default)
        if unlisted not in self.keys.unlisted:
            allowed = " or ".join(f'"{name}"' for name in self.keys.unlisted)
            self.findings.append(f'unlisted: is "{unlisted}"; must be {allowed}')
        entries = cast("list[object]", self.value("", found, self.keys.prices, list, None))
        prices = tuple(
            self.price(f"price {number}", entry) for number, entry in enumerate(entries, start=1)
        )
        note = self.value("", found, "note", str, "")
        return prices, self.keys.unlisted.get(unlisted, Unlisted.FREE), note

    def price(self, where: str, entry: object) -> Price:
        if not isinstance(entry, dict):
            self.findings.append(f"{where}: must be {self.keys.entry}")
            return Price("", "", 0)
        keys = cast("dict[str, object]", entry)
        if isinstance(keys.get("method"), str) and isinstance(keys.get("path"), str):
            where = f"{where} ({keys['method']} {keys['path']})"
        where += ": "
        self.no_others(where, keys, PRICE_KEYS)
        charge_on = cast("list[object]", self.value(where, keys, "charge_on", list, []))
        if not all(isinstance(item, str) for item in charge_on):
            self.findings.append(f'{where}charge_on: must be a list of texts, as ["2xx", "404"]')
        return Price(
            self.value(where, keys, "method", str, None),
            self.value(where, keys, "path", str, None),
            self.value(where, keys, "credits", int, None),
            self.value(where, keys, "note", str, ""),
            tuple(map(str, charge_on)),
        )

    def no_others(self, where: str, found: Mapping[str, object], known: tuple[str, ...]) -> None:
        for key in found:
            if key not in known:
                self.findings.append(f"{where}{key}: no such key; there are {', '.join(known)}")

    def value(
        self, where: str, found: Mapping[str, object], key: str, kind: type[T], default: T | None
    ) -> T:
        """Return a key's value; None as the default says that the key is required."""
        value = found.get(key, default)
        if value is None:
            self.findings.append(f"{where}{key}: is missing")
            return kind()
        if not isinstance(value, kind) or isinstance(value, bool):
            self.findings.append(f"{where}{key}: must be {_NAMES[kind]}")
            return kind()
        return value
