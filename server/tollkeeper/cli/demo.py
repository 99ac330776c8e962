"""`python -m tollkeeper.cli.demo`: a server to try things on, and three commands to try.

The ledger is the file tollkeeper.db in the current folder, with the example price list and an
account `demo` of 1,000 credits. Run again, it goes on where it was: nothing is granted twice.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tollkeeper.cli.ending import fail
from tollkeeper.cli.failure import CommandError
from tollkeeper.cli.serve.database import load_settings
from tollkeeper.cli.serve.running import run
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal import streams
from tollkeeper.core.commands import CreateAccount, GrantCredits
from tollkeeper.engine.engine import Engine

DATABASE = "sqlite:///tollkeeper.db"
PRICES = Path(__file__).with_name("demo_prices.toml")
ACCOUNT = "demo"
CREDITS = 1_000


def main() -> None:
    """Serve the demonstration until Ctrl-C."""
    streams.prepare()
    try:
        settings = load_settings({"database": DATABASE, "prices": PRICES}, None)
        run(settings, _print_commands, _open_account)
    except CommandError as error:
        fail(error)


async def _open_account(engine: Engine) -> None:
    """Open the account and give it its credits; fixed names make a second run a repetition."""
    await engine.create_account(
        CreateAccount(ACCOUNT, request_id="demo-account", display_name="Demonstration")
    )
    await engine.grant_credits(
        GrantCredits(ACCOUNT, request_id="demo-credits", credits=CREDITS, note="to try things")
    )


def _print_commands(address: str) -> None:
    command = _command()
    first = address.partition(",")[0]
    server = "" if first == DEFAULT_SERVER else f" --server {shlex.quote(first)}"
    authorize = f"{command} authorize {ACCOUNT} GET /v1/leads{server}"
    lines = [
        f"listening on {address}",
        "",
        f"The account {ACCOUNT} was given {CREDITS:,} credits; GET /v1/leads costs 10.",
        "Paste these into a second terminal:",
        "",
        f"  {authorize}",
        f'  {command} commit "$({authorize} --quiet)" --status 200{server}',
        f"  {command} overview {ACCOUNT}{server}",
        "",
        "The first hold is never committed: it gives its credits back after a minute.",
        "Ctrl-C stops the server; the ledger stays in tollkeeper.db.",
    ]
    streams.write("\n".join(lines) + "\n")
    streams.flush()


def _command() -> str:
    """Return how this installation's command is called from here."""
    # Not resolved: the Python of a virtual environment is a link to one outside of it.
    installed = Path(sys.executable).parent / "tollkeeper"
    if not installed.exists():
        return f"{shlex.quote(sys.executable)} -m tollkeeper"
    here = Path.cwd()
    if installed.is_relative_to(here):
        installed = installed.relative_to(here)
    return shlex.quote(str(installed))


if __name__ == "__main__":
    main()
