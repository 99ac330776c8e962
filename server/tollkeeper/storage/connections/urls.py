"""Reads the URL of a ledger: which database it is, how it is reached, and what is wrong with it.

No message repeats a piece of the URL: a password that is not written as it has to be may be anywhere in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from psycopg.pq import Conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

POOLER = "pooler"
"""The parameter that says what stands between us and PostgreSQL. It is ours; the driver never sees it."""

TRANSACTION = "transaction"

_FORMS = "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
_ENCODED = (
    "has a password or a user name that is not percent-encoded: write %40 for @, %3A for :, %2F for /, %3F for ?, "
    "%23 for # and %25 for %"
)
_OURS = frozenset(
    {
        *("prepare_threshold", "autocommit", "row_factory", "cursor_factory", "context"),
        *("client_encoding", "replication"),
    }
)
_WHOLE_NUMBERS = frozenset(
    {
        *("connect_timeout", "port", "keepalives", "tcp_user_timeout"),
        *("keepalives_idle", "keepalives_interval", "keepalives_count"),
    }
)
_SEVERAL = frozenset({"host", "port", "options"})
"""Parameters that may be given more than once."""


class Address(NamedTuple):
    """Where a ledger is; `url` is for the driver. `pooled`: a pooler gives each transaction another connection."""

    url: URL
    pooled: bool

    @property
    def on_postgres(self) -> bool:
        """Say whether it is in PostgreSQL, and not in SQLite."""
        return self.url.get_backend_name() == "postgresql"


def parse_address(url: str) -> Address:
    """Read the URL of a ledger. Raises ValueError, in words for a person, for any other."""
    parsed = _parsed(url)
    backend, driver = parsed.get_backend_name(), parsed.get_driver_name()
    if backend == "postgresql" and driver == "psycopg":
        return _on_postgres(parsed)
    if backend != "sqlite" or driver != "pysqlite":
        raise ValueError(f"{parsed.drivername} is not supported; use {_FORMS}")
    return _on_sqlite(parsed)


def parse_url(url: str) -> URL:
    """Return the URL as the driver is given it. Raises ValueError as `parse_address` does."""
    return parse_address(url).url


def _parsed(url: str) -> URL:
    try:
        url.encode()
        parsed = make_url(url)
    except UnicodeEncodeError:
        raise ValueError("must be UTF-8") from None
    except ArgumentError:
        raise ValueError(f"is not a database URL; use {_FORMS}") from None
    except ValueError:  # the port is no number, or the end of a password
        raise ValueError(
            _ENCODED if "@" in url else f"has a port that is no number; use {_FORMS}"
        ) from None
    # What comes after a password in the URL may be its end.
    after_it = f"{parsed.host or ''}{parsed.database or ''}{url.partition('?')[2]}"
    if parsed.get_backend_name() == "postgresql" and (
        "@" in after_it or "\ufffd" in f"{parsed.username}{parsed.password}"
    ):
        raise ValueError(_ENCODED)
    return parsed


def _on_sqlite(parsed: URL) -> Address:
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise ValueError("a SQLite ledger is a file; use sqlite:///FILE")
    if parsed.query:
        raise ValueError("has parameters, and a SQLite ledger takes none; use sqlite:///FILE")
    try:
        Path(parsed.database).exists()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"names a file that cannot be: {why.lower()}") from None
    return Address(parsed, pooled=False)


def _on_postgres(parsed: URL) -> Address:
    pooler = parsed.query.get(POOLER)
    if pooler not in (None, TRANSACTION):
        raise ValueError(
            f"has a {POOLER} that is not known; write {POOLER}={TRANSACTION} for any pooler, or leave it out"
        )
    url = parsed.difference_update_query([POOLER])
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in url.query.items():
        _check_parameter(name, value, known, secret="password" in url.query or bool(url.password))
    try:
        url.get_dialect()().create_connect_args(url)
    except ArgumentError:
        raise ValueError("must name as many ports as hosts, or one port for all of them") from None
    if pooler and "options" in url.query:
        raise ValueError(
            f"has both options and {POOLER}={TRANSACTION}; a pooler passes no options on: leave them out"
        )
    return Address(url, pooled=pooler == TRANSACTION)


def _check_parameter(
    name: str, value: str | tuple[str, ...], known: set[str], *, secret: bool
) -> None:
    """Raise ValueError for a parameter that libpq does not know, or that is none of its form.

    Where there is a `secret` in the URL, an unknown name may be the end of it.
    """
    if name in _OURS:
        raise ValueError(
            f"has the parameter {name}, which tollkeeper sets itself; leave it out "
            f"(behind a transaction pooler, write {POOLER}={TRANSACTION})"
        )
    if name not in known and secret:
        raise ValueError(
            "has a parameter that PostgreSQL's libpq does not know; in a password, write %3F for ? and %26 for &"
        )
    if name not in known:
        raise ValueError(f"has the parameter {name}, which PostgreSQL's libpq does not know")
    values = [value] if isinstance(value, str) else value
    if len(values) > 1 and name not in _SEVERAL:
        raise ValueError(f"has the parameter {name} more than once")
    if name in _WHOLE_NUMBERS and not all(each.isascii() and each.isdigit() for each in values):
        raise ValueError(f"has the parameter {name}, which must be a whole number")
