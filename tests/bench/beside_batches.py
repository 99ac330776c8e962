"""What single calls wait for beside a caller of Batches of 10,000, one after the other without a pause.

The single calls are 100 pairs a second of an open loop, over grpcio; rounds with and without the batches take turns on
one server. Beside batches a call waits for the share of a batch that is under way (`bulk_beside` operations), and for
the processors. So its bound is a part of the time of one whole Batch, which it would wait for, and longer, if what
comes were served in its order: that holds on any machine, and no bound in milliseconds or beside an idle server does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

from tests.bench.databases import Bench
from tests.bench.figure import Figure, Measure
from tests.bench.processes import ROOT, said, serving

BATCHES = "tests.bench.callers.batches"
SINGLES = "tests.bench.callers.steady"
SIZE = 10_000
RATE = 100.0
BEGIN_S = 3.0
"""How long the single calls run before they are measured: by then the batches have begun. They end later, too."""


class _Round(NamedTuple):
    p99_ms: float
    batch_ms: float
    """The mean time of one Batch; 0 where none was sent."""


def beside_batches(bench: Bench) -> list[Figure]:
    """Measure the p99 of single calls, beside batches and without."""
    return [figure for database in bench.databases for figure in _beside(bench, database)]


def _beside(bench: Bench, database: str) -> list[Figure]:
    alone: list[_Round] = []
    beside: list[_Round] = []
    with bench.ledger(database) as url, serving(url) as server:
        for number in bench.turns():
            p99_ms = _singles(bench, server.address, f"alone-{number}")
            alone.append(_Round(p99_ms, 0.0))
            beside.append(_with_batches(bench, server.address, str(number)))
    p99s = [each.p99_ms for each in beside]
    return [
        Figure(
            f"{database}: p99 of unary calls beside Batches of 10,000 / time of one such Batch",
            p99s,
            [each.batch_ms for each in beside],
            at_most=0.25,
            unit=" ms",
        ),
        Figure(
            f"{database}: the same / p99 of unary calls without them",
            p99s,
            [each.p99_ms for each in alone],
            unit=" ms",
        ),
    ]


def _with_batches(bench: Bench, address: str, number: str) -> _Round:
    seconds = str(bench.seconds + 2 * BEGIN_S)
    size = str(bench.scaled(SIZE, 100))
    caller = subprocess.Popen(
        [
            *(sys.executable, "-m", BATCHES, address, "--run", number),
            *("--size", size, "--callers", "1", "--warm-up", "0", "--seconds", seconds),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        p99_ms = _singles(bench, address, f"beside-{number}")
        rate, _ = caller.communicate(timeout=60 + 4 * bench.seconds)
    finally:
        caller.kill()
        caller.communicate()
    if caller.returncode:
        raise SystemExit("the caller of batches failed")
    # A pair is a part of two Batches, one to authorize and one to commit.
    return _Round(p99_ms, 1000 * int(size) / float(rate) / 2)


def _singles(bench: Bench, address: str, run: str) -> float:
    times = ("--rate", str(RATE), "--seconds", str(bench.seconds), "--warm-up", str(BEGIN_S))
    told = json.loads(said(SINGLES, address, "--run", run, *times, timeout_s=60 + bench.seconds))
    return float(told["p99_ms"])


MEASURES = (Measure("beside-batches", "unary calls beside Batches of 10,000", beside_batches, 5.0),)
