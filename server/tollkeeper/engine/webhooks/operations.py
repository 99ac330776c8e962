"""What operators do with webhooks: one method for each thing that can be asked.

Each call is one database transaction in a thread of its own pool, past the lanes: no account is concerned.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.core.administer import record_of
from tollkeeper.core.webhooks import commands as core
from tollkeeper.core.webhooks.commands import (
    DeliveryPage,
    Retried,
    SecretShown,
    Tested,
    WebhookPage,
    WebhookView,
)
from tollkeeper.core.webhooks.deliveries import Answer, webhook_name, webhook_not_found
from tollkeeper.engine.transactions import Transactions, record_before
from tollkeeper.engine.webhooks.message import new_secret, ping_body, signed_headers

if TYPE_CHECKING:
    from tollkeeper.core.administer import AdminRecord
    from tollkeeper.core.webhooks.commands import (
        CreateWebhook,
        DeleteWebhook,
        ListDeliveries,
        ListWebhooks,
        RetryWebhookDeliveries,
        RotateWebhookSecret,
        UpdateWebhook,
    )
    from tollkeeper.core.webhooks.deliveries import Webhook
    from tollkeeper.engine.webhook_ports import Sender, WebhookStore, WebhookTransaction

_SECRET_BYTES = 32
_ID_BITS = 20


class Webhooks:
    """The webhooks of a ledger. Without a `sender` there is nothing that could send a ping."""

    def __init__(self, store: WebhookStore, sender: Sender | None = None) -> None:
        self._store = store
        self._sender = sender
        self._transactions = Transactions(store.transaction, "webhooks")

    async def stop(self) -> None:
        """Finish what was begun, and refuse what comes."""
        await self._transactions.stop()

    # -- operators

    async def create(self, command: CreateWebhook) -> SecretShown:
        """Make a webhook, and its secret where none is given."""

        def work(books: WebhookTransaction) -> SecretShown:
            record = record_before(books, command)
            if record is not None:
                return _shown_again(books, record)
            webhook = core.create(
                command,
                webhook_id=_new_id(books.now_us),
                secret=_secret(command.secret),
                position=books.last_position(),
                now_us=books.now_us,
            )
            books.insert(webhook)
            return _show(books, command, webhook)

        return await self._transactions.change(work)

    async def update(self, command: UpdateWebhook) -> WebhookView:
        """Change a webhook; where that gives what waits another chance, it is due at once."""

        def work(books: WebhookTransaction) -> WebhookView:
            record = record_before(books, command)
            webhook = _locked(books, command.webhook_id)
            if record is not None:
                return books.view(webhook)
            changed = core.update(webhook, command)
            books.update(changed)
            if core.makes_due(webhook, changed):
                books.make_due(changed.webhook_id, None, dead=False)
            books.keep_record(record_of(command))
            return books.view(changed)

        return await self._transactions.change(work)

    async def rotate_secret(self, command: RotateWebhookSecret) -> SecretShown:
        """Give a webhook another secret."""

        def work(books: WebhookTransaction) -> SecretShown:
            record = record_before(books, command)
            if record is not None:
                return _shown_again(books, record)
            webhook = _locked(books, command.webhook_id)
            rotated = webhook.secrets.rotated(
                _secret(command.secret), overlap_us=command.overlap_us, now_us=books.now_us
            )
            changed = dataclasses.replace(webhook, secrets=rotated)
            books.update(changed)
            return _show(books, command, changed)

        return await self._transactions.change(work)

    async def delete(self, command: DeleteWebhook) -> None:
        """End a webhook."""

        def work(books: WebhookTransaction) -> None:
            if record_before(books, command) is None:
                webhook = _locked(books, command.webhook_id)
                books.delete(webhook.webhook_id)
                books.keep_record(record_of(command))

        await self._transactions.change(work)

    async def retry(self, command: RetryWebhookDeliveries) -> Retried:
        """Make deliveries due now."""

        def work(books: WebhookTransaction) -> Retried:
            record = record_before(books, command)
            if record is not None:
                return Retried(record.result["deliveries"], replayed=True)
            webhook = _locked(books, command.webhook_id)
            sent_again = books.make_due(webhook.webhook_id, command.event_ids, dead=True)
            books.keep_record(record_of(command, deliveries=sent_again))
            return Retried(sent_again)

        return await self._transactions.change(work)

    async def test(self, webhook_id: int) -> Tested:
        """Send a ping, and say what came of it."""
        read = await self._transactions.read(partial(self._store.webhook, webhook_id))
        if read is None:
            raise webhook_not_found(webhook_name(webhook_id))
        if self._sender is None:
            return Tested(Answer(0, "this server delivers nothing"), 0)
        webhook, now_us = read
        ping_id = f"ping-{secrets.token_hex(8)}"
        body = ping_body(ping_id, webhook_id, now_us)
        headers = signed_headers(ping_id, body, webhook.secrets.in_use(now_us), now_us=now_us)
        begun_s = time.monotonic()
        answer = await self._sender.post(webhook.url, headers, body)
        return Tested(answer, int((time.monotonic() - begun_s) * 1_000_000))

    # -- readers

    async def webhooks(self, query: ListWebhooks) -> WebhookPage:
        """Return a page of webhooks."""
        return await self._transactions.read(partial(self._store.webhooks, query))

    async def deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of what is not delivered."""
        return await self._transactions.read(partial(self._store.deliveries, query))


def _locked(books: WebhookTransaction, webhook_id: int) -> Webhook:
    webhook = books.lock([webhook_id]).get(webhook_id)
    if webhook is None:
        raise webhook_not_found(webhook_name(webhook_id))
    return webhook


def _show(
    books: WebhookTransaction, command: CreateWebhook | RotateWebhookSecret, webhook: Webhook
) -> SecretShown:
    """Keep the record of a call that gave a secret, and show it."""
    held = webhook.secrets
    books.keep_record(
        record_of(command, webhook_id=webhook.webhook_id, secret_version=held.version)
    )
    return SecretShown(books.view(webhook), held.current)


def _shown_again(books: WebhookTransaction, record: AdminRecord) -> SecretShown:
    webhook = _locked(books, record.result["webhook_id"])
    secret = webhook.secrets.of_version(record.result["secret_version"], books.now_us)
    return SecretShown(books.view(webhook), secret, replayed=True)


def _secret(given: str | None) -> str:
    return new_secret(secrets.token_bytes(_SECRET_BYTES)) if given is None else given


def _new_id(now_us: int) -> int:
    """Draw an id: milliseconds, then chance. Two that are equal meet in the primary key, and one is drawn anew."""
    return (now_us // 1_000 << _ID_BITS) | secrets.randbits(_ID_BITS)
