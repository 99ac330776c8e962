"""Limits over gRPC: all or nothing with the balance, changed at run time, told exactly when to come again."""

import asyncio
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, hold, open_account
from tollkeeper.v1 import ledger_pb2

CREDITS, REQUESTS = ledger_pb2.Limit.UNIT_CREDITS, ledger_pb2.Limit.UNIT_REQUESTS
SECOND, HOUR, MONTH = (
    ledger_pb2.Limit.WINDOW_SECOND,
    ledger_pb2.Limit.WINDOW_HOUR,
    ledger_pb2.Limit.WINDOW_MONTH,
)
MONTHLY: dict[str, Any] = {"name": "monthly", "unit": CREDITS, "window": MONTH, "maximum": 25}


async def limit(server: Running, *limits: dict[str, Any], request_id: str = "limits") -> None:
    await call(server, "UpdateAccount", limits={"limits": list(limits)}, request_id=request_id)


async def authorize(server: Running, request_id: str, **changes: Any) -> ledger_pb2.Denial | str:
    answer = await call(server, "Authorize", request_id=request_id, **changes)
    return answer.denial if answer.HasField("denial") else answer.reservation.reservation_id


async def status(server: Running, name: str = "monthly") -> tuple[int, int, int, int]:
    overview = await call(server, "GetOverview")
    (found,) = [each for each in overview.limits if each.limit.name == name]
    return found.used, found.held, found.remaining, found.over


async def test_held_and_used_count_and_what_is_released_does_not(server: Running) -> None:
    await open_account(server)
    await limit(server, MONTHLY)
    first, second = await hold(server, "1"), await hold(server, "2")
    assert await status(server) == (20, 20, 5, 0)

    denial = await authorize(server, "3")
    assert isinstance(denial, ledger_pb2.Denial)
    assert denial.reason == ledger_pb2.DENIAL_REASON_LIMIT_EXCEEDED
    assert (denial.limit, denial.http_status, denial.credits) == ("monthly", 429, 10)
    overview = await call(server, "GetOverview")
    reset_us = overview.limits[0].reset_time.ToMicroseconds()
    waits_us = reset_us - overview.as_of.ToMicroseconds()
    assert 0 <= denial.retry_after.ToMicroseconds() - waits_us < 60_000_000
    assert overview.balance.held == 20

    await call(server, "Commit", reservation_id=first)
    await call(server, "Release", reservation_id=second)
    assert await status(server) == (10, 0, 15, 0)
    assert isinstance(await authorize(server, "4"), str)


async def test_a_price_over_the_maximum_can_never_be_met(server: Running) -> None:
    await open_account(server)
    await limit(server, MONTHLY | {"maximum": 9})

    denial = await authorize(server, "1")

    assert isinstance(denial, ledger_pb2.Denial)
    assert not denial.HasField("retry_after")


async def test_of_several_limits_the_one_that_refuses_for_the_longest_is_told(
    server: Running,
) -> None:
    await open_account(server)
    hourly = MONTHLY | {"name": "hourly", "window": HOUR, "maximum": 10}
    await limit(server, hourly, MONTHLY | {"maximum": 10}, MONTHLY | {"name": "wide"})
    await hold(server, "1")

    denial = await authorize(server, "2")

    assert isinstance(denial, ledger_pb2.Denial)
    assert denial.limit == "monthly"
    assert [await status(server, name) for name in ("hourly", "wide")] == [
        (10, 10, 0, 0),
        (10, 10, 15, 0),
    ]


async def test_a_limit_of_one_endpoint_counts_no_other(server: Running) -> None:
    await open_account(server)
    leads = {"name": "leads", "unit": REQUESTS, "window": MONTH, "maximum": 1}
    await limit(server, leads | {"method": "GET", "path": "/v1/leads/"})

    assert isinstance(await authorize(server, "1"), str)
    assert isinstance(await authorize(server, "2", method="POST", path="/v1/track"), str)
    assert isinstance(await authorize(server, "3"), ledger_pb2.Denial)
    assert isinstance(await authorize(server, "4", path="/v1/free"), str)
    assert await status(server, "leads") == (1, 1, 0, 0)


async def test_a_limit_in_shadow_counts_what_it_would_have_refused_and_refuses_nothing(
    server: Running,
) -> None:
    await open_account(server)
    await limit(server, MONTHLY | {"enforce": False})

    for number in range(4):
        assert isinstance(await authorize(server, f"r-{number}"), str)

    assert await status(server) == (40, 40, 0, 2)


async def test_a_limit_is_changed_at_run_time_and_goes_on_counting(server: Running) -> None:
    await open_account(server)
    await limit(server, MONTHLY)
    await hold(server, "1")
    await hold(server, "2")

    await limit(server, MONTHLY | {"maximum": 10}, request_id="lower")
    assert isinstance(await authorize(server, "3"), ledger_pb2.Denial)
    assert await status(server) == (20, 20, 0, 0)
    await limit(server, MONTHLY | {"maximum": 30}, request_id="higher")
    assert isinstance(await authorize(server, "4"), str)
    await limit(server, MONTHLY | {"time_zone": "Asia/Kolkata"}, request_id="another")
    assert await status(server) == (0, 0, 25, 0)
    await limit(server, request_id="none")
    account = (await call(server, "GetAccount")).account
    assert not account.limits
    assert isinstance(await authorize(server, "5"), str)


async def test_a_dry_run_is_told_of_a_limit_and_counts_nothing(server: Running) -> None:
    await open_account(server)
    await limit(server, MONTHLY | {"maximum": 10})

    assert await authorize(server, "1", dry_run=True) == ""
    assert await status(server) == (0, 0, 10, 0)
    await hold(server, "2")
    assert isinstance(await authorize(server, "3", dry_run=True), ledger_pb2.Denial)


async def test_a_denial_for_want_of_credits_counts_in_no_limit(server: Running) -> None:
    await open_account(server, credits=5)
    await limit(server, MONTHLY)

    denial = await authorize(server, "1")

    assert isinstance(denial, ledger_pb2.Denial)
    assert denial.reason == ledger_pb2.DENIAL_REASON_INSUFFICIENT_CREDITS
    assert await status(server) == (0, 0, 25, 0)


async def test_an_account_is_created_with_limits_and_repeats_are_told_apart(
    server: Running,
) -> None:
    await open_account(server)
    created = await call(server, "CreateAccount", limits=[MONTHLY])
    assert [(each.name, each.time_zone, each.enforce) for each in created.account.limits] == [
        ("monthly", "UTC", True)
    ]
    assert (await call(server, "CreateAccount", limits=[MONTHLY])).account == created.account

    with pytest.raises(grpc.aio.AioRpcError, match="limits differs"):
        await call(server, "CreateAccount", limits=[MONTHLY | {"maximum": 26}])


async def test_an_overdue_hold_frees_its_window_for_who_asks(server: Running) -> None:
    await open_account(server)
    await limit(server, MONTHLY | {"maximum": 10})
    await hold(server, "1", hold={"seconds": 1})
    assert isinstance(await authorize(server, "2"), ledger_pb2.Denial)

    for _ in range(50):
        await asyncio.sleep(0.2)
        if isinstance(await authorize(server, "3"), str):
            break

    assert await status(server) == (10, 10, 0, 0)


async def test_a_window_that_is_over_is_no_limit_any_more(server: Running) -> None:
    await open_account(server)
    await limit(server, {"name": "burst", "unit": REQUESTS, "window": SECOND, "maximum": 1})
    refused = 0
    for number in range(3):
        while isinstance(denial := await authorize(server, f"r-{number}"), ledger_pb2.Denial):
            refused += 1
            wait_us = denial.retry_after.ToMicroseconds()
            assert 0 < wait_us <= 1_000_000
            await asyncio.sleep(wait_us / 1_000_000)

    assert refused <= 4
    assert (await call(server, "GetOverview", account_id=ACCOUNT)).balance.held == 30
