"""The core's values as rows, in the column order of `tables.py`; both databases write these."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import shard_of
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import QUARTERS
from tollkeeper.storage.rows.alerts import alert_states_column, alerts_column
from tollkeeper.storage.rows.hot import charge_on_column, slices_columns
from tollkeeper.storage.rows.limits import limits_column, windows_column
from tollkeeper.storage.rows.pricing import pricing_column
from tollkeeper.storage.rows.recurring import recurring_columns
from tollkeeper.storage.schema.usage_tables import PARTS_OF_AN_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tollkeeper.core.account import Account
    from tollkeeper.core.administer import AdminRecord
    from tollkeeper.core.grants import Grant
    from tollkeeper.core.journal import Entry
    from tollkeeper.core.reservation import Reservation
    from tollkeeper.core.usage import MovedOutCounts, UsageCounts

Row = tuple[Any, ...]

_QUARTERS_A_DAY = 96

ACCOUNT_UPDATE = (("settled", "held", "charged", "sequence"), ("shard", "key"))
"""The columns that `account_update` gives: those that gateways' calls change, and those of the key."""

DETAILS_UPDATE = (("display_name", "state", "credit_limit"), ("shard", "key"))
"""The columns that `details_update` gives, in the same way."""

LIMITS_UPDATE = (("limits",), ("shard", "key"))
"""The columns that `limit_rows.limits_update` gives, in the same way."""

ALERTS_UPDATE = (("alerts", "alert_states"), ("shard", "key"))
"""The columns that `alert_rows.alerts_update` gives, in the same way."""

ALERT_STATES_UPDATE = (("alert_states",), ("shard", "key"))
"""The columns that `alert_rows.alert_states_update` gives, in the same way."""

PRICING_UPDATE = (("pricing",), ("shard", "key"))
"""The columns that `pricing_rows.pricing_update` gives, in the same way."""

RECURRING_UPDATE = (("recurring", "next_grant_us"), ("shard", "key"))
"""The columns that `recurring_rows.recurring_update` gives, in the same way."""

GRANT_UPDATE = (
    ("remaining", "held", "consumed", "open"),
    ("shard", "account_key", "grant_id"),
)
"""The columns that `grant_update` gives, in the same way."""

LAPSED_UPDATE = (("expired", "voided", "void"), ("shard", "account_key", "grant_id"))
"""The columns that `lapsed_update` gives, in the same way."""

OF_HELD = {
    "state": str(ReservationState.HELD.value),
    **dict.fromkeys(("outcome", "settled_us", "refunded", "http_status"), "0"),
    "late": "false",
    "settled_by": "''",
    "charge_sequence": "0",
}
"""What every row of a reservation that is HELD has in common, as SQL."""

RESERVATION_UPDATE = (
    (
        *("state", "outcome", "late", "settled_us"),
        *("http_status", "settled_by", "charge_sequence"),
    ),
    ("shard", "reservation_id"),
)
"""The columns that `reservation_update` gives, in the same way."""

DEADLINE_UPDATE = (("expires_us",), ("shard", "reservation_id"))
"""The columns that `deadline_update` gives, in the same way."""

PAYMENT_UPDATE = (("grant_id", "slices", "refunded"), ("shard", "reservation_id"))
"""The columns that `payment_update` gives, in the same way."""

USAGE_MOVED_OUT = (
    ("moved_out",),
    ("shard", "account_key", "hour", "endpoint_id", "kind"),
)
"""The columns that `moved_out_rows` gives, in the same way; to be added."""

ADDED_TO = {
    "usage_hour": ("shard", "account_key", "hour", "endpoint_id", "kind", "requests", "credits"),
    "usage_day": ("shard", "account_key", "day", "endpoint_id", "kind", "requests", "credits"),
    "limit_window": ("shard", "account_key", "limit_id", "start_us", "used", "held", "over"),
}
"""The columns of counters that batches write: all but those that say what was moved out, or of which quarter it is."""

COUNTED_TOO: tuple[dict[str, str], ...] = (
    {},
    *(dict(zip(part, PARTS_OF_AN_HOUR[0], strict=True)) for part in PARTS_OF_AN_HOUR[1:]),
)
"""What of `usage_hour` is added to besides, by the quarter of the hour, each with the column whose value it gets."""


def account_row(account: Account) -> Row:
    """Return the row of a new account."""
    return (
        shard_of(account.key),
        *account[:-5],
        limits_column(account.limits),
        alerts_column(account.alerts),
        alert_states_column(account.alerts),
        pricing_column(account.pricing),
        *recurring_columns(account.recurring),
    )


def account_update(account: Account) -> Row:
    """Return what gateways' calls change of an account, its key last."""
    key = account.key
    return (*account[5:9], key & 63, key)  # from `settled` to `sequence`


def details_update(account: Account) -> Row:
    """Return what only operators change of an account, its key last."""
    return (
        account.display_name,
        account.state,
        account.credit_limit,
        account.key & 63,
        account.key,
    )


def grant_row(account_key: int, grant: Grant) -> Row:
    """Return the row of a new grant."""
    return (shard_of(account_key), account_key, *grant[:-1], _is_open(grant), grant.void)


def grant_update(account_key: int, grant: Grant) -> Row:
    """Return what gateways' calls change of a grant, its key last."""
    remaining, held = grant.remaining, grant.held
    return (
        remaining,
        held,
        grant.consumed,
        remaining > 0 or held > 0,
        account_key & 63,
        account_key,
        grant.grant_id,
    )


def lapsed_update(account_key: int, grant: Grant) -> Row:
    """Return what changes of a grant when it expires or is voided, its key last."""
    return (
        grant.expired,
        grant.voided,
        grant.void,
        account_key & 63,
        account_key,
        grant.grant_id,
    )


def _is_open(grant: Grant) -> bool:
    return grant.remaining > 0 or grant.held > 0


def reservation_row(reservation: Reservation) -> Row:
    """Return the row of a new reservation."""
    grant_id, slices = slices_columns(reservation.slices)
    return (
        reservation.account_key & 63,
        *reservation[:8],  # up to `price_version`
        charge_on_column(reservation.charge_on),
        grant_id,
        slices,
        reservation.state,
        reservation.outcome or 0,
        *reservation[12:18],  # from `late` to `refunded`
        windows_column(reservation.windows),
        *reservation[19:],  # from `http_status`
    )


def reservation_update(reservation: Reservation) -> Row:
    """Return what a settlement changes of a reservation, its key last."""
    return (
        reservation.state,
        reservation.outcome or 0,
        reservation.late,
        reservation.settled_us,
        *reservation[19:22],  # from `http_status` to `charge_sequence`
        reservation.account_key & 63,
        reservation.reservation_id,
    )


def deadline_update(reservation: Reservation) -> Row:
    """Return what an extension changes of a reservation, its key last."""
    return reservation.expires_us, *reservation_key(reservation)


def payment_update(reservation: Reservation) -> Row:
    """Return what a late charge or a refund changes of a reservation besides, its key last."""
    grant_id, slices = slices_columns(reservation.slices)
    return (
        grant_id,
        slices,
        reservation.refunded,
        reservation.account_key & 63,
        reservation.reservation_id,
    )


def reservation_key(reservation: Reservation) -> Row:
    """Return the key of a reservation's row."""
    return reservation.account_key & 63, reservation.reservation_id


def ended_row(reservation: Reservation) -> Row:
    """Return the key of a reservation's row, and how and when it ended."""
    return (*reservation_key(reservation), int(reservation.state), reservation.settled_us)


def hold_row(reservation: Reservation) -> Row:
    """Return the row of an open hold."""
    return (
        reservation.account_key & 63,
        reservation.expires_us,
        reservation.reservation_id,
        reservation.account_key,
    )


def entry_row(entry: Entry) -> Row:
    """Return the row of a journal entry."""
    return (entry.account_key & 63, *entry[:-1], entry.note or None)


def usage_hour_rows(usage: UsageCounts) -> list[tuple[int, list[Row]]]:
    """Return the rows to add to the hourly counters, in key order: which quarter of the hour, and the rows of that."""
    by_quarter: dict[int, list[Row]] = {}
    for (account_key, at, endpoint_id, kind), counts in usage.items():
        row = (account_key & 63, account_key, at // QUARTERS, endpoint_id, kind, *counts)
        by_quarter.setdefault(at, []).append(row)
    return [(at % QUARTERS, sorted(rows)) for at, rows in sorted(by_quarter.items())]


def usage_day_rows(usage: UsageCounts) -> list[Row]:
    """Return the rows to add to the daily counters, in key order."""
    days: dict[tuple[int, ...], tuple[int, int]] = {}
    for (account_key, at, endpoint_id, kind), (requests, credits) in usage.items():
        counter = (account_key & 63, account_key, at // _QUARTERS_A_DAY, endpoint_id, kind)
        before = days.get(counter, (0, 0))
        days[counter] = (before[0] + requests, before[1] + credits)
    return sorted((*counter, *counts) for counter, counts in days.items())


def moved_out_rows(counts: MovedOutCounts) -> list[Row]:
    """Return what to add to `moved_out` of the hourly counters, in key order."""
    return [(requests, key[0] & 63, *key) for key, requests in sorted(counts.items())]


def admin_row(record: AdminRecord, now_us: int) -> Row:
    """Return the row of an admin record."""
    return (
        record.digest,
        record.method,
        json.dumps(dict(record.content)),
        json.dumps(dict(record.result)),
        now_us,
    )


def held_rows(reservations: Iterable[Reservation]) -> list[Row]:
    """Return the hold rows of the reservations that are HELD."""
    return [hold_row(each) for each in reservations if each.settled_us == 0]
