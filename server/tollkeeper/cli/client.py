"""The client's side of a command: reach the server, call it, and put its refusals into words."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc import ChannelConnectivity
from grpc_status import rpc_status

from tollkeeper.cli.caller import own_name
from tollkeeper.cli.client_tls import ClientTls, in_use
from tollkeeper.cli.failure import CommandError, ExitCode, Violation, Why, wrong_option
from tollkeeper.cli.handshake import fault_of_tls
from tollkeeper.cli.server_address import SERVER_VARIABLE
from tollkeeper.listening import Address, UnixAddress, parse_target
from tollkeeper.rpc.caller import CALLER_KEY
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub
from tollkeeper.v1.webhooks_pb2_grpc import WebhookServiceStub

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from google.rpc.status_pb2 import Status

CONNECT_TIMEOUT_S = 3.0
CALL_TIMEOUT_S = 30.0

# A ledger is near its clients: a proxy of this machine is meant for others.
_CHANNEL_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1))

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class AnswerLostError(CommandError):
    """The server has stopped, or cannot be reached any more."""


class Ledger(NamedTuple):
    """The services of a server that can be reached."""

    ledger: LedgerServiceStub
    admin: AdminServiceStub
    webhooks: WebhookServiceStub
    address: str
    caller: str
    tls: ClientTls | None

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        *,
        request_id: str | None = None,
    ) -> ResponseT:
        """Call a method; raise CommandError with the server's words, and how to repeat the call."""
        try:
            return method(request, timeout=CALL_TIMEOUT_S, metadata=((CALLER_KEY, self.caller),))
        except grpc.RpcError as error:
            raise failure_of(error, self.address, request_id) from None

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT
    ) -> Iterator[ResponseT]:
        """Yield the answers of a method until it ends; raise AnswerLostError where the server stopped or is gone."""
        try:
            yield from method(request, wait_for_ready=True)
        except grpc.RpcError as error:
            raise failure_of(error, self.address) from None


@contextlib.contextmanager
def connect(address: str) -> Generator[Ledger]:
    """Reach a server, or say within a few seconds that there is none; over TLS as `client_tls.using` says."""
    try:
        target = parse_target(address)
    except ValueError as error:
        from_variable = os.environ.get(SERVER_VARIABLE) == address
        named = SERVER_VARIABLE if from_variable else "--server"
        raise wrong_option(named, address, str(error)) from None
    caller = own_name()
    # A file has permissions, and a server speaks no TLS there.
    tls = None if isinstance(target, UnixAddress) else in_use()
    if not asyncio.run(_is_ready(address, tls)):
        raise _no_server(target, tls)
    with _channel(address, tls) as channel:
        yield Ledger(
            LedgerServiceStub(channel),
            AdminServiceStub(channel),
            WebhookServiceStub(channel),
            address,
            caller,
            tls,
        )


def _channel(address: str, tls: ClientTls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
    return grpc.secure_channel(address, tls.credentials(), options=_CHANNEL_OPTIONS)


def _aio_channel(address: str, tls: ClientTls | None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address, tls.credentials(), options=_CHANNEL_OPTIONS)


async def _is_ready(address: str, tls: ClientTls | None) -> bool:
    """Wait for a connection, no longer than until it has failed once.

    A synchronous channel looks for a change of its state every 0.2 s only, and takes as long to close.
    """
    async with _aio_channel(address, tls) as channel:
        state = channel.get_state(try_to_connect=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while state in {ChannelConnectivity.IDLE, ChannelConnectivity.CONNECTING}:
                    await channel.wait_for_state_change(state)
                    state = channel.get_state(try_to_connect=True)
        return state is ChannelConnectivity.READY


def _no_server(address: Address, tls: ClientTls | None) -> CommandError:
    fault = fault_of_tls(address, tls)
    if fault is not None:
        return CommandError(fault, ExitCode.NO_SERVER, reason=Why.TLS_FAILED)
    return CommandError(
        f"no Tollkeeper server answers at {address}; start one with: tollkeeper serve",
        ExitCode.NO_SERVER,
        reason=Why.SERVER_UNREACHABLE,
    )


def failure_of(error: grpc.RpcError, address: str, request_id: str | None = None) -> CommandError:
    """Return what a call has ended with; `request_id` is what a repeat of it must be named, where there is one."""
    code, details = error.code(), error.details() or ""
    status: Status | None = cast("Any", rpc_status).from_call(error)
    if status is None and code in _NOT_OURS:
        reason, words = _NOT_OURS[code]
        lines = [words.format(address=address)]
    else:
        reason, lines = _reason(status) or code.name, [details or code.name.lower()]
    violations = _violations(status)
    lines += [
        f"  {line}"
        for line in (f"{each.field}: {each.description}" for each in violations)
        if line not in details
    ]
    if request_id is not None and code in _OUTCOME_UNKNOWN:
        lines.append(f"to repeat the call without doing it twice, add: --request-id {request_id}")
    return (AnswerLostError if code is grpc.StatusCode.UNAVAILABLE else CommandError)(
        "\n".join(lines),
        ExitCode.NO_SERVER if code in _NO_SERVER else ExitCode.FAILED,
        reason=reason,
        status=code.name,
        violations=violations,
        request_id=request_id,
    )


_NOT_OURS = {
    grpc.StatusCode.UNAVAILABLE: (Why.SERVER_LOST, "lost the server at {address}"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        Why.NO_ANSWER,
        f"the server at {{address}} did not answer within {CALL_TIMEOUT_S:.0f} s",
    ),
    grpc.StatusCode.UNIMPLEMENTED: (
        Why.WRONG_SERVER,
        "the server at {address} does not offer this call; is it a tollkeeper server?",
    ),
}
"""What a status means that gRPC itself has made, without a word of a server of ours."""

_NO_SERVER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Statuses by which a script sees an outage: nothing is said about the account or the request."""

_OUTCOME_UNKNOWN = _NO_SERVER | {grpc.StatusCode.INTERNAL}


def _reason(status: Status | None) -> str:
    """Return the reason that the server gives, empty where it gives none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            return info.reason
    return ""


def _violations(status: Status | None) -> list[Violation]:
    """Return the bad fields that the server names."""
    bad = error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        if detail.Unpack(bad):
            return [Violation(each.field, each.description) for each in bad.field_violations]
    return []
