"""Addresses as people write them: where a server listens, and where it is found. Imports nothing of ours."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TypeAlias

PORT_MAX = 65_535
PATH_BYTES_MAX = 107
"""The longest path of a socket that every system takes."""

_UNIX = "unix:"
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_PORT = re.compile(r":(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of a host; an IPv6 host is in brackets, and no host at all means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"


Address: TypeAlias = TcpAddress | UnixAddress


def parse_host_port(text: str) -> tuple[str, int]:
    """Cut `HOST:PORT` (an IPv6 host in brackets). Raises ValueError, in words for a person."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > PORT_MAX:
        raise ValueError(
            f"must be HOST:PORT with a port from 0 to {PORT_MAX}, such as 127.0.0.1:50051"
        )
    return match["host"], int(match["port"])


def parse_target(text: str) -> Address:
    """Read where a server is found: `HOST:PORT` or `unix:PATH`. Raises ValueError, in words for a person."""
    if text.startswith(_UNIX):
        return _unix(text)
    try:
        return TcpAddress(*parse_host_port(text))
    except ValueError:
        raise ValueError(
            f"must be HOST:PORT with a port from 0 to {PORT_MAX}, such as 127.0.0.1:50051, or unix:PATH"
        ) from None


def parse_listen(text: str) -> tuple[Address, ...]:
    """Read where a server is to listen, at least one address. Raises ValueError, which names the part that is wrong.

    Each is `HOST:PORT`, `:PORT` or `unix:PATH`; commas stand between several.
    """
    found: list[Address] = []
    for part in map(str.strip, text.split(",")):
        address = _listen_address(part)
        if address in found and getattr(address, "port", None) != 0:
            raise ValueError(f"must not have an address twice, as {part}")
        found.append(address)
    return tuple(found)


def every_interface() -> str:
    """Return the host that means every interface, over IPv6 and IPv4, or over IPv4 where this machine has no IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104 -- asked for
    return "[::]"


def is_loopback(address: TcpAddress) -> bool:
    """Say whether only this machine reaches an address. A name is looked up, and all that it stands for counts.

    Every interface is none, and neither is a name that stands for nothing.
    """
    if not address.host:
        return False
    try:
        found = socket.getaddrinfo(
            address.host.strip("[]"), address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        return False
    return bool(found) and all(_is_loopback(str(where[0])) for *_, where in found)


def _is_loopback(text: str) -> bool:
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback


def _listen_address(part: str) -> Address:
    if part.startswith(_UNIX):
        return _unix(part)
    match = _HOST_PORT.fullmatch(part)
    host = "" if match is None else match["host"]
    match = match or _PORT.fullmatch(part)
    if match is None or int(match["port"]) > PORT_MAX:
        raise ValueError(
            f"must be HOST:PORT or :PORT with a port from 0 to {PORT_MAX}, such as 127.0.0.1:50051, or unix:PATH, or "
            f"several of them with commas between; {part!r} is none of them"
        )
    return TcpAddress(host, int(match["port"]))


def _unix(text: str) -> UnixAddress:
    path = text.removeprefix(_UNIX)
    if path.startswith("//") and not path.startswith("///"):
        raise ValueError(
            f"must be unix:PATH, or unix:///PATH with the whole path; {text!r} has two slashes"
        )
    if path.startswith("///"):  # as a URL
        path = path[2:]
    if not path or path.endswith("/") or not path.isprintable():
        raise ValueError(
            f"must name a file after unix:, such as unix:/run/tollkeeper.sock; {text!r} does not"
        )
    if len(path.encode()) > PATH_BYTES_MAX:
        raise ValueError(
            f"must have a path of at most {PATH_BYTES_MAX} bytes after unix:; {text!r} has {len(path.encode())}"
        )
    return UnixAddress(path)
