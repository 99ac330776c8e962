"""Turns the messages of WebhookService into commands, and answers into messages; decides nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.core.validation import webhooks as check
from tollkeeper.core.validation.fields import Fields
from tollkeeper.core.webhooks.commands import (
    CreateWebhook,
    DeleteWebhook,
    ListDeliveries,
    ListWebhooks,
    RetryWebhookDeliveries,
    RotateWebhookSecret,
    UpdateWebhook,
)
from tollkeeper.core.webhooks.deliveries import DeliveryState, event_name, webhook_name
from tollkeeper.rpc.convert.values import Query, next_page, page_place, set_time
from tollkeeper.v1 import webhooks_pb2 as pb

if TYPE_CHECKING:
    from tollkeeper.core.webhooks.commands import (
        DeliveryPage,
        DeliveryView,
        Retried,
        SecretShown,
        Tested,
        WebhookPage,
        WebhookView,
    )

_WEBHOOKS: Query = ("webhooks",)
_NAME = re.compile(r"[1-9a-f][0-9a-f]{0,15}")
_PLACE = re.compile(rf"{_NAME.pattern}:[1-9][0-9]{{0,17}}")


def create_command(message: pb.CreateWebhookRequest, *, plain_http: bool = False) -> CreateWebhook:
    """Read a CreateWebhook; `plain_http`: its url may be http:// wherever the receiver is."""
    fields = Fields()
    account_id, prefix = check.webhook_filter(fields, message.account_id, message.account_prefix)
    command = CreateWebhook(
        request_id=fields.request_id("request_id", message.request_id),
        url=check.webhook_url(fields, "url", message.url, plain_http=plain_http),
        account_id=account_id,
        prefix=prefix,
        description=fields.text("description", message.description),
        secret=check.webhook_secret(fields, "secret", message.secret),
    )
    fields.done()
    return command


def create_response(answer: SecretShown) -> pb.CreateWebhookResponse:
    """Return the webhook, and its secret."""
    return pb.CreateWebhookResponse(
        webhook=_webhook(answer.view), secret=answer.secret, replayed=answer.replayed
    )


def update_command(message: pb.UpdateWebhookRequest, *, plain_http: bool = False) -> UpdateWebhook:
    """Read an UpdateWebhook; what is unset stays. `plain_http` as for `create_command`."""
    fields = Fields()
    command = UpdateWebhook(
        webhook_id=check.webhook_id(fields, "webhook_id", message.webhook_id),
        request_id=fields.request_id("request_id", message.request_id),
        url=check.webhook_url(fields, "url", message.url, plain_http=plain_http)
        if message.HasField("url")
        else None,
        description=fields.text("description", message.description)
        if message.HasField("description")
        else None,
        state=check.webhook_state(fields, "state", message.state)
        if message.HasField("state")
        else None,
    )
    fields.done()
    return command


def update_response(answer: WebhookView) -> pb.UpdateWebhookResponse:
    """Return the webhook as it is now."""
    return pb.UpdateWebhookResponse(webhook=_webhook(answer))


def rotate_command(message: pb.RotateWebhookSecretRequest) -> RotateWebhookSecret:
    """Read a RotateWebhookSecret."""
    fields = Fields()
    given = message.overlap
    command = RotateWebhookSecret(
        webhook_id=check.webhook_id(fields, "webhook_id", message.webhook_id),
        request_id=fields.request_id("request_id", message.request_id),
        overlap_us=check.overlap_us(fields, "overlap", given.seconds, given.nanos)
        if message.HasField("overlap")
        else check.OVERLAP_DEFAULT_US,
        secret=check.webhook_secret(fields, "secret", message.secret),
    )
    fields.done()
    return command


def rotate_response(answer: SecretShown) -> pb.RotateWebhookSecretResponse:
    """Return the webhook, and its new secret."""
    return pb.RotateWebhookSecretResponse(
        webhook=_webhook(answer.view), secret=answer.secret, replayed=answer.replayed
    )


def delete_command(message: pb.DeleteWebhookRequest) -> DeleteWebhook:
    """Read a DeleteWebhook."""
    fields = Fields()
    command = DeleteWebhook(
        webhook_id=check.webhook_id(fields, "webhook_id", message.webhook_id),
        request_id=fields.request_id("request_id", message.request_id),
    )
    fields.done()
    return command


def delete_response(_: None) -> pb.DeleteWebhookResponse:
    """Return that it is done."""
    return pb.DeleteWebhookResponse()


def webhooks_query(message: pb.ListWebhooksRequest) -> ListWebhooks:
    """Read a ListWebhooks."""
    fields = Fields()
    query = ListWebhooks(
        page_size=fields.page_size("page_size", message.page_size),
        after=int(page_place(fields, _WEBHOOKS, message.page_token, _NAME) or "0", 16),
    )
    fields.done()
    return query


def webhooks_response(answer: WebhookPage) -> pb.ListWebhooksResponse:
    """Return a page of webhooks, and the token of the next."""
    return pb.ListWebhooksResponse(
        webhooks=map(_webhook, answer.webhooks),
        next_page_token=next_page(
            _WEBHOOKS, webhook_name(answer.next_after) if answer.next_after else ""
        ),
    )


def deliveries_query(message: pb.ListWebhookDeliveriesRequest) -> ListDeliveries:
    """Read a ListWebhookDeliveries."""
    fields = Fields()
    place = page_place(fields, _deliveries(message), message.page_token, _PLACE)
    webhook_id, _, position = place.partition(":")
    query = ListDeliveries(
        page_size=fields.page_size("page_size", message.page_size),
        webhook_id=check.webhook_id(fields, "webhook_id", message.webhook_id)
        if message.webhook_id
        else None,
        state=check.delivery_state(fields, "state", message.state),
        after=(int(webhook_id or "0", 16), int(position or "0")),
    )
    fields.done()
    return query


def deliveries_response(
    message: pb.ListWebhookDeliveriesRequest, answer: DeliveryPage
) -> pb.ListWebhookDeliveriesResponse:
    """Return a page of deliveries, and the token of the next."""
    place = ""
    if answer.next_after is not None:
        webhook_id, position = answer.next_after
        place = f"{webhook_name(webhook_id)}:{position}"
    return pb.ListWebhookDeliveriesResponse(
        deliveries=map(_delivery, answer.deliveries),
        next_page_token=next_page(_deliveries(message), place),
    )


def _deliveries(message: pb.ListWebhookDeliveriesRequest) -> Query:
    return ("webhook deliveries", message.webhook_id, int(message.state))


def retry_command(message: pb.RetryWebhookDeliveriesRequest) -> RetryWebhookDeliveries:
    """Read a RetryWebhookDeliveries."""
    fields = Fields()
    command = RetryWebhookDeliveries(
        webhook_id=check.webhook_id(fields, "webhook_id", message.webhook_id),
        request_id=fields.request_id("request_id", message.request_id),
        event_ids=check.event_ids(fields, "event_ids", message.event_ids),
    )
    fields.done()
    return command


def retry_response(answer: Retried) -> pb.RetryWebhookDeliveriesResponse:
    """Return how many are due now."""
    return pb.RetryWebhookDeliveriesResponse(retried=answer.deliveries, replayed=answer.replayed)


def test_query(message: pb.TestWebhookRequest) -> int:
    """Read a TestWebhook."""
    fields = Fields()
    webhook_id = check.webhook_id(fields, "webhook_id", message.webhook_id)
    fields.done()
    return webhook_id


def test_response(answer: Tested) -> pb.TestWebhookResponse:
    """Return what the receiver said."""
    message = pb.TestWebhookResponse(
        acknowledged=answer.answer.acknowledged,
        http_status=answer.answer.http_status,
        error=answer.answer.error,
    )
    message.duration.FromMicroseconds(answer.duration_us)
    return message


def _webhook(view: WebhookView) -> pb.Webhook:
    webhook = view.webhook
    message = pb.Webhook(
        webhook_id=webhook_name(webhook.webhook_id),
        url=webhook.url,
        account_id=webhook.account_id,
        account_prefix=webhook.prefix,
        description=webhook.description,
        state=pb.WebhookState.ValueType(webhook.state),
        pause_cause=pb.WebhookPauseCause.ValueType(webhook.pause_cause),
        pending=view.pending,
        dead=view.dead,
        delivered=webhook.delivered,
        last_failure=webhook.last_failure,
    )
    set_time(message.create_time, webhook.created_us)
    for field, time_us in (
        (message.last_success_time, webhook.last_success_us),
        (message.last_failure_time, webhook.last_failure_us),
        (message.previous_secret_expire_time, webhook.secrets.previous_until_us),
    ):
        if time_us:
            set_time(field, time_us)
    return message


def _delivery(view: DeliveryView) -> pb.WebhookDelivery:
    delivery, event = view.delivery, view.event
    message = pb.WebhookDelivery(
        webhook_id=webhook_name(delivery.webhook_id),
        event_position=delivery.position,
        state=pb.WebhookDeliveryState.ValueType(delivery.state),
        attempts=delivery.attempts,
        http_status=delivery.http_status,
        error=delivery.error,
    )
    if event is not None:
        message.event_id = event_name(event.event_id)
        message.account_id = event.account_id
        message.rule = event.rule
    if delivery.state is DeliveryState.PENDING:
        set_time(message.next_attempt_time, delivery.due_us)
    if delivery.attempted_us:
        set_time(message.last_attempt_time, delivery.attempted_us)
    set_time(message.create_time, delivery.created_us)
    return message
