"""Reserves the port that several processes will share, and makes sure that no other program has it.

With SO_REUSEPORT the system would let us share with any other program of the same user, who would take half the calls
unnoticed. So the address is bound without it first, which fails where anybody else has it; then with it, and kept
without ever listening: a port that was picked stays ours while no process listens, and another supervisor is refused.
"""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack


class PortError(Exception):
    """The address cannot be listened on; the message names it."""


class ReservedPort:
    """An address whose port is ours until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        """Reserve it; port 0 picks a free one. Raises PortError."""
        with ExitStack() as stack:
            self.port = port
            held_any = False
            for family, address in _addresses(host, port):
                held = _reserve(family, address, self.port, named=f"{host}:{port}")
                if held is not None:
                    stack.enter_context(held)
                    self.port = held.getsockname()[1]
                    held_any = True
            if not held_any:
                raise _refused(f"{host}:{port}")
            self._held = stack.pop_all()
        self.address = f"{host}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self._held.close()


def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    """Return the family and address of everything that gRPC would listen on for a host."""
    try:
        addresses = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        raise _refused(f"{host}:{port}") from None
    return list(dict.fromkeys((family, str(address[0])) for family, *_, address in addresses))


def _reserve(family: int, address: str, port: int, *, named: str) -> socket.socket | None:
    """Bind an address for good; None where this machine does not have it, as ::1 without IPv6."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            # What is left of closed connections does not count.
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((address, port))
            port = alone.getsockname()[1]
        try:
            return _bound(family, address, port)
        except OSError:
            return _bound(family, address, port, beside_closed=True)
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return None
        raise _refused(named) from None


def _bound(family: int, address: str, port: int, *, beside_closed: bool = False) -> socket.socket:
    """Bind to be shared. Without SO_REUSEADDR where that is possible: then no other program can bind it alone."""
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if beside_closed:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((address, port))
    except OSError:
        held.close()
        raise
    return held


def _refused(named: str) -> PortError:
    return PortError(
        f"cannot listen on {named}: another process does, or the address is not one of this machine"
    )
