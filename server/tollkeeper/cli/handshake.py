"""Finds out why a server that listens cannot be reached: by a handshake of its own, since gRPC does not say."""

from __future__ import annotations

import socket
import ssl
import tempfile
from typing import TYPE_CHECKING

from tollkeeper.listening import TcpAddress

if TYPE_CHECKING:
    from tollkeeper.cli.client_tls import ClientTls
    from tollkeeper.listening import Address

ANSWER_TIMEOUT_S = 2.0
_HTTP2 = "h2"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""How a client of HTTP/2 begins."""


class _EndedError(Exception):
    """The server has ended the connection after its own part of the handshake; gRPC sends no alert."""


def fault_of_tls(address: Address, tls: ClientTls | None) -> str | None:
    """Say what keeps this client and the server at an address from agreeing on TLS; None where that is not it."""
    if not isinstance(address, TcpAddress):
        return None
    try:
        return _fault_of_plain_text(address) if tls is None else _fault_of_handshake(address, tls)
    except OSError:
        return None


def _fault_of_plain_text(address: TcpAddress) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _shake_hands(address, context)
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return None
    return (
        f"the server at {address} speaks TLS; add --tls-ca FILE with the authority that signed its certificate, "
        "or --tls where the system trusts it"
    )


def _fault_of_handshake(address: TcpAddress, tls: ClientTls) -> str | None:
    try:
        context = _context(tls)
    except (ssl.SSLError, ValueError):
        return (
            "the files of --tls-ca, --tls-cert and --tls-key cannot be used together; is the key "
            "that of the certificate?"
        )
    name = tls.server_name
    try:
        _shake_hands(address, context, server_name=name, hears=True)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        return (
            f"the certificate of the server at {address} is not trusted: {why}; --tls-ca names the file "
            "with the authority that signed it, and --server must have a name that it is for"
        )
    except _EndedError:
        return _fault_of_client(address, tls)
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            return _fault_of_client(address, tls)
        return f"the server at {address} does not speak TLS; leave --tls and --tls-ca out"
    except (ConnectionError, TimeoutError):
        return None
    return None


def _fault_of_client(address: TcpAddress, tls: ClientTls) -> str:
    """Say why a server has ended a connection whose certificate this client trusts."""
    if tls.cert is None:
        return f"the server at {address} wants a certificate of the client; add --tls-cert FILE and --tls-key FILE"
    return (
        f"the server at {address} does not accept the certificate of --tls-cert; is it signed by an authority of the "
        "server's tls_client_ca, and still valid?"
    )


def _context(tls: ClientTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=tls.ca.decode("ascii", "ignore"))
    if tls.cert is not None and tls.key is not None:
        # The library reads files alone. This one is readable for its owner only, and gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(tls.key + b"\n" + tls.cert)
            file.flush()
            context.load_cert_chain(file.name, password="")
    return context


def _shake_hands(
    address: TcpAddress,
    context: ssl.SSLContext,
    *,
    server_name: str | None = None,
    hears: bool = False,
) -> None:
    """Agree on TLS; with `hears`, wait for the first word of the server too: it may refuse our certificate late."""
    context.set_alpn_protocols([_HTTP2])
    host = address.host.strip("[]")
    with (
        socket.create_connection((host, address.port), timeout=ANSWER_TIMEOUT_S) as raw,
        context.wrap_socket(raw, server_hostname=server_name or host) as secure,
    ):
        if hears:
            try:
                secure.sendall(_PREFACE)
                heard = secure.recv(1)
            except ConnectionError:
                raise _EndedError from None
            if not heard:
                raise _EndedError
