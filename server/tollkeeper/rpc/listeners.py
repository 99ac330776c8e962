"""Has gRPC listen on the addresses of a server, ports and sockets in the file system alike.

gRPC takes over any socket file that is there, also that of a server that lives. So the server tries it first: a socket
without an answer is taken over, anything else is refused. Meanwhile the folder is locked against other servers that
start.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.listening import Address, TcpAddress, UnixAddress, every_interface
from tollkeeper.rpc.tls import server_credentials

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import grpc.aio

    from tollkeeper.certificates import Certificates

UMASK = 0o117
"""Leaves a socket to its owner and group: a process that can open it may call everything."""

_ASK_S = 1.0


class ListenError(Exception):
    """The address cannot be listened on; the message names it."""


class Listeners:
    """What one server listens on, in the order of its settings.

    With `certificates` every port speaks TLS. A socket file never does: its permissions guard it.
    """

    def __init__(self) -> None:
        self._certificates: Certificates | None = None
        self.addresses: list[Address] = []
        """With the ports that were found, and the host where none was named."""
        self._files: dict[Path, tuple[int, int]] = {}

    def open(
        self,
        server: grpc.aio.Server,
        addresses: Iterable[Address],
        certificates: Certificates | None = None,
    ) -> None:
        """Listen on all of them. Raises ListenError, and then leaves no file behind."""
        self._certificates = certificates
        try:
            for address in addresses:
                if isinstance(address, UnixAddress):
                    self._open_file(server, address)
                else:
                    self._open_port(server, address)
        except ListenError:
            self.remove_files()
            raise

    def remove_files(self) -> None:
        """Remove the socket files that are ours still: gRPC does it where it came to serve."""
        for path, ours in self._files.items():
            with suppress(OSError):
                if _identity(path) == ours:
                    path.unlink()
        self._files.clear()

    def _open_port(self, server: grpc.aio.Server, address: TcpAddress) -> None:
        host = address.host or every_interface()
        try:
            port = self._add_port(server, f"{host}:{address.port}")
        except RuntimeError:
            raise _taken(address) from None
        self.addresses.append(TcpAddress(host, port))

    def _add_port(self, server: grpc.aio.Server, named: str) -> int:
        if self._certificates is None:
            return server.add_insecure_port(named)
        return server.add_secure_port(named, server_credentials(self._certificates))

    def _open_file(self, server: grpc.aio.Server, address: UnixAddress) -> None:
        path = Path(address.path)
        try:
            with _locked(path.parent):
                _clear(path, address)
                before = os.umask(UMASK)
                try:
                    server.add_insecure_port(str(address))
                finally:
                    os.umask(before)
                self._files[path] = _identity(path)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ListenError(f"cannot listen on {address}: {reason}") from None
        except RuntimeError:
            raise ListenError(f"cannot listen on {address}: the file cannot be made") from None
        self.addresses.append(address)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _clear(path: Path, address: UnixAddress) -> None:
    """Remove what a dead server left. Raises ListenError for the socket of one that lives, and for any other file."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ListenError(f"cannot listen on {address}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ASK_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass  # somebody listens, and is busy
    raise _taken(address)


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _taken(address: Address) -> ListenError:
    return ListenError(
        f"cannot listen on {address}: another process does, or the address is not one of this machine"
    )
