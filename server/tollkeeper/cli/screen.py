"""What a person sees: one console for answers, and how credits and times are written on it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tollkeeper.cli.json_form import to_dict, to_json
from tollkeeper.cli.times import from_timestamp

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

WIDTH_PIPED = 100
"""Columns where nobody is looking and COLUMNS does not say."""
WIDTH_OF_IDS = 250
"""Likewise, where rows have ids that somebody will copy: each on one line."""


def console(*, has_ids: bool = False) -> Console:
    """Return the console of stdout; a pipe gets the same text without colours, never cut."""
    piped = WIDTH_OF_IDS if has_ids else WIDTH_PIPED
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else piped
    return Console(width=width, highlight=False, soft_wrap=False)


def table(*columns: str, numbers: tuple[str, ...] = (), ids: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in `numbers` stand to the right.

    Those in `numbers` and in `ids`, which people copy, are never broken: others give way.
    """
    made = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=column in numbers or column in ids,
            overflow="fold",
        )
    return made


def facts(*pairs: tuple[str, str | Text]) -> Table:
    """Return names and values below each other; a pair without a value is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            made.add_row(name, escape(value) if isinstance(value, str) else value)
    return made


def print_json(message: Message, **more: object) -> None:
    """Print an answer, and what belongs to it, as one JSON object."""
    print_json_value({**more, **to_dict(message)})


def print_json_value(value: dict[str, Any]) -> None:
    """Print one JSON object."""
    sys.stdout.write(to_json(value) + "\n")


def amount(number: int) -> str:
    """Write credits, or a count, for a person."""
    return f"{number:,}"


def signed(number: int) -> str:
    """Write a change of credits for a person."""
    return f"{number:+,}"


def moment(stamp: Timestamp, zone: ZoneInfo | None = None) -> str:
    """Write a time for a person, to the second, with its zone."""
    return from_timestamp(stamp, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def second(stamp: Timestamp, zone: ZoneInfo | None = None) -> str:
    """Write a time for a person, to the second, where the zone is said elsewhere."""
    return from_timestamp(stamp, zone).strftime("%Y-%m-%d %H:%M:%S")


def minute(stamp: Timestamp, zone: ZoneInfo | None = None) -> str:
    """Write a time for a person, to the minute, where the zone is said elsewhere."""
    return from_timestamp(stamp, zone).strftime("%Y-%m-%d %H:%M")


def count(number: int, noun: str, plural: str = "") -> str:
    """Write `1 request`, `2 requests`; `plural` where an s does not make it."""
    return f"{amount(number)} {noun if number == 1 else plural or noun + 's'}"
