"""The transport `native` against peers who do not keep to the rules, and what it refuses."""

import asyncio
import contextlib
import gc
import random
import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio
import pytest
from h2.errors import ErrorCodes

from tests.rpc.fakes import FakeEngine
from tests.rpc.http2_peer import Peer
from tests.rpc.test_answering import COMMIT, SETTLED
from tests.rpc.wire import raw_call, refusal_of
from tollkeeper.rpc.native import connection
from tollkeeper.rpc.native.call import Call
from tollkeeper.rpc.native.connection import Connection
from tollkeeper.rpc.server import Server, ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub

T = TypeVar("T")

MESSAGE = COMMIT.SerializeToString()
MESSAGE_BYTES_MAX = 1_000


@dataclass
class Served:
    fake: FakeEngine
    server: Server
    port: int

    async def is_well(self) -> bool:
        """Whether a caller on a connection of his own is answered."""
        peer = await Peer.connect(self.port)
        number = peer.call()
        peer.message(number, MESSAGE)
        await peer.send()
        answered = await peer.answer(number)
        await peer.close()
        return answered.status == 0


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    fake = FakeEngine()
    fake.answer = SETTLED
    server = Server(
        fake.engine, ServerSettings("127.0.0.1:0", "native", message_bytes_max=MESSAGE_BYTES_MAX)
    )
    port = await server.start()
    yield Served(fake, server, port)
    await asyncio.wait_for(server.stop(0), 10)


def _alive(kind: type[T]) -> list[T]:
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is kind]


def frame(kind: int, body: bytes = b"", *, stream: int = 0, flags: int = 0) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


async def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_sent(
    served: Served,
) -> None:
    peer = await Peer.connect(served.port)
    number = peer.call()
    peer.h2.send_data(number, b"\0" + struct.pack(">I", 2**31))
    await peer.send()

    answered = await peer.answer(number)

    assert answered.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    await peer.close()


async def test_a_request_that_is_too_large_is_no_harm_to_others_of_its_connection(
    served: Served,
) -> None:
    peer = await Peer.connect(served.port)
    large, small = peer.call(), peer.call()
    peer.h2.send_data(large, b"\0" + struct.pack(">I", 2**31))
    for _ in range(60):
        peer.h2.send_data(large, b"x" * 16_000)
    peer.message(small, MESSAGE)
    await peer.send()

    refused, answered = await peer.answer(large), await peer.answer(small)

    assert refused.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert answered.status == 0
    await peer.close()


async def test_a_compressed_request_is_refused_and_not_unfolded(served: Served) -> None:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{served.port}", compression=grpc.Compression.Gzip
    ) as channel:
        refusal = await refusal_of(
            raw_call(channel, "/tollkeeper.v1.LedgerService/Commit", b"\0" * 900)
        )

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert "compressed" in refusal.message


async def test_what_one_connection_sends_and_does_not_finish_is_bounded(served: Served) -> None:
    peer = await Peer.connect(served.port)
    calls = [peer.call() for _ in range(5)]
    for number in calls:
        unfinished = b"\0" + struct.pack(">I", MESSAGE_BYTES_MAX) + b"x" * (MESSAGE_BYTES_MAX - 1)
        peer.h2.send_data(number, unfinished)
    await peer.send()

    answered = await peer.answer(calls[-1])

    assert answered.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert all("grpc-status" not in peer.answers[number].headers for number in calls[:3])
    await peer.close()


FLOODS: dict[str, Callable[[int], bytes]] = {
    "pings": lambda _: frame(6, b"\0" * 8),
    "settings": lambda _: frame(4, struct.pack(">HI", 3, 100)),
    "empty frames of data": lambda _: frame(0, stream=1),
    "single bytes of data": lambda _: frame(0, b"\0", stream=1),
    "priorities": lambda number: frame(2, struct.pack(">IB", 0, 1), stream=2 * number + 3),
    "unknown frames": lambda _: frame(0xEE, b"x" * 8),
    "windows": lambda _: frame(8, struct.pack(">I", 1)),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_what_is_no_request_ends_its_connection_alone(
    served: Served, flood: str
) -> None:
    peer = await Peer.connect(served.port)
    peer.call("/tollkeeper.v1.LedgerService/Session")
    await peer.send()

    for begin in range(0, 20_000, 500):
        if peer.closed or peer.writer.is_closing():
            break
        raw = b"".join(FLOODS[flood](number) for number in range(begin, begin + 500))
        await peer.send(raw)
    await peer.listen(lambda: peer.goodbye is not None)

    assert peer.closed or peer.goodbye == ErrorCodes.ENHANCE_YOUR_CALM
    assert await served.is_well()
    await peer.close()


async def test_calls_begun_and_given_up_by_the_thousand_end_the_connection(served: Served) -> None:
    served.fake.free.clear()
    peer = await Peer.connect(served.port)

    for _ in range(3_000):
        number = peer.call()
        peer.message(number, MESSAGE)
        peer.h2.reset_stream(number)
    await peer.send()
    await peer.listen(lambda: peer.goodbye is not None)
    served.fake.free.set()

    assert peer.closed or peer.goodbye == ErrorCodes.ENHANCE_YOUR_CALM
    assert await served.is_well()
    await peer.close()


async def test_callers_who_give_up_some_of_their_calls_are_served_on(served: Served) -> None:
    peer = await Peer.connect(served.port)

    for _ in range(60):
        kept = [peer.call() for _ in range(50)]
        for number in kept:
            peer.message(number, MESSAGE)
            given_up = peer.call()
            peer.h2.reset_stream(given_up)
        await peer.send()
        for number in kept:
            assert (await peer.answer(number)).status == 0

    await peer.close()


async def test_callers_whose_deadlines_pass_are_served_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RESETS_BURST", 10)
    served.fake.free.clear()
    peer = await Peer.connect(served.port)
    calls = [peer.call(grpc_timeout="1m") for _ in range(200)]
    for number in calls:
        peer.message(number, MESSAGE)
    await peer.send()
    await served.fake.left.wait()
    for number in calls:
        peer.h2.reset_stream(number)
    await peer.send()
    served.fake.free.set()

    again = peer.call()
    peer.message(again, MESSAGE)
    await peer.send()

    assert (await peer.answer(again)).status == 0
    await peer.close()


@pytest.mark.parametrize("blocks", [70, 2_000])
async def test_headers_without_end_end_the_connection(served: Served, blocks: int) -> None:
    peer = await Peer.connect(served.port)
    part = b"\x00\x01a\x7f\x80\x7f" + b"b" * 255

    await peer.send(frame(1, part, stream=1))
    for _ in range(blocks):
        await peer.send(frame(9, part, stream=1))
    await peer.listen(lambda: peer.closed)

    assert await served.is_well()
    await peer.close()


async def test_headers_that_are_too_long_are_refused(served: Served) -> None:
    peer = await Peer.connect(served.port)
    peer.call(much="x" * 17_000)
    await peer.send()

    await peer.listen(lambda: peer.closed)

    assert served.fake.asked == []
    assert await served.is_well()
    await peer.close()


@pytest.mark.parametrize("raw", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"])
async def test_who_does_not_begin_is_let_go(
    served: Served, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BEGIN_WITHIN_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(raw)

    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            await reader.read()

    writer.close()
    assert await served.is_well()


async def test_who_answers_no_ping_is_let_go(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BEGIN_WITHIN_S", 0.02)
    monkeypatch.setattr(connection, "SILENT_FOR_S", 0.1)
    silent = await Peer.connect(served.port)
    served.fake.free.clear()
    number = silent.call()
    silent.message(number, MESSAGE)
    await silent.send()
    await served.fake.arrived.wait()

    async with asyncio.timeout(5):
        await served.fake.left.wait()

    await silent.close()


async def test_who_answers_pings_may_be_silent(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BEGIN_WITHIN_S", 0.02)
    monkeypatch.setattr(connection, "SILENT_FOR_S", 0.1)
    peer = await Peer.connect(served.port)
    pings = 0

    async with asyncio.timeout(5):
        while pings < 3:
            data = await peer.hear()
            pings += data.count(b"are you?")
            peer.h2.receive_data(data)
            await peer.send()

    await peer.close()


async def test_a_deadline_ends_a_call_on_both_sides(served: Served) -> None:
    served.fake.free.clear()
    peer = await Peer.connect(served.port)
    number = peer.call(grpc_timeout="50m")
    peer.message(number, MESSAGE)
    await peer.send()

    answered = await peer.answer(number)

    assert answered.status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    await asyncio.wait_for(served.fake.left.wait(), 5)
    await peer.close()


async def test_a_caller_without_room_gets_his_answer_when_he_has_some(served: Served) -> None:
    peer = await Peer.connect(served.port, window=0)
    number = peer.call()
    peer.message(number, MESSAGE)
    await peer.send()
    await peer.listen(lambda: peer.answers[number].headers)

    peer.h2.increment_flow_control_window(10_000, number)
    await peer.send()

    answered = await peer.answer(number)
    assert answered.status == 0
    assert len(answered.data) > 5
    await peer.close()


async def test_an_answer_that_nobody_takes_does_not_hold_the_stop_up(served: Served) -> None:
    peer = await Peer.connect(served.port, window=0)
    number = peer.call()
    peer.message(number, MESSAGE)
    await peer.send()
    await peer.listen(lambda: peer.answers[number].headers)

    await asyncio.wait_for(served.server.stop(30), 5)

    await peer.listen(lambda: peer.closed)
    assert peer.answers[number].reset
    assert peer.goodbye == ErrorCodes.NO_ERROR
    await peer.close()


@pytest.mark.parametrize(
    ("sent", "half_closed"),
    [(b"", True), (b"\0\0\0\0\5abc", True), (b"\0\0\0\0\1a\0\0\0\0\1b", False)],
    ids=["no request", "half a request", "two requests"],
)
async def test_a_call_without_exactly_one_request_is_refused(
    served: Served, sent: bytes, half_closed: bool
) -> None:
    peer = await Peer.connect(served.port)
    number = peer.call()
    peer.h2.send_data(number, sent, end_stream=half_closed)
    await peer.send()

    answered = await peer.answer(number)

    assert answered.status == grpc.StatusCode.INTERNAL.value[0]
    assert served.fake.asked == []
    await peer.close()


async def test_what_is_not_grpc_is_told_so(served: Served) -> None:
    peer = await Peer.connect(served.port)
    number = peer.call(content_type="application/json")
    await peer.send()

    await peer.listen(lambda: peer.answers[number].headers)

    assert peer.answers[number].headers == {":status": "415"}
    await peer.close()


async def test_nothing_is_kept_of_calls_that_are_over(served: Served) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        ledger = LedgerServiceStub(channel)

        for _ in range(10):
            await asyncio.gather(*[ledger.Commit(COMMIT) for _ in range(50)])

        assert _alive(Call) == []
        assert [each.held_bytes for each in _alive(Connection)] == [0]


@pytest.mark.parametrize("seed", range(40))
async def test_bytes_that_were_damaged_on_their_way_harm_nobody_else(
    served: Served, seed: int
) -> None:
    chosen = random.Random(seed)
    peer = await Peer.connect(served.port)
    for path in ("Commit", "Authorize", "Session", "None"):
        number = peer.call(f"/tollkeeper.v1.LedgerService/{path}", grpc_timeout="9S")
        peer.message(number, MESSAGE)
    raw = bytearray(peer.h2.data_to_send())
    for _ in range(chosen.randint(1, 8)):
        raw[chosen.randrange(len(raw))] = chosen.randrange(256)

    await peer.send(bytes(raw))

    assert await served.is_well()
    await peer.close()
