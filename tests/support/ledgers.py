"""A ledger to test on: a database with the schema, an engine over it, and a look at its rows.

The rows are read with plain SQL, apart from the code that wrote them.
"""

import functools
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from tests.support.unlocked import unlock
from tollkeeper.app import process_hosts
from tollkeeper.core.answers.views import Finding
from tollkeeper.core.change import Authorized, Denied
from tollkeeper.core.commands import Authorize, CreateAccount, GrantCredits, PublishPrices
from tollkeeper.core.pricing.paths import parse
from tollkeeper.core.pricing.price_lists import Price
from tollkeeper.core.reservation import ReservationName
from tollkeeper.engine.engine import Engine
from tollkeeper.engine.ports import Store
from tollkeeper.engine.settings import EngineSettings
from tollkeeper.storage.schema.migrate import upgrade
from tollkeeper.storage.store import open_store

ACCOUNT = "acme"
LEADS = parse("/v1/leads")
PRICES = (
    Price("GET", "/v1/leads", 10),
    Price("GET", "/v1/reports", 75),
    Price("POST", "/v1/track", 1),
)

HELD, COMMITTED, RELEASED, EXPIRED = 1, 2, 3, 4
GRANT, CHARGE, LATE_CHARGE, GRANT_VOIDED, DEBIT = 1, 2, 3, 6, 7
OVERDUE_TOLERANCE_US = 5_000_000

SQLITE = "sqlite:///"
"""The beginning of a URL; the path of the file follows."""
POOLED = "?pooler=transaction"
"""The end of a URL that leads through a transaction pooler; only ours read it."""

Wrap = Callable[[Store], Store]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A database with the schema in it."""

    url: str

    @property
    def on_postgres(self) -> bool:
        return self.url.startswith("postgresql")

    @property
    def driver_url(self) -> str:
        """The URL as SQLAlchemy takes it."""
        return self.url.removesuffix(POOLED)

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        database = create_engine(self.driver_url)
        try:
            with database.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement), values)]
        finally:
            database.dispose()

    def number(self, statement: str, **values: Any) -> int:
        return int(self.rows(statement, **values)[0][0] or 0)

    def execute(self, statement: str) -> None:
        self.execute_all([statement])

    def execute_all(self, statements: Sequence[str]) -> None:
        """Execute statements in one transaction."""
        database = create_engine(self.driver_url)
        try:
            with database.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        finally:
            database.dispose()

    def unlock(self) -> None:
        """Drop the triggers that keep rows as they are."""
        database = create_engine(self.driver_url)
        try:
            with database.begin() as connection:
                unlock(connection)
        finally:
            database.dispose()

    def states(self, account_id: str = ACCOUNT) -> dict[int, int]:
        """How many reservations of an account are in each state."""
        found = self.rows(
            "SELECT r.state, count(*) FROM reservation r JOIN account a ON a.key = r.account_key "
            "WHERE a.account_id = :account_id GROUP BY r.state",
            account_id=account_id,
        )
        return {row[0]: row[1] for row in found}

    def entries(self, account_id: str = ACCOUNT) -> dict[int, tuple[int, int]]:
        """How many entries of each kind an account's journal has, and what they add up to."""
        found = self.rows(
            "SELECT e.kind, count(*), sum(e.credits) FROM entry e "
            "JOIN account a ON a.key = e.account_key WHERE a.account_id = :account_id "
            "GROUP BY e.kind",
            account_id=account_id,
        )
        return {kind: (count, int(credits)) for kind, count, credits in found}

    def balance(self, account_id: str = ACCOUNT) -> tuple[int, int]:
        """What is settled and what is held."""
        found = self.rows(
            "SELECT settled, held FROM account WHERE account_id = :account_id",
            account_id=account_id,
        )
        return found[0][0], found[0][1]

    def findings(self) -> list[Finding]:
        """What `verify` finds broken."""
        store = open_store(self.url)
        try:
            return list(store.reader.verify(overdue_tolerance_us=OVERDUE_TOLERANCE_US))
        finally:
            store.close()

    @asynccontextmanager
    async def engine(
        self,
        settings: EngineSettings | None = None,
        *,
        wrap: Wrap | None = None,
        sweep: bool = False,
        processes: bool = False,
    ) -> AsyncGenerator[Engine]:
        """Run an engine over this database, in this process or with processes for its writers.

        `wrap` may put a store of its own around the real one, in this process.
        """
        settings = settings or EngineSettings()
        opened = open_store(self.url, answer_within_s=settings.answer_within_s)
        hosts = process_hosts(self.url, settings, log_level="error") if processes else None
        engine = Engine(wrap(opened) if wrap else opened, settings, host_of=hosts)
        await engine.start(sweep=sweep)
        try:
            yield engine
        finally:
            await engine.stop()
            opened.close()


def new_ledger(url: str) -> Ledger:
    """Give an empty database the schema: a new SQLite file as a copy, PostgreSQL by migrating."""
    file = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(_migrated_file())
    else:
        upgrade(url)
    return Ledger(url)


@functools.cache
def _migrated_file() -> bytes:
    """An empty ledger on SQLite; to copy it takes a hundredth of the time to migrate again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        upgrade(f"{SQLITE}{file}")
        return file.read_bytes()


async def fill(engine: Engine, *account_ids: str, credits: int = 500) -> None:
    """Publish the prices, and open accounts with credits."""
    await engine.publish_prices(PublishPrices("prices", PRICES))
    for account_id in account_ids or (ACCOUNT,):
        await engine.create_account(CreateAccount(account_id, f"create-{account_id}"))
        await engine.grant_credits(GrantCredits(account_id, f"grant-{account_id}", credits))


def leads(request_id: str, account_id: str = ACCOUNT, *, hold_us: int | None = None) -> Authorize:
    """A request that costs 10."""
    return Authorize(account_id, "GET", LEADS, request_id, hold_us)


def held(answer: Authorized | Denied) -> ReservationName:
    """The reservation of an Authorize that must have been granted."""
    assert isinstance(answer, Authorized), answer
    assert answer.reservation is not None
    return answer.reservation
