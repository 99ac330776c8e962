"""Reads a price list from a file; a finding names the file, the entry and the key.

The ending of its name says what a file is: .json as `prices show --json` prints it, .csv as
`prices_csv.py` says, anything else TOML:

unlisted = "free"           # or "denied": what becomes of endpoints that are not named
note = "prices of 2027"
name = "partner"            # may be left out: the default list

[[price]]
method = "GET"              # "*" for any
path = "/v1/leads/{id}"     # {name} for one segment, {name}:verb, a last ** for the rest
credits = 10
note = "Retrieve one lead"  # may be left out, as the note above
charge_on = ["2xx", "404"]  # may be left out: 2xx and 304
"""

from __future__ import annotations

import json
import re
import tomllib
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.prices_csv import read_csv
from tollkeeper.cli.prices_reading import UNLISTED, Keys, Read, read_list
from tollkeeper.core.errors import Refused
from tollkeeper.core.fields import Fields
from tollkeeper.core.prices import DEFAULT_LIST, Price, Unlisted

if TYPE_CHECKING:
    from pathlib import Path

_TOML = Keys("price", (), UNLISTED, "a table, as [[price]] begins one")
# Of an export, the version and its time are what was; what is to be, publishing says.
_JSON = Keys(
    "prices",
    ("version", "effective_time"),
    {"UNLISTED_FREE": Unlisted.FREE, "UNLISTED_DENIED": Unlisted.DENIED, **UNLISTED},
    "an object",
)

_PRICE = re.compile(r"price\[(\d+)\]")


class PriceFile(NamedTuple):
    """A price list as its file has it."""

    prices: tuple[Price, ...]
    unlisted: Unlisted
    note: str
    name: str = DEFAULT_LIST

    @property
    def digest(self) -> str:
        """The same for the same content, so that servers that start together publish it once."""
        content = tuple(self) if self.name else tuple(self[:3])
        return blake2b(repr(content).encode(), digest_size=16).hexdigest()


def read_prices(path: Path) -> PriceFile:
    """Read a price list. Raises CommandError with everything that is wrong with it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CommandError(f"{path}: cannot be read: {reason}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: is not {_form(path)}: {error}") from None
    try:
        read = _read(path, text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: is not {_form(path)}: {error}") from None
    findings = _findings(read)
    if findings:
        raise CommandError("\n".join(f"{path}: {finding}" for finding in findings))
    return PriceFile(read.prices, read.unlisted, read.note, read.name)


def _form(path: Path) -> str:
    return {".csv": "CSV", ".json": "JSON"}.get(path.suffix.lower(), "TOML")


def _read(path: Path, text: str) -> Read:
    form = _form(path)
    if form == "CSV":
        return read_csv(text)
    if form == "TOML":
        return read_list(tomllib.loads(text.replace("\r\n", "\n")), _TOML)
    found: object = json.loads(text, object_pairs_hook=_no_key_twice)
    if not isinstance(found, dict):
        raise ValueError("an object was expected, as prices show --json prints it")  # noqa: TRY004
    return read_list(cast("dict[str, object]", found), _JSON)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f'the key "{key}" is there twice in one object')
    return dict(pairs)


def _findings(read: Read) -> list[str]:
    """Return what could not be read, and what breaks a rule in the entries that could."""
    starts = {place: (f"{place}:", f"{place} (") for place in read.places}
    unread = [
        place
        for place, start in starts.items()
        if any(each.startswith(start) for each in read.findings)
    ]
    if any(
        not each.startswith(tuple(start for place in unread for start in starts[place]))
        for each in read.findings
    ):
        return list(
            read.findings
        )  # the head of the file is wrong, and all entries may be so by that
    more = _against_the_rules(read)
    return [
        *read.findings,
        *(each for each in more if not any(each.startswith(starts[place]) for place in unread)),
    ]


def _against_the_rules(read: Read) -> list[str]:
    """Check what every publication must keep to, in words of the file."""
    fields = Fields()
    fields.prices("price", read.prices)
    fields.text("note", read.note)
    fields.price_list_name("name", read.name)

    def place(found: re.Match[str]) -> str:
        return read.places[int(found[1])]

    try:
        fields.done()
    except Refused as refused:
        return [
            f"{_in_the_file(field, read)}: {_PRICE.sub(place, description)}"
            for field, description in refused.fields
        ]
    return []


def _in_the_file(field: str, read: Read) -> str:
    found = _PRICE.match(field)
    if found is None:
        return field
    index = int(found[1])
    price = read.prices[index]
    return f"{read.places[index]} ({price.method} {price.path}): {field[found.end() + 1 :]}"
