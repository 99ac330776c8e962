"""Gives gRPC the newest certificate for each new connection; those that are there go on with theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from tollkeeper.certificates import Certificates, Material


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Return the credentials of one address: gRPC wants to be given a content once for each.

    gRPC asks from a thread of its own before each handshake, so nothing is read there.
    """
    given = certificates.current

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        current = certificates.current
        if current is given:
            return None
        given = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        newer,  # pyright: ignore[reportArgumentType] -- gRPC takes None for "as before", its stub does not say so
        require_client_authentication=given.client_ca is not None,
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.cert)], root_certificates=material.client_ca
    )
