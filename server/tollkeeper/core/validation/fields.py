"""Checks the fields of a request, one by one, and refuses the request once with all that are bad.

Pure, and knows no proto: fields come as plain values under their names in the proto. Every method
returns the value that a command needs, which is valid only after `done` has returned. The rules:
rules 13 and rules 2.5, in docs/reference/rules.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from zoneinfo import available_timezones

from tollkeeper.core.account import AccountState
from tollkeeper.core.administer import grant_not_found
from tollkeeper.core.commands import Granularity
from tollkeeper.core.credits import GRANT_MAX, PRICE_MAX
from tollkeeper.core.defaults import HOLD_MAX_S, US_PER_S
from tollkeeper.core.errors import FieldViolation, Reason, Refused, invalid_fields
from tollkeeper.core.limits import LIMITS_MAX, Limit, LimitUnit, LimitWindow
from tollkeeper.core.outcome import Outcome, is_charge_on
from tollkeeper.core.pricing.paths import PATH_BYTES_MAX, Path, parse
from tollkeeper.core.pricing.price_lists import ANY_METHOD, Price, Unlisted
from tollkeeper.core.reservation import ReservationName, parse_name
from tollkeeper.core.validation.patterns import fault_of_pattern

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

TEXT_MAX = 256
PRIORITY_MAX = 1_000_000
PRICES_MAX = 10_000
PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
HOLD_MIN_US = 1_000_000
HOLD_MAX_US = HOLD_MAX_S * US_PER_S
TIME_MIN_US = 946_684_800_000_000
"""2000-01-01, in UTC."""
TIME_MAX_US = 253_402_300_799_999_999
"""The last microsecond of 9999-12-31, in UTC."""

_NANOS = range(1_000_000_000)
_HTTP_STATUSES = range(100, 600)

_ACCOUNT_ID = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
_ACCOUNT_ID_PREFIX = re.compile(r"[A-Za-z0-9._:@/-]{0,128}")
_PRICE_LIST_NAME = re.compile(r"[A-Za-z0-9._:@/-]{1,64}")
_REQUEST_ID = re.compile(r"[ -~]{1,128}")
_RESERVATION_ID = re.compile(r"[ -~]{1,64}")
_GRANT_ID = re.compile(r"[1-9a-f][0-9a-f]{0,15}")
_INT64 = 2**63
_SHORT_NAME = re.compile(r".{1,64}", re.DOTALL)
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_QUERY = re.compile(r"[?#]")

# The machine's own zone and a stand-in for none are in the database, but are no places.
_NO_PLACES = frozenset({"localtime", "Factory"})

_OUTCOMES: Mapping[int, Outcome] = {each.value: each for each in Outcome}
_RELEASE_OUTCOMES: Mapping[int, Outcome] = {
    0: Outcome.CANCELLED,
    **{each.value: each for each in Outcome if each is not Outcome.VALID_RESPONSE},
}
_STATES: Mapping[int, AccountState] = {each.value: each for each in AccountState}
_UNLISTED: Mapping[int, Unlisted] = {0: Unlisted.FREE, **{each.value: each for each in Unlisted}}
_GRANULARITIES: Mapping[int, Granularity] = {
    0: Granularity.DAY,
    **{each.value: each for each in Granularity},
}

_LIMIT_UNITS: Mapping[int, LimitUnit] = {each.value: each for each in LimitUnit}
_LIMIT_WINDOWS: Mapping[int, LimitWindow] = {each.value: each for each in LimitWindow}

_NO_PATH = Path("", ())
_NO_RESERVATION = ReservationName(0, 0)

_T = TypeVar("_T")


class RawLimit(NamedTuple):
    """A limit as it came."""

    name: str
    unit: int
    window: int
    maximum: int
    method: str
    path: str
    time_zone: str
    enforce: bool


class Fields:
    """The fields of one request. Hot: a good field costs its check and nothing else."""

    __slots__ = ("_bad", "_not_found")

    def __init__(self) -> None:
        self._bad: list[FieldViolation] = []
        self._not_found: Refused | None = None

    def done(self) -> None:
        """Raise Refused INVALID_FIELD where any field is bad, naming all of them.

        Else RESERVATION_NOT_FOUND where an id is one that no reservation can have.
        """
        if self._bad:
            raise invalid_fields(self._bad)
        if self._not_found is not None:
            raise self._not_found

    def bad(self, field: str, description: str) -> None:
        """Note a bad field; `description` goes on after its name, such as "must begin with /"."""
        self._bad.append(FieldViolation(field, description))

    # Names and texts

    def account_id(self, field: str, text: str) -> str:
        """Check the id of an account."""
        if not _ACCOUNT_ID.fullmatch(text):
            self.bad(field, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ / -")
        return text

    def account_id_prefix(self, field: str, text: str) -> str:
        """Check the beginning of an id of an account; empty for all."""
        if not _ACCOUNT_ID_PREFIX.fullmatch(text):
            self.bad(field, "must be at most 128 characters of A-Z a-z 0-9 . _ : @ / -")
        return text

    def request_id(self, field: str, text: str) -> str:
        """Check the key of a call."""
        if not _REQUEST_ID.fullmatch(text):
            self.bad(field, "must be 1 to 128 printable ASCII characters")
        return text

    def reservation(self, field: str, text: str) -> ReservationName:
        """Read the id of a reservation; one that none can have is not bad, but not found."""
        name = parse_name(text)
        if name is not None:
            return name
        if _RESERVATION_ID.fullmatch(text):
            self._not_found = Refused(
                Reason.RESERVATION_NOT_FOUND,
                f"there is no reservation {text}",
                metadata={"reservation_id": text},
            )
        else:
            self.bad(field, "must be 1 to 64 printable ASCII characters")
        return _NO_RESERVATION

    def grant(self, field: str, text: str, account_id: str) -> int:
        """Read the id of a grant; one that none can have is not bad, but not found."""
        if _GRANT_ID.fullmatch(text) and int(text, 16) < _INT64:
            return int(text, 16)
        if _RESERVATION_ID.fullmatch(text):
            self._not_found = grant_not_found(account_id, text)
        else:
            self.bad(field, "must be 1 to 64 printable ASCII characters")
        return 0

    def short_name(self, field: str, name: str) -> None:
        """Check the name of a limit or an alert rule."""
        if not _SHORT_NAME.fullmatch(name) or _CONTROL.search(name):
            self.bad(field, "must be 1 to 64 characters without control characters")

    def text(self, field: str, text: str) -> str:
        """Check a text for a person: a display name or a note."""
        if len(text) > TEXT_MAX:
            self.bad(field, f"must not be longer than {TEXT_MAX} characters")
        elif _CONTROL.search(text):
            self.bad(field, "must not have control characters")
        return text

    def price_list_name(self, field: str, name: str) -> str:
        """Check the name of a price list; empty for the default list."""
        if name and not _PRICE_LIST_NAME.fullmatch(name):
            self.bad(field, "must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ / -, or empty")
        return name

    # Numbers

    def refunded_credits(self, field: str, amount: int) -> int:
        """Check how much of a charge is given back."""
        return self.between(field, amount, 1, PRICE_MAX)

    def granted_credits(self, field: str, amount: int) -> int:
        """Check the credits of a grant, or of a debit."""
        return self.between(field, amount, 1, GRANT_MAX)

    def credit_limit(self, field: str, amount: int) -> int:
        """Check how far below zero a settled balance may go."""
        return self.between(field, amount, 0, GRANT_MAX)

    def priority(self, field: str, priority: int) -> int:
        """Check the rank of a grant."""
        return self.between(field, priority, 0, PRIORITY_MAX)

    def http_status(self, field: str, status: int) -> int:
        """Check the status that a gateway answered with."""
        if status not in _HTTP_STATUSES:
            self.bad(field, "must be between 100 and 599")
        return status

    def page_size(self, field: str, size: int) -> int:
        """Check how many items a page may have; 0 for the default."""
        return self.between(field, size, 0, PAGE_SIZE_MAX) or PAGE_SIZE_DEFAULT

    def between(self, field: str, number: int, least: int, most: int) -> int:
        """Check a number against its bounds."""
        if not least <= number <= most:
            self.bad(field, f"must be between {least} and {most}")
        return number

    # Members of an enumeration, by their numbers in the proto

    def outcome(self, field: str, number: int) -> Outcome:
        """Read how a request ended."""
        return self.member(field, number, _OUTCOMES, Outcome.CANCELLED)

    def release_outcome(self, field: str, number: int) -> Outcome:
        """Read why a hold is given back; CANCELLED where unspecified."""
        if number == Outcome.VALID_RESPONSE:
            self.bad(field, "must not be VALID_RESPONSE; commit the reservation instead")
            return Outcome.CANCELLED
        return self.member(field, number, _RELEASE_OUTCOMES, Outcome.CANCELLED)

    def state(self, field: str, number: int) -> AccountState:
        """Read whether an account may authorize."""
        return self.member(field, number, _STATES, AccountState.ACTIVE)

    def unlisted(self, field: str, number: int) -> Unlisted:
        """Read what becomes of endpoints that a list does not name; FREE where unspecified."""
        return self.member(field, number, _UNLISTED, Unlisted.FREE)

    def granularity(self, field: str, number: int) -> Granularity:
        """Read the width of a bucket; DAY where unspecified."""
        return self.member(field, number, _GRANULARITIES, Granularity.DAY)

    def member(self, field: str, number: int, members: Mapping[int, _T], otherwise: _T) -> _T:
        """Read a member of an enumeration."""
        member = members.get(number)
        if member is None:
            self.bad(field, "must be one of the named values" if number else "must be specified")
            return otherwise
        return member

    # Time

    def hold_us(self, field: str, seconds: int, nanos: int, *, most_us: int = HOLD_MAX_US) -> int:
        """Read how long a hold may last; parts of a microsecond do not count."""
        hold_us = seconds * 1_000_000 + nanos // 1_000
        if nanos not in _NANOS or not HOLD_MIN_US <= hold_us <= most_us:
            self.bad(field, f"must be between 1 s and {most_us / 1_000_000:g} s")
        return hold_us

    def time_us(self, field: str, seconds: int, nanos: int) -> int | None:
        """Read an instant, counted from 1970; None for a bad one.

        Parts of a microsecond do not count.
        """
        time_us = seconds * 1_000_000 + nanos // 1_000
        if nanos not in _NANOS or not TIME_MIN_US <= time_us <= TIME_MAX_US:
            self.bad(field, "must lie between 2000-01-01 and 9999-12-31")
            return None
        return time_us

    def period(self, field: str, start_us: int | None, end_us: int | None) -> None:
        """Check that a period with both ends ends after it begins; `field` is the end's."""
        if start_us is not None and end_us is not None and start_us >= end_us:
            self.bad(field, "must be after start_time")

    def time_zone(self, field: str, name: str) -> str:
        """Check the name of a time zone; UTC where it is empty."""
        if name and name not in _time_zones():
            self.bad(field, 'must be an IANA time zone such as "Europe/Berlin"')
        return name or "UTC"

    # Endpoints and their prices

    def method(self, field: str, method: str) -> str:
        """Check an HTTP method."""
        if not _METHOD.fullmatch(method):
            self.bad(field, "must be an HTTP method in upper case, at most 32 characters")
        return method

    def path(self, field: str, path: str) -> Path:
        """Read a request path."""
        # A query is cut off here, so that the paths that `parse` remembers are few and short.
        if "?" in path or "#" in path:
            path = _QUERY.split(path, maxsplit=1)[0]
        if len(path) > PATH_BYTES_MAX:
            self.bad(field, f"must not be longer than {PATH_BYTES_MAX} bytes")
            return _NO_PATH
        try:
            return parse(path)
        except ValueError as error:
            self.bad(field, str(error))
            return _NO_PATH

    def prices(self, field: str, prices: Sequence[Price]) -> tuple[Price, ...]:
        """Check the prices of a list; the second of two with one pattern is the bad one."""
        if len(prices) > PRICES_MAX:
            self.bad(field, f"must not be more than {PRICES_MAX}")
            return ()
        first_of: dict[Hashable, int] = {}
        for index, price in enumerate(prices):
            name = f"{field}[{index}]"
            if not self._price(name, price):
                continue
            first = first_of.setdefault(price.shape, index)
            if first != index:
                self.bad(f"{name}.path", f"is the same pattern as {field}[{first}].path")
        return tuple(prices)

    def _price(self, name: str, price: Price) -> bool:
        """Check one price and say whether its pattern is good."""
        self.between(f"{name}.credits", price.credits, 0, PRICE_MAX)
        self.text(f"{name}.note", price.note)
        self._charge_on(f"{name}.charge_on", price.charge_on)
        good_method = price.method == ANY_METHOD or _METHOD.fullmatch(price.method) is not None
        if not good_method:
            self.bad(f"{name}.method", "must be * or an HTTP method in upper case")
        fault = fault_of_pattern(price.path)
        if fault is not None:
            self.bad(f"{name}.path", fault)
        return good_method and fault is None

    def _charge_on(self, field: str, items: Iterable[str]) -> None:
        for index, item in enumerate(items):
            if not is_charge_on(item):
                self.bad(f"{field}[{index}]", 'must be such as "2xx" or "404"')

    # Limits

    def limits(self, field: str, limits: Sequence[RawLimit]) -> tuple[Limit, ...]:
        """Check all the limits of an account; the second of two with one name is the bad one."""
        if len(limits) > LIMITS_MAX:
            self.bad(field, f"must not be more than {LIMITS_MAX}")
            return ()
        first_of: dict[str, int] = {}
        good: list[Limit] = []
        for index, raw in enumerate(limits):
            good.append(self._limit(f"{field}[{index}]", raw))
            first = first_of.setdefault(raw.name, index)
            if first != index:
                self.bad(f"{field}[{index}].name", f"is the name of {field}[{first}]")
        return tuple(good)

    def _limit(self, name: str, raw: RawLimit) -> Limit:
        self.short_name(f"{name}.name", raw.name)
        unit = self.member(f"{name}.unit", raw.unit, _LIMIT_UNITS, LimitUnit.CREDITS)
        window = self.member(f"{name}.window", raw.window, _LIMIT_WINDOWS, LimitWindow.DAY)
        maximum = self.between(f"{name}.maximum", raw.maximum, 0, GRANT_MAX)
        if raw.method or raw.path:
            if raw.method != ANY_METHOD and not _METHOD.fullmatch(raw.method):
                self.bad(f"{name}.method", "must be * or an HTTP method in upper case")
            fault = fault_of_pattern(raw.path)
            if fault is not None:
                self.bad(f"{name}.path", fault)
        zone = self.time_zone(f"{name}.time_zone", raw.time_zone)
        return Limit(0, raw.name, unit, window, maximum, raw.method, raw.path, zone, raw.enforce)


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    """List the names of the time zone database: being one of them is all that a name can do."""
    return frozenset(available_timezones()) - _NO_PLACES
