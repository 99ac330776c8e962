"""The wire form of gRPC on HTTP/2: how a call's headers, messages and status are written and read.

Pure: no socket, no clock. What it follows is gRPC's own PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import binascii
import re
import struct
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import quote

import grpc
from hpack import NeverIndexedHeaderTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Headers: TypeAlias = list[tuple[bytes, bytes]]
    Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]

PREFIX_BYTES = 5

OPENING: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]
"""The headers of an answer."""

ALL_IS_WELL: Headers = [(b"grpc-status", b"0")]
"""The trailers of an answer."""

NOT_GRPC: Headers = [(b":status", b"415")]

_PREFIX = struct.Struct(">BI")
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS_S = {b"H": 3_600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_OF_THE_TRANSPORT = frozenset(
    {b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding"}
)
_BINARY = b"-bin"


def framed(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return _PREFIX.pack(0, len(message)) + message


def prefix_of(received: bytes | bytearray) -> tuple[bool, int]:
    """Return whether a message is compressed, and its length, from its first `PREFIX_BYTES`."""
    compressed, length = _PREFIX.unpack_from(received)
    return compressed != 0, length


def is_grpc(headers: Headers) -> bool:
    """Say whether a request is a call of gRPC."""
    found = dict(headers)
    kind = found.get(b"content-type", b"")
    return found.get(b":method") == b"POST" and (
        kind == b"application/grpc" or kind.startswith((b"application/grpc+", b"application/grpc;"))
    )


def timeout_s(headers: Headers) -> float | None:
    """Return how long the caller waits; None: he does not say, or says nothing that can be understood."""
    for name, value in headers:
        if name == b"grpc-timeout":
            found = _TIMEOUT.fullmatch(value)
            return None if found is None else int(found[1]) * _UNITS_S[found[2]]
    return None


def metadata_of(headers: Headers) -> Iterator[tuple[str, str | bytes]]:
    """Yield what a caller says beside his request; what cannot be read is left out."""
    for name, value in headers:
        if name.startswith(b":") or name in _OF_THE_TRANSPORT:
            continue
        if name.endswith(_BINARY):
            try:
                yield name.decode("latin-1"), _from_base64(value)
            except binascii.Error:
                continue
        else:
            yield name.decode("latin-1"), value.decode("latin-1")


def status_trailers(code: grpc.StatusCode, message: str, metadata: Metadata = ()) -> Headers:
    """Return the trailers of a status."""
    number: int = code.value[0]
    trailers: Headers = [(b"grpc-status", b"%d" % number)]
    if message:
        trailers.append(NeverIndexedHeaderTuple(b"grpc-message", _percent_encoded(message)))
    for name, value in metadata:
        # Details differ from call to call: the table of known headers is not for them.
        sent = value.encode() if isinstance(value, str) else b64encode(value).rstrip(b"=")
        trailers.append(NeverIndexedHeaderTuple(name.encode(), sent))
    return trailers


def peer_of(address: object) -> str:
    """Return a socket's address as grpcio writes it."""
    if not isinstance(address, tuple):
        return "unix:"
    host, port = cast("tuple[str, int]", address)[:2]
    if ":" in host:
        return f"ipv6:{quote(f'[{host}]', safe='')}:{port}"
    return f"ipv4:{host}:{port}"


def _percent_encoded(message: str) -> bytes:
    return b"".join(
        b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte  # noqa: PLR2004 - printable, but "%"
        for byte in message.encode()
    )


def _from_base64(value: bytes) -> bytes:
    return b64decode(value + b"=" * (-len(value) % 4), validate=True)
