"""Connections that are too old or idle end, and no call on them fails that keeps to its time."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.rpc.fakes import FakeEngine, serving
from tests.rpc.http2_frames import Pinger
from tests.rpc.test_answering import COMMIT, SETTLED
from tests.rpc.wire import refusal_of
from tests.support.waiting import until
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings

ANY = "127.0.0.1:0"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (ServerSettings(ANY, connection_age_s=0.2), b"max_age"),
        (ServerSettings(ANY, connection_idle_s=0.2), b"connection idle"),
    ],
)
async def test_a_connection_is_told_why_it_ends(settings: ServerSettings, why: bytes) -> None:
    server = Server(FakeEngine().engine, settings)
    pinger = await Pinger.connect(await server.start())

    await until(lambda: pinger.goodbye.endswith(why))

    await pinger.close()
    await server.stop(0)


async def test_a_connection_without_these_settings_stays() -> None:
    server = Server(FakeEngine().engine, ServerSettings(ANY, ping_every_s=0.1))
    pinger = await Pinger.connect(await server.start())

    for _ in range(4):
        assert await pinger.ping()
        await asyncio.sleep(0.2)

    assert pinger.goodbye == b""
    await pinger.close()
    await server.stop(0)


async def test_a_call_on_an_old_connection_is_answered_within_the_grace() -> None:
    settings = ServerSettings(ANY, connection_age_s=0.2, connection_grace_s=60)
    async with serving(SETTLED, settings=settings) as served:
        served.fake.free.clear()
        call = asyncio.ensure_future(served.ledger.Commit(COMMIT))
        await served.fake.arrived.wait()
        pinger = await Pinger.connect(served.port)
        await until(lambda: pinger.goodbye.endswith(b"max_age"))  # it is younger than the call's
        await pinger.close()
        served.fake.free.set()

        assert (await call).credits == 10


async def test_a_call_that_outlasts_the_grace_ends_with_unavailable() -> None:
    settings = ServerSettings(ANY, connection_age_s=0.2, connection_grace_s=0.2)
    async with serving(SETTLED, settings=settings) as served:
        served.fake.free.clear()

        refusal = await refusal_of(served.ledger.Commit(COMMIT))

        served.fake.free.set()
    assert refusal.code is grpc.StatusCode.UNAVAILABLE
