"""Servers and callers as processes of their own, so that none takes the other's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Served(NamedTuple):
    """A server that runs."""

    address: str
    pid: int


@contextmanager
def serving(url: str, *arguments: str) -> Generator[Served]:
    """Run Tollkeeper on a ledger until the block ends."""
    serve = ("serve", "--listen", "127.0.0.1:0", "--database", url)
    with listening("tollkeeper", *serve, *arguments) as served:
        yield served


@contextmanager
def listening(module: str, *arguments: str) -> Generator[Served]:
    """Run a server until the block ends; its address is the last word of its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Served(process.stdout.readline().split()[-1], process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def said(module: str, *arguments: str, timeout_s: float) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")},
        cwd=ROOT,
    )
    if done.returncode:
        raise SystemExit(f"{module} failed: {done.stderr[-2_000:]}")
    return done.stdout


def rate(module: str, address: str, *arguments: str, seconds: float, warm_up_s: float) -> float:
    """Run a caller's process and return the rate that it prints."""
    return figures(module, address, *arguments, seconds=seconds, warm_up_s=warm_up_s)[0]


def figures(
    module: str, address: str, *arguments: str, seconds: float, warm_up_s: float
) -> list[float]:
    """Run a caller's process and return all that it prints."""
    times = ("--seconds", str(seconds), "--warm-up", str(warm_up_s))
    printed = said(module, address, *arguments, *times, timeout_s=60 + 4 * seconds)
    return [float(each) for each in printed.split()]
