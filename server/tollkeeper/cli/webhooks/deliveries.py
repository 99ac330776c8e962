"""`tollkeeper webhook dead`, `retry` and `test`: what became of deliveries, and trying them again."""

from __future__ import annotations

from typing import Annotated

import typer

from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import CommandError, Why
from tollkeeper.cli.options import (
    Json,
    RequestId,
    Server,
    examples,
    new_request_id,
)
from tollkeeper.cli.server_address import DEFAULT_SERVER
from tollkeeper.cli.terminal.json_form import to_dict
from tollkeeper.cli.terminal.screen import (
    amount,
    console,
    count,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.cli.webhooks.webhook import PAGE_SIZE, WebhookId
from tollkeeper.v1 import webhooks_pb2 as pb

commands = typer.Typer()


@commands.command(
    "dead",
    epilog=examples(
        "tollkeeper webhook dead",
        "tollkeeper webhook dead 1a0c9d2e7 --json",
        "tollkeeper webhook dead 1a0c9d2e7 --pending",
    ),
)
def dead(
    webhook_id: Annotated[
        str, typer.Argument(metavar="WEBHOOK", help="Only those of this webhook.")
    ] = "",
    *,
    pending: Annotated[
        bool, typer.Option("--pending", help="Those that still wait to be delivered instead.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """List the deliveries that were given up."""
    state = pb.WEBHOOK_DELIVERY_STATE_PENDING if pending else pb.WEBHOOK_DELIVERY_STATE_DEAD
    with connect(server) as ledger:
        deliveries = _all_deliveries(ledger, webhook_id, state)
    if json:
        print_json_value({"deliveries": [to_dict(delivery) for delivery in deliveries]})
        return
    rows = table(
        "webhook", "event", "account", "rule", "attempts", "last attempt", "error",
        numbers=("attempts",), ids=("webhook", "event", "account", "last attempt"),
    )  # fmt: skip
    for delivery in deliveries:
        rows.add_row(
            delivery.webhook_id,
            delivery.event_id,
            delivery.account_id,
            delivery.rule,
            amount(delivery.attempts),
            moment(delivery.last_attempt_time) if delivery.HasField("last_attempt_time") else "",
            delivery.error,
        )
    screen = console()
    if deliveries:
        screen.print(rows)
    words = count(len(deliveries), "delivery", "deliveries")
    screen.print(f"{words} {'pending' if pending else 'dead'}")


@commands.command(
    "retry",
    epilog=examples(
        "tollkeeper webhook retry 1a0c9d2e7", "tollkeeper webhook retry 1a0c9d2e7 55109cce5ba7020"
    ),
)
def retry(
    webhook_id: WebhookId,
    events: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EVENT]…", help="Only these; else all that are dead or wait."),
    ] = None,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Send dead deliveries again, and at once those that wait."""
    request_id = new_request_id(request_id)
    request = pb.RetryWebhookDeliveriesRequest(
        webhook_id=webhook_id, event_ids=events or [], request_id=request_id
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.webhooks.RetryWebhookDeliveries, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "were made due before" if answer.replayed else "are due now"
    console().print(f"{count(answer.retried, 'delivery', 'deliveries')} {done}")


@commands.command("test", epilog=examples("tollkeeper webhook test 1a0c9d2e7"))
def ping(webhook_id: WebhookId, *, server: Server = DEFAULT_SERVER, json: Json = False) -> None:
    """Send a ping now; exit code 1 where it is not acknowledged."""
    with connect(server) as ledger:
        answer = ledger.call(
            ledger.webhooks.TestWebhook, pb.TestWebhookRequest(webhook_id=webhook_id)
        )
    if json:
        print_json(answer)
    elif answer.acknowledged:
        ms = answer.duration.ToMilliseconds()
        console().print(f"the receiver acknowledged with {answer.http_status} in {ms} ms")
    if not answer.acknowledged:
        raise CommandError(f"the receiver did not acknowledge: {answer.error}", reason=Why.FINDINGS)


def _all_deliveries(
    ledger: Ledger, webhook_id: str, state: pb.WebhookDeliveryState.ValueType
) -> list[pb.WebhookDelivery]:
    found: list[pb.WebhookDelivery] = []
    token = ""
    while True:
        request = pb.ListWebhookDeliveriesRequest(
            webhook_id=webhook_id, state=state, page_size=PAGE_SIZE, page_token=token
        )
        page = ledger.call(ledger.webhooks.ListWebhookDeliveries, request)
        found.extend(page.deliveries)
        token = page.next_page_token
        if not token:
            return found
