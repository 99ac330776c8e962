"""`tollkeeper migrate`: brings the database to the newest schema, or says whether it is there."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.cli.options import Config, Database, Json, examples
from tollkeeper.cli.serve.database import database_failures, load_settings
from tollkeeper.cli.terminal.screen import console, print_json_value

commands = typer.Typer()


@commands.command(
    "migrate",
    epilog=examples(
        "tollkeeper migrate --database postgresql+psycopg://ledger@db/ledger",
        "tollkeeper migrate --check",
    ),
)
def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 where it is not current.")
    ] = False,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Bring the database to the newest schema; one that is there already stays as it is."""
    from tollkeeper.storage.schema import migrate as schema  # noqa: PLC0415 - slow to load

    url = load_settings({"database": database}, config).database
    with database_failures():
        was_current = schema.is_current(url)
        if not check:  # also where it is current: partitions are made ahead
            schema.upgrade(url)
    if json:
        print_json_value(
            {"current": was_current or not check, "migrated": not (was_current or check)}
        )
    if check:
        with database_failures():
            schema.require_current(url)
    if not json:
        console().print("the schema is current" if was_current else "the schema is current now")
