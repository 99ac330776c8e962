"""Events: their rows, and reading them by position.

An event is written without a position, in the transaction of the change that met its rule. Transactions of
several lanes and servers become visible in another order than they begin in, so a reader that went by ids or
times would miss those that come later. `place` numbers what is committed, under the lock of one row that it
keeps until its own commit: a reader that sees a position sees every one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from tollkeeper.core.account import shard_of
from tollkeeper.core.alerts.events import AlertSubject, Event
from tollkeeper.core.answers.views import EventPage
from tollkeeper.storage.read.accounts import begins_with
from tollkeeper.storage.schema.tables import account, event, event_position

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Row

    from tollkeeper.core.alerts.events import Crossing
    from tollkeeper.core.commands import ListEvents


EVENT_INSERT = tuple([column.name for column in event.columns if column.name != "position"])
"""The columns that `event_row` gives."""

_EVENTS = select(event, account.c.account_id).join_from(
    event,
    account,
    (account.c.shard == event.c.shard) & (account.c.key == event.c.account_key),
)


def event_row(crossing: Crossing) -> tuple[Any, ...]:
    """Return the row of an event that has no position yet."""
    return (shard_of(crossing.account_key), *crossing)


def place(connection: Connection, limit: int) -> int:
    """Number events that have no position, at most `limit`, the oldest first; the caller commits. Return how many."""
    waiting = (
        select(event.c.event_id)
        .where(event.c.position.is_(None))
        .order_by(event.c.created_us, event.c.event_id)
        .limit(limit)
    )
    if not connection.execute(waiting.limit(1)).all():
        return 0
    # The lock first: no other server numbers the rows that are read after it.
    last = connection.execute(select(event_position.c.last).with_for_update()).scalar_one()
    event_ids = connection.execute(waiting).scalars().all()
    if not event_ids:
        return 0
    connection.execute(
        update(event)
        .where(event.c.event_id == bindparam("event"), event.c.position.is_(None))
        .values(position=bindparam("place")),
        [{"event": each, "place": last + number} for number, each in enumerate(event_ids, 1)],
    )
    connection.execute(update(event_position).values(last=last + len(event_ids)))
    return len(event_ids)


def last_position(connection: Connection) -> int:
    """Return the last position given; 0 where there is none."""
    return connection.execute(select(event_position.c.last)).scalar_one()


def load_events(connection: Connection, query: ListEvents) -> EventPage:
    """Return a page of events by position."""
    through = max(last_position(connection), query.after)
    rows = connection.execute(
        _EVENTS.where(event.c.position.is_not(None), event.c.position > query.after)
        .where(*_among(query))
        .order_by(event.c.position)
        .limit(query.page_size + 1)
    ).all()
    events = tuple(map(_event_of, rows[: query.page_size]))
    return EventPage(events, events[-1].position if len(rows) > len(events) else 0, through)


def load_events_at(connection: Connection, positions: Collection[int]) -> dict[int, Event]:
    """Return events by their positions, those that are there."""
    if not positions:
        return {}
    rows = connection.execute(
        _EVENTS.where(event.c.position.is_not(None), event.c.position.in_(positions))
    )
    return {row.position: _event_of(row) for row in rows}


def _event_of(row: Row[Any]) -> Event:
    return Event(
        row.position,
        row.event_id,
        row.account_id,
        row.rule,
        AlertSubject(row.subject),
        row.limit_name,
        row.threshold,
        row.percent,
        row.value,
        row.base,
        row.period if row.window_end_us else 0,
        row.window_end_us,
        row.created_us,
    )


def _among(query: ListEvents) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.account_id:
        conditions.append(account.c.account_id == query.account_id)
    if query.prefix:
        conditions.append(begins_with(query.prefix))
    return conditions
