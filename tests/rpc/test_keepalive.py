"""How often a client may ask whether its connection is alive."""

import asyncio

from tests.rpc.fakes import FakeEngine
from tests.rpc.http2_frames import Pinger
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings

PINGS = 8


async def answered_pings(every_s: float, *, allowed_s: float) -> tuple[int, bytes]:
    """Ask on a connection without calls; return how often there was an answer, and the server's last words."""
    server = Server(FakeEngine().engine, ServerSettings("127.0.0.1:0", ping_every_s=allowed_s))
    pinger = await Pinger.connect(await server.start())
    answered = 0
    for _ in range(PINGS):
        answered += await pinger.ping()
        await asyncio.sleep(every_s)
    await pinger.close()
    await server.stop(0)
    return answered, pinger.goodbye


async def test_a_client_that_asks_as_often_as_it_may_is_answered_for_ever() -> None:
    answered, goodbye = await answered_pings(0.1, allowed_s=0.1)

    assert (answered, goodbye) == (PINGS, b"")


async def test_a_client_that_asks_more_often_is_told_so_and_cut_off() -> None:
    answered, goodbye = await answered_pings(0.1, allowed_s=60)

    assert answered < PINGS
    assert goodbye.endswith(b"too_many_pings")
