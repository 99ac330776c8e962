"""A file that a command writes: it is there whole or not at all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tollkeeper.cli.failure import CommandError, Why

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import BinaryIO

_UNFINISHED = ".part"


@contextlib.contextmanager
def output_file(path: Path) -> Generator[BinaryIO]:
    """Open a file to be written; it takes the place of an older one only once the block has ended well.

    What is no file, such as a pipe, is written as it is.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            with unfinished.open("wb") as file:
                yield file
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> CommandError:
    """Return the failure of a file that cannot be written."""
    reason = (error.strerror or type(error).__name__).lower()
    return CommandError(f"{path}: cannot be written: {reason}", reason=Why.FILE_UNWRITABLE)
