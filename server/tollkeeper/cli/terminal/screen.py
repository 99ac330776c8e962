"""What a person sees: one screen for answers, and how credits and times are written on it.

Every text that is printed goes through `visible`, and every table through `layout`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.json_form import to_dict, to_json
from tollkeeper.cli.terminal.layout import Line, Table, records, wrapped
from tollkeeper.cli.terminal.visible import visible, visible_lines
from tollkeeper.cli.times import from_timestamp

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32"}
_COLOURS = frozenset({"red", "green"})
_BLOCKS = re.compile(r"[▀-▟#]+")
_COPIED = frozenset(
    {
        "request_id",
        "account",
        "asked for",
        "endpoint",
        "url",
        "secret",
        "authorized by",
        "settled by",
    }
)
"""The names of facts that people copy, so that a blank in them is no place to break a line."""


class Styled(NamedTuple):
    """A text and how it is to look."""

    text: str
    style: str


class Facts(NamedTuple):
    """Names and values, to be printed below each other."""

    pairs: tuple[tuple[str, str | Styled], ...]

    def lines(self, width: int | None) -> list[Line]:
        """Return them in at most so many columns (None: any), but for values that people copy."""
        styles = {name: value.style for name, value in self.pairs if isinstance(value, Styled)}
        texts = [
            (name, visible(value.text if isinstance(value, Styled) else value))
            for name, value in self.pairs
        ]
        return records(texts, width, whole=_COPIED, styles=styles)


class Screen:
    """Standard output for a person. A pipe gets the same text without colours, and no line of it is broken."""

    def __init__(self) -> None:
        self.width = streams.width()
        self.ascii_only = streams.is_ascii()

    def print(
        self, what: str | Table | Facts = "", style: str = "", *, whole: bool = False
    ) -> None:
        """Print a text, facts or a table; a text that is to be copied `whole` is not broken at blanks either."""
        streams.write(
            "".join(f"{_shown(line)}\n" for line in self._lines(what, style, whole=whole))
        )

    def print_drawing(self, text: str) -> None:
        """Print lines that are drawn, with their blocks in green."""
        if streams.has_colours():
            text = _BLOCKS.sub(lambda found: _styled(found[0], "green"), visible_lines(text))
        else:
            text = visible_lines(text)
        streams.write(f"{text}\n")

    def _lines(self, what: str | Table | Facts, style: str, *, whole: bool) -> list[Line]:
        if isinstance(what, Table):
            return what.lines(self.width, ascii_only=self.ascii_only)
        if isinstance(what, Facts):
            return what.lines(self.width)
        width = None if whole else self.width
        return [Line(part, style) for part in wrapped(visible(what), width)]


def console() -> Screen:
    """Return the screen of standard output as it is now."""
    return Screen()


def table(
    *columns: str,
    numbers: tuple[str, ...] = (),
    ids: tuple[str, ...] = (),
    zeros: tuple[str, ...] = (),
    spare: str | None = None,
) -> Table:
    """Return an empty table, see `layout.Table`."""
    return Table(*columns, numbers=numbers, ids=ids, zeros=zeros, spare=spare)


def facts(*pairs: tuple[str, str | Styled]) -> Facts:
    """Return names and values below each other; a pair without a value is left out."""
    return Facts(pairs)


def _shown(line: Line) -> str:
    return f"{_styled(line.name, 'dim')}{_styled(line.text, line.style)}"


def _styled(text: str, style: str = "") -> str:
    """Return a text as the terminal is told to show it; as it is where there is none."""
    words = style.split()
    if not streams.has_colours():
        words = [word for word in words if word not in _COLOURS]
    if not (text and words and streams.has_styles()):
        return text
    return f"\x1b[{';'.join(_CODES[word] for word in words)}m{text}\x1b[0m"


def print_json(message: Message, **more: object) -> None:
    """Print an answer, and what belongs to it, as one JSON object."""
    print_json_value({**more, **to_dict(message)})


def print_json_value(value: dict[str, Any]) -> None:
    """Print one JSON object."""
    streams.write_data(to_json(value) + "\n")


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
