"""Servers of one port that stop together let their callers go one after another."""

import asyncio
import subprocess
import sys

from tests.rpc.fakes import serving
from tests.rpc.test_answering import COMMIT, SETTLED
from tests.rpc.wire import refusal_of
from tollkeeper.supervisor.leave_lock import LeaveLock

DRAIN_S = 10
SOON_S = 5

HOLDER = """
import sys
from tollkeeper.supervisor.leave_lock import LeaveLock
print(LeaveLock(int(sys.argv[1])).take(), flush=True)
sys.stdin.read()
"""


class Turn:
    """One that a test gives and takes."""

    def __init__(self) -> None:
        self.free = False
        self.released = 0

    def take(self) -> bool:
        return self.free

    def release(self) -> None:
        self.released += 1


async def test_a_server_keeps_its_callers_until_it_is_its_turn() -> None:
    turn = Turn()
    async with serving(SETTLED, turn=turn) as served:
        await served.ledger.Commit(COMMIT)
        stopping = asyncio.create_task(served.server.stop(DRAIN_S))
        await asyncio.sleep(0)
        late = asyncio.create_task(refusal_of(served.ledger.Commit(COMMIT)))

        done, _ = await asyncio.wait((late, stopping), timeout=0.5)
        assert not done
        assert turn.released == 0

        turn.free = True
        assert (await asyncio.wait_for(late, SOON_S)).reason == "SHUTTING_DOWN"
        assert turn.released == 1
        await asyncio.wait_for(stopping, SOON_S)


async def test_a_turn_that_never_comes_holds_a_stop_up_for_half_of_its_time() -> None:
    async with serving(SETTLED, turn=Turn()) as served:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        await served.server.stop(2)
        assert 1 <= loop.time() - begun_s < 2


def test_one_process_at_a_time_has_the_lock_and_its_end_releases_it() -> None:
    lock = LeaveLock.create()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(lock.descriptor)],
            pass_fds=(lock.descriptor,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            assert not lock.take()
            holder.kill()
        assert lock.take()
        assert lock.take(), "it is ours already"
    finally:
        lock.close()
