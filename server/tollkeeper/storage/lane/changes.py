"""What a batch writes: one list, in the order in which both databases write it.

Each change says into which table, how, which columns, and which rows of `Writes` become its rows. A lane makes its
statement of each and loops over the list; what a lane writes in another way is a named exception of that lane.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING

from tollkeeper.storage.read.events import EVENT_INSERT, event_row
from tollkeeper.storage.rows import written
from tollkeeper.storage.rows.alerts import alert_states_update, alerts_update
from tollkeeper.storage.rows.limits import limits_update, moved_out_of_windows, window_rows
from tollkeeper.storage.rows.pricing import pricing_update
from tollkeeper.storage.rows.recurring import recurring_update
from tollkeeper.storage.schema import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Table

    from tollkeeper.engine.ports import Writes
    from tollkeeper.storage.rows.written import Row


class How(Enum):
    """What becomes of rows."""

    INSERT = auto()
    UPDATE = auto()
    """The columns are set in the row that has the keys."""
    ADD = auto()
    """Counters: the row is inserted, or its columns are added to those of the row that has the table's key."""
    ADD_TO = auto()
    """The columns are added to those of the row that has the keys, and which is there."""
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change. A row has the columns, then the keys, in this order."""

    name: str
    table: Table
    how: How
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    rows: Callable[[Writes], Sequence[Row]]
    """Takes what is to be written."""
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    """Columns that have the value of another one, and are not in the row."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each place of a row is."""
        return (*self.columns, *self.keys)


_GRANT = ("shard", "account_key", "grant_id")
_RESERVATION = ("shard", "reservation_id")


def _insert(name: str, table: Table, rows: Callable[[Writes], Sequence[Row]]) -> Change:
    return Change(name, table, How.INSERT, tuple(table.columns.keys()), (), rows)


def _count(name: str, table: Table, rows: Callable[[Writes], Sequence[Row]]) -> Change:
    return Change(name, table, How.ADD, written.ADDED_TO[table.name], (), rows)


def _account_update(
    name: str, columns: tuple[str, ...], rows: Callable[[Writes], Sequence[Row]]
) -> Change:
    return Change(name, tables.account, How.UPDATE, columns, ("shard", "key"), rows)


def _usage_of(quarter: int, writes: Writes) -> Sequence[Row]:
    return written.usage_hour_rows(writes.usage, quarter)


CHANGES: tuple[Change, ...] = (
    _insert(
        "new_accounts",
        tables.account,
        lambda writes: list(map(written.account_row, writes.new_accounts)),
    ),
    _insert(
        "new_grants",
        tables.credit_grant,
        lambda writes: list(starmap(written.grant_row, writes.new_grants)),
    ),
    _insert(
        "new_reservations",
        tables.reservation,
        lambda writes: list(map(written.reservation_row, writes.new_reservations)),
    ),
    _insert("new_holds", tables.hold, lambda writes: written.held_rows(writes.new_reservations)),
    Change(
        "settled_reservations",
        tables.reservation,
        How.UPDATE,
        (
            *("state", "outcome", "late", "settled_us"),
            *("http_status", "settled_by", "charge_sequence"),
        ),
        _RESERVATION,
        lambda writes: list(map(written.reservation_update, writes.reservations)),
    ),
    Change(
        "payments",
        tables.reservation,
        How.UPDATE,
        ("grant_id", "slices", "refunded"),
        _RESERVATION,
        lambda writes: list(map(written.payment_update, writes.repaid)),
    ),
    Change(
        "holds_ended",
        tables.hold,
        How.DELETE,
        (),
        ("shard", "expires_us", "reservation_id"),
        lambda writes: list(map(written.hold_key, writes.holds_ended)),
    ),
    Change(
        "deadlines",
        tables.reservation,
        How.UPDATE,
        ("expires_us",),
        _RESERVATION,
        lambda writes: list(map(written.deadline_update, writes.extended)),
    ),
    # A row of `hold` has the deadline in its key: `holds_ended` has deleted the old row.
    _insert("extended_holds", tables.hold, lambda writes: written.held_rows(writes.extended)),
    _insert("entries", tables.entry, lambda writes: list(map(written.entry_row, writes.entries))),
    *(
        Change(
            f"usage_of_quarter_{quarter}",
            tables.usage_hour,
            How.ADD,
            written.ADDED_TO["usage_hour"],
            (),
            partial(_usage_of, quarter),
            more,
        )
        for quarter, more in enumerate(written.COUNTED_TOO)
    ),
    _count("usage_days", tables.usage_day, lambda writes: written.usage_day_rows(writes.usage)),
    _account_update(
        "accounts",
        ("settled", "held", "charged", "sequence"),
        lambda writes: list(map(written.account_update, writes.accounts)),
    ),
    _account_update(
        "account_details",
        ("display_name", "state", "credit_limit"),
        lambda writes: list(map(written.details_update, writes.detailed)),
    ),
    _account_update(
        "limits",
        ("limits",),
        lambda writes: list(map(limits_update, writes.limited)),
    ),
    _account_update(
        "pricing",
        ("pricing",),
        lambda writes: list(map(pricing_update, writes.priced)),
    ),
    _account_update(
        "recurring_grants",
        ("recurring", "next_grant_us"),
        lambda writes: list(map(recurring_update, writes.recurring)),
    ),
    _count("windows", tables.limit_window, lambda writes: window_rows(writes.windows)),
    _account_update(
        "alert_rules",
        ("alerts", "alert_states"),
        lambda writes: list(map(alerts_update, writes.ruled)),
    ),
    _account_update(
        "alert_states",
        ("alert_states",),
        lambda writes: list(map(alert_states_update, writes.alerted)),
    ),
    Change(
        "events",
        tables.event,
        How.INSERT,
        EVENT_INSERT,
        (),
        lambda writes: list(map(event_row, writes.events)),
    ),
    Change(
        "grants",
        tables.credit_grant,
        How.UPDATE,
        ("remaining", "held", "consumed", "open"),
        _GRANT,
        lambda writes: list(starmap(written.grant_update, writes.grants)),
    ),
    Change(
        "lapsed_grants",
        tables.credit_grant,
        How.UPDATE,
        ("expired", "voided", "void"),
        _GRANT,
        lambda writes: list(starmap(written.lapsed_update, writes.lapsed)),
    ),
    _insert(
        "admin_requests",
        tables.admin_request,
        lambda writes: [written.admin_row(each, each.created_us) for each in writes.admin],
    ),
    Change(
        "moved_out_reservations",
        tables.reservation,
        How.DELETE,
        (),
        _RESERVATION,
        lambda writes: list(map(written.reservation_key, writes.moved_out)),
    ),
    Change(
        "moved_out_usage",
        tables.usage_hour,
        How.ADD_TO,
        ("moved_out",),
        ("shard", "account_key", "hour", "endpoint_id", "kind"),
        lambda writes: written.moved_out_rows(writes.usage_moved_out),
    ),
    Change(
        "moved_out_windows",
        tables.limit_window,
        How.ADD_TO,
        ("used_moved_out", "over_moved_out"),
        ("shard", "account_key", "limit_id", "start_us"),
        lambda writes: moved_out_of_windows(writes.windows_moved_out),
    ),
)

CHANGE = {each.name: each for each in CHANGES}
