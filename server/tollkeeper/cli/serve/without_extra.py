"""The command `tollkeeper` where the extra `cli` is not installed: it serves, and says of all else what to install.

A server's settings come from the environment and a file; the flags belong to the command line, which is not there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tollkeeper.cli.ending import fail
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.serve.database import load_settings
from tollkeeper.cli.serve.running import print_address, run
from tollkeeper.cli.terminal import streams


def main() -> None:
    """Serve, or fail. Ends the process where it fails."""
    streams.prepare()
    arguments = sys.argv[1:]
    try:
        run(load_settings({}, _config_of(arguments)), print_address)
    except CommandError as error:
        fail(error, as_json="--json" in arguments)


def _config_of(arguments: list[str]) -> Path | None:
    """Return the file of settings that is named. Raises CommandError for all that is not `serve [--config FILE]`."""
    match arguments:
        case ["serve"]:
            return None
        case ["serve", "--config", file]:
            return Path(file)
        case _:
            raise CommandError(
                "the command line needs the extra `cli`; install it with: pip install 'tollkeeper[cli]'; without it "
                "there is only: tollkeeper serve [--config FILE], with settings from the environment",
                reason=Why.EXTRA_MISSING,
            )
