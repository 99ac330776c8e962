"""A SQLite ledger whose file another process keeps locked."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.ledgers import HELD, Ledger, fill, leads, new_ledger
from tollkeeper.core.change import Authorized
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.lane import sqlite_lane

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN " + sys.argv[2])
connection.execute("SELECT count(*) FROM account").fetchall()
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("unlocked", flush=True)
sys.stdin.readline()
"""


class Locker:
    """Another process that has the file locked until `unlock`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def unlock(self) -> None:
        self._tell()
        assert self._hear() == "unlocked"

    def _tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def wait_until_locked(self) -> None:
        assert self._hear() == "locked"


@contextlib.contextmanager
def locked(file: Path, how: str) -> Generator[Locker]:
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(file), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        locker = Locker(process)
        try:
            locker.wait_until_locked()
            yield locker
        finally:
            process.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Ledger:
    return new_ledger(f"sqlite:///{file}")


async def test_calls_wait_while_another_process_writes(ledger: Ledger, file: Path) -> None:
    async with ledger.engine() as engine:
        await fill(engine)
        with locked(file, "IMMEDIATE") as locker:
            calls = [asyncio.create_task(engine.authorize(leads(f"r-{n}"))) for n in range(10)]
            await asyncio.wait(calls, timeout=0.2)
            assert not any(call.done() for call in calls)

            locker.unlock()
            answers = await asyncio.gather(*calls)

    assert all(isinstance(answer, Authorized) and not answer.replayed for answer in answers)
    assert ledger.states() == {HELD: 10}
    assert ledger.findings() == []


async def test_a_lock_that_stays_is_an_unavailable_store_and_nothing_is_lost(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_shortly(monkeypatch)
    async with ledger.engine(EngineSettings(retry_for_s=0.3)) as engine:
        await fill(engine)
        with locked(file, "IMMEDIATE") as locker:
            async with asyncio.timeout(15):
                answers = await asyncio.gather(
                    *[engine.authorize(leads(f"r-{n}")) for n in range(30)], return_exceptions=True
                )
            assert {answer.reason for answer in answers if isinstance(answer, Refused)} == {
                Reason.STORE_UNAVAILABLE
            }
            assert all(isinstance(answer, Refused) for answer in answers)
            locker.unlock()

        again = await asyncio.gather(*[engine.authorize(leads(f"r-{n}")) for n in range(30)])
    assert all(isinstance(answer, Authorized) and not answer.replayed for answer in again)
    assert ledger.states() == {HELD: 30}
    assert ledger.findings() == []


async def test_a_file_that_is_locked_when_the_lane_first_opens_it_is_opened_properly_later(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_shortly(monkeypatch)
    async with ledger.engine() as engine:
        await fill(engine)
    ledger_is_no_longer_in_wal_mode(ledger)
    async with ledger.engine(EngineSettings(retry_for_s=0.1)) as engine:
        with locked(file, "EXCLUSIVE") as locker:
            with pytest.raises(Refused) as refused:
                await engine.authorize(leads("r"))
            assert refused.value.reason is Reason.STORE_UNAVAILABLE
            locker.unlock()

        first = await engine.authorize(leads("r"))
        again = await engine.authorize(leads("r"))

    assert isinstance(first, Authorized)
    assert isinstance(again, Authorized)
    assert (first.replayed, again.replayed) == (False, True)
    assert ledger.rows("PRAGMA journal_mode") == [("wal",)]
    assert ledger.findings() == []


def ledger_is_no_longer_in_wal_mode(ledger: Ledger) -> None:
    assert ledger.rows("PRAGMA journal_mode = DELETE") == [("delete",)]


def wait_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the lane wait 50 ms for a lock instead of 5 s."""
    pragmas = sqlite_lane._PRAGMAS  # pyright: ignore[reportPrivateUsage]
    shorter = tuple(each.replace("busy_timeout = 5000", "busy_timeout = 50") for each in pragmas)
    assert shorter != pragmas
    monkeypatch.setattr(sqlite_lane, "_PRAGMAS", shorter)
