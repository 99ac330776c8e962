"""What recurring grants gave is checked: a healthy ledger has no finding, and each way to break it is found."""

import pytest
from sqlalchemy import Engine

from tests.storage.verify.test_verify import findings_after, findings_of
from tests.support.builders import DAY_US, LedgerBuilder, busy_ledger
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import Origin, id_of

FIRST = id_of(Origin(1, 0, rolled_over=False))
SECOND = id_of(Origin(1, 1, rolled_over=False))
ROLLED = id_of(Origin(1, 1, rolled_over=True))
LAST = id_of(Origin(1, 4, rolled_over=False))
ENDED = id_of(Origin(2, 0, rolled_over=False))


@pytest.fixture(scope="module")
def saved(module_engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """The busy ledger in a database; who breaks it undoes that."""
    ledger = busy_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)
    return module_engine, ledger


def moved(grant_id: int, to_id: int) -> str:
    return (
        f"UPDATE credit_grant SET grant_id = {to_id}"  # noqa: S608 - our own numbers
        f" WHERE account_key = :planned AND grant_id = {grant_id}"
    )


def changed(grant_id: int, change: str) -> str:
    return (
        f"UPDATE credit_grant SET {change}"  # noqa: S608 - our own words
        f" WHERE account_key = :planned AND grant_id = {grant_id}"
    )


BROKEN = [
    (
        "the column cannot be read",
        "UPDATE account SET recurring = 'x' || recurring WHERE key = :planned",
        "cannot be read",
    ),
    (
        "the column has another form",
        "UPDATE account SET recurring = '[[1]]' WHERE key = :planned",
        "cannot be read",
    ),
    (
        "the sweeper looks at another time",
        "UPDATE account SET next_grant_us = next_grant_us + 1 WHERE key = :planned",
        "the sweeper looks",
    ),
    (
        "the sweeper does not look",
        "UPDATE account SET next_grant_us = 0 WHERE key = :planned",
        "the sweeper looks",
    ),
    (
        "the recurring grants are gone",
        "UPDATE account SET recurring = '', next_grant_us = 0 WHERE key = :planned",
        "recurring grant 1 has grants and is not there",
    ),
    (
        "the next period is another one",
        "UPDATE account SET recurring = replace(recurring, ', 5, 5, ', ', 5, 6, ') WHERE key = :planned",
        "has its next period at",
    ),
    (
        "a period is forgotten",
        "UPDATE account SET recurring = replace(recurring, ', 5, 5, ', ', 4, 5, ') WHERE key = :planned",
        "has granted 4 periods",
    ),
    ("a period is missing", moved(SECOND, 4_711), "has granted 5 periods"),
    ("the last period is missing", moved(LAST, 4_711), "has granted 5 periods"),
    (
        "a period was granted that had not begun",
        moved(LAST, id_of(Origin(1, 5, rolled_over=False))),
        "has granted 5 periods",
    ),
    (
        "the only period of one that has ended is missing",
        moved(ENDED, 4_711),
        "recurring grant 2 has granted 1 periods",
    ),
    (
        "there is a grant of a recurring grant that never was",
        moved(ENDED, id_of(Origin(3, 0, rolled_over=False))),
        "recurring grant 3 has grants and is not there",
    ),
    ("a period gave more", changed(SECOND, "credits = credits + 1"), "period 1 gave 41 credits"),
    (
        "more rolled over than may",
        changed(ROLLED, "credits = credits + 1"),
        "period 1 has more rolled over than 25",
    ),
    (
        "more rolled over than expired",
        changed(FIRST, "expired = expired - 20"),
        "period 1 has 25 credits that rolled over, of 10 that expired",
    ),
    (
        "something rolled over into the first period",
        moved(ROLLED, id_of(Origin(1, 0, rolled_over=True))),
        "has rolled something over into its first period",
    ),
    (
        "a period ends before the next begins",
        changed(SECOND, "expires_us = expires_us - 1"),
        "period 2 begins at",
    ),
    (
        "the next period is at the end or later",
        "UPDATE account SET recurring = replace(recurring, '9223372036854775807', '1') WHERE key = :planned",
        "has its next period at",
    ),
    (
        "there is no next period",
        (
            "UPDATE account SET next_grant_us = 0, recurring = replace(recurring, next_grant_us || ']',"
            " '9223372036854775807]') WHERE key = :planned"
        ),
        "has no next period",
    ),
    (
        "the last period ends before the next begins",
        changed(LAST, "expires_us = expires_us - 1"),
        "has a latest grant that expires",
    ),
]


@pytest.mark.parametrize(
    ("statement", "message"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN]
)
def test_what_breaks_recurring_grants_is_found_and_named(
    saved: tuple[Engine, LedgerBuilder], statement: str, message: str
) -> None:
    findings = findings_after(*saved, statement)

    assert any(each.invariant == 4 and message in each.message for each in findings), findings
    assert {each.account_id for each in findings} == {"planned"}


def test_one_that_made_room_for_another_is_known_by_its_grants(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("planned")
    for _ in range(23):
        ledger.end_recurring("planned", ledger.recurring("planned", 5, rollover_max=5))
    assert [each.number for each in ledger.accounts["planned"].recurring] == [*range(4, 24)]

    assert findings_of(engine, ledger) == []
    later = moved(id_of(Origin(3, 0, rolled_over=False)), id_of(Origin(3, 1, rolled_over=False)))
    messages = [each.message for each in findings_after(engine, ledger, later)]
    assert any("recurring grant 3 has granted 2 periods" in each for each in messages)


def test_a_grant_of_a_lane_that_once_drew_the_reserved_bits_is_no_finding(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("planned")
    ledger.numbers = (60_000_000_000 << 10 | 1023) << 12
    ledger.grant("planned", 10, expires_us=ledger.now_us + DAY_US)

    assert findings_of(engine, ledger) == []


def replaced_ledger() -> LedgerBuilder:
    """Build a ledger in which `planned` changed to another plan in the middle of a day, and to a weekly one later."""
    ledger = LedgerBuilder()
    ledger.account("planned")
    ledger.recurring("planned", 40)
    ledger.charge("planned", times=3)
    ledger.now_us += DAY_US // 2
    ledger.replace_recurring("planned", 1, 100)
    ledger.now_us += DAY_US
    ledger.replace_recurring("planned", 2, 300, period=RecurringPeriod.WEEK)
    ledger.do_due("planned")
    return ledger


def test_a_plan_that_was_replaced_is_no_finding(engine: Engine) -> None:
    ledger = replaced_ledger()
    given = {each.grant_id: each for each in ledger.accounts["planned"].grants}

    assert [given[id_of(Origin(number, 0, rolled_over=False))].credits for number in (1, 2, 3)] == [
        40,
        40,
        300,
    ]
    assert given[FIRST].voided == 10
    assert not given[FIRST].void
    assert findings_of(engine, ledger) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE admin_request SET method = 'Other' WHERE method = 'ReplaceRecurringGrant'",
            "recurring grant 2 period 0 gave 40 credits instead of 100, and no replacement",
        ),
        (
            "UPDATE admin_request SET result = replace(result, '\"given\": 40', '\"given\": 41')",
            "recurring grant 2 period 0 gave 40 credits instead of 100, and no replacement",
        ),
        (
            "UPDATE admin_request SET result = 'x' WHERE method = 'ReplaceRecurringGrant'",
            "recurring grant 2 period 0 gave 40 credits instead of 100, and no replacement",
        ),
        (changed(FIRST, "voided = voided - 1"), "do not add up"),
        (
            "UPDATE account SET recurring = replace(recurring, '300', '301') WHERE account_id = 'planned'",
            "recurring grant 3",
        ),
        (
            "UPDATE admin_request SET result = replace(result, '\"old_end_us\": 1', '\"old_end_us\": 2')",
            "recurring grant 1 ends at",
        ),
        (
            "UPDATE credit_grant SET priority = 7 WHERE credits = 300",
            "of a recurring grant, has priority 7",
        ),
        ("UPDATE entry SET note = 'another' WHERE kind = 6", "which no call said"),
        (
            f"UPDATE credit_grant SET grant_id = 4711 WHERE grant_id = {FIRST}",  # noqa: S608
            "grant 1267 of 40: remaining 0, held 0, consumed 30, expired 0 and voided 10",
        ),
    ],
    ids=[
        "no call has replaced it",
        "the call gave something else",
        "the record of the call cannot be read",
        "less was voided",
        "the new one gives something else",
        "the old one was to end at another time",
        "a grant has another priority",
        "the voiding has another note",
        "a grant of no recurring one was voided in part",
    ],
)
def test_what_breaks_a_plan_that_was_replaced_is_found(
    engine: Engine, statement: str, message: str
) -> None:
    found = [each.message for each in findings_of(engine, replaced_ledger(), statement)]

    assert any(message in each for each in found), found
