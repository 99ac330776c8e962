"""The extra of this package: its libraries are loaded where they are needed, and may not be installed."""

from __future__ import annotations

from tollkeeper.cli.failure import CommandError, Why


def extra_missing() -> CommandError:
    """Return the failure of a command whose libraries are not installed."""
    return CommandError(
        "loadtest needs the extra `loadtest`; install it with: pip install 'tollkeeper[loadtest]'",
        reason=Why.EXTRA_MISSING,
    )
