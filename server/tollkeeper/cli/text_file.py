"""Reads a text file that a person made, and says in plain words what the file is where it is not UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.failure import CommandError, Why

if TYPE_CHECKING:
    from pathlib import Path

_AS_UTF_8 = "save it as UTF-8"
_AS_CSV = 'save the sheet as "CSV UTF-8"'
_BEGINNINGS = (
    (b"PK\x03\x04", f"is an Excel workbook (.xlsx) or another zip archive; {_AS_CSV}"),
    (b"\xd0\xcf\x11\xe0", f"is an old Excel workbook (.xls); {_AS_CSV}"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"BZh", "is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "is compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"),
    (b"%PDF", "is a PDF; a text file is wanted"),
    (b"\xff\xfe\x00\x00", f"is UTF-32; {_AS_UTF_8}"),
    (b"\x00\x00\xfe\xff", f"is UTF-32; {_AS_UTF_8}"),
    (b"\xff\xfe", f"is UTF-16; {_AS_UTF_8}"),
    (b"\xfe\xff", f"is UTF-16; {_AS_UTF_8}"),
)
"""How files begin that are no text in UTF-8; the longer of two that begin alike is first."""
_LOOKED_AT_MAX = 4_096


def read_text(path: Path) -> str:
    """Read a file in UTF-8, with its byte order mark where it has one. Raises CommandError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CommandError(
            f"{path}: cannot be read: {reason}", reason=Why.FILE_UNREADABLE
        ) from None
    for beginning, fault in _BEGINNINGS:
        if data.startswith(beginning):
            raise _invalid(f"{path}: {fault}")
    if b"\x00" in data[:_LOOKED_AT_MAX]:
        raise _invalid(f"{path}: {_with_zeros(data[:_LOOKED_AT_MAX])}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(
            f"{path}: is not UTF-8: line {line} has the byte 0x{data[error.start]:02X}; perhaps it is "
            f"Latin-1 or Windows-1252, as some spreadsheets write it; {_AS_UTF_8}"
        ) from None


def _invalid(message: str) -> CommandError:
    return CommandError(message, reason=Why.FILE_INVALID)


def _with_zeros(data: bytes) -> str:
    """Say what a file with zero bytes is: of plain text in UTF-16, every other byte is zero."""
    for zeros, others in ((data[::2], data[1::2]), (data[1::2], data[::2])):
        if zeros.count(0) > len(zeros) / 2 and others.count(0) == 0:
            return f"is UTF-16; {_AS_UTF_8}"
    return "is not text; a text file in UTF-8 is wanted"
