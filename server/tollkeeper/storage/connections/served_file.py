"""The file of a SQLite ledger while a server serves it: no second server does, and what becomes of the file is seen.

The lock is on a file of its own, beside the ledger's: SQLite's locks on the ledger would be lost to this process
with the first descriptor of it that is closed. It ends with the process that holds it, however that ends. A
connection stays open as long as the file is served, so that SQLite keeps what is beside the file, and that can be
watched too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sqlite3
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.engine.unavailable import ServedFileError
from tollkeeper.storage.connections.engines import BUSY_TIMEOUT_S
from tollkeeper.storage.connections.faults import store_errors
from tollkeeper.storage.connections.ledger_files import (
    OWNER_ALONE,
    LedgerFiles,
    files_of,
    is_for_everybody,
    path_of,
)
from tollkeeper.storage.connections.urls import parse_url

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

log = logging.getLogger(__name__)

LOCK = "-lock"
"""What the lock's file is called after the ledger's."""

_READ_MAX = 200
_SAVE_WAITS_MS = 500
"""How long `save` waits for those who read: it is called again."""


class ServedFile:
    """A SQLite ledger that this process alone serves, from when this is made until it is closed."""

    def __init__(self, url: URL) -> None:
        """Take the lock. Raises ServedFileError where another server has it, or it cannot be had."""
        self._url = url
        self._path = path_of(self._url)
        self._lock_path = f"{os.path.realpath(self._path)}{LOCK}"
        self._lock = _locked(self._lock_path, self._path)
        self._stack = ExitStack()
        self._stack.callback(lambda: os.close(self._lock))
        self._connection: sqlite3.Connection | None = None
        self._using = threading.Lock()
        self.files = LedgerFiles()
        """What is to be watched, from `open` on."""
        self._seen: str | None = None

    def open(self) -> None:
        """Keep the file open, whose schema must be there, and mark what is to be watched. Raises StoreError."""
        if is_for_everybody(self._url):
            log.warning(
                "every user of this machine can read %s, and the secrets of webhooks in it; "
                "to take that away: chmod o= %s*",
                self._path,
                self._path,
            )
        with store_errors():
            connection = sqlite3.connect(
                f"{Path(self._path).as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._stack.callback(connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {_SAVE_WAITS_MS}")
        self._connection = connection
        self.files = files_of(self._url, open_now=True)

    def is_there(self) -> bool:
        """Say whether all files are where they were; the log is told when that changes."""
        fault = self.files.fault()
        if fault is None:
            self._keep_lock()
        if fault != self._seen:
            self._seen = fault
            if fault is None:
                log.warning("%s is where it was again; serving on", self._path)
            else:
                log.error(
                    "%s: every call is refused until the same file is back. What was acknowledged is saved into the "
                    "ledger's file, wherever it is. To serve another file, stop this server and start it again",
                    fault,
                )
        return fault is None

    def save(self) -> None:
        """Write what is beside the file into the file, wherever that is, and leave nothing beside it.

        Else what was acknowledged last would be missing from a file that was moved, and SQLite would take it for a part
        of the file that is in its place. Call it from any thread, again and again while the file is not where it was.
        """
        with self._using, suppress(sqlite3.Error):  # it is tried again
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _keep_lock(self) -> None:
        """Take the lock anew where somebody has deleted its file: it would keep no other server away."""
        if _is_at(self._lock, self._lock_path):
            return
        try:
            lock = _locked(self._lock_path, self._path)
        except ServedFileError as error:
            log.error("the lock's file was deleted: %s", error)  # noqa: TRY400 - an operator's doing
            return
        os.close(self._lock)
        self._lock = lock
        log.warning("%s was deleted, and is made anew", self._lock_path)

    def close(self) -> None:
        """Close the file, and let the lock go."""
        if self.files.fault() is not None:
            self.save()  # where the file is not at its place, SQLite does not do it by itself
        with self._using:
            self._connection = None
            self._stack.close()


def lock_file(url: str) -> ServedFile | None:
    """Make sure that no other server serves a SQLite file; None for PostgreSQL. Raises ServedFileError."""
    parsed = parse_url(url)
    return ServedFile(parsed) if parsed.get_backend_name() == "sqlite" else None


def _locked(path: str, ledger: str) -> int:
    """Return a descriptor that holds the lock of a ledger until it is closed. Raises ServedFileError."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ALONE)
        except OSError as error:
            raise ServedFileError(
                f"cannot open {path}, by which servers tell that {ledger} is served already: "
                f"{error.strerror}; the server's user must be allowed to write this file, and in its folder"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(descriptor, path):  # somebody has deleted it meanwhile
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:
            holder = os.pread(descriptor, _READ_MAX, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise _refused(error, path, ledger, holder) from None
        else:
            return descriptor


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except FileNotFoundError:
        return False


def _refused(error: OSError, path: str, ledger: str, holder: str) -> ServedFileError:
    if isinstance(error, BlockingIOError):
        return ServedFileError(
            f"{ledger} is served already, by {holder or 'another process'}; stop that server first, "
            "or use PostgreSQL, which several servers can share"
        )
    return ServedFileError(
        f"cannot lock {path}: {error.strerror}; a SQLite ledger belongs on a local disk"
    )
