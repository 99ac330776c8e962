"""An engine on a real store and the reference model, asked the same and held to the same answers."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import create_engine

from tests.properties.answers import (
    Names,
    Reply,
    account_row,
    answer_of,
    entry_view_row,
    event_row,
    expected_answer,
    learn_ids,
    price_list_row,
)
from tests.properties.calls import HOUR_US, Call
from tests.properties.explanations import explanation_row
from tests.properties.field_by_field import command_of, send
from tests.properties.overviews import (
    check_buckets,
    check_sums,
    expected_overview,
    only_named_in,
    overview_row,
)
from tests.properties.stored_rows import differences, expected_rows, recorded_rows
from tests.support.gates import turns
from tests.support.model.account import Row
from tests.support.model.ledger import Model, ModelError
from tollkeeper.core.account import shard_of_id
from tollkeeper.core.answers.explanation import ExplainReservation, RequestName
from tollkeeper.core.answers.views import EntryView, Overview
from tollkeeper.core.commands import (
    Authorize,
    GetOverview,
    ListAccounts,
    ListEntries,
    ListEvents,
    ListPrices,
)
from tollkeeper.core.errors import Refused
from tollkeeper.core.pricing.paths import parse
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.store import open_store

BEGIN_US = 1_800_000_000_000_000  # the beginning of an hour, past the beginning of a day
GATE_TIMEOUT_S = 30.0
LIST_MAX = 1_000
HOLD_TOTAL_MAX_US = 30 * HOUR_US
"""Little more than the longest hold, so that one that is extended comes to it now and then."""
RETENTION_US = 24 * HOUR_US
"""As long as the late window, so that the clock of the machine passes it now and then."""


class Clock:
    """The store's clock, which stands until it is told. Whoever reads it can be made to wait."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.waiting = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()

    def __call__(self) -> int:
        if not self._open.is_set():
            self.waiting.release()
            assert self._open.wait(GATE_TIMEOUT_S)
        return self.now_us

    def shut(self) -> None:
        """Make readers wait."""
        self._open.clear()

    def open(self) -> None:
        """Let them go on."""
        self._open.set()


class EngineAndModel:
    """The two ledgers. Every method asserts that they agree."""

    def __init__(self, url: str, *, lanes: int) -> None:
        self.clock = Clock(BEGIN_US)
        self.model = Model(retention_us=RETENTION_US, hold_total_max_us=HOLD_TOTAL_MAX_US)
        self.names = Names()
        self._url = url
        self._rows = create_engine(url, isolation_level="AUTOCOMMIT")
        self._connection = self._rows.connect()
        self._runner = asyncio.Runner()
        self._start(lanes)

    def _start(self, lanes: int) -> None:
        self._lanes = lanes
        self._store = open_store(self._url, clock=self.clock)
        # A sweep of more than a few takes several turns, and so does a move-out.
        settings = EngineSettings(
            lanes=lanes,
            apart_min=1,  # the time stands still, and only the ids of one lane rise then
            sweep_batch=3,
            retention_us=RETENTION_US,
            hold_total_max_us=HOLD_TOTAL_MAX_US,
            move_out_batch=2,
        )
        self._engine = Engine(self._store, settings)
        self._runner.run(self._engine.start(sweep=False))

    def _stop(self) -> None:
        self._runner.run(self._engine.stop())
        self._store.close()

    def close(self) -> None:
        """Stop the engine and let the database go."""
        self.clock.open()
        self._stop()
        self._runner.close()
        self._connection.close()
        self._rows.dispose()

    def restart(self, *, lanes: int) -> None:
        """Stop the engine and start another on the same database: what it had in mind is gone."""
        self._stop()
        self._start(lanes)

    # What is asked of both

    def ask(self, call: Call) -> Row:
        """Ask both for one call; return the model's answer."""
        reply = self._runner.run(self._send(call))
        return self._compare(call, reply)

    def ask_together(self, calls: Sequence[Call]) -> list[Row]:
        """Ask the engine for all at once, so that each lane has one batch of them, in this order.

        But for a refund of what was moved out: it is looked for first, and so comes in a batch of its own, here alone.
        """
        gone = {own_id for _, own_id, _ in self.model.gone()}
        if any(each.name == "refund" and each.fields["reservation_id"] in gone for each in calls):
            return [self.ask(each) for each in calls]
        replies = self._runner.run(self._send_together(calls))
        return [self._compare(call, reply) for call, reply in zip(calls, replies, strict=True)]

    def sweep(self) -> None:
        """Do what is due in both."""
        self._runner.run(self._engine.sweep())
        self.model.sweep(self.clock.now_us)

    def move_out(self) -> None:
        """Move out what is due in both."""
        self._runner.run(self._engine.move_out())
        self.model.move_out(self.clock.now_us)

    async def _send(self, call: Call) -> Reply:
        try:
            command = command_of(call, self.names)
        except Refused as refused:
            return refused
        return await send(self._engine, command)

    async def _send_together(self, calls: Sequence[Call]) -> list[Reply]:
        """Hold every lane at its clock with a call that changes nothing, until all have come."""
        self.clock.shut()
        gates = [asyncio.ensure_future(self._engine.authorize(each)) for each in self._gates()]
        await turns(3)
        for _ in gates:
            assert self.clock.waiting.acquire(timeout=GATE_TIMEOUT_S)
        asked = [asyncio.ensure_future(self._send(call)) for call in calls]
        await asyncio.sleep(0)
        before = self._batches()
        self.clock.open()
        await asyncio.gather(*gates)
        replies = await asyncio.gather(*asked)
        assert self._batches() - before <= self._lanes, "more than one batch in a lane"
        return replies

    def _batches(self) -> int:
        """Count what the lanes have sent; a batch that was tried again, as after equal ids, counts once."""
        return sum(each.batches for each in self._engine.lane_counts())

    def _gates(self) -> list[Authorize]:
        """Make a dry run for an account that does not exist, for each lane."""
        gates: dict[int, Authorize] = {}
        for number in itertools.count():
            account_id = f"gate-{number}"
            lane = shard_of_id(account_id) % self._lanes
            gates[lane] = Authorize(account_id, "GET", parse("/gate"), "gate", dry_run=True)
            if len(gates) == self._lanes:
                break
        return list(gates.values())

    def _compare(self, call: Call, reply: Reply) -> Row:
        answer = self._answer_of_model(call)
        learn_ids(call, answer, reply, self.names)
        found = differences(expected_answer(call, answer), answer_of(call, reply, self.names))
        assert not found, f"{call} is answered otherwise: {found}"
        return answer

    def _answer_of_model(self, call: Call) -> Row:
        try:
            answer = getattr(self.model, call.name)(self.clock.now_us, **call.fields)
        except ModelError as error:
            return {"error": error.reason, "fields": sorted(error.fields)}
        if call.name == "publish":
            prices = [
                (each.method, each.path, each.credits, each.charge_on, each.note)
                for each in answer["prices"]
            ]
            return answer | {"prices": prices}
        return answer

    # What both have come to

    def check_rows(self) -> None:
        """Assert that every row is as the model says."""
        self.model.check()
        self._runner.run(self._engine.flush_counts())
        found = differences(expected_rows(self.model), recorded_rows(self._connection, self.names))
        assert not found, f"rows differ: {found}"

    def check_invariants(self) -> None:
        """Assert that `tollkeeper verify` finds nothing."""
        broken = list(self._store.reader.verify(overdue_tolerance_us=self.clock.now_us))
        assert not broken, f"invariants are broken: {broken}"

    def check_reads(self, pick: int) -> None:
        """Assert that one of the accounts is shown as the model shows it."""
        accounts = list(self.model.state(self.clock.now_us).values())
        account = accounts[pick % len(accounts)]
        view = self._runner.run(self._engine.account(account["account_id"]))
        found = differences(only_named_in(account_row(view), account), account_row(view))
        query = GetOverview(account["account_id"], BEGIN_US, self.clock.now_us + 1)
        overview = self._runner.run(self._engine.overview(query))
        found += differences(expected_overview(account), overview_row(overview, self.names))
        assert not found, f"account {account['account_id']} is shown otherwise: {found}"
        assert overview.as_of_us == self.clock.now_us
        check_sums(overview)
        self._check_prices(overview)
        assert overview.prices is None or overview.prices.name == account["price_list"]
        self._check_explanation(accounts, pick)
        self._check_what_is_gone(pick)

    def _check_explanation(self, accounts: list[Row], pick: int) -> None:
        """Assert that one of all reservations, by either of its names, is told as the model knows it."""
        now_us = self.clock.now_us
        known = [(each["account_id"], own) for each in accounts for own in each["reservations"]]
        at_their_deadline = [each for each in known if each[1]["expire_us"] == now_us]
        if not known:
            return
        told_of = at_their_deadline or known
        account_id, own = told_of[-1 - pick % len(told_of)]
        by_request = RequestName(account_id, own["request_id"])
        by_name = self.names.reservation(own["reservation_id"])
        query = ExplainReservation(by_request if pick % 2 else by_name)
        told = self._runner.run(self._engine.explanation(query))
        expected = self.model.explain(now_us, own["reservation_id"])
        found = differences(expected, explanation_row(told, self.names))
        assert not found, f"{query} is explained otherwise: {found}"

    def _check_what_is_gone(self, pick: int) -> None:
        """Assert that of a reservation that was moved out its charge and refunds are told, and else nothing."""
        gone = self.model.gone()
        if not gone:
            return
        account_id, own_id, entries = gone[-1 - pick % len(gone)]
        query = ExplainReservation(self.names.reservation(own_id))
        if not entries:
            with pytest.raises(Refused, match="there is no reservation"):
                self._runner.run(self._engine.explanation(query))
            return
        told = self._runner.run(self._engine.explanation(query))
        assert told.reservation is None
        found = [entry_view_row(account_id, each, self.names) for each in told.entries]
        assert found == entries

    def check_lists(self) -> None:
        """Assert that accounts, journals and price lists are listed as the model has them."""
        accounts = self.model.state(self.clock.now_us)
        page = self._runner.run(self._engine.accounts(ListAccounts(page_size=LIST_MAX)))
        shown = [account_row(each) for each in page.accounts]
        found = differences(
            [only_named_in(shown[0], accounts[name]) for name in sorted(accounts)], shown
        )
        for name, account in self.model.rows().items():
            listed = [entry_view_row(name, each, self.names) for each in self._journal(name)]
            found += differences(account["entries"], listed)
        found += self._differences_of_events()
        prices = self._runner.run(self._engine.prices(ListPrices(page_size=LIST_MAX)))
        expected = expected_rows(self.model)["prices"]
        found += differences(expected, [price_list_row(each) for each in reversed(prices.lists)])
        assert not found, f"lists differ: {found}"

    def _differences_of_events(self) -> list[str]:
        """Compare the events that are delivered with those of the model, account by account."""
        told: dict[str, list[Row]] = {}
        query, place = ListEvents(page_size=2), 0
        while True:
            page = self._runner.run(self._engine.events(query))
            for each in page.events:
                assert each.position > place
                place = each.position
                told.setdefault(each.account_id, []).append(event_row(each))
            if not page.next_after:
                break
            query = ListEvents(page_size=2, after=page.next_after)
        expected = {
            name: [
                {each: event[each] for each in event if each not in {"rule_id", "period"}}
                | {"begin": event["period"] if event["end"] else 0}
                for event in account["events"]
            ]
            for name, account in self.model.rows().items()
            if account["events"]
        }
        return differences(expected, told)

    def _journal(self, account_id: str) -> Iterator[EntryView]:
        """Yield every page: where months pass, daily grants alone are more than one."""
        after = 0
        while True:
            query = ListEntries(account_id, page_size=LIST_MAX, after=after)
            page = self._runner.run(self._engine.entries(query))
            yield from page.entries
            after = page.next_after
            if not after:
                return

    def look(self, query: GetOverview) -> None:
        """Assert that any overview has the buckets of its zone, and counts what lies in each."""
        state = self.model.state(self.clock.now_us)
        if query.account_id not in state:
            with pytest.raises(Refused, match="there is no account"):
                self._runner.run(self._engine.overview(query))
            return
        overview = self._runner.run(self._engine.overview(query))
        check_sums(overview)
        check_buckets(overview, query, state[query.account_id]["usage"])

    def _check_prices(self, overview: Overview) -> None:
        """Compare the versions that the account pays by, and from when on."""
        now, *later = self.model.pays_by(overview.account_id, self.clock.now_us)
        shown = overview.prices
        assert ((shown.effective_us, shown.version) if shown else (0, 0)) == (
            now if now[1] else (0, 0)
        )
        assert [(each.effective_us, each.version) for each in overview.upcoming_prices] == later
