"""The progress of a load test: one moving line on a terminal, a plain line every second elsewhere.

To standard error; standard output is for the result.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from tollkeeper.cli.terminal import streams
from tollkeeper.cli.terminal.screen import amount
from tollkeeper.cli.terminal.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tollkeeper_loadtest.measuring.measured import Measured

BAR, BAR_NARROW = 24, 6
WIDE = 100
"""Columns of a terminal that has room for a long bar beside the figures."""
LINE_AFTER_S = 1.25
"""Without news, such as while a server says nothing."""
_WHOLE = 1.0


class Display:
    """`quiet` says nothing at all."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._terminal = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def say(self, line: str) -> None:
        """Say one line that stays."""
        if self._quiet:
            return
        if self._terminal:
            self._console.print(visible(line))
        else:
            streams.tell(line + "\n")

    @contextmanager
    def step(self, name: str, total: float) -> Generator[Step]:
        """Show how far a part of the run is."""
        progress = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=BAR if self._console.width >= WIDE else BAR_NARROW),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            # Broken at blanks where it is too long, never cut.
            TextColumn("{task.fields[figures]}", table_column=Column(no_wrap=False)),
            console=self._console,
            transient=True,
            disable=not self._terminal,
        )
        with progress:
            task = progress.add_task(name, total=total, figures="")

            def show(done: float, figures: str) -> None:
                progress.update(task, completed=min(done, total), figures=figures)

            yield Step(self, name, total, show if self._terminal else None)


class Step:
    """One part of a run as it goes on."""

    def __init__(
        self, display: Display, name: str, total: float, show: Callable[[float, str], None] | None
    ) -> None:
        self._display = display
        self._name = name
        self._total = total
        self._show = show
        self._done = 0.0
        self._second = -1
        self._said_s = time.monotonic()

    def advance(self) -> None:
        """One of the total is done."""
        self._done += 1
        self.at(self._done, "")

    def load(self, measured: Measured, after_s: float) -> None:
        """Show the load of a phase that is `after_s` old."""
        # After the end only the last answers come in: no second to compare with the others.
        news = self._second < measured.whole_second < self._total
        self._second = measured.whole_second
        self.at(max(0.0, after_s), rates(measured.last), news=news)

    def at(self, done: float, figures: str, *, news: bool = False) -> None:
        """Show how far it is; elsewhere than on a terminal, say so where there is news, or after a while."""
        if self._show is not None:
            self._show(done, figures)
        elif news or time.monotonic() - self._said_s >= LINE_AFTER_S:
            self._said_s = time.monotonic()
            share = min(_WHOLE, done / self._total) if self._total else _WHOLE
            self._display.say(f"{self._name}: {share:4.0%}  {figures}".rstrip())


def rates(second: dict[str, int]) -> str:
    """Write the newest second for a person."""
    if not second:
        return ""
    text = f"{amount(second.get('pairs', 0))} pairs/s  {amount(second.get('operations', 0))} operations/s"
    for name in ("denied", "errors"):
        if second.get(name):
            text += f"  {amount(second[name])} {name}"
    return text
