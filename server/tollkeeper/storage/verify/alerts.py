"""Invariant 13: how far the alert rules of an account are is what its journal and its events say.

Accounts with rules and events are read side by side, one account at a time; what a rule has counted is added up
anew from the charges after the entry that it began at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.journal import CHARGES
from tollkeeper.storage.rows.alerts import alerts_of
from tollkeeper.storage.verify.laws import Law
from tollkeeper.storage.verify.reading import account_id_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection

    from tollkeeper.core.alerts.rules import Alerts, AlertState

LAWS = (
    Law(
        13,
        "an event of rule {rule} is of no account",
        """
        SELECT event.account_key, NULL AS account_id, event.rule
        FROM event
        LEFT JOIN account ON account.shard = event.shard AND account.key = event.account_key
        WHERE account.key IS NULL
        """,
    ),
    Law(
        13,
        "the event of rule {rule} has position {position}, as another has, or none that was given",
        """
        SELECT event.account_key, account.account_id, event.rule, event.position
        FROM event
        LEFT JOIN account ON account.shard = event.shard AND account.key = event.account_key
        WHERE event.position < 1 OR event.position > (SELECT max(last) FROM event_position)
           OR event.position IN (
               SELECT position FROM event WHERE position IS NOT NULL
               GROUP BY position HAVING count(*) > 1
           )
        """,
    ),
    Law(
        13,
        "there are {rows} rows of the last position given to an event, and not one",
        """
        SELECT 0 AS account_key, 'event_position' AS account_id, count(*) AS rows
        FROM event_position HAVING count(*) <> 1
        """,
    ),
    Law(
        13,
        "the event of rule {rule} waits for a position since {created_us}",
        """
        SELECT event.account_key, account.account_id, event.rule, event.created_us
        FROM event
        LEFT JOIN account ON account.shard = event.shard AND account.key = event.account_key
        WHERE event.position IS NULL AND event.created_us < :overdue_before_us
        """,
    ),
)

_RULED, _EVENT = range(2)

_ACCOUNTS = """
    SELECT shard, key AS account_key, alerts, alert_states FROM account
    WHERE alerts <> '' OR alert_states <> '' ORDER BY shard, key
"""
_EVENTS = """
    SELECT shard, account_key, rule_id, period FROM event ORDER BY shard, account_key
"""
_CHARGED = text(
    "SELECT coalesce(-sum(credits), 0) FROM entry WHERE shard = :shard AND account_key = :key "
    f"AND sequence > :since AND kind IN ({', '.join(str(int(kind)) for kind in CHARGES)})"
)


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the accounts whose rules do not agree with their events, or with their journal."""
    for (shard, key), each in side_by_side(connection, _ACCOUNTS, _EVENTS):
        columns: tuple[str, str] | None = None
        periods: dict[int, set[int]] = {}
        for _, table, row in each:
            if table == _RULED:
                columns = (row["alerts"], row["alert_states"])
            else:
                periods.setdefault(row["rule_id"], set()).add(row["period"])
        if columns is None:
            continue  # its rules are gone, and their events stay
        problems = list(_problems(connection, (shard, key), columns, periods))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(13, account_id, problem) for problem in problems)


def _problems(
    connection: Connection,
    account: tuple[int, int],
    columns: tuple[str, str],
    periods: dict[int, set[int]],
) -> Iterable[str]:
    try:
        alerts = alerts_of(*columns)
    except (ValueError, TypeError):
        yield "has alert rules that cannot be read"
        return
    for state in alerts:
        yield from _disagreements(state, periods.get(state.rule.rule_id, set()))
    yield from _miscounted(connection, account, alerts)


def _disagreements(state: AlertState, periods: set[int]) -> Iterable[str]:
    """Compare a rule with the periods that it has events of; one without a window numbers its periods from 1."""
    name, start = state.rule.name, state.start_us
    if not state.end_us and periods != set(range(1, start + 1)):
        yield f"rule {name} was met {start} times, but has events {sorted(periods)}"
    elif state.end_us and state.fired != (start in periods):
        is_met, has = ("was", "none") if state.fired else ("was not", "one")
        yield f"rule {name} {is_met} met in the period from {start}, but has {has} of its events"
    elif max(periods, default=start) > start:
        yield f"rule {name} is in the period from {start}, but has an event of a later one"


def _miscounted(connection: Connection, account: tuple[int, int], alerts: Alerts) -> Iterable[str]:
    shard, key = account
    counting = [state for state in alerts if state.rule.window is not None and state.end_us]
    charged = {
        since: int(
            connection.execute(_CHARGED, {"shard": shard, "key": key, "since": since}).scalar_one()
        )
        for since in {state.since for state in counting}
    }
    for state in counting:
        if state.consumed != charged[state.since]:
            yield (
                f"rule {state.rule.name} has counted {state.consumed} credits, but the charges "
                f"after entry {state.since} are {charged[state.since]}"
            )
