"""Invariant 10 for the calls of operators: each record can be read, and what it says is what the account has.

Accounts, their records, their grants and the entries that are no charges are read side by side, one account at a
time; `verify_details` and `verify_given` compare them. A record has its account in its content, as the first field.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.usage import HOUR_US
from tollkeeper.storage.connections.engines import is_sqlite
from tollkeeper.storage.verify.calls import details, given
from tollkeeper.storage.verify.calls.last_calls import RecordedCall
from tollkeeper.storage.verify.reading import account_id_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from sqlalchemy import Connection, RowMapping

_ACCOUNTS = """
    SELECT shard, key AS account_key, account_id, display_name, state, credit_limit, created_us,
           limits, alerts, pricing, recurring
    FROM account ORDER BY shard, key
"""
_RECORDS = """
    WITH named AS MATERIALIZED (
        SELECT shard, key, {hexadecimal} AS name FROM account
    )
    SELECT coalesce(account.shard, named.shard, -1) AS shard,
           coalesce(account.key, named.key, -1) AS account_key, told.method, told.content,
           told.result, told.created_us
    FROM (
        SELECT method, content, result, created_us,
               CASE WHEN content LIKE '{{"account_id": "%' THEN {account} END AS account_id,
               CASE WHEN content LIKE '{{"reservation_id": "%' THEN {reservation} END AS of_key
        FROM admin_request
    ) AS told
    LEFT JOIN account ON account.account_id = told.account_id
    LEFT JOIN named ON named.name = told.of_key
    ORDER BY 1, 2, told.created_us
"""
_ON_SQLITE = {
    "hexadecimal": "printf('%x', key)",
    "account": "substr(content, 17, instr(substr(content, 17), '\"') - 1)",
    "reservation": "substr(content, 21, instr(substr(content, 21), '-') - 1)",
}
_ON_POSTGRES = {
    "hexadecimal": "to_hex(key)",
    "account": "split_part(substr(content, 17), '\"', 1)",
    "reservation": "split_part(substr(content, 21), '-', 1)",
}
_GRANTS = """
    SELECT shard, account_key, grant_id, credits, priority, created_us, expires_us, note, void
    FROM credit_grant ORDER BY shard, account_key, grant_id
"""
_ENTRIES = """
    SELECT shard, account_key, sequence, kind, credits, created_us, reservation_id, grant_id,
           coalesce(note, '') AS note
    FROM entry WHERE kind NOT IN (:charge, :late_charge)
    ORDER BY shard, account_key, sequence
"""
_ACCOUNT, _RECORD, _GRANT, _ENTRY = range(4)

_OF_NO_ACCOUNT = ("PublishPrices", "Webhook")
"""What the methods have in their names whose calls are of no account."""

_GIVEN_BACK = text("""
    SELECT 1 FROM reservation
    WHERE shard = :shard AND account_key = :key AND settled_us = :at_us AND outcome <> 1
    UNION ALL
    SELECT 1 FROM usage_hour
    WHERE shard = :shard AND account_key = :key AND kind <> 1 AND moved_out > 0
      AND hour > :hour - 24 AND hour <= :hour AND (hour = :hour OR kind = 2)
""")


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the records that cannot be read, and what does not agree with them."""
    records = _RECORDS.format(**(_ON_SQLITE if is_sqlite(connection) else _ON_POSTGRES))
    for (shard, key), each in side_by_side(connection, _ACCOUNTS, records, _GRANTS, _ENTRIES):
        if shard < 0:
            yield from _strangers(row for _, table, row in each if table == _RECORD)
            continue
        rows: tuple[list[RowMapping], ...] = ([], [], [], [])
        for _, table, row in each:
            rows[table].append(row)
        read = [(row["method"], _record_of(row)) for row in rows[_RECORD]]
        problems = [(10, _unreadable(method)) for method, record in read if record is None]
        if rows[_ACCOUNT]:  # of one that is not there other laws tell
            calls = [record for _, record in read if record is not None]
            gave_back = partial(_gave_back, connection, shard, key)
            try:
                problems += details.problems(rows[_ACCOUNT][0], calls)
                problems += given.problems(calls, rows[_GRANT], rows[_ENTRY], gave_back)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                problems.append((10, f"what the records of its calls say cannot be read: {error}"))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(number, account_id, what) for number, what in problems)


def _gave_back(connection: Connection, shard: int, key: int, at_us: int) -> bool:
    values = {"shard": shard, "key": key, "at_us": at_us, "hour": at_us // HOUR_US}
    return connection.execute(_GIVEN_BACK, values).first() is not None


def _strangers(rows: Iterator[RowMapping]) -> Iterable[Finding]:
    """Look at the records that are of no account, rightly or not."""
    for row in rows:
        record = _record_of(row)
        account_id = str(record.content.get("account_id", "")) if record else ""
        if record is None:
            yield Finding(10, account_id, _unreadable(row["method"]))
        elif not any(each in record.method for each in _OF_NO_ACCOUNT):
            what = f"the record of a {record.method} call is of no account that there is"
            yield Finding(10, account_id, what)


def _unreadable(method: str) -> str:
    return f"the record of a {method} call cannot be read"


def _record_of(row: RowMapping) -> RecordedCall | None:
    content, result = _object(row["content"]), _object(row["result"])
    if content is None or result is None:
        return None
    return RecordedCall(row["method"], content, result, row["created_us"])


def _object(text_: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text_)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
