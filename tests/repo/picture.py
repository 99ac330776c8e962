"""Draws the picture of the README: the terminal overview of an account, by the real command from a real server.

    python -m tests.repo.picture        writes docs/overview.svg, as `make generate` does

The clock of the ledger is held, so the same picture comes out on every day.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.text import Text

from tests.cli.processes import environment_of
from tests.repo.tree import ROOT
from tests.support.clocked import Clock, running
from tests.support.ledgers import new_ledger
from tollkeeper.cli.main import commands
from tollkeeper.core.change import Authorized
from tollkeeper.core.commands import Authorize, Commit
from tollkeeper.core.pricing.paths import parse
from tollkeeper.engine.engine import Engine
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings

PICTURE = ROOT / "docs" / "overview.svg"
COLUMNS = 96
CUT = "Not charged"
"""Where the picture ends: it is to fit a screen, and the ids of grants further down are random."""

BEGIN = datetime(2026, 11, 1, 9, tzinfo=UTC)
PRICES = """
[[price]]
method = "GET"
path = "/v1/leads"
credits = 10

[[price]]
method = "POST"
path = "/v1/track"
credits = 1
"""
SETUP = (
    "account create acme --limit daily=400\u00a0credits/day --alert low=remaining\u00a0500",
    "grant acme 5000",
)
DAYS = (
    *((12, 40), (15, 32), (9, 51), (2, 8), (1, 12), (18, 44), (21, 30), (16, 62), (14, 25)),
    *((17, 38), (3, 6), (2, 11), (19, 52), (22, 47), (20, 33), (24, 58), (18, 41), (4, 9)),
    *((3, 14), (23, 49), (25, 36)),
)
"""Requests of each day: to the first endpoint and to the second one."""


class Terminal(io.StringIO):
    """A standard output that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say yes, so that the command uses colours."""
        return True


def draw() -> str:
    """Return the picture as SVG."""
    page = asyncio.run(_page()).split(CUT)[0]
    shown = f"$ tollkeeper overview acme\n{page.strip()}\n"
    screen = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    screen.print(Text.from_ansi(shown), end="")
    svg = screen.export_svg(title="tollkeeper overview acme", unique_id="overview")
    # No font is fetched: a picture in a page asks no other host.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


async def _page() -> str:
    """Serve a ledger of some days, and return what the command prints."""
    clock = Clock(_us(BEGIN))
    with tempfile.TemporaryDirectory(prefix="tollkeeper-picture-") as folder:
        prices = Path(folder) / "prices.toml"
        prices.write_text(PRICES, encoding="utf-8")
        async with running(new_ledger(f"sqlite:///{folder}/ledger.db"), clock) as engine:
            server = Server(engine, ServerSettings("127.0.0.1:0"))
            address = f"127.0.0.1:{await server.start()}"
            for line in (f"prices publish {prices}", *SETUP):
                await asyncio.to_thread(_run, line, address)
            for day, (leads, tracks) in enumerate(DAYS):
                clock.now_us = _us(BEGIN + timedelta(days=day))
                await _requests(engine, "GET", "/v1/leads", leads)
                await _requests(engine, "POST", "/v1/track", tracks)
            page = await asyncio.to_thread(_run, "overview acme", address)
            await server.stop(0)
    return page


async def _requests(engine: Engine, method: str, path: str, count: int) -> None:
    """Hold and settle requests; every sixth one fails."""
    for number in range(count):
        name = f"{method}-{path}-{number}-{count}"
        held = await engine.authorize(Authorize("acme", method, parse(path), name))
        if isinstance(held, Authorized) and held.reservation is not None:
            status = 500 if number % 6 == 5 else 200
            await engine.commit(Commit(held.reservation, http_status=status))


def _run(line: str, address: str) -> str:
    """Run a command as if on a terminal, and return what it prints."""
    out = Terminal()
    words = [word.replace("\u00a0", " ") for word in line.split(" ")]
    environment = environment_of(
        {"TOLLKEEPER_SERVER": address, "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    )
    environment.pop("NO_COLOR", None)
    with mock.patch.dict(os.environ, environment, clear=True), mock.patch("sys.stdout", out):
        commands(words, standalone_mode=False)
    return out.getvalue()


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    sys.exit(0)
