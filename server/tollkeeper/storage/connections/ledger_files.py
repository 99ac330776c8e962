"""The files of a SQLite ledger: how they are made, and how it is noticed that they are no longer where they were.

SQLite goes on writing into a file that was moved, deleted or replaced. Its acknowledgements would then be in a file
that is never opened again. So every writer looks before and after each transaction whether path and file still belong
together: a microsecond or two for each file.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tollkeeper.engine.unavailable import LostError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside the file while it is open."""

OWNER_ALONE = 0o600


class Mark(NamedTuple):
    """A path, and the file that was there when it was marked."""

    path: str
    device: int
    inode: int


class LedgerFiles(NamedTuple):
    """The files of a ledger as they were when it was opened; none where there was no file, or no SQLite."""

    marks: tuple[Mark, ...] = ()

    def fault(self) -> str | None:
        """Say, for the operator, which file is not where it was; None while all are."""
        for path, device, inode in self.marks:
            try:
                status = os.stat(path)  # noqa: PTH116 - looked at twice in each transaction
            except FileNotFoundError:
                return f"{path} is gone"
            except OSError as error:
                return f"{path} cannot be looked at ({error.strerror})"
            if status.st_ino != inode or status.st_dev != device:
                return f"{path} is another file now"
        return None

    def check(self) -> None:
        """Raise LostError unless every file is where it was."""
        if fault := self.fault():
            raise LostError(fault)

    def open_no_other(
        self, dialect: object, record: object, arguments: list[Any], named: dict[str, Any]
    ) -> None:
        """Let SQLAlchemy connect to these files alone: it is asked before each connection, and never makes a file."""
        del dialect, record
        self.check()
        arguments[0] = f"{Path(arguments[0]).as_uri()}?mode=rw"
        named["uri"] = True


def path_of(url: URL) -> str:
    """Return the path of a SQLite ledger, whole."""
    return os.path.abspath(url.database or "")  # noqa: PTH100 - a link stays one: SQLite follows it at each opening


def files_of(url: URL, *, open_now: bool = False) -> LedgerFiles:
    """Mark the files of a SQLite ledger.

    Those beside it only where it is `open_now` and stays so: SQLite deletes them when it is closed.
    """
    path = path_of(url)
    beside = os.path.realpath(path)
    paths = (path, *(f"{beside}{suffix}" for suffix in BESIDE if open_now))
    return LedgerFiles(tuple(mark for each in paths if (mark := _mark(each))))


def make_private(url: URL) -> None:
    """Make an empty file for its owner alone where there is none; SQLite gives those beside it the same permissions.

    A reader of a ledger can read the secrets of its webhooks. What cannot be made is left to SQLite, which says why.
    """
    path = os.path.realpath(path_of(url))  # O_EXCL makes nothing where a link leads
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ALONE))


def is_for_everybody(url: URL) -> bool:
    """Say whether any user of this machine can read or change the file."""
    return bool(Path(path_of(url)).stat().st_mode & stat.S_IRWXO)


def _mark(path: str) -> Mark | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return Mark(path, status.st_dev, status.st_ino)
