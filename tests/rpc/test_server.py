"""How the server begins and ends: its address, health, reflection, limits, and the drain."""

import asyncio
import socket
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.rpc.fakes import FakeEngine, serving
from tests.rpc.test_answering import AUTHORIZE, COMMIT, SETTLED
from tests.rpc.wire import raw_call, refusal_of
from tollkeeper.rpc.listeners import ListenError
from tollkeeper.rpc.server import SERVICES, Server
from tollkeeper.rpc.settings import ServerSettings

Response = health_pb2.HealthCheckResponse


@pytest.fixture
def any_port() -> ServerSettings:
    return ServerSettings("127.0.0.1:0")


async def test_a_free_port_is_found_and_told(any_port: ServerSettings) -> None:
    server = Server(FakeEngine().engine, any_port)

    port = await server.start()

    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    await server.stop(0)


async def test_an_address_that_is_taken_is_named(any_port: ServerSettings) -> None:
    first = Server(FakeEngine().engine, any_port)
    port = await first.start()

    with pytest.raises(ListenError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: another"):
        await Server(FakeEngine().engine, ServerSettings(f"127.0.0.1:{port}")).start()

    await first.stop(0)


async def test_two_servers_may_share_a_port_where_both_are_told_to() -> None:
    first = Server(FakeEngine().engine, ServerSettings("127.0.0.1:0", share_port=True))
    port = await first.start()
    second = Server(FakeEngine().engine, ServerSettings(f"127.0.0.1:{port}", share_port=True))

    assert await second.start() == port

    await first.stop(0)
    await second.stop(0)


async def test_health_stays_serving_where_others_serve_the_port_on() -> None:
    async with serving(others_serve=lambda: True) as served:
        watch = aiter(served.health.Watch(health_pb2.HealthCheckRequest()))
        watched: list[Any] = [await anext(watch)]

        stopped = asyncio.create_task(served.server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        assert [each.status for each in watched] == [Response.SERVING]


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_is_serving_until_the_stop_begins(
    service: str,
) -> None:
    async with serving() as served:
        request = health_pb2.HealthCheckRequest(service=service)
        checked = await served.health.Check(request)
        watch = aiter(served.health.Watch(request))
        watched: list[Any] = [await anext(watch)]

        stopped = asyncio.create_task(served.server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        assert checked.status == Response.SERVING
        assert [each.status for each in watched] == [Response.SERVING, Response.NOT_SERVING]


async def test_health_says_so_while_the_server_is_hindered() -> None:
    async with serving(others_serve=lambda: True) as served:
        watch = aiter(served.health.Watch(health_pb2.HealthCheckRequest()))
        watched: list[Any] = [await anext(watch)]

        for hindered in (True, False):
            served.server.hinder(hindered=hindered)
            watched.append(await anext(watch))
            checked = await served.health.Check(health_pb2.HealthCheckRequest(service=SERVICES[0]))
            assert checked.status == watched[-1].status
        served.server.hinder(hindered=True)
        stopped = asyncio.create_task(served.server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        *before, last = [each.status for each in watched]
        assert before[:3] == [Response.SERVING, Response.NOT_SERVING, Response.SERVING]
        assert last == Response.NOT_SERVING


async def test_the_health_of_a_service_that_is_not_here_is_not_found() -> None:
    request = health_pb2.HealthCheckRequest(service="other")
    async with serving() as served:
        refusal = await refusal_of(served.health.Check(request))

    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_method_that_there_is_not_is_unimplemented() -> None:
    async with serving() as served:
        refusal = await refusal_of(raw_call(served.channel, "/tollkeeper.v1.LedgerService/No", b""))

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_too_large_is_refused() -> None:
    async with serving(settings=ServerSettings("127.0.0.1:0", message_bytes_max=1_000)) as served:
        call = raw_call(served.channel, "/tollkeeper.v1.LedgerService/Commit", b"x" * 1_001)

        refusal = await refusal_of(call)

    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_what_is_in_flight_is_answered_before_the_server_stops() -> None:
    async with serving(SETTLED) as served:
        served.fake.free.clear()
        call = asyncio.ensure_future(served.ledger.Commit(COMMIT))
        await served.fake.arrived.wait()

        stopping = asyncio.create_task(served.server.stop(30))
        await asyncio.sleep(0)
        served.fake.free.set()

        assert (await call).credits == 10
        await asyncio.wait_for(stopping, 10)


async def test_what_outlives_the_drain_is_cut_off() -> None:
    async with serving() as served:
        served.fake.free.clear()
        call = served.ledger.Authorize(AUTHORIZE)
        await served.fake.arrived.wait()

        await asyncio.wait_for(served.server.stop(0.1), 10)

        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert "whether this call was carried out" in refusal.message


async def test_a_server_that_never_started_can_be_stopped(any_port: ServerSettings) -> None:
    await Server(FakeEngine().engine, any_port).stop(0)
