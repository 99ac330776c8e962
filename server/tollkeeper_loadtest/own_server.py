"""Starts a server for the run, on a free port, with a named ledger or a temporary file, and stops it at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper import cli
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.config import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Generator

PRICES = Path(cli.__file__).with_name("demo_prices.toml")
STOP_S = 60.0


class LoadTarget(NamedTuple):
    """What is loaded: where it answers, and its database where that is known."""

    address: str
    database: str | None
    own: bool


@contextmanager
def own_server(database: str | None, prices: Path | None) -> Generator[LoadTarget]:
    """Serve in plain text until the block ends. Raises CommandError with the server's words where it does not start.

    Other settings come from the environment, as for `tollkeeper serve`; never the database, so that no ledger is loaded
    that was not named.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollkeeper-load-")))
        url = database or f"sqlite:///{folder / 'tollkeeper.db'}"
        log = stack.enter_context((folder / "log").open("w+", encoding="utf-8"))
        settings = {"listen": "127.0.0.1:0", "database": url, "prices": str(prices or PRICES)}
        settings |= dict.fromkeys(("tls_cert", "tls_key", "tls_client_ca"), "")
        named = {f"{ENVIRONMENT_PREFIX}{name.upper()}": each for name, each in settings.items()}
        # Not in our session: a terminal's Ctrl-C is for the command, which checks the ledger before it ends.
        process = subprocess.Popen(
            [sys.executable, "-m", "tollkeeper", "serve"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **named},
            start_new_session=True,
        )
        stack.callback(_end, process)
        assert process.stdout is not None  # noqa: S101 - a pipe, as asked
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            process.wait(timeout=STOP_S)
            log.seek(0)
            raise CommandError(
                f"the server did not start: {log.read().strip()}", reason=Why.CANNOT_LOAD
            )
        yield LoadTarget(line.split()[-1], url, own=True)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
