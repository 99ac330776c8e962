"""The one state that all accounts of a bare script are in, and what a pair does to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from tollkeeper.storage.connections.engines import create_cold_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

PRICE = 10
HOLD_US = 60_000_000


@dataclass(slots=True)
class State:
    """`keys` in their order, `grants` those of the accounts in the same; everything else is alike for all."""

    keys: Sequence[int]
    grants: Sequence[int]
    endpoint_id: int
    account_state: int
    settled: int
    charged: int
    sequence: int
    remaining: int
    held: int = 0

    def hold(self) -> None:
        """Authorize once for every account."""
        self.held += PRICE
        self.remaining -= PRICE

    def charge(self) -> None:
        """Commit that."""
        self.held -= PRICE
        self.settled -= PRICE
        self.charged += PRICE
        self.sequence += 1


def state_of(url: str) -> State:
    """Read the state of a ledger whose accounts have one grant each, and are all alike."""
    engine = create_cold_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT a.key, g.grant_id, a.state, a.settled, a.charged, a.sequence, g.remaining "
                    "FROM account a JOIN credit_grant g ON g.shard = a.shard AND g.account_key = a.key "
                    "WHERE a.held = 0 AND g.held = 0 ORDER BY a.key"
                )
            ).all()
            endpoint_id = connection.execute(
                text("SELECT endpoint_id FROM endpoint WHERE method = 'GET' AND path = '/v1/leads'")
            ).scalar_one()
    finally:
        engine.dispose()
    alike = {tuple(row[2:]) for row in rows}
    if len(alike) != 1:
        raise SystemExit(f"the accounts of a bare script's ledger are in {len(alike)} states")
    return State([row[0] for row in rows], [row[1] for row in rows], endpoint_id, *alike.pop())


def request_ids(run: str, turn: int, size: int) -> list[str]:
    """Return the request_ids of one batch."""
    return [f"{run}-{turn}-{number}" for number in range(size)]
