"""AdminService: what operators and billing systems call. Converts, executes, converts."""

# ruff: noqa: N802, ARG002 - the protos name the methods, and gRPC passes the arguments

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tollkeeper.rpc.convert import admin as convert
from tollkeeper.rpc.convert import consumption, events, explain, recurring
from tollkeeper.v1.admin_pb2_grpc import AdminServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio

    from tollkeeper.engine.engine import Engine
    from tollkeeper.v1 import admin_pb2, events_pb2

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class AdminService(AdminServiceServicer):
    """Asks the engine; `Answering` turns what is raised into a status."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateAccount(
        self, request: admin_pb2.CreateAccountRequest, context: Context
    ) -> admin_pb2.CreateAccountResponse:
        """Open an account."""
        command = convert.create_account_command(request)
        return convert.create_account_response(await self._engine.create_account(command))

    async def GetAccount(
        self, request: admin_pb2.GetAccountRequest, context: Context
    ) -> admin_pb2.GetAccountResponse:
        """Read one account."""
        account_id = convert.account_query(request)
        return convert.account_response(await self._engine.account(account_id))

    async def ListAccounts(
        self, request: admin_pb2.ListAccountsRequest, context: Context
    ) -> admin_pb2.ListAccountsResponse:
        """Read accounts, by id."""
        query = convert.accounts_query(request)
        return convert.accounts_response(request, await self._engine.accounts(query))

    async def UpdateAccount(
        self, request: admin_pb2.UpdateAccountRequest, context: Context
    ) -> admin_pb2.UpdateAccountResponse:
        """Change an account."""
        command = convert.update_account_command(request)
        return convert.update_account_response(await self._engine.update_account(command))

    async def GrantCredits(
        self, request: admin_pb2.GrantCreditsRequest, context: Context
    ) -> admin_pb2.GrantCreditsResponse:
        """Give credits to an account."""
        command = convert.grant_credits_command(request)
        return convert.grant_credits_response(await self._engine.grant_credits(command))

    async def CreateRecurringGrant(
        self, request: admin_pb2.CreateRecurringGrantRequest, context: Context
    ) -> admin_pb2.CreateRecurringGrantResponse:
        """Give credits to an account at the beginning of every period."""
        command = recurring.create_recurring_grant_command(request)
        answer = await self._engine.create_recurring_grant(command)
        return recurring.create_recurring_grant_response(answer)

    async def EndRecurringGrant(
        self, request: admin_pb2.EndRecurringGrantRequest, context: Context
    ) -> admin_pb2.EndRecurringGrantResponse:
        """Let no period of a recurring grant begin any more."""
        command = recurring.end_recurring_grant_command(request)
        answer = await self._engine.end_recurring_grant(command)
        return recurring.end_recurring_grant_response(answer)

    async def ReplaceRecurringGrant(
        self, request: admin_pb2.ReplaceRecurringGrantRequest, context: Context
    ) -> admin_pb2.ReplaceRecurringGrantResponse:
        """Let a recurring grant take the place of another."""
        command = recurring.replace_recurring_grant_command(request)
        answer = await self._engine.replace_recurring_grant(command)
        return recurring.replace_recurring_grant_response(answer)

    async def Debit(
        self, request: admin_pb2.DebitRequest, context: Context
    ) -> admin_pb2.DebitResponse:
        """Take credits back, also where they have been spent."""
        command = convert.debit_command(request)
        return convert.debit_response(await self._engine.debit(command))

    async def VoidGrant(
        self, request: admin_pb2.VoidGrantRequest, context: Context
    ) -> admin_pb2.VoidGrantResponse:
        """Take back what a grant has left."""
        command = convert.void_grant_command(request)
        return convert.void_grant_response(await self._engine.void_grant(command))

    async def Refund(
        self, request: admin_pb2.RefundRequest, context: Context
    ) -> admin_pb2.RefundResponse:
        """Give back a charge, whole or in part."""
        command = convert.refund_command(request)
        return convert.refund_response(await self._engine.refund(command))

    async def PublishPrices(
        self, request: admin_pb2.PublishPricesRequest, context: Context
    ) -> admin_pb2.PublishPricesResponse:
        """Publish a whole price list."""
        command = convert.publish_prices_command(request)
        return convert.publish_prices_response(await self._engine.publish_prices(command))

    async def ListPrices(
        self, request: admin_pb2.ListPricesRequest, context: Context
    ) -> admin_pb2.ListPricesResponse:
        """Read the price lists, newest first."""
        query = convert.prices_query(request)
        return convert.prices_response(request, await self._engine.prices(query))

    async def ListEntries(
        self, request: admin_pb2.ListEntriesRequest, context: Context
    ) -> admin_pb2.ListEntriesResponse:
        """Read an account's journal, oldest first."""
        query = convert.entries_query(request)
        return convert.entries_response(request, await self._engine.entries(query))

    async def ExplainReservation(
        self, request: admin_pb2.ExplainReservationRequest, context: Context
    ) -> admin_pb2.ExplainReservationResponse:
        """Tell why something was charged."""
        query = explain.explain_query(request)
        return explain.explain_response(await self._engine.explanation(query))

    async def ListConsumption(
        self, request: admin_pb2.ListConsumptionRequest, context: Context
    ) -> admin_pb2.ListConsumptionResponse:
        """Read accounts by what they consumed, most first."""
        query = consumption.consumption_query(request)
        answer = await self._engine.consumption(query)
        return consumption.consumption_response(request, answer)

    async def GetPlatformOverview(
        self, request: admin_pb2.GetPlatformOverviewRequest, context: Context
    ) -> admin_pb2.GetPlatformOverviewResponse:
        """Read what all accounts consumed together."""
        query = consumption.platform_overview_query(request)
        answer = await self._engine.platform_overview(query)
        return consumption.platform_overview_response(answer)

    async def ListEvents(
        self, request: events_pb2.ListEventsRequest, context: Context
    ) -> events_pb2.ListEventsResponse:
        """Read the events of alert rules, oldest first."""
        query = events.events_query(request)
        return events.events_response(await self._engine.events(query))

    async def WatchEvents(
        self, request: events_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[events_pb2.WatchEventsResponse]:
        """Tell events as they come."""
        query = events.watch_query(request)
        async for page in self._engine.watch_events(query):
            for answer in events.watch_responses(page):
                yield answer
