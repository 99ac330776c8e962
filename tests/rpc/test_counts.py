"""What a server counts of its calls, and what is told of processes that have ended."""

import asyncio
import os
import signal

import grpc
import grpc.aio
import pytest

from tests.rpc.fakes import FakeEngine
from tests.rpc.test_answering import AUTHORIZE, COMMIT, SETTLED
from tests.support.waiting import until
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.counts import NOTHING, Counts, EndedCall, LaneCounts
from tollkeeper.engine.histograms import CALL_S, Histogram
from tollkeeper.engine.lanes.lane import shards_of_lane
from tollkeeper.rpc.server import SERVICES, Server
from tollkeeper.rpc.settings import ServerSettings
from tollkeeper.v1.ledger_pb2_grpc import LedgerServiceStub
from tollkeeper.worker import SIGNALS, Worker

LEDGER = SERVICES[0]


async def test_every_call_is_counted_once_by_how_it_ended() -> None:
    fake = FakeEngine()
    server = Server(fake.engine, ServerSettings("127.0.0.1:0"))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ledger = LedgerServiceStub(channel)
        fake.answer = SETTLED
        await ledger.Commit(COMMIT)
        await ledger.Commit(COMMIT)
        fake.answer = Refused(Reason.RESERVATION_EXPIRED, "reservation 1a-2b expired")
        with pytest.raises(grpc.aio.AioRpcError):
            await ledger.Commit(COMMIT)
        fake.answer = RuntimeError("a fault")
        with pytest.raises(grpc.aio.AioRpcError):
            await ledger.Authorize(AUTHORIZE)
        fake.free.clear()
        fake.arrived.clear()
        fake.left.clear()
        gone = ledger.Authorize(AUTHORIZE)
        await fake.arrived.wait()
        in_flight = server.counts().in_flight
        gone.cancel()
        await fake.left.wait()
    await server.stop(0)

    counted = {call: took.count for call, took in server.counts().calls.items() if took.count}
    assert counted == {
        EndedCall("unary", LEDGER, "Commit", "OK"): 2,
        EndedCall("unary", LEDGER, "Commit", "FAILED_PRECONDITION"): 1,
        EndedCall("unary", LEDGER, "Authorize", "INTERNAL"): 1,
        EndedCall("unary", LEDGER, "Authorize", "CANCELLED"): 1,
    }
    assert (in_flight, server.counts().in_flight) == (1, 0)


def took(times: int) -> Histogram:
    """So many calls of half a second."""
    calls = Histogram(CALL_S)
    calls.add(0.5, times)
    return calls


def test_counts_go_on_where_those_of_an_ended_process_were() -> None:
    ok, refused = (
        EndedCall("unary", LEDGER, "Commit", "OK"),
        EndedCall("unary", LEDGER, "Commit", "ABORTED"),
    )
    ended = Counts({ok: took(2)}, in_flight=7, watchers=1, lanes=(LaneCounts(5, 1, 2, 1),))
    now = Counts(
        {ok: took(1), refused: took(0)}, in_flight=3, lanes=(LaneCounts(4, 10, 20), LaneCounts(1))
    )

    told = now.after(ended)

    assert told == Counts(
        {ok: took(3), refused: took(0)},
        in_flight=3,
        lanes=(LaneCounts(4, 11, 22, 1), LaneCounts(1)),
    )
    assert now.after(NOTHING) == now


@pytest.mark.parametrize("lanes", [1, 2, 3, 64])
@pytest.mark.parametrize("workers", [1, 2, 3, 64])
def test_all_workers_together_have_the_background_work_of_each_shard_once(
    workers: int, lanes: int
) -> None:
    done = [
        shard
        for number in range(workers)
        for lane in range(lanes)
        for shard in Worker(number, workers).share_of(shards_of_lane(lane, lanes))
    ]

    assert sorted(done) == list(range(64))


async def test_a_stop_of_all_is_heard_while_one_is_leaving() -> None:
    left = asyncio.Event()
    worker = Worker(0, 2, on_leaving=left.set)

    worker.stop(others_serve=True)
    alone = worker.others_serve
    worker.stop()

    assert alone
    assert not worker.others_serve
    assert not worker.serves


async def test_a_signal_after_the_stop_of_all_is_the_first_one_of_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    worker = Worker(0, 2, on_leaving=lambda: None)
    worker.listen_to_signals()

    # A process manager may tell everybody, and the supervisor's word be quicker.
    worker.stop()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.01)
    after_one = list(ended)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: bool(ended))

    assert after_one == []
    assert ended == [128 + signal.SIGTERM]
    assert not worker.others_serve
    for each in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(each)
