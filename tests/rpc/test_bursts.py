"""A burst of calls at one moment is served: gRPC's core gives none up by itself."""

import asyncio
from collections import Counter

import grpc
import grpc.aio
import pytest

from tests.rpc.fakes import FakeEngine
from tests.rpc.test_answering import COMMIT, SETTLED
from tollkeeper.rpc.server import Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

BURST = 5_000
CONNECTIONS = 2


@pytest.mark.thorough
async def test_five_thousand_calls_at_once_are_all_answered() -> None:
    """By itself the core tells CANCELLED some of those over 1,000 that wait, and all of those over 3,000."""
    fake = FakeEngine()
    fake.answer = SETTLED
    server = Server(fake.engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    alone = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=alone) for _ in range(CONNECTIONS)
    ]
    stubs = [LedgerServiceStub(channel) for channel in channels]
    told: Counter[str] = Counter()

    async def call(number: int) -> None:
        try:
            await stubs[number % CONNECTIONS].Commit(COMMIT, timeout=60)
            told["OK"] += 1
        except grpc.aio.AioRpcError as error:
            told[error.code().name] += 1

    await asyncio.gather(*[call(number) for number in range(BURST)])
    for channel in channels:
        await channel.close()
    await server.stop(0)

    assert told == {"OK": BURST}
