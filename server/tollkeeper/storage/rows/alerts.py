"""The alert rules of accounts as two columns: what they are, which seldom changes, and how far each of them is."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import shard_of
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import AlertRule, Alerts, AlertState
from tollkeeper.core.limits import LimitWindow

if TYPE_CHECKING:
    from tollkeeper.core.account import Account


def alerts_column(alerts: Alerts) -> str:
    """Return the column `alerts` of an account."""
    return json.dumps([list(state.rule) for state in alerts]) if alerts else ""


def alert_states_column(alerts: Alerts) -> str:
    """Return the column `alert_states`: "start:end:since:consumed:fired,…", in the order of the rules."""
    return ",".join(
        [
            f"{start}:{end}:{since}:{consumed}:{int(fired)}"
            for _, start, end, since, consumed, fired in alerts
        ]
    )


def alerts_of(alerts: str, states: str) -> Alerts:
    """Read the rules of an account and how far they are. Raises ValueError for a broken text."""
    pairs = zip(_rules_of(alerts), states.split(","), strict=True)
    return tuple([_state_of(rule, text) for rule, text in pairs])


def _state_of(rule: AlertRule, text: str) -> AlertState:
    start_us, end_us, since, consumed, fired = map(int, text.split(":"))
    return AlertState(rule, start_us, end_us, since, consumed, bool(fired))


@lru_cache(maxsize=4_096)
def _rules_of(text: str) -> tuple[AlertRule, ...]:
    return tuple(
        AlertRule(
            rule_id,
            name,
            AlertSubject(subject),
            threshold,
            percent,
            LimitWindow(window) if window else None,
            time_zone,
            limit,
        )
        for rule_id, name, subject, threshold, percent, window, time_zone, limit in json.loads(text)
    )


def alerts_update(account: Account) -> tuple[Any, ...]:
    """Return the columns `alerts` and `alert_states`, and the key."""
    return (
        alerts_column(account.alerts),
        alert_states_column(account.alerts),
        shard_of(account.key),
        account.key,
    )


def alert_states_update(account: Account) -> tuple[Any, ...]:
    """Return the column `alert_states`, and the key."""
    return alert_states_column(account.alerts), shard_of(account.key), account.key
