"""What the command line calls itself: `cli:USER@HOST`, or what TOLLKEEPER_CALLER says.

The ledger keeps it with each hold and settlement, for `tollkeeper explain`.
"""

from __future__ import annotations

import getpass
import os
import re
import socket

from tollkeeper.cli.failure import wrong_usage
from tollkeeper.core.validation.caller import CALLER_MAX, is_caller

CALLER_VARIABLE = "TOLLKEEPER_CALLER"

_NOT_PRINTABLE = re.compile(r"[^!-~]")


def own_name() -> str:
    """Return who calls; raise wrong usage where the environment says what no caller can be called."""
    given = os.environ.get(CALLER_VARIABLE)
    if not given:
        return _NOT_PRINTABLE.sub("?", f"cli:{_user()}@{socket.gethostname()}")[:CALLER_MAX]
    if not is_caller(given):
        raise wrong_usage(
            f"{CALLER_VARIABLE} is {given!r}; it must be 1 to {CALLER_MAX} printable ASCII "
            "characters, without a space at its ends"
        )
    return given


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        return str(os.getuid())
