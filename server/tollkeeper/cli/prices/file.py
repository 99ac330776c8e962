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
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.prices.csv_form import read_csv
from tollkeeper.cli.prices.reading import UNLISTED, Finding, Keys, Read, named, read_list
from tollkeeper.cli.text_file import read_text
from tollkeeper.core.errors import Refused
from tollkeeper.core.pricing.price_lists import DEFAULT_LIST, Price, Unlisted
from tollkeeper.core.validation.fields import Fields

if TYPE_CHECKING:
    from pathlib import Path

_TOML = Keys("price", (), UNLISTED, "a table, as [[price]] begins one", "price = []")
# Of an export, the version and its time are what was; what is to be, publishing says.
_JSON = Keys(
    "prices",
    ("version", "effective_time"),
    {"UNLISTED_FREE": Unlisted.FREE, "UNLISTED_DENIED": Unlisted.DENIED, **UNLISTED},
    "an object",
    '"prices": []',
)

_PRICE = re.compile(r"price\[(\d+)\]")
_PATH_OF_ANOTHER = re.compile(r"price\[(\d+)\]\.path$")
_TOML_PRICE = re.compile(
    r"""^[ \t]*\[\[[ \t]*["']?[ \t]*price[ \t]*["']?[ \t]*\]\]""", re.MULTILINE | re.IGNORECASE
)

FINDINGS_MAX = 100
"""The most findings that are printed. A long list can have one fault in every row."""


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
    text = read_text(path).removeprefix("\ufeff")
    try:
        read = _read(path, text)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{path}: is not {_form(path)}: {_plainly(error)}", reason=Why.FILE_INVALID
        ) from None
    findings = _findings(read)
    if findings:
        told = findings[:FINDINGS_MAX]
        if len(findings) > FINDINGS_MAX:
            told.append(f"and {len(findings) - FINDINGS_MAX} more")
        raise CommandError(
            "\n".join(f"{path}: {finding}" for finding in told), reason=Why.FILE_INVALID
        )
    return PriceFile(read.prices, read.unlisted, read.note, read.name)


def _plainly(error: Exception) -> str:
    """Return a parser's message without the words of Python itself."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return (
        "a number has too many digits" if "integer string conversion" in str(error) else str(error)
    )


def _form(path: Path) -> str:
    return {".csv": "CSV", ".json": "JSON"}.get(path.suffix.lower(), "TOML")


def _read(path: Path, text: str) -> Read:
    form = _form(path)
    if form == "CSV":
        return read_csv(text)
    if form == "TOML":
        text = text.replace("\r\n", "\n")
        return read_list(tomllib.loads(text), _TOML, _lines_of_prices(text))
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


def _lines_of_prices(toml: str) -> list[int]:
    """Return the lines at which prices begin; more of them than prices where a text has such a line too."""
    return [toml.count("\n", 0, found.start()) + 1 for found in _TOML_PRICE.finditer(toml)]


def _findings(read: Read) -> list[str]:
    """Return what could not be read, and what breaks a rule in all that could, in the order of the file."""
    findings = list(read.findings)
    if not read.is_lost:
        unread = {(each.price, each.key) for each in findings}
        findings += (
            each
            for each in _against_the_rules(read)
            if unread.isdisjoint({(each.price, each.key), (each.price, "")})
        )
    return [each.text for each in sorted(findings, key=attrgetter("at"))]


def _against_the_rules(read: Read) -> list[Finding]:
    """Check what every publication must keep to, in words of the file."""
    fields = Fields()
    fields.prices("price", read.prices)
    fields.text("note", read.note)
    fields.price_list_name("name", read.name)
    try:
        fields.done()
    except Refused as refused:
        return [_in_the_file(field, description, read) for field, description in refused.fields]
    return []


def _in_the_file(field: str, description: str, read: Read) -> Finding:
    match = _PRICE.match(field)
    if match is None:
        return Finding(0, f"{field}: {description}", None, field)
    index = int(match[1])
    price, place = read.prices[index], read.places[index]
    key = field[match.end() + 1 :]
    said = _PATH_OF_ANOTHER.sub(
        lambda each: f"that of {read.places[int(each[1])].words}", description
    )
    text = f"{named(place, price.method, price.path)}: {key}: {said}"
    return Finding(place.at, text, index, key.partition("[")[0])
