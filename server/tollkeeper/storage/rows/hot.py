"""Turns rows into the core's values and back: the one place that knows the order of the columns.

A row is any sequence in the order of its table in `tables.py`, `shard` first. The hot path runs
these for every row it reads, so they are plain unpacking into names that a test compares with the table's columns.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import Account, AccountState
from tollkeeper.core.administer import AdminRecord
from tollkeeper.core.fast_tuples import new_tuple
from tollkeeper.core.grants import Grant, Grants, Slice, Slices
from tollkeeper.core.journal import Entry, EntryKind
from tollkeeper.core.outcome import ChargeOn, Outcome
from tollkeeper.core.recurring.recurring_grants import NO_RECURRING
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.engine.ports import Ended
from tollkeeper.storage.rows.alerts import alerts_of
from tollkeeper.storage.rows.limits import limits_of, windows_of
from tollkeeper.storage.rows.pricing import pricing_of
from tollkeeper.storage.rows.recurring import recurring_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Row = Sequence[Any]

# A dictionary answers in a fifth of the time that an enum's constructor takes.
_ACCOUNT_STATES = {state.value: state for state in AccountState}
_RESERVATION_STATES = {state.value: state for state in ReservationState}
_OUTCOMES: dict[int, Outcome | None] = {0: None, **{each.value: each for each in Outcome}}
_ENTRY_KINDS = {kind.value: kind for kind in EntryKind}

_FOR_PEOPLE_ALONE = ("", "")
"""The last fields of a reservation, `request_id` and `authorized_by`, where they were not read."""


def account_of(row: Row, grants: Grants) -> Account:
    """Read an account, its limits without windows; `grants` are its open ones in burn order."""
    # fmt: off
    (_, key, account_id, display_name, state, credit_limit, settled, held, charged, sequence, created_us,
     limits, alerts, alert_states, pricing, recurring, _) = row
    # fmt: on
    return new_tuple(
        Account,
        (
            *(key, account_id, display_name, _ACCOUNT_STATES[state], credit_limit, settled, held),
            *(charged, sequence, created_us),
            grants,
            limits_of(limits) if limits else (),
            alerts_of(alerts, alert_states) if alerts else (),
            pricing_of(pricing) if pricing else (),
            recurring_of(recurring) if recurring else NO_RECURRING,
        ),
    )


def grant_of(row: Row) -> Grant:
    """Read a grant; its account is `row[1]`."""
    # fmt: off
    (_, _, grant_id, credits, remaining, held, consumed, expired, voided, priority, created_us, expires_us, note,
     _, void) = row
    return new_tuple(
        Grant,
        (grant_id, credits, remaining, held, consumed, expired, voided, priority, created_us, expires_us, note,
         bool(void)),
    )
    # fmt: on


def grants_of(rows: Iterable[Row]) -> Grants:
    """Read the open grants of one account, in burn order."""
    return tuple(sorted(map(grant_of, rows), key=lambda grant: grant.burn_order))


def add_closed(grants: dict[int, list[Grant]], rows: Iterable[Row]) -> None:
    """Add closed grants to the open ones by account key, each at its place in the burn order."""
    for row in rows:
        grants.setdefault(row[1], []).append(grant_of(row))
        grants[row[1]].sort(key=lambda grant: grant.burn_order)


def reservation_of(row: Row) -> Reservation:
    """Read a reservation; a lane's row ends before the last columns, which only people ask for."""
    # fmt: off
    (_, reservation_id, account_key, request_digest, endpoint_id, method, path, credits, price_version, charge_on,
     grant_id, slices, state, outcome, late, created_us, expires_us, hold_us, settled_us, refunded, windows,
     http_status, settled_by, charge_sequence, *for_people) = row
    request_id, authorized_by = for_people or _FOR_PEOPLE_ALONE
    return new_tuple(
        Reservation,
        (reservation_id, account_key, request_digest, endpoint_id, method, path, credits, price_version,
         charge_on_of(charge_on), slices_of(grant_id, credits, slices), _RESERVATION_STATES[state],
         _OUTCOMES[outcome],
         bool(late),  # a raw SQLite row has 0 or 1
         created_us, expires_us, hold_us, settled_us, refunded, windows_of(windows),
         http_status, settled_by, charge_sequence, request_id, authorized_by),
    )
    # fmt: on


def ended_of(row: Row) -> Ended:
    """Read the columns that tell whether a reservation is to be moved out."""
    account_key, reservation_id, state, settled_us, expires_us = row
    name = ReservationName(account_key, reservation_id)
    return Ended(name, _RESERVATION_STATES[state], settled_us, expires_us)


def entry_of(row: Row) -> Entry:
    """Read a journal entry."""
    # fmt: off
    (_, account_key, sequence, kind, credits, settled, created_us, reservation_id, grant_id, endpoint_id,
     price_version, note, *_) = row
    # fmt: on
    return Entry(
        account_key,
        sequence,
        _ENTRY_KINDS[kind],
        credits,
        settled,
        created_us,
        reservation_id,
        grant_id,
        endpoint_id,
        price_version,
        note or "",
    )


def admin_record_of(row: Row) -> AdminRecord:
    """Read the columns digest, method, content, result and created_us of an admin record."""
    digest, method, content, result, created_us = row
    return AdminRecord(digest, method, json.loads(content), json.loads(result), created_us)


def slices_columns(slices: Slices) -> tuple[int, str | None]:
    """Return the columns `grant_id` and `slices` of a reservation: one payer needs no text."""
    if len(slices) == 1:
        return slices[0].grant_id, None
    return 0, ",".join([f"{grant_id}:{credits}" for grant_id, credits in slices])


def slices_of(grant_id: int, credits: int, text: str | None) -> Slices:
    """Read who pays for a reservation of `credits`. Raises ValueError for a broken text."""
    if text is None:
        return (new_tuple(Slice, (grant_id, credits)),)
    parts = [part.split(":") for part in text.split(",")]
    return tuple([Slice(int(payer), int(paid)) for payer, paid in parts])


def charge_on_column(charge_on: ChargeOn) -> str | None:
    """Return the column `charge_on`: NULL for the default rule."""
    return ",".join(charge_on) or None


def charge_on_of(text: str | None) -> ChargeOn:
    """Read a charge rule."""
    return tuple(text.split(",")) if text else ()
