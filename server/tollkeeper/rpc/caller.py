"""Tells who calls: by the caller's own word, else by the host that the call came from.

It is told and not proven, and kept for people who ask later. A bad word never fails a call: a name that does
not fit must not cost anyone a charge, so it is as if there were none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    import grpc.aio

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

CALLER_KEY = "tollkeeper-caller"
"""The key in the metadata of a call."""

CALLER_MAX = 64

_WORD = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_PORT = re.compile(r":[0-9]{1,5}\Z")


def is_caller(word: str) -> bool:
    """Say whether a caller may call itself this: 1 to 64 printable ASCII characters, no space at an end."""
    return _WORD.fullmatch(word) is not None


def caller_of(context: Context) -> str:
    """Return who calls, at most 64 printable ASCII characters. Hot."""
    for key, value in context.invocation_metadata() or ():
        if key == CALLER_KEY:
            if type(value) is str and is_caller(value):
                return value
            break
    return _host_of(context.peer())


@lru_cache(maxsize=4_096)
def _host_of(peer: str) -> str:
    """Return `ipv4:192.0.2.7`, `ipv6:[2001:db8::7]` or `unix:`; a connection keeps its port, so it is cached."""
    family, _, address = unquote(peer).partition(":")
    host = "" if family == "unix" else _PORT.sub("", address)
    return f"{family}:{host}"[:CALLER_MAX]
