"""A database that works for long before it answers a command that may take its time."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import psycopg
import pytest

from tests.support.ledgers import ACCOUNT, Ledger, fill
from tests.support.thorough import thorough
from tollkeeper.storage.connections.answer_watch import ANSWER_WITHIN_S

pytestmark = pytest.mark.postgres


@thorough
def test_verify_waits_for_longer_than_a_call_would(postgres_ledger: Ledger) -> None:
    asyncio.run(filled(postgres_ledger))
    with psycopg.connect(postgres_ledger.url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(
            [sys.executable, "-m", "tollkeeper", "verify", "--database", postgres_ledger.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as verifying:
            with pytest.raises(subprocess.TimeoutExpired):
                verifying.wait(1.5 * ANSWER_WITHIN_S)
            connection.rollback()
            out, err = verifying.communicate(timeout=60)

    assert (verifying.returncode, err) == (0, "")
    assert out.endswith("1 account: all hold\n")


async def filled(ledger: Ledger) -> None:
    async with ledger.engine() as engine:
        await fill(engine, ACCOUNT)
