"""WebhookService: who is told of events. Converts, executes, converts."""

# ruff: noqa: N802, ARG002 - the protos name the methods, and gRPC passes the arguments

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tollkeeper.rpc.convert import webhooks as convert
from tollkeeper.v1.webhooks_pb2_grpc import WebhookServiceServicer

if TYPE_CHECKING:
    import grpc.aio

    from tollkeeper.engine.webhooks.operations import Webhooks
    from tollkeeper.v1 import webhooks_pb2 as pb

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class WebhookService(WebhookServiceServicer):
    """Asks the engine's webhooks; `Answering` turns what is raised into a status."""

    def __init__(self, webhooks: Webhooks, *, plain_http: bool = False) -> None:
        """`plain_http`: whether a url may be http:// to a receiver that is not on this machine."""
        self._webhooks = webhooks
        self._plain_http = plain_http

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: Context
    ) -> pb.CreateWebhookResponse:
        """Make a webhook."""
        command = convert.create_command(request, plain_http=self._plain_http)
        return convert.create_response(await self._webhooks.create(command))

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: Context
    ) -> pb.UpdateWebhookResponse:
        """Change a webhook."""
        command = convert.update_command(request, plain_http=self._plain_http)
        return convert.update_response(await self._webhooks.update(command))

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.RotateWebhookSecretResponse:
        """Give a webhook another secret."""
        command = convert.rotate_command(request)
        return convert.rotate_response(await self._webhooks.rotate_secret(command))

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: Context
    ) -> pb.DeleteWebhookResponse:
        """End a webhook."""
        command = convert.delete_command(request)
        return convert.delete_response(await self._webhooks.delete(command))

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> pb.ListWebhooksResponse:
        """Read the webhooks."""
        query = convert.webhooks_query(request)
        return convert.webhooks_response(await self._webhooks.webhooks(query))

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Context
    ) -> pb.ListWebhookDeliveriesResponse:
        """Read what is not delivered."""
        query = convert.deliveries_query(request)
        return convert.deliveries_response(request, await self._webhooks.deliveries(query))

    async def RetryWebhookDeliveries(
        self, request: pb.RetryWebhookDeliveriesRequest, context: Context
    ) -> pb.RetryWebhookDeliveriesResponse:
        """Make deliveries due now."""
        command = convert.retry_command(request)
        return convert.retry_response(await self._webhooks.retry(command))

    async def TestWebhook(
        self, request: pb.TestWebhookRequest, context: Context
    ) -> pb.TestWebhookResponse:
        """Send a ping."""
        webhook_id = convert.test_query(request)
        return convert.test_response(await self._webhooks.test(webhook_id))
