"""Tells who calls: by the caller's own word, else by the host that the call came from.

It is told and not proven, and kept for people who ask later. A name that breaks the rules of names is an error of
the call, as any bad field is: replaced without a word, it would be missed only when somebody asks who called.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from tollkeeper.core.errors import invalid
from tollkeeper.core.validation.caller import CALLER_MAX, is_caller

if TYPE_CHECKING:
    import grpc.aio

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

CALLER_KEY = "tollkeeper-caller"
"""The key in the metadata of a call."""

KEEP_THE_CALLER = frozenset({"Authorize", "Commit", "Release", "Batch", "Session"})
"""The methods that ask for the caller themselves; of every other the word is checked before it is served."""

_PORT = re.compile(r":[0-9]{1,5}\Z")


def caller_of(context: Context) -> str:
    """Return who calls, at most 64 printable ASCII characters. Hot. Raises Refused as `check_caller` does."""
    return _word_of(context) or _host_of(context.peer())


def check_caller(context: Context) -> None:
    """Raise Refused INVALID_FIELD where the caller's word does not fit, or where there are two."""
    _word_of(context)


def _word_of(context: Context) -> str | None:
    """Return what the caller calls itself, None where it does not say."""
    word = None
    for key, value in context.invocation_metadata() or ():
        if key == CALLER_KEY:
            if word is not None:
                raise invalid(CALLER_KEY, "is in the metadata more than once; say it once")
            if type(value) is not str or not is_caller(value):
                raise invalid(
                    CALLER_KEY,
                    f"must be 1 to {CALLER_MAX} printable ASCII characters, without a space at its ends",
                )
            word = value
    return word


@lru_cache(maxsize=4_096)
def _host_of(peer: str) -> str:
    """Return `ipv4:192.0.2.7`, `ipv6:[2001:db8::7]` or `unix:`; a connection keeps its port, so it is cached."""
    family, _, address = unquote(peer).partition(":")
    host = "" if family == "unix" else _PORT.sub("", address)
    return f"{family}:{host}"[:CALLER_MAX]
