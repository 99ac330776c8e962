"""Puts events into a ledger's outbox as if rules had been met, each with its position."""

from collections.abc import Sequence

from tests.support.ledgers import ACCOUNT, Ledger

MOMENT_US = 1_790_000_000_000_000

_INSERT = (
    "INSERT INTO event (shard, account_key, rule_id, period, event_id, rule, subject, limit_name, "
    "threshold, percent, value, base, window_end_us, created_us, position) "
    "SELECT shard, key, {number}, 0, {number}, 'half', 1, '', 50, (1 = 1), 50, 100, 0, {at_us}, {number} "
    "FROM account WHERE account_id = '{account_id}'"
)
_PLACED = "UPDATE event_position SET last = {number}"


def add_events(ledger: Ledger, number: int, accounts: Sequence[str] = (ACCOUNT,)) -> list[str]:
    """Add events of these accounts, in turns; return their ids as receivers know them."""
    last = ledger.number("SELECT last FROM event_position")
    added = range(last + 1, last + 1 + number)
    statements = [
        _INSERT.format(number=each, at_us=MOMENT_US + each, account_id=accounts[n % len(accounts)])
        for n, each in enumerate(added)
    ]
    ledger.execute_all([*statements, _PLACED.format(number=last + number)])
    return [f"{each:x}" for each in added]


def deliveries(ledger: Ledger) -> list[tuple[int, int, int]]:
    """Position, state and attempts of what is not delivered."""
    return [
        (row[0], row[1], row[2])
        for row in ledger.rows(
            "SELECT position, state, attempts FROM webhook_delivery ORDER BY webhook_id, position"
        )
    ]
