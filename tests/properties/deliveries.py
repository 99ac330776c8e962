"""Two servers deliver events to three receivers that misbehave, step by step, beside what must have arrived.

What is expected is kept here apart from the server's tables: every event of a webhook's accounts, from the webhook's
creation on. The receivers say what they got; the clock is held.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tests.support.ledgers import Ledger
from tests.support.outbox import MOMENT_US, add_events
from tollkeeper.core.webhooks.commands import (
    CreateWebhook,
    ListWebhooks,
    RetryWebhookDeliveries,
    UpdateWebhook,
)
from tollkeeper.core.webhooks.deliveries import Answer, Schedule, WebhookState
from tollkeeper.engine.settings import WebhookSettings
from tollkeeper.engine.webhooks.dispatcher import Dispatcher
from tollkeeper.engine.webhooks.operations import Webhooks
from tollkeeper.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND_US = 1_000_000
SETTINGS = WebhookSettings(
    schedule=Schedule(
        first_us=10 * SECOND_US, longest_us=40 * SECOND_US, attempts_max=4, give_up_us=10**15
    ),
    lease_us=30 * SECOND_US,
    pending_max=4,
    in_flight_max=2,
    in_flight_all_max=5,
)
ACCOUNTS = ("eu/a", "eu/b", "us/a")
WEBHOOKS = (("all", "", ""), ("one", "eu/b", ""), ("eu", "", "eu/"))
SERVERS = 2
TURNS_MAX = 500


class Mode(StrEnum):
    """What a receiver does with a request."""

    ACKNOWLEDGES = "acknowledges"
    FAILS = "fails"
    IS_DOWN = "is down"
    IS_GONE = "is gone"
    HANGS_THEN_ACKNOWLEDGES = "hangs, then acknowledges"
    HANGS_THEN_FAILS = "hangs, then fails"

    @property
    def hangs(self) -> bool:
        return self in {Mode.HANGS_THEN_ACKNOWLEDGES, Mode.HANGS_THEN_FAILS}


ANSWERS = {
    Mode.ACKNOWLEDGES: Answer(200),
    Mode.FAILS: Answer(500, "answered 500", retry_after_us=3 * SECOND_US),
    Mode.IS_DOWN: Answer(0, "refused the connection"),
    Mode.IS_GONE: Answer(410, "answered 410"),
    Mode.HANGS_THEN_ACKNOWLEDGES: Answer(204),
    Mode.HANGS_THEN_FAILS: Answer(0, "did not answer within 10 s"),
}


class Step(NamedTuple):
    """One thing that happens: its name, and a number that means what the name says."""

    name: str
    number: int = 0
    mode: Mode = Mode.ACKNOWLEDGES


@dataclass
class Receivers:
    """The sender of one server: it knows the receivers, and what each got and acknowledged."""

    clock: list[int]
    modes: dict[str, Mode] = field(default_factory=dict[str, Mode])
    got: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    acknowledged: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    on_the_way: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    hanging: list[asyncio.Event] = field(default_factory=list[asyncio.Event])
    wrong: list[str] = field(default_factory=list[str])

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do with a request what the plan of its receiver says."""
        what = (url, headers["webhook-id"])
        now_us = self.clock[0]
        self.wrong += [
            f"{what} is on its way twice within one lease"
            for *other, begun_us in self.on_the_way
            if tuple(other) == what and now_us < begun_us + SETTINGS.lease_us
        ]
        self.got[what] += 1
        mode = self.modes[url]
        self.on_the_way.append((*what, now_us))
        try:
            if mode.hangs:
                self.hanging.append(answered := asyncio.Event())
                await answered.wait()
        finally:
            self.on_the_way.remove((*what, now_us))
        answer = ANSWERS[mode]
        self.acknowledged[what] += answer.acknowledged
        return answer

    async def close(self) -> None:
        """Nothing is open."""


class Deliveries:
    """The servers, the receivers, and what must have arrived in the end."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._clock = [MOMENT_US]
        self._store = open_store(ledger.url, clock=lambda: self._clock[0])
        self._webhooks = Webhooks(self._store.webhooks)
        self._receivers = Receivers(self._clock)
        self._servers = [self._server() for _ in range(SERVERS)]
        self._ids: dict[str, int] = {}
        self._expected: set[tuple[str, str]] = set()
        self._calls = itertools.count()
        self._added = 0

    async def run(self, steps: list[Step]) -> None:
        """Do the steps, then let everything heal, and check what has arrived."""
        for url, account_id, prefix in WEBHOOKS:
            self._receivers.modes[url] = Mode.ACKNOWLEDGES
            command = CreateWebhook(f"create {url}", url, account_id, prefix)
            shown = await self._webhooks.create(command)
            self._ids[url] = shown.view.webhook.webhook_id
        for step in steps:
            await self._take(step)
            assert not self._receivers.wrong
            assert not self.ledger.findings()
        await self._heal()
        await self._check(steps)

    async def close(self) -> None:
        for server in self._servers:
            await server.stop(0)
        await self._webhooks.stop()
        self._store.close()

    def _server(self) -> Dispatcher:
        return Dispatcher(self._store.webhooks, self._receivers, SETTINGS, draw=lambda: 0.5)

    async def _take(self, step: Step) -> None:
        url = WEBHOOKS[step.number % len(WEBHOOKS)][0]
        match step.name:
            case "events":
                self._add(step.number)
            case "turn":
                await self._turn(self._servers[step.number % SERVERS])
            case "crash":
                await self._crash(step.number % SERVERS)
            case "wait":
                self._clock[0] += step.number * SECOND_US
            case "mode":
                self._receivers.modes[url] = step.mode
            case "answer":
                await self._answer(step.number)
            case "pause":
                await self._set(url, WebhookState.PAUSED)
            case "resume":
                await self._set(url, WebhookState.ACTIVE)
            case "retry":
                await self._retry(url)
            case other:
                raise AssertionError(other)

    def _add(self, number: int) -> None:
        accounts = [ACCOUNTS[(self._added + n) % len(ACCOUNTS)] for n in range(number)]
        events = add_events(self.ledger, number, accounts)
        self._added += number
        for event_id, account in zip(events, accounts, strict=True):
            self._expected |= {
                (url, event_id)
                for url, account_id, prefix in WEBHOOKS
                if account.startswith(prefix) and account_id in {"", account}
            }

    async def _turn(self, server: Dispatcher) -> int:
        begun = await server.turn()
        await self._settle_down()
        return begun

    async def _settle_down(self) -> None:
        """Let every attempt go on as far as it can: those that do not hang have ended then."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def _answer(self, number: int) -> None:
        """Let one of the requests that hang be answered."""
        hanging = self._receivers.hanging
        if hanging:
            hanging.pop(number % len(hanging)).set()
            await self._settle_down()

    async def _crash(self, number: int) -> None:
        """Lose a server with all that it has not written; another takes its place."""
        lost = self._servers[number]
        self._servers[number] = self._server()
        attempts = list(lost._attempts)  # pyright: ignore[reportPrivateUsage]
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)

    async def _set(self, url: str, state: WebhookState) -> None:
        key = f"set {next(self._calls)}"
        await self._webhooks.update(UpdateWebhook(self._ids[url], key, state=state))

    async def _retry(self, url: str) -> None:
        key = f"retry {next(self._calls)}"
        await self._webhooks.retry(RetryWebhookDeliveries(self._ids[url], key))

    async def _heal(self) -> None:
        while self._receivers.hanging:
            await self._answer(0)
        for url in self._ids:
            self._receivers.modes[url] = Mode.ACKNOWLEDGES
        for _ in range(TURNS_MAX):
            for server in self._servers:
                while await self._turn(server):
                    pass
            for url in self._ids:
                await self._set(url, WebhookState.ACTIVE)
                await self._retry(url)
            self._clock[0] += SETTINGS.lease_us
            if not self.ledger.number("SELECT count(*) FROM webhook_delivery") and not (
                self._store.webhooks.work(pending_max=SETTINGS.pending_max)
            ):
                return
        raise AssertionError("deliveries do not come to an end")

    async def _check(self, steps: list[Step]) -> None:
        assert not self._receivers.wrong
        assert not self.ledger.findings()
        assert self._receivers.got.keys() == self._expected
        assert {each for each, times in self._receivers.acknowledged.items() if times} == (
            self._expected
        )
        page = await self._webhooks.webhooks(ListWebhooks(10))
        for view in page.webhooks:
            url = view.webhook.url
            assert view.webhook.delivered == sum(to == url for to, _ in self._expected)
        waited_us = sum(step.number for step in steps if step.name == "wait") * SECOND_US
        lost = any(step.name == "crash" or step.mode.hangs for step in steps)
        if not lost and waited_us < SETTINGS.lease_us:
            assert set(self._receivers.acknowledged.values()) <= {0, 1}
