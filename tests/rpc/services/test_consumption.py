"""What internal tools ask across accounts, over a real port, on both databases."""

import grpc

from tests.rpc.conftest import Running
from tests.rpc.requests import ACCOUNT, call, hold, open_account
from tests.rpc.wire import refusal_of
from tollkeeper.v1 import admin_pb2, ledger_pb2

LEADS, TRACK = ("GET", "/v1/leads"), ("POST", "/v1/track")


async def use(server: Running, account_id: str, *paths: tuple[str, str]) -> None:
    """Charge an account for a call of each path."""
    for number, (method, path) in enumerate(paths):
        name = f"{account_id} {number}"
        reservation_id = await hold(server, name, account_id=account_id, method=method, path=path)
        await call(server, "Commit", reservation_id=reservation_id)


async def busy(server: Running) -> None:
    """Three accounts, two of which consumed something, and one more that was denied."""
    await open_account(server)
    for name in ("other", "idle", "poor"):
        await call(server, "CreateAccount", account_id=name, request_id=f"create {name}")
    await call(server, "GrantCredits", account_id="other", request_id="grant other")
    await use(server, ACCOUNT, LEADS, TRACK, TRACK)
    await use(server, "other", LEADS, LEADS)
    await call(server, "Authorize", account_id="poor")


async def test_accounts_are_listed_by_what_they_consumed(server: Running) -> None:
    await busy(server)

    first = await call(server, "ListConsumption", page_size=1, time_zone="Europe/Berlin")
    second = await call(
        server,
        "ListConsumption",
        page_size=100,
        time_zone="Europe/Berlin",
        page_token=first.next_page_token,
    )
    own = await call(server, "GetOverview", time_zone="Europe/Berlin")

    found = {each.account_id: each.usage for each in (*first.accounts, *second.accounts)}
    assert list(found)[:2] == ["other", ACCOUNT]
    assert set(found) <= {"other", ACCOUNT, "poor"}, "a denial is counted a moment later"
    assert found["other"] == ledger_pb2.Usage(requests=2, credits=20)
    assert found[ACCOUNT] == own.total == ledger_pb2.Usage(requests=3, credits=12)
    assert second.next_page_token == ""
    for page in (first, second):
        assert (page.start_time, page.end_time) == (own.start_time, own.end_time)
        assert page.start_time.seconds <= page.as_of.seconds < page.end_time.seconds


async def test_accounts_are_listed_by_prefix(server: Running) -> None:
    await busy(server)

    page = await call(server, "ListConsumption", prefix="oth")

    assert [each.account_id for each in page.accounts] == ["other"]


async def test_a_token_belongs_to_its_period_and_prefix(server: Running) -> None:
    await busy(server)
    first = await call(server, "ListConsumption", page_size=1)
    token = first.next_page_token

    for other in ({"prefix": "a"}, {"time_zone": "UTC"}, {"start_time": first.start_time}):
        refusal = await refusal_of(call(server, "ListConsumption", page_token=token, **other))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.fields == ["page_token"]


async def test_the_platform_is_shown_by_endpoint_and_over_time(server: Running) -> None:
    await busy(server)

    plain = await call(server, "GetPlatformOverview")
    by_hour = await call(server, "GetPlatformOverview", granularity=1, endpoint_series=True)

    assert (plain.total.requests, plain.total.credits) == (5, 32)
    assert named(plain) == {LEADS: (3, 30), TRACK: (2, 2)}
    assert [(each.method, each.path) for each in plain.endpoints][:2] == [LEADS, TRACK]
    assert not any(each.series for each in plain.endpoints)
    assert sum(bucket.usage.credits for bucket in plain.series) == 32
    assert plain.start_time == plain.series[0].start_time
    assert plain.start_time.seconds <= plain.as_of.seconds < plain.end_time.seconds
    assert named(by_hour) == named(plain)
    assert (len(by_hour.series), len(plain.series)) in {(24 * days, days) for days in range(28, 32)}
    for endpoint in by_hour.endpoints[:2]:
        series = endpoint.series
        assert sum(bucket.usage.credits for bucket in series) == endpoint.usage.credits
        assert 1 <= len(series) <= 2


def named(answer: admin_pb2.GetPlatformOverviewResponse) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (each.method, each.path): (each.usage.requests, each.usage.credits)
        for each in answer.endpoints
        if each.usage.requests
    }


async def test_a_page_of_entries_says_how_far_the_list_goes(server: Running) -> None:
    await busy(server)

    page = await call(server, "ListEntries", page_size=2)
    none = await call(server, "ListEntries", end_time={"seconds": 978_307_200})

    assert [each.sequence for each in page.entries] == [1, 2]
    assert page.sequence_end == 5
    assert (len(none.entries), none.sequence_end) == (0, 1)
