"""Alert rules and events over gRPC: set and read, listed, watched, cut off and gone on from."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, hold, open_account
from tests.rpc.wire import read_refusal, refusal_of
from tests.support.thorough import thorough
from tollkeeper.core.commands import CreateAccount, UpdateAccount
from tollkeeper.core.validation.fields import Fields
from tollkeeper.engine.engine import Engine
from tollkeeper.rpc.convert.events import alerts_of
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.storage.store import open_store
from tollkeeper.v1 import events_pb2
from tollkeeper.v1.admin_pb2_grpc import AdminServiceStub

CONSUMED, REMAINING, LIMIT_USE = (
    events_pb2.AlertRule.SUBJECT_CONSUMED,
    events_pb2.AlertRule.SUBJECT_REMAINING,
    events_pb2.AlertRule.SUBJECT_LIMIT_USE,
)
DAY, MONTH = events_pb2.AlertRule.WINDOW_DAY, events_pb2.AlertRule.WINDOW_MONTH
LOW: dict[str, Any] = {"name": "low", "subject": REMAINING, "threshold": 85}
HALF: dict[str, Any] = {
    "name": "half",
    "subject": CONSUMED,
    "threshold": 50,
    "percent": True,
    "window": MONTH,
}
DAILY: dict[str, Any] = {"name": "daily", "unit": 1, "window": 4, "maximum": 40}
CAP: dict[str, Any] = {
    "name": "cap",
    "subject": LIMIT_USE,
    "threshold": 50,
    "percent": True,
    "limit": "daily",
}
SECONDS = 30


async def rule(
    server: Running, *rules: dict[str, Any], request_id: str = "rules", **more: Any
) -> Any:
    return await call(
        server, "UpdateAccount", alerts={"rules": list(rules)}, request_id=request_id, **more
    )


async def charge(server: Running, request_id: str) -> None:
    await call(server, "Commit", reservation_id=await hold(server, request_id))


async def statuses(server: Running) -> dict[str, tuple[int, int, bool]]:
    overview = await call(server, "GetOverview")
    return {each.rule.name: (each.value, each.base, each.met) for each in overview.alerts}


async def told(server: Running, **changes: Any) -> list[tuple[str, int, int]]:
    await server.engine.sweep()
    listed = await call(server, "ListEvents", **changes)
    return [(each.rule, each.value, each.base) for each in listed.events]


async def test_rules_are_met_in_their_order_by_the_change_after_which_they_hold(
    server: Running,
) -> None:
    await open_account(server)
    await call(server, "UpdateAccount", limits={"limits": [DAILY]}, request_id="limits")
    account = (await rule(server, LOW, HALF, CAP)).account
    assert [each.name for each in account.alerts] == ["low", "half", "cap"]
    assert await statuses(server) == {
        "low": (100, 0, False),
        "half": (0, 100, False),
        "cap": (0, 40, False),
    }

    held = [await hold(server, "1"), await hold(server, "2")]
    assert await told(server) == [("cap", 20, 40)]
    for each in held:
        await call(server, "Commit", reservation_id=each)

    assert await told(server) == [("cap", 20, 40), ("low", 80, 0)]
    assert await statuses(server) == {
        "low": (80, 0, True),
        "half": (20, 100, False),
        "cap": (20, 40, True),
    }
    await call(server, "UpdateAccount", limits={"limits": []}, request_id="no limits")
    for number in range(3, 6):
        await charge(server, str(number))
    assert await told(server, page_size=2) == [("cap", 20, 40), ("low", 80, 0)]
    assert (await told(server))[2:] == [("half", 50, 100)]
    assert (await statuses(server))["cap"] == (0, 0, False)


async def test_an_event_says_what_was_met_and_when(server: Running) -> None:
    await open_account(server)
    await rule(server, HALF | {"threshold": 5, "time_zone": "Asia/Kolkata"})

    await charge(server, "1")
    await server.engine.sweep()
    (event,) = (await call(server, "ListEvents")).events

    assert (event.account_id, event.rule, event.subject) == (ACCOUNT, "half", CONSUMED)
    assert (event.threshold, event.percent, event.value, event.base) == (5, True, 10, 100)
    at_us = event.occur_time.ToMicroseconds()
    assert event.window_start.ToMicroseconds() <= at_us < event.window_end.ToMicroseconds()
    assert event.window_start.ToMicroseconds() // 60_000_000 % 60 == 30  # a midnight of India
    assert int(event.event_id, 16) > 0


async def test_a_rule_that_holds_already_is_met_when_it_is_set_but_not_when_the_account_is_opened(
    server: Running,
) -> None:
    await call(server, "CreateAccount", account_id=ACCOUNT, alerts={"rules": [LOW]})
    assert await told(server) == []

    await rule(server, LOW, LOW | {"name": "other"})

    assert await told(server) == [("low", 0, 0), ("other", 0, 0)]


async def test_a_rule_with_another_threshold_goes_on_and_one_of_another_kind_begins_anew(
    server: Running,
) -> None:
    await open_account(server)
    await rule(server, HALF | {"threshold": 10})
    await charge(server, "1")
    await rule(server, HALF | {"threshold": 5}, request_id="lower")
    await charge(server, "2")
    assert await told(server) == [("half", 10, 100)]
    assert (await statuses(server))["half"] == (20, 100, True)

    await rule(server, HALF | {"threshold": 10, "window": DAY}, request_id="daily")
    assert (await statuses(server))["half"] == (0, 80, False)
    await charge(server, "3")

    assert await told(server) == [("half", 10, 100), ("half", 10, 80)]


async def test_a_limit_that_is_another_one_now_is_watched_anew(server: Running) -> None:
    await open_account(server)
    await rule(server, CAP, limits={"limits": [DAILY]})
    await charge(server, "1")
    await charge(server, "2")
    for number, window in enumerate((6, 4, 6)):
        limits = {"limits": [DAILY | {"window": window}]}
        await call(server, "UpdateAccount", limits=limits, request_id=f"limits-{number}")
        await charge(server, f"a-{number}")
        await charge(server, f"b-{number}")

    assert await told(server) == [("cap", 20, 40)] * 4


async def test_repeats_refusals_and_dry_runs_meet_nothing(server: Running) -> None:
    await open_account(server, credits=25)
    await call(
        server, "UpdateAccount", limits={"limits": [DAILY | {"maximum": 20}]}, request_id="l"
    )
    reservation = await hold(server, "1")
    await call(server, "Commit", reservation_id=reservation)
    await rule(server, CAP | {"threshold": 51})

    for _ in range(2):
        await call(server, "Authorize", request_id="dry", dry_run=True)
        await call(server, "Commit", reservation_id=reservation)
        await call(server, "Authorize", request_id="1")
    await refusal_of(call(server, "Release", reservation_id=reservation))
    assert await told(server) == []

    await hold(server, "2")
    assert await told(server) == [("cap", 20, 20)]


async def test_alert_rules_are_part_of_the_content_of_a_call(server: Running) -> None:
    await open_account(server)
    await rule(server, LOW)
    again = await rule(server, LOW)
    assert [each.name for each in again.account.alerts] == ["low"]

    refusal = await refusal_of(rule(server, LOW | {"threshold": 1}))

    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert "alerts" in refusal.message


async def test_a_rule_must_watch_a_limit_that_is_there(server: Running) -> None:
    await open_account(server)

    for refused in (
        rule(server, LOW, CAP),
        call(server, "CreateAccount", alerts={"rules": [LOW, CAP]}),
    ):
        refusal = await refusal_of(refused)
        assert refusal.fields == ["alerts.rules[1].limit"]

    created = await call(
        server, "CreateAccount", limits=[DAILY], alerts={"rules": [CAP]}, request_id="with it"
    )
    assert created.account.alerts[0].limit == "daily"


# -- watching


async def watch(server: Running, **changes: Any) -> Any:
    """Begin to watch; return the call and its first cursor."""
    watching: Any = server.admin.WatchEvents(events_pb2.WatchEventsRequest(**changes))
    first = await asyncio.wait_for(watching.read(), SECONDS)
    assert not first.HasField("event")
    return watching, first.cursor


async def next_of(watching: Any) -> Any:
    return await asyncio.wait_for(watching.read(), SECONDS)


async def test_a_watcher_gets_what_is_there_and_what_is_to_come_and_goes_on_after_a_cut(
    server: Running,
) -> None:
    await open_account(server)
    await rule(server, LOW)
    watching, beginning = await watch(server)
    await charge(server, "1")
    await charge(server, "2")
    first = await next_of(watching)
    await rule(server, LOW, HALF | {"threshold": 1}, request_id="more")
    await charge(server, "3")
    second = await next_of(watching)
    watching.cancel()

    assert [first.event.rule, second.event.rule] == ["low", "half"]
    assert first.cursor == first.event.cursor
    for cursor, expected in ((beginning, ["low", "half"]), (first.cursor, ["half"])):
        watching, _ = await watch(server, cursor=cursor)
        assert [(await next_of(watching)).event.rule for _ in expected] == expected
        watching.cancel()
    listed = await call(server, "ListEvents", page_token=first.cursor)
    assert [each.event_id for each in listed.events] == [second.event.event_id]


async def test_a_watcher_of_what_is_new_is_not_told_what_was_before_and_can_go_on_from_its_beginning(
    server: Running,
) -> None:
    watching, nothing_yet = await watch(server, only_new=True)
    watching.cancel()
    await open_account(server)
    await rule(server, LOW)
    await charge(server, "1")
    await charge(server, "2")
    await server.engine.sweep()

    watching, _ = await watch(server, only_new=True)
    await rule(server, HALF | {"threshold": 1}, request_id="more")
    await charge(server, "3")
    assert (await next_of(watching)).event.rule == "half"
    watching.cancel()
    watching, _ = await watch(server, cursor=nothing_yet, only_new=True)
    assert (await next_of(watching)).event.rule == "low"
    watching.cancel()


async def test_a_watcher_of_an_account_or_a_prefix_gets_its_events_only(server: Running) -> None:
    await open_account(server)
    one, _ = await watch(server, account_id="eu/b")
    some, _ = await watch(server, prefix="eu/")
    for name in ("eu/a", "us/a", "eu/b"):
        await call(server, "CreateAccount", account_id=name, request_id=f"create {name}")
        await rule(server, LOW, account_id=name, request_id=f"rule {name}")

    assert (await next_of(one)).event.account_id == "eu/b"
    assert [(await next_of(some)).event.account_id for _ in range(2)] == ["eu/a", "eu/b"]
    one.cancel()
    some.cancel()


@asynccontextmanager
async def serving(ledger_url: str, **settings: Any) -> AsyncGenerator[tuple[Engine, Server, Any]]:
    store = open_store(ledger_url)
    engine = Engine(store)
    await engine.start(sweep=False)
    server = Server(engine, ServerSettings("127.0.0.1:0", **settings))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield engine, server, AdminServiceStub(channel)
    await server.stop(0)
    await engine.stop()
    store.close()


@thorough
async def test_a_stop_ends_the_streams_of_watchers_and_does_not_wait_for_them(
    ledger_url: str,
) -> None:
    async with serving(ledger_url) as (engine, server, admin):
        await many_events(engine, 3_000)
        idle = admin.WatchEvents(events_pb2.WatchEventsRequest(only_new=True))
        await idle.read()
        slow = admin.WatchEvents(events_pb2.WatchEventsRequest())
        await slow.read()  # and takes nothing more of some hundred kilobytes
        began = asyncio.get_running_loop().time()

        await server.stop(SECONDS)

        assert asyncio.get_running_loop().time() - began < SECONDS / 2
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await idle.read()
        assert read_refusal(ended.value).reason == "SHUTTING_DOWN"
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        slow.cancel()


async def many_events(engine: Engine, accounts: int) -> None:
    rules = alerts_of(Fields(), "alerts", events_pb2.AlertSet(rules=[events_pb2.AlertRule(**LOW)]))
    for first in range(0, accounts, 500):
        names = [f"account-{'x' * 100}-{number}" for number in range(first, first + 500)]
        await asyncio.gather(
            *[engine.create_account(CreateAccount(name, name, alerts=rules)) for name in names]
        )
        await asyncio.gather(
            *[
                engine.update_account(UpdateAccount(name, f"u{name}", display_name="x"))
                for name in names
            ]
        )
    await engine.sweep()


async def test_a_slow_watcher_gets_everything_in_order_and_holds_nobody_up(
    ledger_url: str,
) -> None:
    async with serving(ledger_url) as (engine, _, admin):
        await many_events(engine, 1_000)
        slow = admin.WatchEvents(events_pb2.WatchEventsRequest())
        await slow.read()
        fast = admin.WatchEvents(events_pb2.WatchEventsRequest())
        await fast.read()

        first = [(await fast.read()).event.event_id for _ in range(1_000)]
        second = [(await slow.read()).event.event_id for _ in range(1_000)]

        assert first == second
        assert len(set(first)) == 1_000
        fast.cancel()
        slow.cancel()


async def test_watchers_are_bounded_and_one_that_leaves_makes_room(ledger_url: str) -> None:
    async with serving(ledger_url, watchers_max=2) as (_, _, admin):
        watching = [admin.WatchEvents(events_pb2.WatchEventsRequest()) for _ in range(2)]
        for each in watching:
            await each.read()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await admin.WatchEvents(events_pb2.WatchEventsRequest()).read()
        assert read_refusal(ended.value).reason == "OVERLOADED"

        watching[0].cancel()
        async with asyncio.timeout(SECONDS):
            while not await can_watch(admin):
                pass
        watching[1].cancel()


async def can_watch(admin: Any) -> bool:
    watching = admin.WatchEvents(events_pb2.WatchEventsRequest())
    try:
        await watching.read()
    except grpc.aio.AioRpcError:
        return False
    watching.cancel()
    return True
