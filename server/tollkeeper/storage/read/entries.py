"""Reads an account's journal in pages, and finds the place of a time in it without an index on times.

Sequences have no gap and, as a rule, the times rise with them, so a time is found by halving the
journal: one recursive statement, one probe of the primary key a step. The rule has an exception:
where the store's clock was set back, another or a restarted server may write an earlier time after
a later one (rules 19). So the place is sought for `CLOCK_SLACK_US` around the
times asked for, and what lies between is told apart by its own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, case, func, literal, select

from tollkeeper.core.account import account_not_found, shard_of
from tollkeeper.core.answers.views import EntryPage, EntryView
from tollkeeper.core.journal import CHARGES
from tollkeeper.storage.read.accounts import load_account
from tollkeeper.storage.rows.hot import entry_of
from tollkeeper.storage.schema.tables import account, endpoint, entry

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from tollkeeper.core.commands import ListEntries

CHARGES_SOUGHT_AMONG = 1_000_000
"""How many entries are looked through for a charge whose reservation is no longer there to say where it is."""

CHARGES_AT_ONCE = 50_000
"""How many entries one statement looks through, where all of a journal may have to be looked through."""

CLOCK_SLACK_US = 300_000_000
"""How far an entry's time may lie before that of an earlier one and still be found by its time."""


class Journal(NamedTuple):
    """Whose entries, and the sequence of the last."""

    shard: int
    account_key: int
    last: int


def load_entries(connection: Connection, query: ListEntries, now_us: int) -> EntryPage:
    """Return a page of a journal. Raises Refused for an unknown account."""
    journal = _journal(connection, query.account_id)
    # Past the first page the place is known; the times are still compared.
    first, end = query.after + 1, journal.last + 1
    if query.start_us is not None and not query.after:
        first, _ = _place(connection, journal, query.start_us - CLOCK_SLACK_US)
    if query.end_us is not None:
        _, end = _place(connection, journal, query.end_us + CLOCK_SLACK_US)
    rows = connection.execute(
        named_entries()
        .where(
            _of(journal),
            entry.c.sequence >= first,
            entry.c.sequence < end,
            *_in_time(query),
        )
        .order_by(entry.c.sequence)
        .limit(query.page_size + 1)
    ).all()
    views = tuple(map(entry_view_of, rows[: query.page_size]))
    if len(rows) > len(views):
        return EntryPage(views, views[-1].entry.sequence, end)
    return EntryPage(views, 0, end, is_due=_is_due(connection, query, journal, now_us))


def find_charge(
    connection: Connection, journal: Journal, reservation_id: int, *, since_us: int
) -> EntryView | None:
    """Return the charge of a reservation that does not say where it is: it was charged at `since_us`, or later.

    Looks through `CHARGES_SOUGHT_AMONG` entries at most; None where it is not among them.
    """
    first, _ = _place(connection, journal, since_us - CLOCK_SLACK_US)
    row = connection.execute(
        named_entries()
        .where(
            _of(journal),
            entry.c.sequence >= first,
            entry.c.sequence < first + CHARGES_SOUGHT_AMONG,
            entry.c.reservation_id == reservation_id,
            entry.c.kind.in_(CHARGES),
        )
        .order_by(entry.c.sequence)
        .limit(1)
    ).one_or_none()
    return None if row is None else entry_view_of(row)


def charge_among(
    connection: Connection, journal: Journal, reservation_id: int, *, after: int, since_us: int
) -> int | None:
    """Return the sequence of a reservation's charge among the next entries; None where it is not one of them."""
    return connection.execute(
        select(entry.c.sequence).where(
            _of(journal),
            entry.c.sequence > after,
            entry.c.sequence <= after + CHARGES_AT_ONCE,
            # The partitions of the months before are not looked at.
            entry.c.created_us >= since_us - CLOCK_SLACK_US,
            entry.c.reservation_id == reservation_id,
            entry.c.kind.in_(CHARGES),
        )
    ).scalar_one_or_none()


def first_entry_since(connection: Connection, journal: Journal, since_us: int) -> int:
    """Return the sequence of the first entry that may be of a time or later."""
    first, _ = _place(connection, journal, since_us - CLOCK_SLACK_US)
    return first


def journal_of(connection: Connection, account_key: int) -> Journal | None:
    """Return the journal of an account by its key; None where there is no such account."""
    row = connection.execute(
        select(account.c.shard, account.c.key, account.c.sequence).where(
            account.c.shard == shard_of(account_key), account.c.key == account_key
        )
    ).one_or_none()
    return None if row is None else Journal(row.shard, row.key, row.sequence)


def named_entries() -> Select[Any]:
    """Return the question for entries with the names of their endpoints, which `entry_view_of` reads."""
    return select(entry, endpoint.c.method, endpoint.c.path).outerjoin_from(
        entry, endpoint, endpoint.c.endpoint_id == entry.c.endpoint_id
    )


def entry_view_of(row: Row[Any]) -> EntryView:
    """Read an entry with its endpoint."""
    return EntryView(entry_of(row), row.method or "", row.path or "")


def _journal(connection: Connection, account_id: str) -> Journal:
    row = connection.execute(
        select(account.c.shard, account.c.key, account.c.sequence).where(
            account.c.account_id == account_id
        )
    ).one_or_none()
    if row is None:
        raise account_not_found(account_id)
    return Journal(row.shard, row.key, row.sequence)


def _is_due(connection: Connection, query: ListEntries, journal: Journal, now_us: int) -> bool:
    """Say whether entries are due that belong to the requested period: their time would be now."""
    if query.end_us is not None and query.end_us <= now_us:
        return False
    return load_account(connection, query.account_id, now_us).account.sequence > journal.last


def _of(journal: Journal) -> ColumnElement[bool]:
    return and_(entry.c.shard == journal.shard, entry.c.account_key == journal.account_key)


def _in_time(query: ListEntries) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.start_us is not None:
        conditions.append(entry.c.created_us >= query.start_us)
    if query.end_us is not None:
        conditions.append(entry.c.created_us < query.end_us)
    return conditions


def _place(connection: Connection, journal: Journal, at_us: int) -> tuple[int, int]:
    """Return the first sequence that is not before a time: twice, or what is left around a gap."""
    first, last = literal(1, BigInteger), literal(journal.last + 1, BigInteger)
    place = select(first.label("low"), last.label("high")).cte("place", recursive=True)
    middle = (place.c.low + place.c.high) // 2
    # Subqueries and not a join: no planner reads the account's whole journal for them.
    created_us = (
        select(entry.c.created_us)
        .where(_of(journal), entry.c.sequence == middle)
        .correlate(place)
        .scalar_subquery()
    )
    before = created_us < at_us
    place = place.union_all(
        select(
            case((before, middle + 1), else_=place.c.low),
            case((before, place.c.high), else_=middle),
        ).where(place.c.low < place.c.high, created_us.is_not(None))
    )
    row = connection.execute(select(func.max(place.c.low), func.min(place.c.high))).one()
    return row[0], row[1]
