"""A disk that is full is called so: to callers, and in the log; and the ledger goes on when there is room again."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.cli.processes import serving
from tests.support.ledgers import ACCOUNT, HELD, Ledger, fill, leads, new_ledger
from tests.support.postgres import private_folder, unprivileged_user
from tests.support.thorough import thorough
from tollkeeper.cli.demo import PRICES
from tollkeeper.core.change import Authorized
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.lane import sqlite_lane

FULL = "the ledger's disk is full; try again when its operator has made room"
IN_THE_LOG = "store unavailable: the disk is full: "
SHORTLY = EngineSettings(retry_for_s=0.2)
MANY = 200

NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""
NO_HOLDS = "CREATE TRIGGER no_room BEFORE INSERT ON hold FOR EACH ROW EXECUTE FUNCTION no_room()"


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Generator[Path]:
    """Mount a file system of its own; skip where this user may not."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - the system's own


@contextlib.contextmanager
def filled(disk: Path) -> Generator[None]:
    """Leave no room on a disk for the time of a block."""
    rest = disk / "rest"
    with contextlib.suppress(OSError), rest.open("wb", buffering=0) as filling:
        while True:
            filling.write(b"x" * 4_096)
    yield
    rest.unlink()


async def authorize(ledger: Ledger, run: str) -> list[object]:
    async with ledger.engine(SHORTLY) as engine:
        calls = [engine.authorize(leads(f"{run}-{number}")) for number in range(MANY)]
        return [*await asyncio.gather(*calls, return_exceptions=True)]


def assert_full(answers: list[object], log: str) -> None:
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == len(answers)
    assert {(each.reason, each.message) for each in refused} == {(Reason.STORE_UNAVAILABLE, FULL)}
    assert all(each.retry_after_us for each in refused)
    assert IN_THE_LOG in log


async def check_full_until_there_is_room(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, taken: AbstractContextManager[object]
) -> None:
    """See that nothing is done while the room is taken, and everything after that."""
    with taken:
        assert_full(await authorize(ledger, "r"), caplog.text)
        assert ledger.states() == {}

    assert all(isinstance(answer, Authorized) for answer in await authorize(ledger, "r"))
    assert ledger.states() == {HELD: MANY}
    assert ledger.findings() == []


async def open_account(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, credits=10 * MANY)


async def test_sqlite_without_room_is_full_and_goes_on_when_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = new_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    await open_account(ledger)
    pages = ledger.number("PRAGMA page_count")
    pragmas = sqlite_lane._PRAGMAS  # pyright: ignore[reportPrivateUsage]

    @contextlib.contextmanager
    def no_room() -> Generator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_lane, "_PRAGMAS", (*pragmas, f"PRAGMA max_page_count = {pages}"))
            yield

    await check_full_until_there_is_room(ledger, caplog, no_room())


@pytest.mark.postgres
async def test_postgres_without_room_is_full_and_goes_on_when_there_is_some(
    postgres_ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = postgres_ledger
    await open_account(ledger)

    @contextlib.contextmanager
    def no_room() -> Generator[None]:
        ledger.execute_all([NO_ROOM, NO_HOLDS])
        yield
        ledger.execute("DROP TRIGGER no_room ON hold")

    await check_full_until_there_is_room(ledger, caplog, no_room())


@thorough
def test_a_server_on_a_full_disk_says_so_and_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", "3m") as disk:
        with serving(disk, "--prices", str(PRICES)) as server:
            server.json("account", "create", ACCOUNT)
            granted = 0
            with filled(disk):
                while (ended := server.run("grant", ACCOUNT, "1")).code == 0:
                    granted += 1
                    assert granted < 10_000
                assert FULL in ended.err
                assert server.run("account", "show", ACCOUNT).code == 0  # a command that only reads

            assert server.run("grant", ACCOUNT, "1").code == 0
            account = server.json("account", "show", ACCOUNT)["account"]
            log = server.stop().err

        assert int(account["balance"]["settled"]) == granted + 1
        assert IN_THE_LOG in log
        assert Ledger(server.database).findings() == []


@pytest.mark.postgres
async def test_postgres_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    postgres_ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = postgres_ledger
    await open_account(ledger)
    user = unprivileged_user() if os.getuid() == 0 else None
    folder = private_folder(user, None)
    try:
        with small_disk(folder, "1m") as disk:
            if user is not None:
                shutil.chown(disk, user)
            statement(ledger, f"CREATE TABLESPACE small LOCATION '{disk}'")
            try:
                statement(ledger, "ALTER TABLE hold SET TABLESPACE small")
                await check_full_until_there_is_room(ledger, caplog, filled(disk))
            finally:
                statement(ledger, "ALTER TABLE hold SET TABLESPACE pg_default")
                statement(ledger, "DROP TABLESPACE small")
    finally:
        shutil.rmtree(folder)


def statement(ledger: Ledger, words: str) -> None:
    """Execute what PostgreSQL wants outside of a transaction."""
    database = create_engine(ledger.url, isolation_level="AUTOCOMMIT")
    with database.connect() as connection:
        connection.execute(text(words))
    database.dispose()
