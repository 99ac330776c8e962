"""How a command speaks TLS to its server. Stands on nothing of the extra `cli`, as the health check does."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from tollkeeper.certificates import CERT, names_of
from tollkeeper.cli.failure import CommandError, Violation, Why, wrong_usage

if TYPE_CHECKING:
    from collections.abc import Generator

TLS_VARIABLE = "TOLLKEEPER_CLIENT_TLS"
CA_VARIABLE = "TOLLKEEPER_CLIENT_TLS_CA"
CERT_VARIABLE = "TOLLKEEPER_CLIENT_TLS_CERT"
KEY_VARIABLE = "TOLLKEEPER_CLIENT_TLS_KEY"
"""Not TOLLKEEPER_TLS_…: those are settings of the server, and both may be in one environment."""
SERVED_CERT_VARIABLE = "TOLLKEEPER_TLS_CERT"
"""Sets `tls_cert` of a server. Written out here: the settings take a while to load."""

_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust, if OpenSSL does not say."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """What a client trusts, and shows; all in PEM."""

    ca: bytes | None = None
    """The authorities that it trusts; None: those that gRPC brings."""
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    """The name that the certificate must have, where it is not the host of the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the same for gRPC."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)

    def options(self) -> tuple[tuple[str, str], ...]:
        """Return what a channel must be told beside."""
        if self.server_name is None:
            return ()
        return (("grpc.ssl_target_name_override", self.server_name),)


_in_use: ContextVar[ClientTls | None] = ContextVar("client_tls", default=None)


def in_use() -> ClientTls | None:
    """Return how the command that runs speaks to its server; None for plain text."""
    return _in_use.get()


@contextmanager
def using(tls: ClientTls | None) -> Generator[None]:
    """Let commands of this block speak so to their server."""
    token = _in_use.set(tls)
    try:
        yield
    finally:
        _in_use.reset(token)


def client_tls(
    *, tls: bool, ca: Path | None, cert: Path | None, key: Path | None
) -> ClientTls | None:
    """Read the files that are named; None where nothing is and `tls` is false. Raises CommandError."""
    if (cert is None) != (key is None):
        missing = "--tls-key" if key is None else "--tls-cert"
        raise wrong_usage(
            "--tls-cert and --tls-key must be given together",
            Violation(missing, "must be given with the other"),
        )
    if not tls and ca is None and cert is None:
        return None
    return ClientTls(
        ca=_system_roots() if ca is None else _pem(ca, "--tls-ca", "CERTIFICATE"),
        cert=None if cert is None else _pem(cert, "--tls-cert", "CERTIFICATE"),
        key=None if key is None else _pem(key, "--tls-key", "PRIVATE KEY"),
    )


def tls_of_environment() -> ClientTls | None:
    """Return what the variables of clients say, else what trusts the server that the settings of `serve` describe.

    The second is for a health check beside the server: the certificate of TOLLKEEPER_TLS_CERT itself is trusted, and
    the name that it is for is taken to be the server's. Raises CommandError.
    """
    given = {
        name: os.environ.get(name) or None for name in (CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE)
    }
    ca, cert, key = (None if each is None else Path(each) for each in given.values())
    wanted = os.environ.get(TLS_VARIABLE, "").lower() in {"1", "true"}
    found = client_tls(tls=wanted, ca=ca, cert=cert, key=key)
    own = os.environ.get(SERVED_CERT_VARIABLE)
    if not own or (found is not None and (wanted or ca is not None)):
        return found
    trusted = _pem(Path(own), CERT, "CERTIFICATE")
    try:
        names = names_of(trusted)
    except ValueError:
        names = []
    return ClientTls(
        ca=trusted,
        cert=None if found is None else found.cert,
        key=None if found is None else found.key,
        server_name=names[0].replace("*", "health") if names else None,
    )


def _pem(path: Path, named: str, kind: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise CommandError(
            f"{named} is {str(path)!r}; it cannot be read: {reason}", reason=Why.FILE_UNREADABLE
        ) from None
    if f"{kind}-----".encode() not in data:
        raise CommandError(
            f"{named} is {str(path)!r}; it must be PEM with a line -----BEGIN {kind}-----",
            reason=Why.FILE_INVALID,
        )
    return data


def _system_roots() -> bytes | None:
    """Return the authorities that this system trusts; None where they are not found."""
    paths = ssl.get_default_verify_paths()
    for each in filter(None, (paths.cafile, *_ROOTS)):
        try:
            return Path(each).read_bytes()
        except OSError:
            continue
    return None
