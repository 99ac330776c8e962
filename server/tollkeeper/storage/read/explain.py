"""Reads the whole life of one reservation in one snapshot.

Everything is found by a key: the reservation by its own or its request's, its charge where the reservation says,
its refunds by their index. Where the reservation was removed after its retention time, the journal is asked:
the id tells when it was made, so the charge is sought from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, select, text

from tollkeeper.core.account import account_not_found, shard_of
from tollkeeper.core.administer import digest_of
from tollkeeper.core.answers.explanation import (
    CountedIn,
    Explanation,
    Payment,
    PriceOrigin,
    RequestName,
)
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.grants import CREDIT_LINE, Slice, Slices
from tollkeeper.core.limits import Limit, Windows, window_at
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.engine.ids import made_us
from tollkeeper.storage.connections.engines import is_sqlite
from tollkeeper.storage.read.entries import Journal, entry_view_of, find_charge, named_entries
from tollkeeper.storage.read.prices import EFFECTIVE_US
from tollkeeper.storage.rows.hot import reservation_of
from tollkeeper.storage.rows.limits import limits_of
from tollkeeper.storage.schema.tables import (
    account,
    credit_grant,
    endpoint,
    entry,
    price_list,
    reservation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy import ColumnElement, Connection, Row

    from tollkeeper.core.answers.explanation import ExplainReservation
    from tollkeeper.core.answers.views import EntryView

_GRANTS_AT_ONCE = 500
_REFUNDS = (
    f"SELECT {', '.join(f'entry.{column.name}' for column in entry.columns)}, "
    "endpoint.method, endpoint.path FROM entry {indexed} "
    "LEFT JOIN endpoint ON endpoint.endpoint_id = entry.endpoint_id "
    "WHERE entry.shard = :shard AND entry.reservation_id = :reservation_id AND entry.kind = 4 "
    "ORDER BY entry.sequence"
)
"""By their index, to which the kind has to be written out. Left to itself, SQLite reads the shard's whole journal."""
_LISTED = (
    price_list.c.name.label("list_name"),
    EFFECTIVE_US.label("listed_us"),
    price_list.c.note.label("list_note"),
)


class _Found(NamedTuple):
    """An account, and what was found of its reservation: None where it is not there (any more)."""

    account_id: str
    journal: Journal
    limits: tuple[Limit, ...]
    reservation: Reservation | None
    price: PriceOrigin | None


def load_explanation(connection: Connection, query: ExplainReservation, now_us: int) -> Explanation:
    """Return the life of a reservation. Raises Refused where nothing is known of it."""
    looked_up = _find(connection, query.name)
    if looked_up.reservation is None or looked_up.price is None:
        return _of_the_journal(connection, query.name, looked_up, now_us)
    before = looked_up.reservation
    shown = _as_of(before, now_us)
    return Explanation(
        as_of_us=now_us,
        account_id=looked_up.account_id,
        name=ReservationName(before.account_key, before.reservation_id),
        created_us=before.created_us,
        reservation=shown,
        price=looked_up.price,
        payments=_payments(connection, looked_up.journal, shown.slices),
        windows=_windows(shown.windows, looked_up.limits),
        entries=_entries(connection, looked_up.journal, shown),
    )


def _find(connection: Connection, name: ReservationName | RequestName) -> _Found:
    """Find the account and the reservation; one statement. Raises Refused where there is no account."""
    if isinstance(name, RequestName):
        whose = account.c.account_id == name.account_id
        which = reservation.c.request_digest == digest_of(name.request_id)
    else:
        whose = (account.c.shard == shard_of(name.account_key)) & (
            account.c.key == name.account_key
        )
        which = reservation.c.reservation_id == name.reservation_id
    row = connection.execute(
        select(
            reservation,
            account.c.account_id,
            account.c.shard.label("account_shard"),
            account.c.key,
            account.c.sequence,
            account.c.limits,
            endpoint.c.method.label("priced_method"),
            endpoint.c.path.label("priced_path"),
            *_LISTED,
        )
        .select_from(account)
        .outerjoin(reservation, _of_account(which))
        .outerjoin(endpoint, endpoint.c.endpoint_id == reservation.c.endpoint_id)
        .outerjoin(price_list, price_list.c.version == reservation.c.price_version)
        .where(whose)
    ).one_or_none()
    if row is None:
        raise account_not_found(name.account_id) if isinstance(name, RequestName) else _gone(name)
    held = None if row.reservation_id is None else _reservation_of(row, name)
    return _Found(
        row.account_id,
        Journal(row.account_shard, row.key, row.sequence),
        tuple(state.limit for state in limits_of(row.limits)),
        held,
        None if held is None else _price_of(row),
    )


def _of_account(which: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(
        reservation.c.shard == account.c.shard, reservation.c.account_key == account.c.key, which
    )


def _reservation_of(row: Row[Any], name: ReservationName | RequestName) -> Reservation:
    reservation_ = reservation_of(row[: len(reservation.columns)])
    if isinstance(name, RequestName):
        return reservation_._replace(request_id=name.request_id)  # an older server did not write it
    return reservation_


def _price_of(row: Row[Any]) -> PriceOrigin:
    listed = (row.price_version, row.list_name, row.listed_us, row.list_note)
    return PriceOrigin(row.priced_method, row.priced_path, *listed)


def _as_of(found: Reservation, now_us: int) -> Reservation:
    """Show a hold that is overdue as ended, whether or not the sweeper has been there."""
    if found.state is not ReservationState.HELD or now_us < found.expires_us:
        return found
    return found.ended(ReservationState.EXPIRED, outcome=None, settled_us=now_us)


def _payments(connection: Connection, journal: Journal, slices: Slices) -> tuple[Payment, ...]:
    """Return who pays; a request without a price has no payer."""
    paid = [each for each in slices if each.credits]
    ids = sorted(each.grant_id for each in paid if each.grant_id != CREDIT_LINE)
    grants: dict[int, tuple[int, int, str]] = {}
    for index in range(0, len(ids), _GRANTS_AT_ONCE):
        rows = connection.execute(
            select(
                credit_grant.c.grant_id,
                credit_grant.c.priority,
                credit_grant.c.expires_us,
                credit_grant.c.note,
            ).where(
                credit_grant.c.shard == journal.shard,
                credit_grant.c.account_key == journal.account_key,
                credit_grant.c.grant_id.in_(ids[index : index + _GRANTS_AT_ONCE]),
            )
        )
        for grant_id, priority, expires_us, note in rows:
            grants[grant_id] = (priority, expires_us, note)
    return tuple(_payment(each, grants) for each in paid)


def _payment(part: Slice, grants: Mapping[int, tuple[int, int, str]]) -> Payment:
    if part.grant_id == CREDIT_LINE:
        return Payment(part.credits, CREDIT_LINE)
    return Payment(part.credits, part.grant_id, *grants[part.grant_id])


def _windows(windows: Windows, limits: tuple[Limit, ...]) -> tuple[CountedIn, ...]:
    by_id = {limit.limit_id: limit for limit in limits}
    counted: list[CountedIn] = []
    for each in windows:
        limit = by_id.get(each.limit_id)
        _, end_us = (
            window_at(limit.window, limit.time_zone, each.start_us) if limit else (each.start_us, 0)
        )
        counted.append(CountedIn(each, limit, end_us))
    return tuple(counted)


def _entries(connection: Connection, journal: Journal, shown: Reservation) -> tuple[EntryView, ...]:
    """Return the charge, where the reservation says it is, and the refunds."""
    refunds = _refunds(connection, journal, shown.reservation_id)
    if shown.state is not ReservationState.COMMITTED:
        return refunds
    if not shown.charge_sequence:  # an older server did not write it
        charge = find_charge(connection, journal, shown.reservation_id, since_us=shown.settled_us)
        return (charge, *refunds) if charge else refunds
    rows = connection.execute(
        named_entries().where(
            entry.c.shard == journal.shard,
            entry.c.account_key == journal.account_key,
            entry.c.sequence == shown.charge_sequence,
        )
    )
    return (*map(entry_view_of, rows), *refunds)


def _refunds(
    connection: Connection, journal: Journal, reservation_id: int
) -> tuple[EntryView, ...]:
    question = _REFUNDS.format(indexed="INDEXED BY entry_refunds" if is_sqlite(connection) else "")
    rows = connection.execute(
        text(question), {"shard": journal.shard, "reservation_id": reservation_id}
    )
    return tuple(map(entry_view_of, rows))


def _of_the_journal(
    connection: Connection, name: ReservationName | RequestName, found: _Found, now_us: int
) -> Explanation:
    """Tell what the journal knows of a reservation that was removed. Raises Refused where that is nothing."""
    if isinstance(name, RequestName):
        raise _not_stored(name)
    id_made_us = made_us(name.reservation_id)
    charge = find_charge(connection, found.journal, name.reservation_id, since_us=id_made_us)
    if charge is None:
        raise _gone(name)
    version = charge.entry.price_version
    listed = connection.execute(select(*_LISTED).where(price_list.c.version == version)).one()
    return Explanation(
        as_of_us=now_us,
        account_id=found.account_id,
        name=name,
        created_us=min(id_made_us, charge.entry.created_us),
        reservation=None,
        price=PriceOrigin(charge.method, charge.path, version, *listed),
        payments=(),
        windows=(),
        entries=(charge, *_refunds(connection, found.journal, name.reservation_id)),
    )


def _gone(name: ReservationName) -> Refused:
    return Refused(
        Reason.RESERVATION_NOT_FOUND,
        f"there is no reservation {name}, and the journal has no charge of it; one that charged "
        "nothing is forgotten after the retention time",
        metadata={"reservation_id": str(name)},
    )


def _not_stored(name: RequestName) -> Refused:
    return Refused(
        Reason.RESERVATION_NOT_FOUND,
        f"account {name.account_id} has no reservation for request_id {name.request_id}: a request "
        "that was denied, or is free, is not stored, and a settled one only for the retention time",
        metadata={"account_id": name.account_id, "request_id": name.request_id},
    )
