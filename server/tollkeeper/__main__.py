"""The command `tollkeeper`, also as `python -m tollkeeper`."""

import sys

INTERRUPTED = 130
"""The exit code of Ctrl-C, as a shell reports it."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a word, also while it is still being loaded."""
    try:
        from tollkeeper.cli.main import main as command  # noqa: PLC0415 - takes a second

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
