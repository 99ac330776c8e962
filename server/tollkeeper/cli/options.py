"""Options that several commands share."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer

from tollkeeper.cli.server_address import SERVER_VARIABLE
from tollkeeper.core.credits import GRANT_MAX
from tollkeeper.core.validation.fields import PRIORITY_MAX

CREDITS_MAX = GRANT_MAX
SECONDS_MAX = 10**9
"""What is longer than this is a slip; how long a server allows is its own setting."""

Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar=SERVER_VARIABLE,
        metavar="HOST:PORT",
        help="The server to ask; or unix:PATH.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, for a spreadsheet.")]
RequestId = Annotated[
    str | None,
    typer.Option(
        "--request-id",
        metavar="R",
        help="Names this call: repeated with the same name it is done once. Made up if not given.",
    ),
]
Priority = Annotated[
    int,
    typer.Option(
        min=0, max=PRIORITY_MAX, metavar="N", help="Grants with a lower number are consumed first."
    ),
]
AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]
Zone = Annotated[
    str, typer.Option("--zone", metavar="Z", help="The IANA time zone of dates, as Europe/Berlin.")
]
ListName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The price list of this name.",
        show_default="the default list",
    ),
]
Effective = Annotated[
    str,
    typer.Option(
        "--effective",
        metavar="TIME",
        help="From when on it holds: a date, a time with its zone, or +7d.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="The ledger's database; else TOLLKEEPER_DATABASE, else the file, "
        "else sqlite:///tollkeeper.db.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A TOML file of settings.", show_default=False),
]


def new_request_id(given: str | None) -> str:
    """Return the name of this call: the one given, or a new one."""
    return given if given is not None else str(uuid.uuid4())


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines that work as they are."""
    return "\n\n".join(["Examples:" if len(lines) > 1 else "Example:", *lines])
