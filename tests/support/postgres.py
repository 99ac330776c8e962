"""Starts a private PostgreSQL from the binaries of this machine, and gives away databases in it.

The cluster lives in a folder of its own, listens on 127.0.0.1 alone, and ends with the process
that started it, however that ends: a shell watches over the server and holds a pipe to us, and when
the pipe closes it stops the server and removes the folder.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg import sql

from tests.support.waiting import wait_until

CONNECTIONS_MAX = 200
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
MEMORY_FREE = 4 * 1024**3
START_ATTEMPTS_MAX = 5  # another process may take the free port before the server does

DEBIAN_BINARIES = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root; these users exist wherever it was installed, or anywhere.
UNPRIVILEGED_USERS = ("postgres", "nobody")

WATCH = """
folder=$1
shift
"$@" >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
"""


class RunAs(TypedDict, total=False):
    """Arguments of `subprocess`."""

    cwd: str
    user: str
    group: int
    extra_groups: list[int]


class PostgresFailedError(Exception):
    """The server did not start; the message ends with its log."""


def find_binaries() -> Path | None:
    """Find the folder that holds initdb and postgres: Debian's newest, else where PATH leads."""
    versions = sorted(
        DEBIAN_BINARIES.glob("*/bin/initdb"),
        key=lambda path: (len(path.parts[-3]), path.parts[-3]),
        reverse=True,
    )
    on_path = shutil.which("initdb")
    candidates = [*versions, *([Path(on_path).resolve()] if on_path else [])]
    return next((path.parent for path in candidates if (path.parent / "postgres").exists()), None)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server of our own. `port` is on 127.0.0.1; anyone on this machine may log in."""

    port: int
    names: Iterator[str]

    def create_database(self, *, template: str | None = None) -> str:
        """Create a database and return its SQLAlchemy URL.

        `template` is the URL of a database without connections: it is copied as it is.
        """
        name = next(self.names)
        source = database_name(template) if template else "template0"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, source)
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database, and close the connections to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", database_name(url))

    def _execute(self, statement: str, *names: str) -> None:
        query = sql.SQL(statement).format(*map(sql.Identifier, names))  # pyright: ignore[reportArgumentType] -- our own statements
        with connect(self.port) as connection:
            connection.execute(query)


def connect(port: int) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=port,
        user="postgres",
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def database_name(url: str) -> str:
    return url.rsplit("/", maxsplit=1)[-1]


@contextlib.contextmanager
def running_postgres(
    *, binaries: Path, fsync: bool = False, parent: Path | None = None
) -> Generator[Postgres]:
    """Run a server until the block ends.

    Without `fsync` a crash of the machine loses everything, which a test does not mind; to measure,
    turn it on and name a `parent` on the disk that is to be measured. Without a `parent` the cluster
    is in memory where there is room: to copy a database is three hundred files.
    """
    user = None if os.getuid() != 0 else unprivileged_user()
    folder = private_folder(user, parent or memory())
    try:
        run_initdb(binaries, folder, user)
        port, watcher = start(binaries, folder, user, fsync=fsync)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        yield Postgres(port, (f"test_{number}" for number in itertools.count(1)))
    finally:
        stop(watcher)


def unprivileged_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED_USERS if name in known)


def private_folder(user: str | None, parent: Path | None) -> Path:
    """Make a folder that its user owns and can reach; pytest's own are root's alone."""
    if parent is None:
        parent = Path(tempfile.gettempdir())
        if user is not None and not can_be_reached(parent):
            parent = Path("/var/tmp")  # noqa: S108 -- mkdtemp makes the name
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-postgres-", dir=parent))
    if user is not None:
        shutil.chown(folder, user)
    return folder


def memory() -> Path | None:
    """Find a file system in memory, if there is one with enough room."""
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_FREE
    return MEMORY if has_room else None


def can_be_reached(folder: Path) -> bool:
    resolved = folder.resolve()
    return all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents))


def run_initdb(binaries: Path, folder: Path, user: str | None) -> None:
    finished = subprocess.run(
        [
            str(binaries / "initdb"),
            f"--pgdata={folder / 'data'}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        **as_user(user),
    )
    if finished.returncode != 0:
        raise PostgresFailedError(finished.stdout + finished.stderr)


def as_user(user: str | None) -> RunAs:
    """Tell `subprocess` to run a program as this user, in a folder that every user can reach."""
    if user is None:
        return {"cwd": "/"}
    group = pwd.getpwnam(user).pw_gid
    return {"cwd": "/", "user": user, "group": group, "extra_groups": []}


def start(
    binaries: Path, folder: Path, user: str | None, *, fsync: bool
) -> tuple[int, subprocess.Popen[bytes]]:
    for _ in range(START_ATTEMPTS_MAX):
        port = free_port()
        watcher = launch(binaries, folder, user, port=port, fsync=fsync)
        try:
            if answers(port, log=folder / "log"):
                return port, watcher
        except BaseException:
            stop(watcher)
            raise
        # The watcher removes the folder with everything in it, so a second attempt begins anew.
        stop(watcher)
        folder.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(folder, user)
        run_initdb(binaries, folder, user)
    message = f"no free port in {START_ATTEMPTS_MAX} attempts"
    raise PostgresFailedError(message)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def launch(
    binaries: Path, folder: Path, user: str | None, *, port: int, fsync: bool
) -> subprocess.Popen[bytes]:
    switch = "on" if fsync else "off"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": CONNECTIONS_MAX,
        "fsync": switch,
        "full_page_writes": switch,
        "shared_buffers": "128MB",
    }
    if fsync:  # to be measured: with memory, as a server in production has it, and without a checkpoint within a run
        settings |= {"shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h"}
    return subprocess.Popen(
        [
            *("/bin/sh", "-c", WATCH, "watch", str(folder)),
            *(str(binaries / "postgres"), "-D", str(folder / "data")),
            *(f"--{name}={value}" for name, value in settings.items()),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # the terminal's Ctrl-C is for us: the pipe tells the watcher
        **as_user(user),
    )


def answers(port: int, *, log: Path) -> bool:
    """Wait until the server answers; False where its port was taken."""

    def is_up() -> bool:
        with contextlib.suppress(psycopg.OperationalError), connect(port) as connection:
            return connection.execute("SHOW port").fetchone() == (str(port),)
        return False

    def has_failed() -> bool:
        return "FATAL:" in read(log) and "could not create any TCP/IP sockets" in read(log)

    if wait_until(lambda: is_up() or has_failed(), timeout_s=START_TIMEOUT_S):
        return not has_failed()
    message = f"no answer on port {port} in {START_TIMEOUT_S:.0f} s:\n{read(log)[-2000:]}"
    raise PostgresFailedError(message)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def stop(watcher: subprocess.Popen[bytes]) -> None:
    """Stop the server at once, rolling back what is in flight, and wait until it is gone."""
    if watcher.stdin is not None:
        watcher.stdin.close()
    watcher.wait(STOP_TIMEOUT_S)
