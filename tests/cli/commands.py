"""Every command of the command line, as it builds them itself: a new one is walked by every test that walks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from tollkeeper.cli.loadtest import LoadtestCommand
from tollkeeper.cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Iterator


def every_command() -> dict[str, Any]:
    """Return groups and commands by how they are called, without `tollkeeper` before it."""
    return dict(_below(typer.main.get_command(commands), ""))


def every_leaf() -> dict[str, Any]:
    """Return the commands that do something."""
    return {name: each for name, each in every_command().items() if not hasattr(each, "commands")}


def has_option(command: Any, name: str) -> bool:
    return any(name in parameter.opts for parameter in command.params)


def minimal(name: str, command: Any) -> list[str]:
    """Return a command line with all that must be given, in words that mean little."""
    words = name.split()
    for parameter in command.params:
        if parameter.param_type_name == "argument" and parameter.required:
            words.append(_WORDS.get(parameter.metavar, "1"))
        elif parameter.required:
            words += [max(parameter.opts, key=len), "day"]
    return [*words, *_MORE.get(name, [])]


_WORDS = {
    "ID": "acme",
    "METHOD": "GET",
    "PATH": "/v1/leads",
    "RESERVATION": "1a-2b",
    "GRANT": "1a",
    "WEBHOOK": "1a",
    "URL": "https://example.com/events",
}
_MORE = {
    "account update": ["--name", "Acme"],
    "account prices": ["--default"],
    "commit": ["--status", "200"],
    "explain": ["1a-2b"],
    "webhook update": ["--description", "x"],
    "loadtest": ["--server", "127.0.0.1:1"],
}


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, LoadtestCommand):
        command = command.loaded()
    yield name, command
    for each, below in getattr(command, "commands", {}).items():
        yield from _below(below, f"{name} {each}".strip())
