"""Where figures are measured: databases of this run alone, that answer when a transaction is on the disk."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import ledger
from tests.support.postgres import Postgres, find_binaries, running_postgres

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
DATABASES = (POSTGRESQL, SQLITE)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement is given: where, how often and how long; `step` is called after each round."""

    cluster: Postgres
    folder: Path
    numbers: Iterator[int]
    rounds: int
    seconds: float
    step: Callable[[], None]
    databases: tuple[str, ...] = DATABASES
    """Those that are measured where a figure is of either."""
    scale: float = 1.0
    """What ledgers have of their rows and loads of their operations; less than 1 only to see whether it works."""
    soak: bool = False
    """Whether what takes a quarter of an hour is measured whole."""

    @property
    def warm_up_s(self) -> float:
        """How long a load runs before it is measured."""
        return min(1.0, self.seconds / 4)

    def scaled(self, number: int, least: int) -> int:
        """Return a number of rows or operations at the bench's scale."""
        return max(least, int(number * self.scale))

    def turns(self) -> Generator[int]:
        """Yield the numbers of the rounds."""
        for number in range(self.rounds):
            yield number
            self.step()

    @contextmanager
    def empty(self, database: str) -> Generator[str]:
        """Make an empty database for a block, whose ledger must be sound at the end of it."""
        if database == POSTGRESQL:
            url = self.cluster.create_database()
        else:
            url = f"sqlite:///{self.folder / f'bench-{next(self.numbers)}.db'}"
        yield url
        ledger.assert_sound(url)
        if database == POSTGRESQL:
            self.cluster.drop_database(url)
        else:
            for file in self.folder.glob(f"{Path(url).name}*"):
                file.unlink()

    @contextmanager
    def old_ledger(self, database: str, *, accounts: int) -> Generator[str]:
        """Make a ledger for a block whose accounts are a week old, to be given a past."""
        with self.empty(database) as url:
            asyncio.run(ledger.fill_days_ago(url, accounts, days=7))
            yield url

    @contextmanager
    def ledger(self, database: str, *, accounts: int = ledger.ACCOUNTS) -> Generator[str]:
        """Make a ledger with prices and accounts for a block."""
        with self.empty(database) as url:
            asyncio.run(ledger.fill(url, accounts))
            yield url


@contextmanager
def open_databases() -> Generator[tuple[Postgres, Path, Iterator[int]]]:
    """Start PostgreSQL, with fsync as in production, and make a folder beside it, until the block ends."""
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit(
            "no PostgreSQL server was found; install one, for example Debian's postgresql"
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        cluster = stack.enter_context(
            running_postgres(binaries=binaries, fsync=True, parent=folder.parent)
        )
        yield cluster, folder, itertools.count()
