"""The command `tollkeeper`, also as `python -m tollkeeper`."""

import sys
from collections.abc import Callable
from importlib.util import find_spec

INTERRUPTED = 130
"""The exit code of Ctrl-C, as a shell reports it."""

EXTRA_CLI = ("plotext", "rich", "ruamel", "typer")
"""What the extra `cli` brings, by the names that are imported."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a word, also while it is still being loaded."""
    try:
        _command_line()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _command_line() -> Callable[[], None]:
    """Return the command line, or what does without it where its extra is not installed. Takes a second to load."""
    if all(find_spec(name) is not None for name in EXTRA_CLI):
        from tollkeeper.cli.main import main as command  # noqa: PLC0415 - one of two
    else:
        from tollkeeper.cli.serve.without_extra import main as command  # noqa: PLC0415 - likewise
    return command


if __name__ == "__main__":
    main()
