"""Turns rows into the core's values and back: the one place that knows the order of the columns.

A row is any sequence in the order of its table in `tables.py`, `shard` first. The hot path runs
these for every row it reads, so they are plain unpacking: no look-ups by name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import Account, AccountState
from tollkeeper.core.administer import AdminRecord
from tollkeeper.core.fast_tuples import made
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
    limits, alerts, alert_states, pricing, recurring = row[11:16]
    return made(
        Account,
        (
            *row[1:4],  # from `key` to `display_name`
            _ACCOUNT_STATES[row[4]],
            *row[5:11],  # from `credit_limit` to `created_us`
            grants,
            limits_of(limits) if limits else (),
            alerts_of(alerts, alert_states) if alerts else (),
            pricing_of(pricing) if pricing else (),
            recurring_of(recurring) if recurring else NO_RECURRING,
        ),
    )


def grant_of(row: Row) -> Grant:
    """Read a grant; its account is `row[1]`."""
    return made(Grant, (*row[2:13], bool(row[14])))


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
    return made(
        Reservation,
        (
            *row[1:9],  # from `reservation_id` to `price_version`
            charge_on_of(row[9]),
            slices_of(row[10], row[7], row[11]),
            _RESERVATION_STATES[row[12]],
            _OUTCOMES[row[13]],
            bool(row[14]),  # a raw SQLite row has 0 or 1
            *row[15:20],  # from `created_us` to `refunded`
            windows_of(row[20]),
            *row[21:24],  # from `http_status` to `charge_sequence`
            *(row[24:] or _FOR_PEOPLE_ALONE),
        ),
    )


def ended_of(row: Row) -> Ended:
    """Read the columns that tell whether a reservation is to be moved out."""
    account_key, reservation_id, state, settled_us, expires_us = row
    name = ReservationName(account_key, reservation_id)
    return Ended(name, _RESERVATION_STATES[state], settled_us, expires_us)


def entry_of(row: Row) -> Entry:
    """Read a journal entry."""
    _, account_key, sequence, kind, credits, settled, created_us = row[:7]
    reservation_id, grant_id, endpoint_id, price_version, note = row[7:12]
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
    """Read the columns digest, method, content and result of an admin record."""
    digest, method, content, result = row
    return AdminRecord(digest, method, json.loads(content), json.loads(result))


def slices_columns(slices: Slices) -> tuple[int, str | None]:
    """Return the columns `grant_id` and `slices` of a reservation: one payer needs no text."""
    if len(slices) == 1:
        return slices[0].grant_id, None
    return 0, ",".join([f"{grant_id}:{credits}" for grant_id, credits in slices])


def slices_of(grant_id: int, credits: int, text: str | None) -> Slices:
    """Read who pays for a reservation of `credits`. Raises ValueError for a broken text."""
    if text is None:
        return (made(Slice, (grant_id, credits)),)
    parts = [part.split(":") for part in text.split(",")]
    return tuple([Slice(int(payer), int(paid)) for payer, paid in parts])


def charge_on_column(charge_on: ChargeOn) -> str | None:
    """Return the column `charge_on`: NULL for the default rule."""
    return ",".join(charge_on) or None


def charge_on_of(text: str | None) -> ChargeOn:
    """Read a charge rule."""
    return tuple(text.split(",")) if text else ()
