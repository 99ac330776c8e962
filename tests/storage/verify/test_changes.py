"""A single change of a ledger is found wherever the ledger holds the fact twice; what is not is named here, and why.

The page docs/reference/rules.md has the same list.
"""

from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, Engine, Table, text

from tests.repo.tree import ROOT
from tests.storage.verify.planted import A_YEAR_US, CHECKED, Change, changes_of, one_of_each
from tests.storage.verify.test_verify import TOLERANCE_US
from tests.support.builders import (
    DAY_US,
    NEW_YEAR_US,
    SECOND_US,
    SHADOW,
    TRACK,
    LedgerBuilder,
    aged_ledger,
)
from tests.support.unlocked import unlock
from tollkeeper.core.account import AccountState
from tollkeeper.core.journal import CHARGES, EntryKind
from tollkeeper.core.recurring.recurring_grants import origin_of
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.usage import DENIED
from tollkeeper.storage.verify.verify import find_broken

COLUMNS = [(table, column.name) for table in CHECKED for column in table.columns]
MOVED_OUT_BEFORE_US = NEW_YEAR_US + 8 * DAY_US
ENDED_FREE = (ReservationState.RELEASED, ReservationState.EXPIRED)


def always(_: Change) -> bool:
    return True


class Unseen(NamedTuple):
    """What the ledger holds once, as the page says it: of which columns, and of which rows and values."""

    reason: str
    columns: tuple[str, ...]
    where: Callable[[Change], bool] = always

    def explains(self, change: Change) -> bool:
        return f"{change.table.name}.{change.column}" in self.columns and self.where(change)


def is_moved_out(change: Change) -> bool:
    """Say whether an entry is a charge whose reservation is gone."""
    return change.row["kind"] in CHARGES and change.row["created_us"] < MOVED_OUT_BEFORE_US


def is_by_little(change: Change) -> bool:
    return abs(change.value - change.row[str(change.column)]) < A_YEAR_US


def has_no_second_time(change: Change) -> bool:
    """Say whether an entry is one whose time no grant, call or reservation has."""
    row = change.row
    is_of_period = row["kind"] == EntryKind.GRANT and origin_of(row["grant_id"]) is not None
    return is_later(change) and (is_of_period or row["kind"] == EntryKind.GRANT_EXPIRED)


def is_later(change: Change) -> bool:
    return change.value > change.row[str(change.column)]


def is_superseded(change: Change) -> bool:
    """Say whether a record is of a call after which the same was set again, or which set nothing else."""
    return change.row["method"] == "UpdateAccount" and (
        change.column in (None, "method") or change.part in (".state", ".price_list")
    )


def is_bare_voiding(change: Change) -> bool:
    return change.row["kind"] == EntryKind.GRANT_VOIDED and not change.row["note"]


def is_of_an_hour_alone(change: Change) -> bool:
    """Say whether nothing tells of which quarter a counter is."""
    row = change.row
    return (
        row["kind"] >= DENIED.start
        or row["moved_out"] > 0
        or change.value < row[str(change.column)]
    )


def loses_a_note(change: Change) -> bool:
    return (
        change.row["kind"] == EntryKind.GRANT_VOIDED
        and change.row["created_us"] < MOVED_OUT_BEFORE_US
        and not change.value
    )


def is_shorter_or_later(change: Change) -> bool:
    return change.column == "hold_us" or is_later(change)


def is_settled_otherwise(change: Change) -> bool:
    return is_later(change) and (
        change.row["state"] == ReservationState.EXPIRED or is_by_little(change)
    )


def has_ended_free(change: Change) -> bool:
    return change.row["state"] in ENDED_FREE


def is_missing(change: Change) -> bool:
    return not change.value


def is_committed(change: Change) -> bool:
    return change.row["state"] == ReservationState.COMMITTED


def counts_nothing(change: Change) -> bool:
    return (
        change.row["used"] == change.row["used_moved_out"]
        and change.row["over"] == change.row["over_moved_out"]
        and not change.row["held"]
    )


def is_a_number(change: Change) -> bool:
    return change.part.endswith(".0")


def is_of_an_ordered_call(change: Change) -> bool:
    return change.row["method"] in ("UpdateAccount", "EndRecurringGrant")


UNSEEN = [
    Unseen(
        "That the entry of an expiry, or of a period of a recurring grant, is of a later time than it was: a clock "
        "that was set back looks the same.",
        ("entry.created_us",),
        has_no_second_time,
    ),
    Unseen(
        "Of a charge whose reservation was moved out: the reservation, whether it was late, its time within the hour, "
        "and which of two price lists it was charged by where both have that price.",
        ("entry.kind", "entry.reservation_id", "entry.created_us", "entry.price_version"),
        is_moved_out,
    ),
    Unseen(
        "The note of a voiding, where a hold that was given back in that hour was moved out.",
        ("entry.note",),
        loses_a_note,
    ),
    Unseen(
        "When a reservation was made, by less than a millisecond.",
        ("reservation.created_us",),
        is_by_little,
    ),
    Unseen(
        "That a hold was asked for shorter than it was made for, or that it was to end later than it was.",
        ("reservation.hold_us", "reservation.expires_us"),
        is_shorter_or_later,
    ),
    Unseen(
        "When a reservation was released, within the hour, and that one that has expired was ended later than it was.",
        ("reservation.settled_us",),
        is_settled_otherwise,
    ),
    Unseen(
        "The id of a reservation that has ended and charged nothing.",
        ("reservation.reservation_id",),
        has_ended_free,
    ),
    Unseen(
        "Who authorized and who settled a reservation, and which of the HTTP statuses of its outcome was told.",
        ("reservation.authorized_by", "reservation.settled_by", "reservation.http_status"),
    ),
    Unseen(
        "That the request_id of a reservation, its HTTP status or the sequence of its charge is missing: older "
        "versions did not keep them.",
        ("reservation.request_id", "reservation.charge_sequence"),
        is_missing,
    ),
    Unseen(
        "Which grants have paid for a reservation that was charged, and how much of it the credit line, as far as "
        "those grants have consumed as much.",
        ("reservation.slices",),
        is_committed,
    ),
    Unseen(
        "A window of a limit in which only reservations count that were moved out.",
        ("limit_window.limit_id", "limit_window.start_us", "limit_window.None"),
        counts_nothing,
    ),
    Unseen(
        "In which quarter of an hour denials and free requests were counted, and releases and expiries whose "
        "reservation was moved out; and that anything was counted in the first quarter instead of its own.",
        tuple(
            f"usage_hour.{what}_{minute}"
            for what in ("requests", "credits")
            for minute in (15, 30, 45)
        ),
        is_of_an_hour_alone,
    ),
    Unseen("The time of a voiding that has no note.", ("entry.created_us",), is_bare_voiding),
    Unseen(
        "What an event tells, and the hour in which denials and free requests were counted.",
        ("usage_hour.hour",),
        is_of_an_hour_alone,
    ),
    Unseen(
        "The number by which windows know a limit of an account.",
        ("account.limits",),
        is_a_number,
    ),
    Unseen(
        "The digest of the request_id of an operator's call.",
        ("admin_request.digest",),
    ),
    Unseen(
        "The record of an UpdateAccount call that changed nothing, or whose changes a later call made again.",
        ("admin_request.None", "admin_request.method", "admin_request.content"),
        is_superseded,
    ),
    Unseen(
        "The time of an UpdateAccount or EndRecurringGrant call, as long as their order is the same.",
        ("admin_request.created_us",),
        is_of_an_ordered_call,
    ),
]
"""A short list: whatever comes to it must also come to docs/reference/rules.md, in the same words."""


def rich_ledger() -> LedgerBuilder:
    """Build a ledger in which everything has happened that calls can do."""
    ledger = aged_ledger(tick_us=1)
    ledger.update("acme", state=AccountState.ACTIVE)
    ledger.grant("acme", 75, expires_us=ledger.now_us + 2 * SECOND_US, priority=0)
    charged = ledger.commit(ledger.hold("acme", TRACK))
    ledger.now_us += 10 * SECOND_US
    ledger.refund(charged, 5, expires_us=ledger.now_us + DAY_US)
    ledger.void("acme", ledger.grant("acme", 3, priority=4))
    ledger.account("closed", credit_limit=7)
    ledger.now_us += SECOND_US
    ledger.recurring("closed", 5, anchor_us=ledger.now_us + DAY_US, priority=2)
    ledger.update("closed", display_name="Closed", price_list="partner", limits=(SHADOW,))
    ledger.update("closed", state=AccountState.CLOSED)
    return ledger


@pytest.fixture(scope="module")
def saved(module_engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """The rich ledger in a database; who changes it undoes that."""
    ledger = rich_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)
    return module_engine, ledger


def test_the_ledger_that_is_to_be_changed_has_no_finding(
    saved: tuple[Engine, LedgerBuilder],
) -> None:
    engine, ledger = saved
    with engine.connect() as connection:
        found = list(find_broken(connection, overdue_before_us=ledger.now_us - TOLERANCE_US))

    assert found == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("table", "column"), COLUMNS, ids=[f"{table}.{column}" for table, column in COLUMNS]
)
def test_a_change_of_any_column_is_found(
    saved: tuple[Engine, LedgerBuilder], table: Table, column: str
) -> None:
    engine, _ = saved
    with engine.connect() as connection:
        changes = [
            change
            for row in one_of_each(connection, table)
            for change in changes_of(table, column, row)
        ]

    missed = missed_of(saved, changes)

    assert changes
    assert [str(each) for each in missed if not is_listed(each)] == []


@pytest.mark.parametrize("table", CHECKED, ids=str)
def test_a_row_that_is_gone_is_found(saved: tuple[Engine, LedgerBuilder], table: Table) -> None:
    engine, _ = saved
    with engine.connect() as connection:
        changes = [Change(table, row, None) for row in one_of_each(connection, table)]

    missed = missed_of(saved, changes)

    assert changes
    assert [str(each) for each in missed if not is_listed(each)] == []


def test_the_page_names_what_cannot_be_seen_and_nothing_else() -> None:
    page = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    section = page.partition("\n## 22. What verify cannot see\n")[2].partition("\n## ")[0]
    listed = [" ".join(each.split()) for each in section.split("\n- ")[1:]]

    assert listed == [each.reason for each in UNSEEN]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account SET shard = -1 WHERE account_id = 'acme'",
        "UPDATE admin_request SET content = '[1]' WHERE method = 'GrantCredits'",
        "UPDATE admin_request SET content = 'null'",
        "UPDATE entry SET credits = 9223372036854775807 WHERE sequence = 1",
        "DELETE FROM event_position",
    ],
)
def test_what_no_server_writes_is_a_finding_and_keeps_nothing_from_being_checked(
    saved: tuple[Engine, LedgerBuilder], statement: str
) -> None:
    engine, ledger = saved
    with engine.connect() as connection:
        unlock(connection)
        connection.execute(text(statement))
        connection.execute(text("UPDATE credit_grant SET note = 'another'"))
        found = list(find_broken(connection, overdue_before_us=ledger.now_us - TOLERANCE_US))
        connection.rollback()

    assert any("note" in each.message for each in found)
    assert len({each.message for each in found}) > 1


def is_listed(change: Change) -> bool:
    return any(each.explains(change) for each in UNSEEN)


def missed_of(saved: tuple[Engine, LedgerBuilder], changes: list[Change]) -> list[Change]:
    """Plant changes one at a time, and return those that are not found."""
    engine, ledger = saved
    with engine.connect() as connection:
        unlock(connection)
        missed = [each for each in changes if not is_found(connection, ledger, each)]
        connection.rollback()
    return missed


def is_found(connection: Connection, ledger: LedgerBuilder, change: Change) -> bool:
    point = connection.begin_nested()
    change.plant(connection)
    with closing(
        find_broken(connection, overdue_before_us=ledger.now_us - TOLERANCE_US)
    ) as findings:
        found = next(findings, None)
    point.rollback()
    return found is not None
