"""`tollkeeper webhook`: who is told of threshold events by HTTP."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from tollkeeper.cli.client import Ledger, connect
from tollkeeper.cli.failure import exclude_each_other, wrong_usage
from tollkeeper.cli.options import (
    SECONDS_MAX,
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
    facts,
    moment,
    print_json,
    print_json_value,
    table,
)
from tollkeeper.v1 import webhooks_pb2 as pb

PAGE_SIZE = 1000
SECRET_VARIABLE = "TOLLKEEPER_WEBHOOK_SECRET"  # noqa: S105 - where a secret may be, not one
_PAUSES = {
    pb.WEBHOOK_PAUSE_CAUSE_UNSPECIFIED: "",
    pb.WEBHOOK_PAUSE_CAUSE_OPERATOR: "",
    pb.WEBHOOK_PAUSE_CAUSE_GONE: ", its receiver answered 410 Gone",
}

commands = typer.Typer(no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="What create answered.")]
Secret = Annotated[
    str,
    typer.Option(
        "--secret",
        envvar=SECRET_VARIABLE,
        metavar="whsec_…",
        help="The secret to sign with; better set in the environment. Made by the server if not given.",
        show_default=False,
    ),
]


@commands.command(
    "create",
    epilog=examples(
        "tollkeeper webhook create https://example.com/events",
        "tollkeeper webhook create https://example.com/eu --prefix eu/ --description 'billing'",
    ),
)
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to.")],
    *,
    account: Annotated[
        str, typer.Option(metavar="ID", help="Only the events of this account.")
    ] = "",
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Only those of accounts that begin with this.")
    ] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="For people.")] = "",
    secret: Secret = "",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Deliver the events that come from now on. The secret is shown once: keep it."""
    if account and prefix:
        raise exclude_each_other("--account", "--prefix")
    request_id = new_request_id(request_id)
    request = pb.CreateWebhookRequest(
        url=url,
        account_id=account,
        account_prefix=prefix,
        description=description,
        secret=secret,
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.webhooks.CreateWebhook, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "was created before" if answer.replayed else "is created"
    console().print(f"webhook {answer.webhook.webhook_id} {done}")
    _print_webhook(answer.webhook, secret=answer.secret, request_id=request_id)


@commands.command("list", epilog=examples("tollkeeper webhook list"))
def list_webhooks(*, server: Server = DEFAULT_SERVER, json: Json = False) -> None:
    """List the webhooks and how they are doing."""
    with connect(server) as ledger:
        webhooks = _all_webhooks(ledger)
    if json:
        print_json_value({"webhooks": [to_dict(webhook) for webhook in webhooks]})
        return
    rows = table(
        "webhook",
        "url",
        "events of",
        "state",
        "delivered",
        "pending",
        "dead",
        numbers=("delivered", "pending", "dead"),
        ids=("webhook", "url", "events of"),
    )
    for webhook in webhooks:
        rows.add_row(
            webhook.webhook_id,
            webhook.url,
            _events_of(webhook),
            _state_of(webhook),
            amount(webhook.delivered),
            amount(webhook.pending),
            amount(webhook.dead),
        )
    screen = console()
    if webhooks:
        screen.print(rows)
    for webhook in webhooks:
        if failure := _last_failure(webhook):
            screen.print(f"{webhook.webhook_id} last failed {failure}")
    screen.print(count(len(webhooks), "webhook"))


@commands.command(
    "update",
    epilog=examples("tollkeeper webhook update 1a0c9d2e7 --url https://example.com/v2/events"),
)
def update(
    webhook_id: WebhookId,
    *,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where events are posted to from now on.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Change a webhook; waiting deliveries go to a new url at once."""
    if url is None and description is None:
        raise wrong_usage("give --url, --description or both")
    request = pb.UpdateWebhookRequest(webhook_id=webhook_id, url=url, description=description)
    _update(request, "is changed", request_id=request_id, server=server, json=json)


@commands.command("pause", epilog=examples("tollkeeper webhook pause 1a0c9d2e7"))
def pause(
    webhook_id: WebhookId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Send nothing until it is resumed; no event is lost meanwhile."""
    request = pb.UpdateWebhookRequest(webhook_id=webhook_id, state=pb.WEBHOOK_STATE_PAUSED)
    _update(request, "is paused", request_id=request_id, server=server, json=json)


@commands.command("resume", epilog=examples("tollkeeper webhook resume 1a0c9d2e7"))
def resume(
    webhook_id: WebhookId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Deliver again; the oldest delivery goes first."""
    request = pb.UpdateWebhookRequest(webhook_id=webhook_id, state=pb.WEBHOOK_STATE_ACTIVE)
    _update(request, "is active", request_id=request_id, server=server, json=json)


@commands.command(
    "rotate",
    epilog=examples(
        "tollkeeper webhook rotate 1a0c9d2e7",
        "tollkeeper webhook rotate 1a0c9d2e7 --overlap-s 0",
    ),
)
def rotate(
    webhook_id: WebhookId,
    *,
    overlap_s: Annotated[
        int,
        typer.Option(
            min=0,
            max=SECONDS_MAX,
            metavar="S",
            help="How long the secret so far signs beside the new one.",
        ),
    ] = 86_400,
    secret: Secret = "",
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """Give a webhook another secret, which is shown once."""
    request_id = new_request_id(request_id)
    request = pb.RotateWebhookSecretRequest(
        webhook_id=webhook_id,
        secret=secret,
        overlap=Duration(seconds=overlap_s),
        request_id=request_id,
    )
    with connect(server) as ledger:
        answer = ledger.call(ledger.webhooks.RotateWebhookSecret, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    done = "was given another secret before" if answer.replayed else "has another secret"
    console().print(f"webhook {answer.webhook.webhook_id} {done}")
    _print_webhook(answer.webhook, secret=answer.secret, request_id=request_id)


@commands.command("delete", epilog=examples("tollkeeper webhook delete 1a0c9d2e7"))
def delete(
    webhook_id: WebhookId,
    *,
    request_id: RequestId = None,
    server: Server = DEFAULT_SERVER,
    json: Json = False,
) -> None:
    """End a webhook, and forget what it has not delivered."""
    request_id = new_request_id(request_id)
    request = pb.DeleteWebhookRequest(webhook_id=webhook_id, request_id=request_id)
    with connect(server) as ledger:
        answer = ledger.call(ledger.webhooks.DeleteWebhook, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    console().print(f"webhook {webhook_id} is deleted")


def _update(
    request: pb.UpdateWebhookRequest, done: str, *, request_id: str | None, server: str, json: bool
) -> None:
    request.request_id = request_id = new_request_id(request_id)
    with connect(server) as ledger:
        answer = ledger.call(ledger.webhooks.UpdateWebhook, request, request_id=request_id)
    if json:
        print_json(answer, request_id=request_id)
        return
    console().print(f"webhook {answer.webhook.webhook_id} {done}")
    _print_webhook(answer.webhook, request_id=request_id)


def _all_webhooks(ledger: Ledger) -> list[pb.Webhook]:
    found: list[pb.Webhook] = []
    token = ""
    while True:
        request = pb.ListWebhooksRequest(page_size=PAGE_SIZE, page_token=token)
        page = ledger.call(ledger.webhooks.ListWebhooks, request)
        found.extend(page.webhooks)
        token = page.next_page_token
        if not token:
            return found


def _print_webhook(webhook: pb.Webhook, *, secret: str = "", request_id: str) -> None:
    until = webhook.previous_secret_expire_time
    screen = console()
    screen.print(
        facts(
            ("url", webhook.url),
            ("events of", _events_of(webhook)),
            ("description", webhook.description),
            ("state", _state_of(webhook)),
            ("delivered", amount(webhook.delivered)),
            ("pending", amount(webhook.pending)),
            ("dead", amount(webhook.dead)),
            ("last failure", _last_failure(webhook)),
            ("secret", secret),
            (
                "secret before",
                f"signs until {moment(until)}"
                if webhook.HasField("previous_secret_expire_time")
                else "",
            ),
            ("request_id", request_id),
        )
    )
    if secret:
        screen.print("keep the secret: nothing shows it again")


def _events_of(webhook: pb.Webhook) -> str:
    if webhook.account_id:
        return webhook.account_id
    return f"{webhook.account_prefix}…" if webhook.account_prefix else "all accounts"


def _state_of(webhook: pb.Webhook) -> str:
    name = pb.WebhookState.Name(webhook.state).removeprefix("WEBHOOK_STATE_").lower()
    return name + _PAUSES[webhook.pause_cause]


def _last_failure(webhook: pb.Webhook) -> str:
    if not webhook.HasField("last_failure_time"):
        return ""
    return f"{moment(webhook.last_failure_time)}: {webhook.last_failure}"
