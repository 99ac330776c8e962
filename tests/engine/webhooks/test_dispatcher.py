"""How events reach webhooks: on both databases, with a clock that the test holds and a sender that it plays."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.ledgers import ACCOUNT, Ledger, fill
from tests.support.outbox import MOMENT_US, add_events, deliveries
from tests.support.waiting import wait_until
from tollkeeper.core.webhooks.commands import (
    CreateWebhook,
    DeleteWebhook,
    ListDeliveries,
    ListWebhooks,
    RetryWebhookDeliveries,
    UpdateWebhook,
)
from tollkeeper.core.webhooks.deliveries import (
    Answer,
    DeliveryState,
    PauseCause,
    Schedule,
    WebhookState,
)
from tollkeeper.engine.settings import WebhookSettings
from tollkeeper.engine.webhooks.dispatcher import Dispatcher
from tollkeeper.engine.webhooks.operations import Webhooks
from tollkeeper.storage.store import SqlStore, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

URL = "https://receiver.example/events"
SECOND_US = 1_000_000
OK = Answer(200)
SCHEDULE = Schedule(
    first_us=10 * SECOND_US, longest_us=80 * SECOND_US, attempts_max=5, give_up_us=10**15
)
SETTINGS = WebhookSettings(schedule=SCHEDULE, lease_us=30 * SECOND_US)
PENDING, DEAD = 1, 2


@dataclass
class Played:
    """A sender that answers as the test says, by url, and keeps what it was asked to send."""

    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    hanging: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append((url, headers["webhook-id"]))
        if url in self.hanging:
            await self.hanging[url].wait()
        return self.answers.get(url, OK)

    async def close(self) -> None:
        """Nothing is open."""

    def ids(self, url: str = URL) -> list[str]:
        return [event_id for to, event_id in self.sent if to == url]


@dataclass
class Desk:
    """A ledger, its webhooks, and a dispatcher that takes a turn when it is told to."""

    ledger: Ledger
    store: SqlStore
    webhooks: Webhooks
    sender: Played
    dispatcher: Dispatcher
    now_us: int = MOMENT_US

    async def create(self, url: str = URL, *, account_id: str = "", prefix: str = "") -> int:
        """Make a webhook and return its id."""
        command = CreateWebhook(f"create-{url}", url, account_id, prefix)
        return (await self.webhooks.create(command)).view.webhook.webhook_id

    async def turn(self) -> None:
        """Let the dispatcher do all that is to be done at this moment."""
        await self.dispatcher.quiet()
        while await self.dispatcher.turn():
            await self.dispatcher.quiet()

    def another(self, settings: WebhookSettings = SETTINGS) -> Dispatcher:
        """Another server's dispatcher on the same ledger."""
        return Dispatcher(self.store.webhooks, self.sender, settings, draw=lambda: 1.0)


@asynccontextmanager
async def desk(
    ledger: Ledger,
    *accounts: str,
    settings: WebhookSettings = SETTINGS,
    draw: Callable[[], float] = lambda: 1.0,
) -> AsyncGenerator[Desk]:
    async with ledger.engine() as engine:
        await fill(engine, *accounts)
    made: list[Desk] = []
    store = open_store(ledger.url, clock=lambda: made[0].now_us)
    sender = Played()
    webhooks = Webhooks(store.webhooks, sender)
    dispatcher = Dispatcher(store.webhooks, sender, settings, draw=draw)
    made.append(Desk(ledger, store, webhooks, sender, dispatcher))
    yield made[0]
    await dispatcher.stop(0)
    await webhooks.stop()
    store.close()


async def test_an_event_is_delivered_once_and_not_kept(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        events = add_events(ledger, 3)

        await at.turn()
        await at.turn()

        page = await at.webhooks.webhooks(ListWebhooks(10))
        assert at.sender.ids() == events
        assert deliveries(ledger) == []
        assert page.webhooks[0].webhook.delivered == 3
        assert page.webhooks[0].webhook.last_success_us == at.now_us


async def test_only_what_comes_after_the_webhook_is_delivered(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        add_events(ledger, 2)
        await at.create()
        later = add_events(ledger, 1)

        await at.turn()

        assert at.sender.ids() == later


async def test_a_webhook_gets_the_events_of_its_accounts(ledger: Ledger) -> None:
    async with desk(ledger, "eu/a", "eu/b", "us/a") as at:
        await at.create("https://all.example")
        await at.create("https://one.example", account_id="eu/b")
        await at.create("https://eu.example", prefix="eu/")
        first, second, third = add_events(ledger, 3, ("eu/a", "eu/b", "us/a"))

        await at.turn()

        assert at.sender.ids("https://all.example") == [first, second, third]
        assert at.sender.ids("https://one.example") == [second]
        assert at.sender.ids("https://eu.example") == [first, second]


async def test_waits_double_up_to_the_longest_and_then_the_delivery_is_dead(
    ledger: Ledger,
) -> None:
    async with desk(ledger) as at:
        await at.create()
        add_events(ledger, 1)
        at.sender.answers[URL] = Answer(503, "answered 503")
        begun_us, attempts_us = at.now_us, list[int]()

        for _ in range(60):
            before = len(at.sender.sent)
            await at.turn()
            if len(at.sender.sent) > before:
                attempts_us.append(at.now_us - begun_us)
            at.now_us += 5 * SECOND_US

        waits = [(b - a) // SECOND_US for a, b in pairwise(attempts_us)]
        page = await at.webhooks.deliveries(ListDeliveries(10, state=DeliveryState.DEAD))
        assert waits == [10, 20, 40, 80]
        assert deliveries(ledger) == [(1, DEAD, 5)]
        assert page.deliveries[0].delivery.error == "answered 503"
        assert page.deliveries[0].delivery.http_status == 503
        assert ledger.findings() == []


async def test_a_wait_is_shortened_by_chance(ledger: Ledger) -> None:
    async with desk(ledger, draw=lambda: 0.25) as at:
        await at.create()
        add_events(ledger, 1)
        at.sender.answers[URL] = Answer(500, "answered 500")
        await at.turn()

        at.now_us += 2_400_000
        await at.turn()
        at.now_us += 100_000
        await at.turn()

        assert len(at.sender.sent) == 2
        assert deliveries(ledger) == [(1, PENDING, 2)]


async def test_what_a_receiver_asks_for_is_waited_for_within_the_longest_wait(
    ledger: Ledger,
) -> None:
    async with desk(ledger, draw=lambda: 0.0) as at:
        await at.create()
        add_events(ledger, 1)
        at.sender.answers[URL] = Answer(429, "answered 429", retry_after_us=60 * SECOND_US)
        await at.turn()

        at.now_us += 60 * SECOND_US - 1
        await at.turn()
        early = len(at.sender.sent)
        at.now_us += 1
        at.sender.answers[URL] = Answer(429, "answered 429", retry_after_us=10**15)
        await at.turn()
        at.now_us += SCHEDULE.longest_us
        await at.turn()

        assert early == 1
        assert len(at.sender.sent) == 3


async def test_a_delivery_is_given_up_when_its_time_is_over(ledger: Ledger) -> None:
    settings = replace(SETTINGS, schedule=replace(SCHEDULE, give_up_us=25 * SECOND_US))
    async with desk(ledger, settings=settings) as at:
        await at.create()
        add_events(ledger, 1)
        at.sender.answers[URL] = Answer(0, "refused the connection")

        await at.turn()
        at.now_us += 10 * SECOND_US
        await at.turn()

        assert deliveries(ledger) == [(1, DEAD, 2)]


async def test_a_dead_delivery_is_sent_when_it_is_retried(ledger: Ledger) -> None:
    settings = replace(SETTINGS, schedule=replace(SCHEDULE, attempts_max=1))
    async with desk(ledger, settings=settings) as at:
        webhook_id = await at.create()
        first, second = add_events(ledger, 2)
        at.sender.answers[URL] = Answer(500, "answered 500")
        await at.turn()
        at.sender.answers.clear()
        at.sender.sent.clear()

        one = await at.webhooks.retry(RetryWebhookDeliveries(webhook_id, "r-1", (int(second, 16),)))
        await at.turn()
        rest = await at.webhooks.retry(RetryWebhookDeliveries(webhook_id, "r-2"))
        again = await at.webhooks.retry(RetryWebhookDeliveries(webhook_id, "r-2"))
        await at.turn()

        assert (one.deliveries, rest.deliveries) == (1, 1)
        assert (again.deliveries, again.replayed) == (1, True)
        assert at.sender.ids() == [second, first]
        assert deliveries(ledger) == []


async def test_one_event_that_fails_holds_up_no_other(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        events = add_events(ledger, 20)
        failing = Answer(500, "answered 500")

        async def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            at.sender.sent.append((url, headers["webhook-id"]))
            return failing if headers["webhook-id"] == events[0] else OK

        at.sender.post = post
        await at.turn()

        assert sorted(at.sender.ids()) == sorted(events)
        assert deliveries(ledger) == [(1, PENDING, 1)]


async def test_a_receiver_that_hangs_holds_up_no_other(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        hanging, other = "https://hanging.example", "https://other.example"
        at.sender.hanging[hanging] = asyncio.Event()
        await at.create(hanging)
        await at.create(other)
        events = add_events(ledger, 30)

        while len(at.sender.ids(other)) < len(events):
            await at.dispatcher.turn()
            await asyncio.sleep(0)

        assert len(at.sender.ids(hanging)) == SETTINGS.in_flight_max
        at.sender.hanging[hanging].set()
        await at.turn()
        assert sorted(at.sender.ids(hanging)) == sorted(events)


async def test_a_receiver_that_fails_is_asked_one_by_one(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        at.sender.answers[URL] = Answer(500, "answered 500")
        add_events(ledger, 1)
        await at.turn()
        add_events(ledger, 5)

        begun = await at.dispatcher.turn()
        await at.dispatcher.quiet()
        at.sender.answers.clear()
        one_more = await at.dispatcher.turn()
        await at.dispatcher.quiet()
        the_rest = await at.dispatcher.turn()

        assert (begun, one_more, the_rest) == (1, 1, 3)


async def test_no_more_events_are_taken_up_than_there_is_room_for(ledger: Ledger) -> None:
    async with desk(ledger, settings=replace(SETTINGS, pending_max=10)) as at:
        await at.create()
        at.sender.answers[URL] = Answer(0, "refused the connection")
        events = add_events(ledger, 25)

        await at.turn()
        held = ledger.number("SELECT count(*) FROM webhook_delivery")
        at.sender.answers.clear()
        for _ in range(5):
            at.now_us += 20 * SECOND_US
            await at.turn()

        assert held == 10
        assert set(at.sender.ids()) == set(events)
        assert deliveries(ledger) == []


async def test_what_a_lost_server_had_taken_is_taken_by_another_when_its_lease_is_over(
    ledger: Ledger,
) -> None:
    async with desk(ledger) as at:
        await at.create()
        (event,) = add_events(ledger, 1)
        at.sender.hanging[URL] = asyncio.Event()
        lost = at.another()
        assert await lost.turn() == 1
        await asyncio.sleep(0)

        at.now_us += SETTINGS.lease_us - 1
        before = await at.dispatcher.turn()
        at.now_us += 1
        after = await at.dispatcher.turn()
        at.sender.hanging[URL].set()
        await at.dispatcher.quiet()
        await at.dispatcher.turn()

        assert (before, after) == (0, 1)
        assert at.sender.ids() == [event, event]
        await lost.stop(1)
        assert deliveries(ledger) == []


async def test_a_failure_that_comes_after_the_lease_changes_nothing(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        add_events(ledger, 1)
        at.sender.hanging[URL] = asyncio.Event()
        at.sender.answers[URL] = Answer(500, "answered 500")
        slow = at.another()
        await slow.turn()
        await asyncio.sleep(0)
        at.now_us += SETTINGS.lease_us
        await at.dispatcher.turn()
        held = ledger.rows("SELECT lease, due_us, attempts FROM webhook_delivery")

        at.sender.hanging[URL].set()
        await slow.quiet()
        await slow.turn()

        assert ledger.rows("SELECT lease, due_us, attempts FROM webhook_delivery") == held
        await slow.stop(1)


async def test_an_attempt_that_a_stop_breaks_off_is_due_again_and_does_not_count(
    ledger: Ledger,
) -> None:
    async with desk(ledger) as at:
        await at.create()
        (event,) = add_events(ledger, 1)
        at.sender.hanging[URL] = asyncio.Event()
        stopping = at.another(replace(SETTINGS, poll_s=0.01))
        await stopping.start()
        assert await asyncio.to_thread(wait_until, lambda: bool(at.sender.sent), timeout_s=20)

        await stopping.stop(0)
        left = deliveries(ledger)
        at.sender.hanging.clear()
        await at.turn()

        assert left == [(1, PENDING, 0)]
        assert at.sender.ids() == [event, event]
        assert deliveries(ledger) == []


async def test_a_webhook_whose_receiver_is_gone_is_paused_and_keeps_the_event(
    ledger: Ledger,
) -> None:
    async with desk(ledger) as at:
        webhook_id = await at.create()
        first, second = add_events(ledger, 2)
        at.sender.answers[URL] = Answer(410, "answered 410")
        await at.turn()
        later = add_events(ledger, 1)
        await at.turn()

        page = await at.webhooks.webhooks(ListWebhooks(10))
        paused = page.webhooks[0].webhook
        at.sender.answers.clear()
        at.sender.sent.clear()
        await at.webhooks.update(UpdateWebhook(webhook_id, "u", state=WebhookState.ACTIVE))
        await at.turn()

        assert (paused.state, paused.pause_cause) == (WebhookState.PAUSED, PauseCause.GONE)
        assert sorted(at.sender.ids()) == sorted([first, second, *later])
        assert deliveries(ledger) == []


async def test_a_paused_webhook_sends_nothing_and_catches_up_when_it_is_resumed(
    ledger: Ledger,
) -> None:
    async with desk(ledger) as at:
        webhook_id = await at.create()
        await at.webhooks.update(UpdateWebhook(webhook_id, "p", state=WebhookState.PAUSED))
        events = add_events(ledger, 2)
        await at.turn()
        while_paused = list(at.sender.sent)

        await at.webhooks.update(UpdateWebhook(webhook_id, "r", state=WebhookState.ACTIVE))
        await at.turn()

        assert while_paused == []
        assert at.sender.ids() == events


async def test_what_waits_goes_to_the_new_url_at_once(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        webhook_id = await at.create()
        events = add_events(ledger, 1)
        at.sender.answers[URL] = Answer(500, "answered 500")
        await at.turn()

        await at.webhooks.update(UpdateWebhook(webhook_id, "u", url="https://new.example"))
        await at.turn()

        assert at.sender.ids("https://new.example") == events


async def test_a_deleted_webhook_leaves_nothing_behind(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        webhook_id = await at.create()
        add_events(ledger, 2)
        at.sender.hanging[URL] = asyncio.Event()
        await at.dispatcher.turn()

        await at.webhooks.delete(DeleteWebhook(webhook_id, "d"))
        at.sender.hanging[URL].set()
        await at.turn()

        assert ledger.rows("SELECT * FROM webhook") == []
        assert deliveries(ledger) == []


async def test_an_event_that_is_no_longer_there_is_dead_and_says_so(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        at.sender.answers[URL] = Answer(500, "answered 500")
        add_events(ledger, 1)
        await at.turn()
        ledger.unlock()
        ledger.execute("DELETE FROM event")

        at.now_us += 10 * SECOND_US
        await at.turn()

        page = await at.webhooks.deliveries(ListDeliveries(10))
        assert page.deliveries[0].event is None
        assert page.deliveries[0].delivery.error == "the event is no longer in the ledger"
        assert deliveries(ledger) == [(1, DEAD, 2)]


async def test_a_fault_of_the_sender_is_an_attempt_that_failed(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        await at.create()
        add_events(ledger, 1)

        async def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            raise RuntimeError(url)

        at.sender.post = post
        await at.turn()

        assert deliveries(ledger) == [(1, PENDING, 1)]


async def test_deliveries_are_listed_page_by_page(ledger: Ledger) -> None:
    async with desk(ledger) as at:
        at.sender.answers = {URL: Answer(500, "answered 500"), URL + "2": Answer(500, "no")}
        first, second = await at.create(), await at.create(URL + "2")
        add_events(ledger, 3)
        await at.turn()

        query, found = ListDeliveries(2), list[tuple[int, int]]()
        while True:
            page = await at.webhooks.deliveries(query)
            found += [
                (each.delivery.webhook_id, each.delivery.position) for each in page.deliveries
            ]
            if page.next_after is None:
                break
            query = replace(query, after=page.next_after)
        of_one = await at.webhooks.deliveries(ListDeliveries(10, webhook_id=second))

        assert found == [
            (each, position) for each in sorted((first, second)) for position in (1, 2, 3)
        ]
        assert [each.delivery.position for each in of_one.deliveries] == [1, 2, 3]
        assert {each.event.account_id for each in of_one.deliveries if each.event} == {ACCOUNT}
