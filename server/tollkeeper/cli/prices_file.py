"""Reads a price list from a TOML file; a finding names the file, the entry and the key.

unlisted = "free"           # or "denied": what becomes of endpoints that are not named
note = "prices of 2027"

[[price]]
method = "GET"              # "*" for any
path = "/v1/leads/{id}"     # {name} for one segment, a last ** for the rest
credits = 10
note = "Retrieve one lead"  # may be left out, as the note above
charge_on = ["2xx", "404"]  # may be left out: 2xx and 3xx
"""

from __future__ import annotations

import re
import tomllib
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from tollkeeper.cli.failure import CommandError
from tollkeeper.core.errors import Refused
from tollkeeper.core.fields import Fields
from tollkeeper.core.prices import Price, Unlisted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")

_LIST_KEYS = ("unlisted", "note", "price")
_PRICE_KEYS = ("method", "path", "credits", "note", "charge_on")
_PRICE = re.compile(r"price\[(\d+)\]")
_NAMES: Mapping[type, str] = {str: "a text", int: "a whole number", list: "a list"}


class PriceFile(NamedTuple):
    """A price list as its file has it."""

    prices: tuple[Price, ...]
    unlisted: Unlisted
    note: str

    @property
    def digest(self) -> str:
        """The same for the same content, so that servers that start together publish it once."""
        return blake2b(repr(tuple(self)).encode(), digest_size=16).hexdigest()


def read_prices(path: Path) -> PriceFile:
    """Read a price list. Raises CommandError with everything that is wrong with it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CommandError(f"{path}: cannot be read: {reason}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path}: is not TOML: {error}") from None
    reading = _Reading()
    prices = reading.price_list(found)
    findings = reading.findings or _against_the_rules(prices)
    if findings:
        raise CommandError("\n".join(f"{path}: {finding}" for finding in findings))
    return prices


def _against_the_rules(file: PriceFile) -> list[str]:
    """Check what every publication must keep to, in words of the file."""
    fields = Fields()
    fields.prices("price", file.prices)
    fields.text("note", file.note)
    try:
        fields.done()
    except Refused as refused:
        return [
            f"{_in_the_file(field, file.prices)}: {_PRICE.sub(_number, description)}"
            for field, description in refused.fields
        ]
    return []


def _in_the_file(field: str, prices: tuple[Price, ...]) -> str:
    found = _PRICE.match(field)
    if found is None:
        return field
    price = prices[int(found[1])]
    return f"{_number(found)} ({price.method} {price.path}): {field[found.end() + 1 :]}"


def _number(found: re.Match[str]) -> str:
    return f"price {int(found[1]) + 1}"


class _Reading:
    """One pass over a file, which goes on after a finding so that all are reported at once."""

    def __init__(self) -> None:
        self.findings: list[str] = []

    def price_list(self, found: Mapping[str, object]) -> PriceFile:
        self.no_others("", found, _LIST_KEYS)
        unlisted = self.value("", found, "unlisted", str, "free")
        if unlisted not in {"free", "denied"}:
            self.findings.append(f'unlisted: is "{unlisted}"; must be "free" or "denied"')
        entries = cast("list[object]", self.value("", found, "price", list, None))
        return PriceFile(
            tuple(
                self.price(f"price {number}", entry)
                for number, entry in enumerate(entries, start=1)
            ),
            Unlisted.DENIED if unlisted == "denied" else Unlisted.FREE,
            self.value("", found, "note", str, ""),
        )

    def price(self, where: str, entry: object) -> Price:
        if not isinstance(entry, dict):
            self.findings.append(f"{where}: must be a table, as [[price]] begins one")
            return Price("", "", 0)
        keys = cast("dict[str, object]", entry)
        if isinstance(keys.get("method"), str) and isinstance(keys.get("path"), str):
            where = f"{where} ({keys['method']} {keys['path']})"
        where += ": "
        self.no_others(where, keys, _PRICE_KEYS)
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
