"""Which transport `--mode` names. The Python client is imported only where it is asked for: it may not be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.cli.failure import CommandError, Why
from tollkeeper_loadtest.sending.grpc_transports import BatchCalls, SessionStreams, UnaryCalls
from tollkeeper_loadtest.settings import Mode

if TYPE_CHECKING:
    from tollkeeper_loadtest.sending.grpc_transports import Connections
    from tollkeeper_loadtest.sending.through_client import ClientCalls
    from tollkeeper_loadtest.sending.transport import Transport
    from tollkeeper_loadtest.settings import LoadSettings


def transport_of(connections: Connections, settings: LoadSettings) -> Transport:
    """Return the transport of the mode."""
    if settings.mode is Mode.BATCH:
        return BatchCalls(connections.stubs, settings.timeout_s)
    if settings.mode is Mode.SESSION:
        return SessionStreams(connections.stubs, settings.timeout_s)
    if settings.mode is Mode.CLIENT:
        return client_calls()(
            connections.address,
            settings.connections,
            settings.timeout_s,
            credentials=connections.credentials,
        )
    return UnaryCalls(connections.stubs, settings.timeout_s)


def client_calls() -> type[ClientCalls]:
    """Return the transport through the Python client. Raises CommandError where that is not installed."""
    try:
        from tollkeeper_loadtest.sending.through_client import ClientCalls  # noqa: PLC0415
    except ImportError:
        raise CommandError(
            "--mode client needs the package tollkeeper-client; install it from this project's "
            "repository with: pip install ./clients/python",
            reason=Why.EXTRA_MISSING,
        ) from None
    return ClientCalls
