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

OF_HELD = {
    "state": str(ReservationState.HELD.value),
    **dict.fromkeys(("outcome", "settled_us", "refunded", "http_status"), "0"),
    "late": "false",
    "settled_by": "''",
    "charge_sequence": "0",
}
"""What every row of a reservation that is HELD has in common, as SQL."""

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
    # fmt: off
    (key, account_id, display_name, state, credit_limit, settled, held, charged, sequence, created_us, _,
     limits, alerts, pricing, recurring) = account
    return (
        shard_of(key), key, account_id, display_name, state, credit_limit, settled, held, charged, sequence,
        created_us, limits_column(limits), alerts_column(alerts), alert_states_column(alerts),
        pricing_column(pricing), *recurring_columns(recurring),
    )
    # fmt: on


def account_update(account: Account) -> Row:
    """Return what gateways' calls change of an account, its key last."""
    key, _, _, _, _, settled, held, charged, sequence, *_ = account
    return settled, held, charged, sequence, shard_of(key), key


def details_update(account: Account) -> Row:
    """Return what only operators change of an account, its key last."""
    return (
        account.display_name,
        account.state,
        account.credit_limit,
        shard_of(account.key),
        account.key,
    )


def grant_row(account_key: int, grant: Grant) -> Row:
    """Return the row of a new grant."""
    # fmt: off
    (grant_id, credits, remaining, held, consumed, expired, voided, priority, created_us, expires_us, note,
     void) = grant
    return (
        shard_of(account_key), account_key, grant_id, credits, remaining, held, consumed, expired, voided,
        priority, created_us, expires_us, note, _is_open(grant), void,
    )
    # fmt: on


def grant_update(account_key: int, grant: Grant) -> Row:
    """Return what gateways' calls change of a grant, its key last."""
    remaining, held = grant.remaining, grant.held
    return (
        remaining,
        held,
        grant.consumed,
        remaining > 0 or held > 0,
        shard_of(account_key),
        account_key,
        grant.grant_id,
    )


def lapsed_update(account_key: int, grant: Grant) -> Row:
    """Return what changes of a grant when it expires or is voided, its key last."""
    return (
        grant.expired,
        grant.voided,
        grant.void,
        shard_of(account_key),
        account_key,
        grant.grant_id,
    )


def _is_open(grant: Grant) -> bool:
    return grant.remaining > 0 or grant.held > 0


def reservation_row(reservation: Reservation) -> Row:
    """Return the row of a new reservation."""
    # fmt: off
    (reservation_id, account_key, request_digest, endpoint_id, method, path, credits, price_version, charge_on,
     slices, state, outcome, late, created_us, expires_us, hold_us, settled_us, refunded, windows, http_status,
     settled_by, charge_sequence, request_id, authorized_by) = reservation
    return (
        shard_of(account_key), reservation_id, account_key, request_digest, endpoint_id, method, path, credits,
        price_version, charge_on_column(charge_on), *slices_columns(slices), state, outcome or 0, late,
        created_us, expires_us, hold_us, settled_us, refunded, windows_column(windows), http_status, settled_by,
        charge_sequence, request_id, authorized_by,
    )
    # fmt: on


def reservation_update(reservation: Reservation) -> Row:
    """Return what a settlement changes of a reservation, its key last."""
    return (
        reservation.state,
        reservation.outcome or 0,
        reservation.late,
        reservation.settled_us,
        reservation.http_status,
        reservation.settled_by,
        reservation.charge_sequence,
        shard_of(reservation.account_key),
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
        shard_of(reservation.account_key),
        reservation.reservation_id,
    )


def reservation_key(reservation: Reservation) -> Row:
    """Return the key of a reservation's row."""
    return shard_of(reservation.account_key), reservation.reservation_id


def ended_row(reservation: Reservation) -> Row:
    """Return the key of a reservation's row, and how and when it ended."""
    return (*reservation_key(reservation), int(reservation.state), reservation.settled_us)


def hold_row(reservation: Reservation) -> Row:
    """Return the row of an open hold."""
    return (
        shard_of(reservation.account_key),
        reservation.expires_us,
        reservation.reservation_id,
        reservation.account_key,
    )


def hold_key(reservation: Reservation) -> Row:
    """Return the key of the row of an open hold."""
    return shard_of(reservation.account_key), reservation.expires_us, reservation.reservation_id


def entry_row(entry: Entry) -> Row:
    """Return the row of a journal entry."""
    # fmt: off
    (account_key, sequence, kind, credits, settled, created_us, reservation_id, grant_id, endpoint_id,
     price_version, note) = entry
    return (
        shard_of(account_key), account_key, sequence, kind, credits, settled, created_us, reservation_id,
        grant_id, endpoint_id, price_version, note or None,
    )
    # fmt: on


def usage_hour_rows(usage: UsageCounts, quarter: int) -> list[Row]:
    """Return the rows to add to the hourly counters of one quarter (0 to 3) of their hours, in key order."""
    return sorted(
        (shard_of(account_key), account_key, at // QUARTERS, endpoint_id, kind, *counts)
        for (account_key, at, endpoint_id, kind), counts in usage.items()
        if at % QUARTERS == quarter
    )


def usage_day_rows(usage: UsageCounts) -> list[Row]:
    """Return the rows to add to the daily counters, in key order."""
    days: dict[tuple[int, ...], tuple[int, int]] = {}
    for (account_key, at, endpoint_id, kind), (requests, credits) in usage.items():
        counter = (shard_of(account_key), account_key, at // _QUARTERS_A_DAY, endpoint_id, kind)
        before = days.get(counter, (0, 0))
        days[counter] = (before[0] + requests, before[1] + credits)
    return sorted((*counter, *counts) for counter, counts in days.items())


def moved_out_rows(counts: MovedOutCounts) -> list[Row]:
    """Return what to add to `moved_out` of the hourly counters, in key order."""
    return [(requests, shard_of(key[0]), *key) for key, requests in sorted(counts.items())]


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
