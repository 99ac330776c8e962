"""How the server begins and ends: its address, health, reflection, limits, and the drain."""

import asyncio
import socket
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.rpc.fakes import FakeEngine
from tests.rpc.test_answering import AUTHORIZE, COMMIT, SETTLED
from tests.rpc.wire import raw_call, refusal_of
from tollkeeper.rpc.listeners import ListenError
from tollkeeper.rpc.server import SERVICES, Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

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


async def test_health_stays_serving_where_others_serve_the_port_on(
    any_port: ServerSettings,
) -> None:
    server = Server(FakeEngine().engine, any_port, others_serve=lambda: True)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = aiter(health.Watch(health_pb2.HealthCheckRequest()))
        watched: list[Any] = [await anext(watch)]

        stopped = asyncio.create_task(server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        assert [each.status for each in watched] == [Response.SERVING]


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_health_is_serving_until_the_stop_begins(
    service: str, any_port: ServerSettings
) -> None:
    fake = FakeEngine()
    server = Server(fake.engine, any_port)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        checked = await health.Check(request)
        watch = aiter(health.Watch(request))
        watched: list[Any] = [await anext(watch)]

        stopped = asyncio.create_task(server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        assert checked.status == Response.SERVING
        assert [each.status for each in watched] == [Response.SERVING, Response.NOT_SERVING]


async def test_health_says_so_while_the_server_is_hindered(any_port: ServerSettings) -> None:
    server = Server(FakeEngine().engine, any_port, others_serve=lambda: True)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = aiter(health.Watch(health_pb2.HealthCheckRequest()))
        watched: list[Any] = [await anext(watch)]

        for hindered in (True, False):
            server.hinder(hindered=hindered)
            watched.append(await anext(watch))
            checked = await health.Check(health_pb2.HealthCheckRequest(service=SERVICES[0]))
            assert checked.status == watched[-1].status
        server.hinder(hindered=True)
        stopped = asyncio.create_task(server.stop(30))
        watched += [each async for each in watch]

        await asyncio.wait_for(stopped, 10)
        *before, last = [each.status for each in watched]
        assert before[:3] == [Response.SERVING, Response.NOT_SERVING, Response.SERVING]
        assert last == Response.NOT_SERVING


async def test_the_health_of_a_service_that_is_not_here_is_not_found(
    any_port: ServerSettings,
) -> None:
    server = Server(FakeEngine().engine, any_port)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service="other")
        health: Any = health_pb2_grpc.HealthStub(channel)

        refusal = await refusal_of(health.Check(request))

        assert refusal.code is grpc.StatusCode.NOT_FOUND
    await server.stop(0)


async def test_a_method_that_there_is_not_is_unimplemented(any_port: ServerSettings) -> None:
    server = Server(FakeEngine().engine, any_port)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        refusal = await refusal_of(raw_call(channel, "/tollkeeper.v1.LedgerService/No", b""))

        assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    await server.stop(0)


async def test_a_request_that_is_too_large_is_refused() -> None:
    server = Server(FakeEngine().engine, ServerSettings("127.0.0.1:0", message_bytes_max=1_000))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = raw_call(channel, "/tollkeeper.v1.LedgerService/Commit", b"x" * 1_001)

        refusal = await refusal_of(call)

        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await server.stop(0)


async def test_what_is_in_flight_is_answered_before_the_server_stops(
    any_port: ServerSettings,
) -> None:
    fake = FakeEngine()
    fake.answer = SETTLED
    fake.free.clear()
    server = Server(fake.engine, any_port)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = asyncio.ensure_future(LedgerServiceStub(channel).Commit(COMMIT))
        await fake.arrived.wait()

        stopping = asyncio.create_task(server.stop(30))
        await asyncio.sleep(0)
        fake.free.set()

        assert (await call).credits == 10
        await asyncio.wait_for(stopping, 10)


async def test_what_outlives_the_drain_is_cut_off(any_port: ServerSettings) -> None:
    fake = FakeEngine()
    fake.free.clear()
    server = Server(fake.engine, any_port)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = LedgerServiceStub(channel).Authorize(AUTHORIZE)
        await fake.arrived.wait()

        await asyncio.wait_for(server.stop(0.1), 10)

        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert "whether this call was carried out" in refusal.message


async def test_a_server_that_never_started_can_be_stopped(any_port: ServerSettings) -> None:
    await Server(FakeEngine().engine, any_port).stop(0)
