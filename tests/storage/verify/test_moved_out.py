"""Every invariant is checked also after reservations have been moved out: what is gone is known by its sums."""

import pytest
from sqlalchemy import Engine

from tests.storage.verify.test_verify import (
    BROKEN,
    TOLERANCE_US,
    findings_after,
    findings_of,
    named,
)
from tests.support.builders import DAY_US, LedgerBuilder, aged_ledger, busy_ledger
from tollkeeper.storage.reader import SqlReader


@pytest.fixture(scope="module")
def aged(module_engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """A ledger of which one half was moved out; who breaks it undoes that."""
    ledger = aged_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)
    return module_engine, ledger


def test_a_healthy_ledger_has_no_finding_after_a_move_out(
    aged: tuple[Engine, LedgerBuilder],
) -> None:
    engine, ledger = aged
    reader = SqlReader(engine, clock=lambda: ledger.now_us)

    assert ledger.moved_out
    assert ledger.windows_moved_out
    assert list(reader.verify(overdue_tolerance_us=TOLERANCE_US)) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("invariant", "statement"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN]
)
def test_what_breaks_an_invariant_is_found_after_a_move_out(
    aged: tuple[Engine, LedgerBuilder], invariant: int, statement: str
) -> None:
    findings = findings_after(*aged, statement)

    assert (invariant, "acme") in {(each.invariant, each.account_id) for each in findings}
    assert named(findings) <= {"acme", "bystander" if ":bystander" in statement else ""}


LOST = [
    ("a charged reservation has vanished", 6, "reservation WHERE state = 2"),
    ("a released reservation has vanished", 9, "reservation WHERE state = 3"),
    ("an expired reservation has vanished", 9, "reservation WHERE state = 4"),
    ("an hour has vanished with what was moved out of it", 9, "usage_hour WHERE moved_out > 0"),
    (
        "a window has vanished in which a reservation counts",
        8,
        "limit_window WHERE used > used_moved_out",
    ),
]


@pytest.mark.parametrize(
    ("invariant", "rows"), [pytest.param(*case[1:], id=case[0]) for case in LOST]
)
def test_what_vanishes_without_being_moved_out_is_found(
    aged: tuple[Engine, LedgerBuilder], invariant: int, rows: str
) -> None:
    findings = findings_after(*aged, f"DELETE FROM {rows} AND account_key = :acme")  # noqa: S608 - ours

    assert (invariant, "acme") in {(each.invariant, each.account_id) for each in findings}


MOVED_OUT = [
    (
        "a charge says that it was moved out twice",
        6,
        "UPDATE usage_hour SET moved_out = moved_out + 1 WHERE kind = 1 AND moved_out > 0",
    ),
    (
        "a release says that it was moved out twice",
        9,
        "UPDATE usage_hour SET moved_out = moved_out + 1 WHERE kind = 27 AND moved_out > 0",
    ),
    (
        "an expiry says that it was not moved out",
        9,
        "UPDATE usage_hour SET moved_out = 0 WHERE kind = 2",
    ),
    (
        "more was moved out than was counted",
        9,
        "UPDATE usage_hour SET moved_out = requests + 1 WHERE kind = 1",
    ),
    ("refunds were moved out", 9, "UPDATE usage_hour SET moved_out = 1 WHERE kind = 3"),
    ("denials were moved out", 9, "UPDATE usage_hour SET moved_out = 1 WHERE kind >= 40"),
    (
        "a window forgets what was moved out",
        8,
        "UPDATE limit_window SET used_moved_out = 0 WHERE used_moved_out > 0",
    ),
    (
        "a window forgets what went over and was moved out",
        8,
        "UPDATE limit_window SET over_moved_out = 0 WHERE over_moved_out > 0",
    ),
    (
        "a charge of nobody is in the journal",
        6,
        (
            "INSERT INTO entry SELECT shard, account_key, 999, 2, 0, settled, created_us, 999, 0,"
            " endpoint_id, 1, NULL FROM entry WHERE kind = 3 AND sequence > 20"
        ),
    ),
    (
        "a charge that was moved out is entered twice",
        6,
        "UPDATE entry SET kind = 2 WHERE kind = 4",
    ),
    (
        "more is refunded than a charge that was moved out",
        7,
        "UPDATE entry SET credits = 9999 WHERE kind = 4",
    ),
]


@pytest.mark.parametrize(
    ("invariant", "statement"), [pytest.param(*case[1:], id=case[0]) for case in MOVED_OUT]
)
def test_what_is_wrong_with_the_sums_is_found(
    aged: tuple[Engine, LedgerBuilder], invariant: int, statement: str
) -> None:
    findings = findings_after(*aged, f"{statement} AND account_key = :acme")

    assert (invariant, "acme") in {(each.invariant, each.account_id) for each in findings}


def test_a_window_in_which_nothing_counts_any_more_may_be_gone(
    aged: tuple[Engine, LedgerBuilder],
) -> None:
    unneeded = "held = 0 AND used = used_moved_out AND over = over_moved_out"

    assert findings_after(*aged, f"DELETE FROM limit_window WHERE {unneeded}") == []  # noqa: S608 - ours


def test_more_refunded_than_was_charged_is_found_where_the_reservation_is_gone(
    engine: Engine,
) -> None:
    ledger = busy_ledger()
    ledger.now_us += 9 * DAY_US
    ledger.move_out()

    findings = findings_of(engine, ledger, "UPDATE entry SET credits = 9999 WHERE kind = 4")

    assert (7, "acme") in {(each.invariant, each.account_id) for each in findings}
