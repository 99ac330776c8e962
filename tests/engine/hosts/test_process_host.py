"""Writers in processes of their own: the same answers, none lost with its process, none left behind."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.gates import answer_or_error
from tests.support.ledgers import (
    ACCOUNT,
    CHARGE,
    COMMITTED,
    HELD,
    PRICES,
    Ledger,
    fill,
    held,
    leads,
)
from tests.support.thorough import thorough
from tests.support.writers import is_writer, writers_of
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import (
    Authorize,
    Commit,
    Debit,
    Extend,
    GetOverview,
    ListEntries,
    PublishPrices,
    Refund,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.recurring.commands import CreateRecurringGrant, ReplaceRecurringGrant
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.usage import DenialReason
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.hosts.process_host import ProcessHost, WriterLostError, WriterSpec
from tollkeeper.engine.lanes.wire import WriterError
from tollkeeper.engine.ports import LaneStore, Reader, Store, UnavailableError
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.engine.token_ports import TokenStore
from tollkeeper.engine.webhook_ports import WebhookStore
from tollkeeper.process import set_up_log

MANY = 10**9


async def test_operations_jobs_and_refusals_come_back_whole(ledger: Ledger) -> None:
    async with ledger.engine(EngineSettings(lanes=2), processes=True) as engine:
        await fill(engine, credits=20)
        answers = [await engine.authorize(leads(f"r-{n}")) for n in range(3)]
        name = held(answers[0])
        settled = await engine.commit(Commit(name, http_status=200))
        with pytest.raises(Refused) as refused:
            await engine.commit(Commit(name, http_status=500))
        again = await engine.publish_prices(PublishPrices("prices", PRICES))
        with pytest.raises(Refused) as reused:
            await engine.publish_prices(PublishPrices("prices", PRICES[:1]))
        await engine.sweep()
        total = (await engine.overview(GetOverview(ACCOUNT))).total

    assert [type(answer) for answer in answers] == [Authorized, Authorized, Denied]
    assert isinstance(answers[2], Denied)
    assert answers[2].reason is DenialReason.INSUFFICIENT_CREDITS
    assert (settled.credits, settled.replayed) == (10, False)
    assert refused.value.reason is Reason.ALREADY_COMMITTED
    assert refused.value.metadata["reservation_id"] == str(name)
    assert again.replayed
    assert reused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert reused.value.fields
    assert (total.requests, total.credits, total.denied) == (1, 10, 1)
    assert ledger.findings() == []


async def test_answers_of_a_thousand_operations_find_their_callers(ledger: Ledger) -> None:
    async with ledger.engine(processes=True) as engine:
        await fill(engine, credits=MANY)

        async def pair(number: int) -> bool:
            answer = await engine.authorize(leads(f"r-{number}", hold_us=10**6 + number))
            assert isinstance(answer, Authorized)
            assert answer.expires_us - answer.created_us == 10**6 + number
            return (await engine.commit(Commit(held(answer), http_status=200))).replayed

        assert not any(await asyncio.gather(*[pair(number) for number in range(1_000)]))
    assert ledger.states() == {COMMITTED: 1_000}
    assert ledger.findings() == []


async def test_a_price_list_larger_than_any_buffer_goes_both_ways(ledger: Ledger) -> None:
    prices = tuple(Price("GET", f"/v1/{number}/{'x' * 200}", 1) for number in range(4_000))
    async with ledger.engine(processes=True) as engine:
        published = await engine.publish_prices(PublishPrices("large", prices))

    assert len(published.prices.prices) == 4_000


async def test_a_killed_writer_is_replaced_and_nothing_acknowledged_is_lost(ledger: Ledger) -> None:
    async with ledger.engine(processes=True) as engine:
        await fill(engine, credits=MANY)
        charged: set[str] = set()
        unknown: Counter[Reason] = Counter()
        killed: list[int] = []

        async def gateway(number: int) -> None:
            for turn in range(40):
                if number == 0 and turn in {10, 20, 30}:
                    killed.append(kill_writer())
                await settle(f"r-{number}-{turn}")

        async def settle(request_id: str) -> None:
            while True:
                try:
                    name = held(await engine.authorize(leads(request_id)))
                    await engine.commit(Commit(name, http_status=200))
                except Refused as refused:
                    unknown[refused.reason] += 1
                else:
                    charged.add(request_id)
                    return

        await asyncio.gather(*[gateway(number) for number in range(16)])

    assert len(set(killed)) == 3
    assert len(charged) == 640
    assert set(unknown) == {Reason.STORE_UNAVAILABLE}
    assert ledger.states() == {COMMITTED: 640}
    assert ledger.entries()[CHARGE] == (640, -6_400)
    assert ledger.findings() == []


def kill_writer() -> int:
    """Kill our writer where there is one; it may be on its way."""
    found = writers_of(os.getpid())
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return found[0] if found else 0


async def test_what_waits_when_its_writer_is_lost_is_carried_out_by_the_next(
    ledger: Ledger,
) -> None:
    async with ledger.engine(EngineSettings(retry_for_s=60), processes=True) as engine:
        await fill(engine)
        (writer,) = writers_of(os.getpid(), "lane-0")
        os.kill(writer, signal.SIGSTOP)
        running = asyncio.create_task(answer_or_error(engine.authorize(leads("running"))))
        await asyncio.sleep(0.1)  # it is with the writer, which has stopped
        waiting = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(5)]
        await asyncio.sleep(0)
        os.kill(writer, signal.SIGKILL)

        lost = await running
        assert isinstance(lost, Refused)
        assert lost.reason is Reason.STORE_UNAVAILABLE
        assert lost.retry_after_us
        assert all(isinstance(each, Authorized) for each in await asyncio.gather(*waiting))
        assert writers_of(os.getpid(), "lane-0") not in ([], [writer])
    assert ledger.states() == {HELD: 5}


async def test_a_writer_does_not_mind_signals_and_ends_with_its_engine(ledger: Ledger) -> None:
    async with ledger.engine(EngineSettings(lanes=2), processes=True) as engine:
        await fill(engine)
        writers = writers_of(os.getpid())
        assert len(writers) == (3 if ledger.on_postgres else 1), "a mover's beside the lanes'"
        for pid in writers:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)

        assert isinstance(await engine.authorize(leads("r")), Authorized)

    assert not any(is_writer(pid) for pid in writers)


@pytest.mark.thorough
async def test_a_writer_that_hangs_is_replaced(ledger: Ledger) -> None:
    """Stopped by a signal, as a debugger would: it neither ends nor answers."""
    settings = EngineSettings(answer_within_s=0.25, retry_for_s=0.5)
    async with ledger.engine(settings, processes=True) as engine:
        await fill(engine)
        (writer,) = writers_of(os.getpid(), "lane-0")
        os.kill(writer, signal.SIGSTOP)
        async with asyncio.timeout(20):
            refused = await answer_or_error(engine.authorize(leads("r")))
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.STORE_UNAVAILABLE
            answer: object = None
            for _ in range(100):
                answer = await answer_or_error(engine.authorize(leads("r")))
                if isinstance(answer, Authorized):
                    break
                await asyncio.sleep(0.1)

        assert isinstance(answer, Authorized)
        assert writer not in writers_of(os.getpid())
    assert ledger.states() == {HELD: 1}


async def test_denials_are_counted_when_a_writer_ends(ledger: Ledger) -> None:
    async with ledger.engine(processes=True) as engine:
        await fill(engine, credits=5)
        for number in range(3):
            assert isinstance(await engine.authorize(leads(f"r-{number}")), Denied)

    assert ledger.number("SELECT sum(requests) FROM usage_hour WHERE kind = 45") == 3


class BrokenStore:
    """A store whose lanes cannot be opened, in one of several ways."""

    lanes_max = 1
    reader: Reader
    webhooks = cast("WebhookStore", SimpleNamespace(transaction=None))
    tokens = cast("TokenStore", None)

    def __init__(self, how: str) -> None:
        self._how = how

    def lane(self) -> LaneStore:
        if self._how == "unavailable":
            raise UnavailableError("no connection")
        if self._how == "ends":
            os._exit(3)
        raise ZeroDivisionError("a fault of the program")

    def abort(self) -> None: ...

    def close(self) -> None: ...


def broken_host(how: str, _: str, shards: Sequence[int]) -> ProcessHost:
    plan = WriterSpec(
        begin=partial(set_up_log, "error"),
        ready=nothing,
        open_store=partial(BrokenStore, how),
        shards=shards,
        settings=EngineSettings(),
    )
    return ProcessHost("broken", plan)


def nothing() -> None: ...


@thorough
@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("unavailable", UnavailableError, "no connection"),
        ("fault", WriterError, "ZeroDivisionError: a fault of the program"),
        ("ends", WriterLostError, "ended"),
    ],
)
async def test_a_writer_that_cannot_start_says_why(
    how: str, error: type[Exception], words: str
) -> None:
    store: Store = BrokenStore(how)
    engine = Engine(store, host_of=partial(broken_host, how))

    with pytest.raises(error, match=words):
        await engine.start()

    await engine.stop()
    assert writers_of(os.getpid()) == []


@thorough
async def test_while_a_writer_does_not_come_back_calls_are_refused_and_then_served_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ledger.engine(EngineSettings(retry_for_s=0.3), processes=True) as engine:
        await fill(engine)
        with monkeypatch.context() as broken:
            broken.setattr("sys.executable", "/nonexistent/python")
            kill_writer()
            # The first call may reach the lost writer; the second waits for its successor, in vain.
            refused = [await answer_or_error(engine.authorize(leads("r"))) for _ in range(2)]
            at_once = await answer_or_error(engine.authorize(leads("r")))
        for each in (*refused, at_once):
            assert isinstance(each, Refused)
            assert each.reason is Reason.STORE_UNAVAILABLE

        again = await first_grant(engine)
    assert not again.replayed
    assert ledger.states() == {HELD: 1}


async def first_grant(engine: Engine) -> Authorized:
    for _ in range(200):
        answer = await answer_or_error(engine.authorize(leads("r")))
        if isinstance(answer, Authorized):
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError("refused for 20 seconds")


async def test_a_fault_of_the_program_in_a_writer_arrives_with_its_traceback(
    ledger: Ledger,
) -> None:
    async with ledger.engine(processes=True) as engine:
        await fill(engine)
        bad = leads("bad")._replace(path=None)  # pyright: ignore[reportArgumentType] -- what no field lets in

        answers = await asyncio.gather(
            *[answer_or_error(engine.authorize(each)) for each in (leads("a"), bad, leads("b"))]
        )

        assert isinstance(answers[1], WriterError)
        assert "Traceback" in str(answers[1])
        assert isinstance(answers[0], Authorized)
        assert isinstance(answers[2], Authorized)
    assert ledger.findings() == []


@pytest.mark.thorough
async def test_two_engines_with_processes_are_two_servers_on_one_database(
    postgres_ledger: Ledger,
) -> None:
    ledger = postgres_ledger
    async with ledger.engine(processes=True) as first, ledger.engine(processes=True) as second:
        await fill(first)
        answers = await asyncio.gather(
            *[(first, second)[n % 2].authorize(leads(f"r-{n // 2}")) for n in range(40)]
        )

    assert len({held(answer) for answer in answers}) == 20
    assert ledger.states() == {HELD: 20}
    assert ledger.findings() == []


async def test_all_that_operators_and_gateways_ask_for_travels(ledger: Ledger) -> None:
    settings = EngineSettings(retention_us=0, late_window_us=0)
    run = Price("POST", "/v1/models/{model}:run", 30)
    async with ledger.engine(settings, processes=True) as engine:
        await fill(engine, credits=100)
        published = await engine.publish_prices(PublishPrices("verbs", (*PRICES, run)))
        asked = await engine.authorize(Authorize(ACCOUNT, "POST", parse("/v1/models/m:run"), "r-1"))
        name = held(asked)
        await engine.extend(Extend(name, 3_600_000_000))
        await engine.commit(Commit(name, http_status=200))
        await engine.move_out()
        refunded = await engine.refund(Refund(name, "refund", 10))
        await engine.debit(Debit(ACCOUNT, "debit", 5))
        plan = CreateRecurringGrant(ACCOUNT, "plan", 40, RecurringPeriod.MONTH)
        await engine.create_recurring_grant(plan)
        await engine.replace_recurring_grant(ReplaceRecurringGrant(ACCOUNT, 1, "other", 40))
        await engine.entries(ListEntries(ACCOUNT, 10))

    assert published.prices.match("POST", parse("/v1/models/m:run")) is not None
    assert isinstance(asked, Authorized)
    assert (asked.credits, refunded.credits) == (30, 10)
    assert ledger.findings() == []
