"""Single changes of a ledger, planted by SQL as an intruder would who may drop its triggers."""

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, delete, select, update

from tollkeeper.core.recurring.recurring_grants import origin_of
from tollkeeper.storage.schema import tables

CHECKED = (
    tables.account,
    tables.credit_grant,
    tables.reservation,
    tables.hold,
    tables.entry,
    tables.limit_window,
    tables.usage_hour,
    tables.usage_day,
    tables.endpoint,
    tables.price_list,
    tables.price,
    tables.admin_request,
)
"""The tables of accounts, money, prices and admin records."""

JSON_COLUMNS = {
    *(("account", name) for name in ("limits", "alerts", "pricing", "recurring")),
    *(("admin_request", name) for name in ("content", "result")),
}
ZERO_SAYS_NOTHING = ("http_status", "charge_sequence", "hold_us")
_LAST = 2**63 - 1
_NO_ROW_IS_THERE = 7_001
A_YEAR_US = 366 * 86_400_000_000

Row = Mapping[str, Any]


class Change(NamedTuple):
    """A row, one of its columns, its new value, and (in JSON) which part of it is another; None: the row is gone."""

    table: Table
    row: Row
    column: str | None
    value: Any = None
    part: str = ""

    def plant(self, connection: Connection) -> None:
        here = [column == self.row[column.name] for column in self.table.primary_key]
        if self.column is None:
            connection.execute(delete(self.table).where(*here))
        else:
            connection.execute(update(self.table).where(*here).values({self.column: self.value}))

    def __str__(self) -> str:
        part = f" ({self.part})" if self.part else ""
        return f"{self.table.name}.{self.column}{part} = {self.value!r} in {dict(self.row)}"


def one_of_each(connection: Connection, table: Table) -> list[Row]:
    """Return one row of each kind that there is."""
    found: dict[Hashable, Row] = {}
    last: dict[Hashable, Row] = {}
    for each in connection.execute(select(table)).mappings():
        row = {str(name): value for name, value in each.items()}
        kind = _kind(table.name, row)
        found.setdefault(kind, row)
        if table is tables.entry:  # of some the reservation was moved out, of others not
            last[kind] = row
    return [*found.values(), *(row for row in last.values() if row not in found.values())]


def _kind(table: str, row: Row) -> Hashable:
    match table:
        case "credit_grant":
            origin = origin_of(row["grant_id"])
            made = origin and (origin.number, origin.place == 0, origin.rolled_over)
            return (
                made,
                row["void"],
                row["held"] > 0,
                row["expired"] > 0,
                row["consumed"] > 0,
                row["note"],
            )
        case "reservation":
            paid = row["slices"] is None, row["grant_id"] == 0
            return row["state"], row["late"], *paid, row["refunded"] > 0, row["http_status"]
        case "entry":
            return row["kind"], row["note"] is None, origin_of(row["grant_id"]) is not None
        case "usage_hour" | "usage_day":
            return row["kind"]
        case "limit_window":
            return row["used"] > 0, row["held"] > 0, row["over"] > 0
        case "admin_request":
            return row["method"], frozenset(_set(json.loads(row["content"])))
        case _:
            return tuple(
                row[name]
                for name in tables.metadata.tables[table].primary_key.columns.keys()  # noqa: SIM118 - not a dict
            )


def _set(content: dict[str, Any]) -> Iterable[str]:
    return (name for name, value in content.items() if value is not None)


def changes_of(table: Table, column: str, row: Row) -> Iterator[Change]:
    """Yield the ways in which one column of a row is changed: by a little, by much, taken away, one part of JSON."""
    value = row[column]
    if (table.name, column) in JSON_COLUMNS:
        yield Change(table, row, column, "[[1", "broken")
        if value:
            for part, changed in _parts(json.loads(value), ""):
                yield Change(table, row, column, json.dumps(changed), part)
        return
    if column in table.primary_key.columns and isinstance(value, int):
        yield Change(table, row, column, value + _NO_ROW_IS_THERE)
        return
    if value is None:
        yield Change(table, row, column, "x" if table.c[column].type.python_type is str else 1)
        return
    for other in _others(column, value):
        yield Change(table, row, column, other)
    if table.c[column].nullable and value is not None:
        yield Change(table, row, column, None)


def _others(column: str, value: Any) -> Iterable[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, bytes):
        return [bytes(16), bytes([value[0] ^ 1]) + value[1:]]
    if column == "slices" and value:
        return _other_slices(value)
    if isinstance(value, str):
        return [value + "x", *([""] if value else [])]
    others = [value + 1]
    if column.endswith("_us"):
        others += [value + A_YEAR_US, value - A_YEAR_US]
    if value and column in ZERO_SAYS_NOTHING:
        others.append(0)
    return [each for each in others if -_LAST <= each <= _LAST]


def _other_slices(value: str) -> Iterator[str]:
    parts = [part.split(":") for part in value.split(",")]
    yield ",".join(f"{payer}:{paid}" for payer, paid in reversed(parts))
    (first, paid), (second, more), *rest = parts
    moved = [[first, str(int(paid) + 1)], [second, str(int(more) - 1)], *rest]
    yield ",".join(f"{payer}:{credits}" for payer, credits in moved)
    yield ",".join([f"{first}:{int(paid) + 1}", value.partition(",")[2]])


def _parts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a JSON value with one of its parts changed, and where that is."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for key, part in members.items():
            for where, changed in _parts(part, f"{name}.{key}"):
                yield where, {**members, key: changed}
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        for index, part in enumerate(items):
            for where, changed in _parts(part, f"{name}.{index}"):
                yield where, [*items[:index], changed, *items[index + 1 :]]
    else:
        yield name, _other(value)


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1 if value < _LAST else value - 1
        case str():
            return f"{value}x"
        case _:
            return 1
