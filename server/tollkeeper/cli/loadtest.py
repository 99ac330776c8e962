"""`tollkeeper loadtest`, which is a package of its own: it is imported by its name once the command is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import typer

from tollkeeper.cli.terminal.help_page import HelpfulCommand

PACKAGE_COMMAND = "tollkeeper_loadtest.command"
SUMMARY = (
    "Load a server, then compare the ledger with every answer; one mismatch ends with exit code 1."
)

commands = typer.Typer()


class LoadtestCommand(HelpfulCommand):
    """Stands for the package's command in the list of commands, and gives way to it once it is asked for."""

    def loaded(self) -> Any:  # noqa: ANN401 - the command line's library has no public type
        """Return the command itself."""
        return importlib.import_module(PACKAGE_COMMAND).command

    def make_context(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - likewise
        """Read the command line as the command itself does; what is carried out is that one."""
        return self.loaded().make_context(*arguments, **options)


@commands.command("loadtest", cls=LoadtestCommand, help=SUMMARY)
def loadtest() -> None:
    """Stand for the command in the list; never called."""
