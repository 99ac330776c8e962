"""Delivers events to webhooks, in the background of a server: at least once, each by one server at a time.

Everything that a delivery needs is in the store, so a server may stop at any moment. A *turn* is one transaction:
it writes what came of attempts, takes new events up while there is room, and takes deliveries that are due under a
lease. What was taken and never settled is due again when its lease runs out. Attempts run on the event loop, a
bounded number for each webhook, so a receiver that hangs holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.webhooks.deliveries import (
    Answer,
    Delivery,
    after_failure,
    event_name,
    new_delivery,
    told,
    unsent,
    webhook_name,
    without_event,
)
from tollkeeper.engine.ports import ConflictError, UnavailableError
from tollkeeper.engine.settings import WebhookSettings
from tollkeeper.engine.webhooks.message import event_body, signed_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tollkeeper.core.alerts.events import Event
    from tollkeeper.core.webhooks.deliveries import Webhook
    from tollkeeper.engine.webhook_ports import Sender, WebhookStore, WebhookTransaction

log = logging.getLogger(__name__)

_LEASE_BITS = 62


class _Attempt(NamedTuple):
    """A delivery that this server has taken; `taken_us` is the store's time then."""

    webhook: Webhook
    delivery: Delivery
    event: Event
    taken_us: int


class _Room(NamedTuple):
    """How many attempts may be begun, as the event loop knows it."""

    in_flight: Counter[int]
    failing: frozenset[int]
    settings: WebhookSettings

    def at(self, webhook_id: int) -> int:
        """Return how many may be begun at one webhook."""
        most = 1 if webhook_id in self.failing else self.settings.in_flight_max
        left = self.settings.in_flight_all_max - self.in_flight.total()
        return max(0, min(left, most - self.in_flight[webhook_id]))


class _Ended(NamedTuple):
    """What came of an attempt; None where this server broke it off."""

    delivery: Delivery
    answer: Answer | None


class Dispatcher:
    """Belongs to one event loop. `draw` gives the chance in [0, 1) by which a wait is shortened."""

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        settings: WebhookSettings | None = None,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._settings = settings or WebhookSettings()
        self._draw = draw
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dispatcher")
        self._wake = asyncio.Event()
        self._turns: asyncio.Task[None] | None = None
        self._attempts: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[int] = Counter()
        self._failing: set[int] = set()
        self._ended: list[_Ended] = []
        self._closing = False
        self._last = False

    async def start(self) -> None:
        """Begin to deliver."""
        self._turns = asyncio.create_task(self._take_turns())

    def close(self) -> None:
        """Take nothing more; what is on its way goes on."""
        self._closing = True

    async def stop(self, within_s: float) -> None:
        """Finish what is on its way within `within_s`, break the rest off, and write what came of it all."""
        self.close()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=within_s)
        for each in self._attempts:
            each.cancel()
        await self.quiet()
        self._last = True
        self._wake.set()
        if self._turns is not None:
            await self._turns
        self._thread.shutdown(wait=False)

    async def quiet(self) -> None:
        """Wait until no attempt is on its way."""
        while self._attempts:
            await asyncio.gather(*self._attempts, return_exceptions=True)

    async def turn(self) -> int:
        """Take one turn, and return how many attempts it has begun."""
        ended, self._ended = self._ended, []
        room = _Room(self._in_flight.copy(), frozenset(self._failing), self._settings)
        loop = asyncio.get_running_loop()
        try:
            taken = await loop.run_in_executor(self._thread, self._transact, ended, room)
        except BaseException:
            self._ended = [*ended, *self._ended]
            raise
        for attempt in taken:
            self._in_flight[attempt.webhook.webhook_id] += 1
            task = asyncio.create_task(self._send(attempt))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        return len(taken)

    async def _take_turns(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_s):
                    await self._wake.wait()
            self._wake.clear()
            last = self._last
            try:
                await self.turn()
            except (ConflictError, UnavailableError) as error:
                log.warning("webhooks: store unavailable: %s", error)
            except Exception:
                log.exception("webhooks: a turn failed; it is tried again")
            if last:
                return

    async def _send(self, attempt: _Attempt) -> None:
        """Make one attempt. Whatever comes of it is written by the next turn."""
        begun_s = time.monotonic()
        ended: Answer | None = None
        try:
            answer = ended = await self._post(attempt)
        finally:
            self._end(attempt, ended)
        # The url may hold a token of the receiver's, so it is not logged.
        log.info(
            "webhook=%s event=%s attempt=%d status=%d ms=%.0f",
            webhook_name(attempt.webhook.webhook_id),
            event_name(attempt.event.event_id),
            attempt.delivery.attempts,
            answer.http_status,
            (time.monotonic() - begun_s) * 1_000,
        )

    def _end(self, attempt: _Attempt, answer: Answer | None) -> None:
        webhook_id = attempt.webhook.webhook_id
        self._in_flight[webhook_id] -= 1
        if answer is not None and answer.acknowledged:
            self._failing.discard(webhook_id)
        elif answer is not None:
            self._failing.add(webhook_id)
        self._ended.append(_Ended(attempt.delivery, answer))
        self._wake.set()

    async def _post(self, attempt: _Attempt) -> Answer:
        webhook, _, event, taken_us = attempt
        try:
            body = event_body(event)
            headers = signed_headers(
                event_name(event.event_id), body, webhook.secrets.in_use(taken_us), now_us=taken_us
            )
            return await self._sender.post(webhook.url, headers, body)
        except Exception:
            log.exception("webhooks: an attempt at %s failed", webhook_name(webhook.webhook_id))
            return Answer(0, "internal error; the operator's log has the details")

    # -- in the dispatcher's thread

    def _transact(self, ended: Sequence[_Ended], room: _Room) -> list[_Attempt]:
        """Carry out one turn; return what was taken."""
        work = [] if self._closing else self._store.work(pending_max=self._settings.pending_max)
        work = [each for each in work if each.new_events or room.at(each.webhook_id)]
        if not work and not ended:
            return []
        with self._store.transaction() as books:
            concerned = {each.delivery.webhook_id for each in ended}
            concerned.update(each.webhook_id for each in work)
            webhooks = books.lock(sorted(concerned))
            self._settle(books, webhooks, ended)
            taken: list[_Attempt] = []
            for each in sorted(work, key=lambda each: room.in_flight[each.webhook_id]):
                webhook = webhooks.get(each.webhook_id)
                if webhook is None or not webhook.active:
                    continue
                if each.new_events:
                    self._take_up(books, webhook)
                attempts = self._take(books, webhook, room.at(each.webhook_id))
                room.in_flight[each.webhook_id] += len(attempts)
                taken += attempts
        return taken

    def _settle(
        self, books: WebhookTransaction, webhooks: dict[int, Webhook], ended: Sequence[_Ended]
    ) -> None:
        """Write what came of attempts. Puts the webhooks as they are then into `webhooks`."""
        now_us = books.now_us
        acknowledged: dict[int, set[int]] = {}
        left: list[tuple[Delivery, int]] = []
        for delivery, answer in ended:
            webhook = webhooks.get(delivery.webhook_id)
            if webhook is None:
                continue  # deleted meanwhile
            if answer is None:
                left.append((unsent(delivery, now_us=now_us), delivery.lease))
                continue
            webhooks[delivery.webhook_id] = told(webhook, answer, now_us=now_us)
            if answer.acknowledged:
                acknowledged.setdefault(delivery.webhook_id, set()).add(delivery.position)
                continue
            after = after_failure(
                delivery, answer, self._settings.schedule, draw=self._draw(), now_us=now_us
            )
            left.append((after, delivery.lease))
        books.settle(left)
        for webhook_id in {each.delivery.webhook_id for each in ended} & webhooks.keys():
            webhook = webhooks[webhook_id]
            done = books.acknowledge(webhook_id, acknowledged.get(webhook_id, ()))
            webhooks[webhook_id] = dataclasses.replace(webhook, delivered=webhook.delivered + done)
            books.update(webhooks[webhook_id])

    def _take_up(self, books: WebhookTransaction, webhook: Webhook) -> None:
        """Make deliveries of new events while there is room; the rest stay where they are."""
        free = self._settings.pending_max - books.pending(webhook.webhook_id)
        if free <= 0:
            return
        page = books.events_for(webhook, free)
        books.add(
            [new_delivery(webhook.webhook_id, each, now_us=books.now_us) for each in page.events]
        )
        last = page.events[-1].position if page.events else 0
        position = page.next_after or max(page.through, last)
        books.update(dataclasses.replace(webhook, position=position))

    def _take(self, books: WebhookTransaction, webhook: Webhook, limit: int) -> list[_Attempt]:
        """Take deliveries that are due, under a lease of this turn's own."""
        if not limit:
            return []
        lease = secrets.randbits(_LEASE_BITS) | 1
        claimed = books.claim(
            webhook.webhook_id, limit, lease=lease, lease_us=self._settings.lease_us
        )
        books.settle(
            [(without_event(each.delivery), lease) for each in claimed if each.event is None]
        )
        return [
            _Attempt(webhook, each.delivery, each.event, books.now_us)
            for each in claimed
            if each.event is not None
        ]
