"""Starts a private PgBouncer in transaction mode before a test's PostgreSQL; it ends with the block."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import as_user, free_port, unprivileged_user
from tests.support.waiting import wait_until

START_TIMEOUT_S = 20.0
STARTS_MAX = 3
STOP_TIMEOUT_S = 20.0

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {pool_size}
server_reset_query_always = 0
{more}
"""


def find_pgbouncer() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")


def require_pgbouncer() -> str:
    """Return the program; where there is none the test is skipped by name, or fails in CI."""
    found = find_pgbouncer()
    if found is None:
        reason = "no pgbouncer here; Debian: pgbouncer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.contextmanager
def pgbouncer(
    url: str, *, mode: str = "transaction", more: str = "", pool_size: int = 8
) -> Generator[str]:
    """Run one before the server of a URL; yields the URL that leads through it."""
    port = url.rsplit(":", maxsplit=1)[1].split("/", maxsplit=1)[0]
    own_port = free_port()
    user = None if os.getuid() != 0 else unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-pgbouncer-"))
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    file.write_text(
        CONFIGURATION.format(
            port=port, own_port=own_port, mode=mode, more=more, pool_size=pool_size
        )
    )
    through = url.replace(f":{port}/", f":{own_port}/")
    process = _started(file, user, through)
    try:
        yield through
    finally:
        process.terminate()
        process.communicate(timeout=STOP_TIMEOUT_S)
        shutil.rmtree(folder)


def _started(file: Path, user: str | None, url: str) -> subprocess.Popen[bytes]:
    """Start the program until it answers. Debian's 1.18 has crashed (SIGSEGV) as it began; then it is started anew."""
    for _ in range(STARTS_MAX):
        process = subprocess.Popen(
            [require_pgbouncer(), "--quiet", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **as_user(user),
        )
        assert wait_until(partial(_is_settled, process, url), timeout_s=START_TIMEOUT_S)
        if process.poll() is None:
            return process
        _, said = process.communicate()
        assert process.returncode == -signal.SIGSEGV, said
    pytest.fail(f"pgbouncer crashed at each of {STARTS_MAX} starts")


def _is_settled(process: subprocess.Popen[bytes], url: str) -> bool:
    """Say whether it answers, or has ended."""
    return process.poll() is not None or _answers(url)


def _answers(url: str) -> bool:
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2),
    ):
        return True
    return False
