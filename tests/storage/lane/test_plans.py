"""How PostgreSQL carries out a lane's statements: by index probes, also on a young table without statistics.

A probe gives its index what identifies a row: one that gives the shard alone reads all rows of it, and throws away what
has another key. A statement that is prepared keeps such a plan until the table is analysed, however it grows meanwhile.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import psycopg
import pytest

from tests.support.postgres import Postgres
from tollkeeper.storage.lane import arrays
from tollkeeper.storage.lane import postgres_sql as sql
from tollkeeper.storage.lane.changes import CHANGES, Change, How
from tollkeeper.storage.lane.postgres_lane import PostgresLane
from tollkeeper.storage.store import open_store

pytestmark = pytest.mark.postgres

PROBED = {
    *("account", "credit_grant", "reservation", "hold", "limit_window", "admin_request"),
    "usage_hour",
}

FILL = """
CREATE TEMPORARY VIEW new AS SELECT generate_series(FIRST, LAST) n;
INSERT INTO account SELECT n % 64, n, 'account-' || n, '', 1, 0, 0, 0, 0, 0, 0 FROM new;
INSERT INTO credit_grant SELECT n % 64, n, n, 1, 1, 0, 0, 0, 0, 0, 0, n, '', true FROM new;
INSERT INTO reservation SELECT n % 64, n, n, decode(lpad(to_hex(n), 32, '0'), 'hex'), 2, 'GET', '/',
    1, 1, NULL, n, NULL, 1, 0, false, 0, n, 0, 0 FROM new;
INSERT INTO limit_window SELECT n % 64, n, n, 0, 0, 0, 0 FROM new;
INSERT INTO usage_hour SELECT n % 64, n, 1, 2, 1, 1, 1 FROM new;
INSERT INTO hold SELECT n % 64, n, n, n FROM new;
INSERT INTO admin_request SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 'GrantCredits', '{}', '{}', 0 FROM new;
DROP VIEW new;
"""
SIZES = (1, 20, 200, 1_000, 3_000)

KEYS = [5, 6, 70]
SHARDS = arrays.ints([key % 64 for key in KEYS])
IDS = arrays.ints(KEYS)
DIGESTS = arrays.byteas([key.to_bytes(16, "big") for key in KEYS])


def _rows(change: Change) -> list[tuple[Any, ...]]:
    """Return a row for each key, of values that each column can have."""
    values = {bool: True, str: "abc", bytes: b""}
    kinds = [change.table.c[name].type.python_type for name in change.names]
    return [
        tuple(
            key % 64 if name == "shard" else values.get(kind, key)
            for name, kind in zip(change.names, kinds, strict=True)
        )
        for key in KEYS
    ]


STATEMENTS: dict[str, tuple[bytes, tuple[Any, ...]]] = {
    "keys": (sql.KEYS, (arrays.texts(f"account-{key}" for key in KEYS),)),
    "lock accounts": (sql.LOCK_ACCOUNTS, (IDS,)),
    "lock free accounts": (sql.LOCK_FREE_ACCOUNTS, (IDS,)),
    "accounts there": (sql.ACCOUNTS_THERE, (IDS,)),
    "grants": (sql.GRANTS, (IDS,)),
    "closed grants": (sql.CLOSED_GRANTS, (SHARDS, IDS)),
    "windows": (sql.WINDOWS, (SHARDS, IDS, IDS)),
    "reservations": (sql.RESERVATIONS, (SHARDS, IDS)),
    "requests": (sql.REQUESTS, (IDS, DIGESTS)),
    "admin": (sql.ADMIN, (DIGESTS,)),
    "overdue": (sql.OVERDUE, (SHARDS, IDS, 100)),
    "due holds": (sql.DUE_HOLDS, (SHARDS, 100, 500, 500)),
    "due grants": (sql.DUE_GRANTS, (SHARDS, 100, 500, 500)),
    "due periods": (sql.DUE_PERIODS, (SHARDS, 100, 500, 500)),
    "only lock accounts": (sql.ONLY_LOCK_ACCOUNTS, (SHARDS, IDS)),
    "oldest": (sql.OLDEST, (SHARDS,)),
    "aged": (sql.AGED, (SHARDS, 5, 100, 500)),
    "delete ended": (sql.DELETE_ENDED, (SHARDS, IDS, IDS, IDS)),
    "windows after": (sql.WINDOWS_AFTER, (SHARDS, 100, -1, 0, 0, 0, 500)),
    "forget windows": (sql.FORGET_WINDOWS, (SHARDS, IDS, IDS, IDS)),
    **{
        change.name: (
            sql.STATEMENTS[change.name].statement,
            tuple(sql.literals(_rows(change), encoders)),
        )
        for change in CHANGES
        if change.how in {How.UPDATE, How.ADD_TO, How.DELETE}
        for encoders in [sql.STATEMENTS[change.name].encoders]
    },
}


@pytest.mark.parametrize("plans", ["custom", "generic"])
def test_a_lane_probes_indexes_also_on_a_table_without_statistics(
    postgres: Postgres, ledger_template: str, plans: str
) -> None:
    """Custom: planned for the arrays at hand. Generic: what a statement gets once it is prepared."""
    store = open_store(postgres.create_database(template=ledger_template))
    lane = cast("PostgresLane", store.lane())
    with lane._transaction() as (_, driver):  # pyright: ignore[reportPrivateUsage]
        driver.execute(f"SET plan_cache_mode = force_{plans}_plan".encode())
        assert scans(driver) == {}, "on an empty ledger"

        rows = 0
        for size in SIZES:
            fill = FILL.replace("FIRST", str(rows + 1)).replace("LAST", str(size))
            driver.execute(fill.encode())
            rows = size
            assert scans(driver) == {}, f"on {rows} rows"
        analysed = "SELECT count(*) FROM pg_stats WHERE tablename = ANY(%s)"
        assert driver.execute(analysed, (list(PROBED),)).fetchone() == (0,)
        driver.rollback()
    lane.close()
    store.close()


def scans(driver: "psycopg.Connection[Any]") -> dict[str, list[str]]:
    """The statements that read a table other than by probing an index, and what they do instead."""
    found: dict[str, list[str]] = {}
    for name, (statement, parameters) in STATEMENTS.items():
        bad = [
            node for node in nodes(plan(driver, statement, parameters)) if not is_probe(node, name)
        ]
        if bad:
            found[name] = [
                " ".join(str(node.get(each, "")) for each in ("Node Type", "Index Name", "Filter"))
                for node in bad
            ]
    return found


def plan(
    driver: "psycopg.Connection[Any]",
    statement: bytes,
    parameters: tuple[Any, ...],
    explain: str = "EXPLAIN (FORMAT JSON)",
) -> dict[str, Any]:
    """Explain a prepared statement, as a lane's connection would carry it out."""
    numbers = iter(range(1, len(parameters) + 1))
    prepared = re.sub(r"%s", lambda _: f"${next(numbers)}", statement.decode())
    driver.execute(f"PREPARE probe AS {prepared}".encode())
    values = ", ".join(
        str(value) if isinstance(value, int) else f"'{value}'" for value in parameters
    )
    row = driver.execute(f"{explain} EXECUTE probe({values})".encode()).fetchone()
    driver.execute("DEALLOCATE probe")
    assert row is not None
    found = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return found[0]["Plan"]


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    below: Iterable[dict[str, Any]] = node.get("Plans", ())
    for each in below:
        yield from nodes(each)


KEYS_OF = re.compile(
    r"\b(key|account_key|account_id|reservation_id|request_digest|digest|limit_id)\b"
)
"""What identifies a row. None of it is for a filter to look at, since an index has it."""

READ_BY_SHARD = {("overdue", "hold"), ("oldest", "reservation")}
"""Few holds are overdue; and the first of a shard is one row."""


def is_probe(node: dict[str, Any], statement: str) -> bool:
    kind: str = node["Node Type"]
    if kind in {"Hash Join", "Merge Join", "Materialize"}:
        return False
    # Of a partition, the table's name comes first.
    table = re.sub(r"_(first|default|\d+)$", "", node.get("Relation Name", ""))
    if table in PROBED and "Scan" in kind:
        by_index = kind in {"Index Scan", "Index Only Scan"} and "Index Cond" in node
        if (statement, table) in READ_BY_SHARD:
            return by_index
        whole_key = table != "reservation" or KEYS_OF.search(node["Index Cond"]) is not None
        return by_index and whole_key and not KEYS_OF.search(node.get("Filter", ""))
    return True
