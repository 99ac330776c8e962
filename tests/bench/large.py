"""A ledger of a million accounts and five million settled reservations beside an empty one: does it slow down with age?

It is filled by SQL in some minutes and takes a few gigabytes of disk, so it is measured where it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select, text

from tests.bench import engine, filling, ledger
from tests.bench.databases import POSTGRESQL, Bench
from tests.bench.engine_pairs import pairs_per_second
from tests.bench.figure import Figure, Measure
from tollkeeper.core.account import SHARDS, shard_of_id
from tollkeeper.storage.connections.engines import create_cold_engine
from tollkeeper.storage.schema import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection as Driver
    from sqlalchemy import Connection

ACCOUNTS = 1_000_000
RESERVATIONS_EACH = 5
ACTIVE = 10_000
"""Accounts that call; in the large ledger they are spread over all of it."""

_LINES_AT_ONCE = 10_000


def large(bench: Bench) -> list[Figure]:
    """Measure 1,000 callers of as many accounts on both, and once of all accounts of the large one."""
    accounts, calling = bench.scaled(ACCOUNTS, 1_000), bench.scaled(ACTIVE, 100)
    with (
        bench.ledger(POSTGRESQL, accounts=calling) as small,
        bench.old_ledger(POSTGRESQL, accounts=1) as url,
    ):
        open_many(url, accounts)
        filling.charge(url, None, each=RESERVATIONS_EACH)
        return compare(bench, url, small, accounts=accounts, calling=calling)


def compare(bench: Bench, url: str, small: str, *, accounts: int, calling: int) -> list[Figure]:
    """Take turns on a large ledger and on one that has nothing but the accounts that call."""
    apart = accounts // calling

    def active(number: int) -> str:
        return ledger.account_id(number, calling)

    def active_of_many(number: int) -> str:
        return ledger.account_id(number * apart, accounts)

    def any_of_many(number: int) -> str:
        return ledger.account_id(number, accounts)

    empty: list[float] = []
    some: list[float] = []
    all_: list[float] = []
    for number in bench.turns():
        for rates, on, account in (
            (empty, small, active),
            (some, url, active_of_many),
            (all_, url, any_of_many),
        ):
            asked = engine.load(bench, f"{account.__name__}-{number}", account=account)
            rates.append(pairs_per_second(on, asked))
    reservations = accounts * RESERVATIONS_EACH
    name = f"PostgreSQL: {accounts:,} accounts, {reservations:,} reservations"
    return [
        Figure(f"{name}, {calling:,} of them calling / an empty ledger", some, empty, 0.85),
        Figure(f"{name}, all of them calling / an empty ledger", all_, empty, 0.8),
    ]


def open_many(url: str, accounts: int) -> None:
    """Open all accounts but the first, which is there, and whose rows the others' are like."""
    database = create_cold_engine(url)
    try:
        with database.begin() as connection:
            _open_many(connection, accounts)
        filling.vacuum(database)
    finally:
        database.dispose()


def _open_many(connection: Connection, accounts: int) -> None:
    driver = cast("Driver[Any]", connection.connection.driver_connection)
    account, grant, entry = (
        dict(connection.execute(select(table)).mappings().one())
        for table in (tables.account, tables.credit_grant, tables.entry)
    )
    first_key: int = account["key"] | (SHARDS - 1)
    first_grant: int = grant["grant_id"]

    def keys() -> Iterator[tuple[str, int, int, int]]:
        for number in range(1, accounts):
            name = ledger.account_id(number, accounts)
            shard = shard_of_id(name)
            yield name, shard, first_key - (SHARDS - 1) + number * SHARDS + shard, number

    def accounts_like() -> Iterator[dict[str, object]]:
        for name, shard, key, _ in keys():
            yield {"shard": shard, "key": key, "account_id": name}

    def grants_like() -> Iterator[dict[str, object]]:
        for _, shard, key, number in keys():
            yield {"shard": shard, "account_key": key, "grant_id": first_grant + number}

    def entries_like() -> Iterator[dict[str, object]]:
        for _, shard, key, number in keys():
            yield {"shard": shard, "account_key": key, "grant_id": first_grant + number}

    _copy(driver, "account", account, accounts_like())
    _copy(driver, "credit_grant", grant, grants_like())
    _copy(driver, "entry", entry, entries_like())
    for method, result in (("CreateAccount", "alike.result"), ("GrantCredits", _GRANTED)):
        recorded = text(_RECORDED.format(result=result))
        connection.execute(recorded, {"method": method, "first": account["account_id"]})


_GRANTED = (
    "regexp_replace(alike.result, '\"grant_id\"\\: [0-9]+', '\"grant_id\"\\: ' || g.grant_id)"
)
_RECORDED = """
    INSERT INTO admin_request (digest, method, content, result, created_us)
    SELECT decode(md5(CAST(:method AS text) || a.account_id), 'hex'), alike.method,
           replace(alike.content, CAST(:first AS text), a.account_id), {result}, alike.created_us
    FROM account a
    JOIN credit_grant g ON g.shard = a.shard AND g.account_key = a.key
    JOIN admin_request alike ON alike.method = CAST(:method AS text)
    WHERE a.account_id <> CAST(:first AS text)
"""
"""The records of the calls that made an account, like those of the first."""


def _copy(
    driver: Driver[Any],
    table: str,
    like: dict[str, object],
    changes: Iterator[dict[str, object]],
) -> None:
    """Copy rows into a table that are like one of it but for these columns, which are always the same ones."""
    written = {name: _written(value) for name, value in like.items()}
    statement = f"COPY {table} ({', '.join(like)}) FROM STDIN"
    with driver.cursor().copy(statement.encode()) as copy:
        lines: list[str] = []
        for change in changes:
            row = written | {name: str(value) for name, value in change.items()}
            lines.append("\t".join(row.values()))
            if len(lines) == _LINES_AT_ONCE:
                copy.write("\n".join(lines) + "\n")
                lines.clear()
        if lines:
            copy.write("\n".join(lines) + "\n")


def _written(value: object) -> str:
    if value is None:
        return r"\N"
    return "tf"[not value] if isinstance(value, bool) else str(value)


MEASURES = (
    Measure("large", "a ledger of 5,000,000 reservations / an empty one", large, 12.0, large=True),
)
