"""LedgerService: what gateways and internal tools call. Converts, executes, converts."""

# ruff: noqa: N802, ARG002 - the protos name the methods, and gRPC passes the arguments

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tollkeeper.rpc.caller import caller_of
from tollkeeper.rpc.convert import ledger as convert
from tollkeeper.rpc.services.batching import carry_out, check_size
from tollkeeper.rpc.services.session import Session
from tollkeeper.v1 import ledger_pb2
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    from tollkeeper.engine.engine import Engine
    from tollkeeper.rpc.calls import CallTracker

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class LedgerService(LedgerServiceServicer):
    """Asks the engine; `Answering` turns what is raised into a status."""

    def __init__(self, engine: Engine, calls: CallTracker) -> None:
        self._engine = engine
        self._calls = calls
        self._hold_max_us = engine.settings.hold_max_us

    async def Authorize(
        self, request: ledger_pb2.AuthorizeRequest, context: Context
    ) -> ledger_pb2.AuthorizeResponse:
        """Hold the fixed price of one request."""
        caller = caller_of(context)
        command = convert.authorize_command(request, caller, hold_max_us=self._hold_max_us)
        return convert.authorize_response(await self._engine.authorize(command))

    async def Commit(
        self, request: ledger_pb2.CommitRequest, context: Context
    ) -> ledger_pb2.CommitResponse:
        """Settle a hold."""
        command = convert.commit_command(request, caller_of(context))
        return convert.commit_response(await self._engine.commit(command))

    async def Release(
        self, request: ledger_pb2.ReleaseRequest, context: Context
    ) -> ledger_pb2.ReleaseResponse:
        """Give a hold back."""
        command = convert.release_command(request, caller_of(context))
        return convert.release_response(await self._engine.release(command))

    async def Extend(
        self, request: ledger_pb2.ExtendRequest, context: Context
    ) -> ledger_pb2.ExtendResponse:
        """Prolong a hold."""
        command = convert.extend_command(request, hold_max_us=self._hold_max_us)
        return convert.extend_response(await self._engine.extend(command))

    async def GetOverview(
        self, request: ledger_pb2.GetOverviewRequest, context: Context
    ) -> ledger_pb2.GetOverviewResponse:
        """Read the Credit Cost Overview."""
        query = convert.overview_query(request)
        return convert.overview_response(await self._engine.overview(query))

    async def Batch(
        self, request: ledger_pb2.BatchRequest, context: Context
    ) -> ledger_pb2.BatchResponse:
        """Carry out many operations, each as its own call would be."""
        caller = caller_of(context)
        check_size(request.operations)
        response = ledger_pb2.BatchResponse()
        await carry_out(self._engine, request.operations, response.results, caller)
        return response

    def Session(
        self, request_iterator: AsyncIterator[ledger_pb2.SessionRequest], context: Context
    ) -> AsyncIterator[ledger_pb2.SessionResponse]:
        """Carry out what comes on one stream."""
        return Session(self._engine, self._calls, caller_of(context)).answers(request_iterator)
