"""The forms of a statement for other programs: CSV, JSON, JSON Lines and Parquet.

Each takes the entries one by one and keeps none, so that a statement of any length takes the same
memory; Parquet keeps the rows of one group.
"""

from __future__ import annotations

import json
from importlib import import_module
from itertools import islice
from textwrap import indent
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from tollkeeper.cli import times
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.spreadsheet import CsvTable, Writer, inert
from tollkeeper.cli.terminal.json_form import to_json, to_json_line
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO
    from zoneinfo import ZoneInfo

COLUMNS = (
    "sequence",
    "create_time",
    "kind",
    "credits",
    "settled",
    "reservation_id",
    "grant_id",
    "method",
    "path",
    "price_version",
    "note",
    "recurring_grant_id",
    "rolled_over",
)
GROUP_ROWS = 20_000
"""The rows of one group of a Parquet file: what is held in memory at a time."""

_KINDS = {
    number: name.removeprefix("KIND_").lower() for name, number in admin_pb2.Entry.Kind.items()
}


_FIELDS = [
    (
        field.name,
        field.has_presence,
        {value.number: value.name for value in field.enum_type.values} if field.enum_type else None,
    )
    for field in admin_pb2.Entry.DESCRIPTOR.fields
]


def kind_of(entry: admin_pb2.Entry) -> str:
    """Return the kind of an entry as a person reads it; its number, where a newer server has more."""
    return _KINDS.get(entry.kind, str(entry.kind))


def write_csv(entries: Iterable[admin_pb2.Entry], to: Writer, zone: ZoneInfo) -> None:
    """Write a line with the names of the columns, and one for each entry; times are in the zone."""
    table = CsvTable(to, COLUMNS)
    for entry in entries:
        table.row(
            entry.sequence,
            times.from_timestamp(entry.create_time, zone).isoformat(),
            kind_of(entry),
            entry.credits,
            entry.settled,
            entry.reservation_id,
            entry.grant_id,
            entry.method,
            entry.path,
            entry.price_version or "",
            entry.note,
            entry.recurring_grant_id,
            "true" if entry.rolled_over else "",
        )


def write_json(entries: Iterable[admin_pb2.Entry], to: Writer, account_id: str) -> None:
    """Write one JSON object with the account's id and a list of the entries."""
    to.write(f'{{\n  "account_id": {json.dumps(account_id)},\n  "entries": [')
    separator, end = "\n", "]"
    for entry in entries:
        to.write(separator + indent(to_json(_json_of(entry)), "    "))
        separator, end = ",\n", "\n  ]"
    to.write(f"{end}\n}}\n")


def write_jsonl(entries: Iterable[admin_pb2.Entry], to: Writer) -> None:
    """Write one JSON object a line: an entry as `--json` has it."""
    for entry in entries:
        to.write(to_json_line(_json_of(entry)) + "\n")


def write_parquet(entries: Iterable[admin_pb2.Entry], to: BinaryIO) -> None:
    """Write the columns of the CSV with their types; what an entry has not is null, times are UTC.

    Texts are as in the CSV: spreadsheets open Parquet, too.
    """
    arrow, parquet = require_parquet()
    schema = _schema(arrow)
    rows = iter(entries)
    with parquet.ParquetWriter(to, schema, compression="zstd") as writer:
        while group := [_values(entry) for entry in islice(rows, GROUP_ROWS)]:
            columns = zip(*group, strict=True)
            writer.write_table(arrow.table([*map(list, columns)], schema=schema))


def require_parquet() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module, or say which extra has them."""
    try:
        # Large, slow to load and an extra: only where it is asked for.
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise CommandError(
            "Parquet needs the extra `parquet`; install it with: pip install 'tollkeeper[parquet]'",
            reason=Why.EXTRA_MISSING,
        ) from None


def _json_of(entry: Any) -> dict[str, Any]:  # noqa: ANN401 - its fields are named by its descriptor
    """Return what `json_form.to_dict` does, in a tenth of its time: an entry is flat."""
    values: dict[str, Any] = {}
    for name, has_presence, names in _FIELDS:
        if has_presence and not entry.HasField(name):
            continue
        value = getattr(entry, name)
        if names is not None:
            value = names.get(value, value)
        values[name] = value.ToJsonString() if isinstance(value, Timestamp) else value
    return values


def _schema(arrow: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    text, number = arrow.string(), arrow.int64()
    word = arrow.dictionary(arrow.int32(), text)
    types = {
        **dict.fromkeys(COLUMNS, text),
        **dict.fromkeys(("sequence", "credits", "settled", "price_version"), number),
        **dict.fromkeys(("kind", "method", "path"), word),
        "create_time": arrow.timestamp("us", tz="UTC"),
        "rolled_over": arrow.bool_(),
    }
    required = {"sequence", "create_time", "kind", "credits", "settled", "rolled_over"}
    return arrow.schema([arrow.field(name, types[name], name not in required) for name in COLUMNS])


def _values(entry: admin_pb2.Entry) -> tuple[Any, ...]:
    return (
        entry.sequence,
        entry.create_time.ToMicroseconds(),
        kind_of(entry),
        entry.credits,
        entry.settled,
        inert(entry.reservation_id) or None,
        inert(entry.grant_id) or None,
        inert(entry.method) or None,
        inert(entry.path) or None,
        entry.price_version or None,
        inert(entry.note) or None,
        inert(entry.recurring_grant_id) or None,
        entry.rolled_over,
    )
