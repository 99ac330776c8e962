"""Counts calls by the library that made them, and its version, as far as they are worth to be told apart.

The word is the caller's: an unknown library is `other`, of a version only major and minor count, and there are no more
kinds of clients than a bound. So no caller can make a label that is not foreseen.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.engine.counts import CLIENTS_MAX, OTHER_CLIENT, Client

if TYPE_CHECKING:
    from collections.abc import Iterable

AGENT_KEY = "user-agent"

LIBRARIES = frozenset(
    {
        "grpc-c++",
        "grpc-csharp",
        "grpc-dotnet",
        "grpc-go",
        "grpc-java-netty",
        "grpc-java-okhttp",
        "grpc-kotlin",
        "grpc-node-js",
        "grpc-objc",
        "grpc-php",
        "grpc-python",
        "grpc-python-asyncio",
        "grpc-ruby",
        "grpc-rust",
        "grpc-swift",
        "connect-es",
        "connect-go",
        "tonic",
        "tollkeeper-loadtest",
        "tollkeeper-python",
    }
)
"""What is told apart, as user-agents begin."""

_PRODUCT = re.compile(r"(?:^|\s)([a-z][a-z0-9+-]{0,31})/v?([0-9]{1,3})\.([0-9]{1,3})(?![0-9])")
_AGENTS_KNOWN_MAX = 256
"""User-agents that are remembered as they are; others are read each time."""


def client_of(agent: str) -> Client:
    """Return the first library of a user-agent that is known, with `major.minor`; else `OTHER_CLIENT`."""
    for library, major, minor in _PRODUCT.findall(agent[:256]):
        if library in LIBRARIES:
            return Client(library, f"{int(major)}.{int(minor)}")
    return OTHER_CLIENT


class ClientVersions:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._calls: dict[Client, int] = {}
        self._known: dict[str, Client] = {}

    def note(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        """Count a call by the metadata that it came with. Hot."""
        agent = ""
        for key, value in metadata or ():
            if key == AGENT_KEY and type(value) is str:
                agent = value
                break
        client = self._known.get(agent) or self._read(agent)
        self._calls[client] += 1

    def counted(self) -> dict[Client, int]:
        """Return the calls of each kind of client: at most `CLIENTS_MAX`, and `OTHER_CLIENT`."""
        return dict(self._calls)

    def _read(self, agent: str) -> Client:
        client = client_of(agent)
        if client not in self._calls and len(self._calls) >= CLIENTS_MAX:
            client = OTHER_CLIENT
        self._calls.setdefault(client, 0)
        if len(self._known) < _AGENTS_KNOWN_MAX:
            self._known[agent] = client
        return client
