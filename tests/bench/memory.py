"""What a server holds on to: its memory after many operations beside that after a tenth of them.

Operations come in Batches of 1,000 over grpcio, on 10,000 accounts. Memory is what the server's process and its lane's
are resident with. Ten million operations take a quarter of an hour and more, so a tenth of it is measured unless
`--soak` is given, and said to be no more than that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.databases import POSTGRESQL, Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import said, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLER = "tests.bench.callers.batches"
ACCOUNTS = 10_000
FIRST, LAST = 1_000_000, 10_000_000
SCALED = 10
SECONDS_MAX = 3_600.0
_KIB = 1024


def memory(bench: Bench) -> list[Figure]:
    """Measure once: a round would need a server of its own."""
    part = 1 if bench.soak else SCALED
    first, last = (bench.scaled(each // part, 2_000) for each in (FIRST, LAST))
    after_first: list[float] = []
    after_last: list[float] = []
    accounts = bench.scaled(ACCOUNTS, 1_000)
    with bench.ledger(POSTGRESQL, accounts=accounts) as url:
        for number in bench.turns():
            with serving(url) as server:
                _send(server.address, first, accounts, f"first-{number}")
                after_first.append(_resident_mib(server.pid))
                _send(server.address, last - first, accounts, f"last-{number}")
                after_last.append(_resident_mib(server.pid))
    scaled = "" if bench.soak else " (a tenth of what is asked for)"
    name = f"PostgreSQL: server's memory after {last:,} operations / after {first:,}{scaled}"
    return [Figure(name, after_last, after_first, at_most=1.2, unit=" MiB")]


def _send(address: str, operations: int, accounts: int, run: str) -> None:
    pairs = ("--pairs", str(operations // 2), "--accounts", str(accounts), "--run", run)
    said(CALLER, address, *pairs, timeout_s=SECONDS_MAX)


def _resident_mib(pid: int) -> float:
    return sum(_resident_kib(each) for each in _with_children(pid)) / _KIB


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            yield from _with_children(int(child))


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


MEASURES = (
    Measure("memory", "server's memory after ten times the operations", memory, 2.5, rounds=1),
)
