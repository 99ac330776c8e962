"""The engine: one method for each thing that can be asked of the ledger.

What changes an account goes to the lane of its shard; what only reads goes to the store's reader in a thread
of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from tollkeeper.core.account import SHARDS, shard_of, shard_of_id
from tollkeeper.core.commands import Authorize, DoAllThatIsDue
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.background.backlog import BacklogWatch
from tollkeeper.engine.background.feed import Feed
from tollkeeper.engine.background.mover import MOVER, Mover
from tollkeeper.engine.background.observed import Observed
from tollkeeper.engine.hosts.thread_host import ThreadHost
from tollkeeper.engine.lanes.lane import Lane, shards_of_lane
from tollkeeper.engine.lanes.writer import FlushCounts, PlaceEvents, Publish, Sweep, Writer
from tollkeeper.engine.ports import ConflictError, UnavailableError
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.engine.unavailable import shutting_down, unavailable
from tollkeeper.engine.webhooks.operations import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from typing import TypeVar

    from tollkeeper.core.answers.explanation import ExplainReservation, Explanation
    from tollkeeper.core.answers.views import (
        AccountPage,
        AccountView,
        ConsumptionPage,
        Debited,
        EntryPage,
        EventPage,
        GrantView,
        Overview,
        PlatformOverview,
        PricePage,
        Published,
        RecurringEnded,
        RecurringReplaced,
        RecurringView,
        Refunded,
    )
    from tollkeeper.core.change import Authorized, Denied, Extended, Settled
    from tollkeeper.core.commands import (
        Commit,
        CreateAccount,
        Debit,
        Extend,
        GetOverview,
        GetPlatformOverview,
        GrantCredits,
        ListAccounts,
        ListConsumption,
        ListEntries,
        ListEvents,
        ListPrices,
        PublishPrices,
        Refund,
        Release,
        UpdateAccount,
        VoidGrant,
        WatchEvents,
    )
    from tollkeeper.core.recurring.commands import (
        CreateRecurringGrant,
        EndRecurringGrant,
        ReplaceRecurringGrant,
    )
    from tollkeeper.engine.counts import Backlog, LaneCounts
    from tollkeeper.engine.lanes.attempt import Result
    from tollkeeper.engine.lanes.lane import Host, HostOf
    from tollkeeper.engine.ports import Store
    from tollkeeper.engine.webhook_ports import Sender

    T = TypeVar("T")
    Gateway = Authorize | Commit | Release | Extend

log = logging.getLogger(__name__)

_READERS = 4


class Engine:
    """The ledger as a service within one process. Its methods belong to one event loop.

    `host_of` says where the writers live; where it is not given, in threads of this process. `sender` is what
    pings of webhooks are sent with. Of several engines that share their shards' background work one `moves_out`.
    `look` is asked again and again for what waits in the ledger.
    """

    def __init__(
        self,
        store: Store,
        settings: EngineSettings | None = None,
        *,
        host_of: HostOf | None = None,
        sender: Sender | None = None,
        moves_out: bool = True,
        look: Callable[[], Backlog] | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self.webhooks = Webhooks(store.webhooks, sender)
        self._store = store
        self._host_of = host_of or self._in_a_thread
        self._moves_out = moves_out
        self._lanes: list[Lane] = []
        self._writers: list[Lane] = []
        """The lanes, and what else has a writer of its own."""
        self._mover: Mover | None = None
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
        self._background: list[asyncio.Task[None]] = []
        self._closing = False
        backlog = look and BacklogWatch(lambda: self._read(look), self.settings.look_every_s)
        self.observed = Observed(self._lanes, backlog)
        self._feed = Feed(
            self.events, lambda: self._read(store.reader.last_position), self.settings.watch_every_s
        )

    async def start(self, *, sweep: bool = True) -> None:
        """Open the lanes; begin to sweep and to move out, unless a caller wants to do that by hand."""
        lanes = max(1, min(self.settings.lanes, self._store.lanes_max))
        for number in range(lanes):
            host = self._host_of(f"lane-{number}", shards_of_lane(number, lanes))
            self._lanes.append(Lane(host, self.settings))
        for lane in self._lanes:
            lane.share_turns(self._lanes)
        self._writers += self._lanes
        if self._moves_out:
            self._mover = self.observed.mover = self._new_mover()
        await asyncio.gather(*[each.start() for each in self._writers])
        self._background += self.observed.begin()
        if sweep:
            self._background.append(asyncio.create_task(self._sweep_forever()))
            if self._mover is not None:
                self._background.append(asyncio.create_task(self._mover.run()))

    async def stop(self) -> None:
        """Carry out what waits, refuse what comes, and close the lanes. The store stays open."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._feed.stop()
        await self.observed.end()
        self._closing = True
        await asyncio.gather(*[each.stop() for each in self._writers])
        await self.webhooks.stop()
        await asyncio.to_thread(self._readers.shutdown)

    def abandon(self) -> None:
        """Let a `stop` that is under way wait for the database no more: what it does not answer now is lost."""
        for each in self._writers:
            each.abandon()
        self._store.abort()

    # -- gateways

    async def authorize(self, command: Authorize) -> Authorized | Denied:
        """Hold the price of one request; a denial is an answer."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("Authorized | Denied", await future)

    async def commit(self, command: Commit) -> Settled:
        """Settle a hold by how its request ended."""
        future = self._lane(shard_of(command.reservation.account_key)).submit(command)
        return cast("Settled", await future)

    async def release(self, command: Release) -> Settled:
        """Give a hold back."""
        future = self._lane(shard_of(command.reservation.account_key)).submit(command)
        return cast("Settled", await future)

    async def extend(self, command: Extend) -> Extended:
        """Prolong a hold."""
        future = self._lane(shard_of(command.reservation.account_key)).submit(command)
        return cast("Extended", await future)

    async def batch(self, commands: Sequence[Gateway]) -> list[Result]:
        """Carry out the operations of one call, those of one account in the order given; each has its own result."""
        results: list[Result] = [None] * len(commands)
        places: dict[Lane, list[int]] = {}
        for index, command in enumerate(commands):
            places.setdefault(self._lane(_shard_of(command)), []).append(index)
        parts: list[tuple[list[int], asyncio.Future[list[Result]]]] = []
        for lane, indexes in places.items():
            try:
                parts.append((indexes, lane.submit_all([commands[index] for index in indexes])))
            except Refused as refused:
                for index in indexes:
                    results[index] = refused
        answers = await asyncio.gather(*[answered for _, answered in parts])
        for (indexes, _), found in zip(parts, answers, strict=True):
            for index, result in zip(indexes, found, strict=True):
                results[index] = result
        return results

    # -- operators

    async def create_account(self, command: CreateAccount) -> AccountView:
        """Open an account."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("AccountView", await future)

    async def update_account(self, command: UpdateAccount) -> AccountView:
        """Change an account."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("AccountView", await future)

    async def grant_credits(self, command: GrantCredits) -> GrantView:
        """Give credits to an account."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("GrantView", await future)

    async def create_recurring_grant(self, command: CreateRecurringGrant) -> RecurringView:
        """Give credits to an account at the beginning of every period."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("RecurringView", await future)

    async def end_recurring_grant(self, command: EndRecurringGrant) -> RecurringEnded:
        """Let no period of a recurring grant begin any more."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("RecurringEnded", await future)

    async def replace_recurring_grant(self, command: ReplaceRecurringGrant) -> RecurringReplaced:
        """Let a recurring grant take the place of another."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("RecurringReplaced", await future)

    async def void_grant(self, command: VoidGrant) -> GrantView:
        """Take back what a grant has left."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("GrantView", await future)

    async def debit(self, command: Debit) -> Debited:
        """Take credits back from an account."""
        future = self._lane(shard_of_id(command.account_id)).submit(command)
        return cast("Debited", await future)

    async def refund(self, command: Refund) -> Refunded:
        """Give back a charge, whole or in part; also once its reservation was moved out, by the journal."""
        lane = self._lane(shard_of(command.reservation.account_key))
        try:
            return cast("Refunded", await lane.submit(command))
        except Refused as refused:
            if refused.reason is not Reason.RESERVATION_NOT_FOUND:
                raise
            # Entries never change: where the charge is can be looked for beside the lane.
            account = await self._read(
                lambda: self._store.reader.charge_sequence(command.reservation)
            )
            if account is None:
                raise
        found_by_now = dataclasses.replace(command, charge_sequence=account)
        return cast("Refunded", await lane.submit(found_by_now))

    async def publish_prices(self, command: PublishPrices) -> Published:
        """Publish a whole price list; every Authorize that is decided from then on sees it."""
        if not self._lanes:
            raise shutting_down()
        return cast("Published", await self._lanes[0].submit_job(Publish(command)))

    # -- readers

    async def account(self, account_id: str) -> AccountView:
        """Return one account."""
        return await self._read(lambda: self._store.reader.account(account_id))

    async def accounts(self, query: ListAccounts) -> AccountPage:
        """Return a page of accounts."""
        return await self._read(lambda: self._store.reader.accounts(query))

    async def prices(self, query: ListPrices) -> PricePage:
        """Return a page of price lists."""
        return await self._read(lambda: self._store.reader.prices(query))

    async def entries(self, query: ListEntries) -> EntryPage:
        """Return a page of an account's journal; what is due and belongs to it is written first."""
        page = await self._read(lambda: self._store.reader.entries(query))
        if page.is_due:
            await self._lane(shard_of_id(query.account_id)).submit(DoAllThatIsDue(query.account_id))
            page = await self._read(lambda: self._store.reader.entries(query))
        return page

    async def explanation(self, query: ExplainReservation) -> Explanation:
        """Return the whole life of one reservation."""
        return await self._read(lambda: self._store.reader.explanation(query))

    async def events(self, query: ListEvents) -> EventPage:
        """Return a page of events."""
        return await self._read(lambda: self._store.reader.events(query))

    def watch_events(self, query: WatchEvents) -> AsyncGenerator[EventPage]:
        """Yield pages of events as they come, without end; see `feed.py`."""
        return self._feed.watch(query)

    async def overview(self, query: GetOverview) -> Overview:
        """Return the Credit Cost Overview."""
        return await self._read(lambda: self._store.reader.overview(query))

    async def consumption(self, query: ListConsumption) -> ConsumptionPage:
        """Return a page of accounts by what they consumed."""
        return await self._read(lambda: self._store.reader.consumption(query))

    async def platform_overview(self, query: GetPlatformOverview) -> PlatformOverview:
        """Return what all accounts consumed together."""
        return await self._read(lambda: self._store.reader.platform_overview(query))

    def lane_counts(self) -> tuple[LaneCounts, ...]:
        """Return what each lane has done so far, and what waits in it."""
        return tuple(lane.counts for lane in self._lanes)

    async def _read(self, read: Callable[[], T]) -> T:
        if self._closing:
            raise shutting_down()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, read)
        except (ConflictError, UnavailableError) as error:
            log.warning("store unavailable: %s", error)
            raise unavailable(error) from None

    # -- background work

    async def sweep(self) -> None:
        """End everything that is overdue, count the denials that wait to be counted, and number events."""
        for lane in self._lanes:
            while await lane.submit_job(Sweep()):
                pass
        if self._lanes:
            await self._lanes[0].submit_job(PlaceEvents())

    async def move_out(self) -> None:
        """Move out every reservation whose retention time is over, and delete the windows that are not needed."""
        if self._mover is not None:
            await self._mover.move_out()

    async def flush_counts(self) -> None:
        """Write the denials and free requests that wait to be counted."""
        for lane in self._lanes:
            await lane.submit_job(FlushCounts())

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_every_s)
            try:
                await self.sweep()
            except Refused as refused:
                log.warning("sweep: %s", refused.message)
            except Exception:
                log.exception("sweep failed; it is tried again")
            await self.observed.hear()

    def _new_mover(self) -> Mover:
        """Return what moves out: where only one may write, it is the lane's writer that does."""
        if self._store.lanes_max == 1:
            return Mover(self._lanes[0], self._lanes, self.settings)
        aside = Lane(self._host_of(MOVER, range(SHARDS)), self.settings)
        self._writers.append(aside)
        return Mover(aside, self._lanes, self.settings)

    def _in_a_thread(self, name: str, shards: Sequence[int]) -> Host:
        return ThreadHost(name, lambda: Writer(self._store.lane(), shards, self.settings))

    def _lane(self, shard: int) -> Lane:
        if not self._lanes:
            raise shutting_down()
        return self._lanes[shard % len(self._lanes)]


def _shard_of(command: Gateway) -> int:
    if isinstance(command, Authorize):
        return shard_of_id(command.account_id)
    return shard_of(command.reservation.account_key)
