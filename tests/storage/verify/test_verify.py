"""Every invariant is checked: a healthy ledger has no finding, and each way to break one is found."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import SECOND_US, TRACK, LedgerBuilder, busy_ledger, write_ahead
from tests.support.thorough import thorough
from tests.support.unlocked import unlock
from tollkeeper.core.answers.views import Finding
from tollkeeper.storage.reader import SqlReader
from tollkeeper.storage.verify.verify import find_broken

TOLERANCE_US = 10 * SECOND_US


@pytest.fixture(scope="module")
def saved(module_engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """The busy ledger in a database; who breaks it undoes that."""
    ledger = busy_ledger()
    with module_engine.begin() as connection:
        ledger.save(connection)
    return module_engine, ledger


def test_a_healthy_ledger_has_no_finding(saved: tuple[Engine, LedgerBuilder]) -> None:
    engine, ledger = saved
    reader = SqlReader(engine, clock=lambda: ledger.now_us)

    assert list(reader.verify(overdue_tolerance_us=TOLERANCE_US)) == []


def test_an_empty_ledger_has_no_finding(engine: Engine) -> None:
    assert findings_of(engine, LedgerBuilder()) == []


BROKEN = [
    # 1: the journal
    ("settled is not the sum", 1, "UPDATE account SET settled = settled + 1 WHERE key = :acme"),
    ("sequence is not the last", 1, "UPDATE account SET sequence = sequence + 1 WHERE key = :acme"),
    (
        "a line in the middle has another balance",
        1,
        "UPDATE entry SET settled = settled + 1 WHERE account_key = :acme AND sequence = 3",
    ),
    ("a line is missing", 1, "DELETE FROM entry WHERE account_key = :acme AND sequence = 4"),
    (
        "the last line is missing",
        1,
        (
            "DELETE FROM entry WHERE account_key = :acme"
            " AND sequence = (SELECT sequence FROM account WHERE key = :acme)"
        ),
    ),
    (
        "an endpoint of the journal is unknown",
        1,
        "UPDATE entry SET endpoint_id = 99 WHERE account_key = :acme AND kind = 2",
    ),
    # 2: holds
    ("held is not the sum", 2, "UPDATE account SET held = held + 1 WHERE key = :acme"),
    (
        "a hold has vanished",
        2,
        "DELETE FROM reservation WHERE account_key = :acme AND state = 1",
    ),
    # 3: never below zero
    ("more is held than there is", 3, "UPDATE account SET held = held + 9999 WHERE key = :acme"),
    # 4: grants
    (
        "a grant has more than it had",
        4,
        "UPDATE credit_grant SET remaining = remaining + 1 WHERE account_key = :acme",
    ),
    (
        "a place of a grant is negative",
        4,
        (
            "UPDATE credit_grant SET consumed = consumed - 999, remaining = remaining + 999"
            " WHERE account_key = :acme AND credits = 25"
        ),
    ),
    (
        "a grant with credits left is closed",
        4,
        "UPDATE credit_grant SET open = NOT open WHERE account_key = :acme AND credits = 200",
    ),
    (
        "what was consumed is there again",
        4,
        (
            "UPDATE credit_grant SET consumed = consumed - 1, remaining = remaining + 1, open = (1 = 1)"
            " WHERE account_key = :acme AND credits = 25"
        ),
    ),
    (
        "a grant holds what no reservation holds",
        4,
        (
            "UPDATE credit_grant SET held = held + 1, remaining = remaining - 1"
            " WHERE account_key = :acme AND credits = 200"
        ),
    ),
    (
        "an expiry is not in the journal",
        4,
        (
            "UPDATE credit_grant SET expired = expired - 1, consumed = consumed + 1"
            " WHERE account_key = :acme AND expired > 0"
        ),
    ),
    (
        "a grant is gone",
        4,
        "DELETE FROM credit_grant WHERE account_key = :acme AND credits = 40",
    ),
    # 5: slices
    (
        "slices do not add up",
        5,
        (
            "UPDATE reservation SET slices = slices || '1'"
            " WHERE account_key = :acme AND slices IS NOT NULL"
        ),
    ),
    (
        "slices cannot be read",
        5,
        "UPDATE reservation SET slices = 'x' WHERE account_key = :acme AND slices IS NOT NULL",
    ),
    (
        "slices name a grant of nobody",
        5,
        (
            "UPDATE reservation SET slices = '999:' || (credits - 1) || ',0:1'"
            " WHERE account_key = :acme AND slices IS NOT NULL"
        ),
    ),
    (
        "the only payer is a grant of nobody",
        5,
        "UPDATE reservation SET grant_id = 999 WHERE account_key = :acme AND grant_id <> 0",
    ),
    # 6: charges
    (
        "a charge is another reservation's",
        6,
        (
            "UPDATE entry SET reservation_id ="
            " (SELECT max(reservation_id) FROM reservation WHERE account_key = :acme AND state = 2)"
            " WHERE account_key = :acme AND kind = 2"
        ),
    ),
    (
        "what was released was charged",
        6,
        (
            "UPDATE entry SET reservation_id ="
            " (SELECT max(reservation_id) FROM reservation WHERE account_key = :acme AND state = 3)"
            " WHERE account_key = :acme AND kind = 3"
        ),
    ),
    (
        "a charge is not the price",
        6,
        "UPDATE reservation SET credits = credits + 1 WHERE account_key = :acme AND state = 2",
    ),
    (
        "a late charge is entered as one in time",
        6,
        "UPDATE entry SET kind = 2 WHERE account_key = :acme AND kind = 3",
    ),
    (
        "a removed reservation was charged twice",
        6,
        "UPDATE entry SET reservation_id = 999 WHERE account_key = :acme AND kind = 2",
    ),
    (
        "a void grant has something left",
        4,
        (
            "UPDATE credit_grant SET remaining = 1, voided = voided - 1, open = (1 = 1)"
            " WHERE account_key = :acme AND voided > 0"
        ),
    ),
    (
        "a grant was voided and does not say so",
        4,
        "UPDATE credit_grant SET void = (1 = 0) WHERE account_key = :acme AND voided > 0",
    ),
    (
        "a charge is consumed twice",
        4,
        (
            "UPDATE credit_grant SET consumed = consumed + 1, credits = credits + 1"
            " WHERE account_key = :acme AND credits = 200"
        ),
    ),
    (
        "a reservation points at a charge of another",
        6,
        (
            "UPDATE reservation SET charge_sequence ="
            " (SELECT max(sequence) FROM entry WHERE account_key = :acme AND kind = 3)"
            " WHERE account_key = :acme AND state = 2 AND NOT late"
        ),
    ),
    (
        "a reservation points at its refund",
        6,
        (
            "UPDATE reservation SET charge_sequence ="
            " (SELECT max(sequence) FROM entry WHERE account_key = :acme AND kind = 4"
            " AND entry.reservation_id = reservation.reservation_id)"
            " WHERE account_key = :acme AND refunded > 0"
        ),
    ),
    (
        "a reservation points past the end of the journal",
        6,
        (
            "UPDATE reservation SET charge_sequence = 9999"
            " WHERE account_key = :acme AND charge_sequence > 0"
        ),
    ),
    (
        "what was released points at a charge",
        6,
        "UPDATE reservation SET charge_sequence = 5 WHERE account_key = :acme AND state = 3",
    ),
    (
        "what was charged was answered with a failure",
        6,
        "UPDATE reservation SET http_status = 404 WHERE account_key = :acme AND state = 2",
    ),
    (
        "what was released was answered well",
        6,
        "UPDATE reservation SET http_status = 302 WHERE account_key = :acme AND state = 3",
    ),
    (
        "what expired was answered",
        6,
        "UPDATE reservation SET http_status = 200 WHERE account_key = :acme AND state = 4",
    ),
    (
        "the charge rule was another",
        6,
        (
            "UPDATE reservation SET charge_on = '200,4xx'"
            " WHERE account_key = :acme AND http_status = 204"
        ),
    ),
    # 6: prices
    (
        "a reservation costs what no list says",
        6,
        "UPDATE price SET credits = credits + 1 WHERE version = 2",
    ),
    (
        "a reservation is charged by another rule",
        6,
        "UPDATE reservation SET charge_on = '404' WHERE account_key = :acme AND state = 2",
    ),
    (
        "a reservation has a price of a list that does not exist",
        6,
        "UPDATE reservation SET price_version = 99 WHERE account_key = :acme AND state = 1",
    ),
    (
        "a reservation has the price of a list to come",
        6,
        "UPDATE price_list SET named_effective_us = 4000000000000000 WHERE name = 'partner'",
    ),
    (
        "a reservation has the price of another list than the account was on",
        6,
        "UPDATE reservation SET price_version = 1 WHERE account_key = :acme AND state = 1",
    ),
    # 7: refunds
    (
        "a refund is another reservation's",
        7,
        "UPDATE entry SET reservation_id = 999 WHERE account_key = :acme AND kind = 4",
    ),
    (
        "more is refunded than was charged",
        7,
        "UPDATE entry SET credits = 9999 WHERE account_key = :acme AND kind = 4",
    ),
    (
        "a reservation forgets a refund",
        7,
        "UPDATE reservation SET refunded = 0 WHERE account_key = :acme AND refunded > 0",
    ),
    # 8: windows of limits
    (
        "a window has used more",
        8,
        "UPDATE limit_window SET used = used + 1 WHERE account_key = :acme AND used > 0",
    ),
    (
        "a window holds less",
        8,
        "UPDATE limit_window SET held = held - 1 WHERE account_key = :acme AND held > 0",
    ),
    (
        "a window forgets what went over",
        8,
        "UPDATE limit_window SET over = 0 WHERE account_key = :acme AND over > 0",
    ),
    ("a window is gone", 8, "DELETE FROM limit_window WHERE account_key = :acme AND used > 0"),
    (
        "what a reservation counts in cannot be read",
        8,
        "UPDATE reservation SET windows = '1:x' WHERE account_key = :acme AND windows IS NOT NULL",
    ),
    (
        "a reservation does not count any more",
        8,
        "UPDATE reservation SET windows = NULL WHERE account_key = :acme AND state = 2",
    ),
    # 9: counters
    (
        "a refund is not counted",
        9,
        "DELETE FROM usage_hour WHERE account_key = :acme AND kind = 3",
    ),
    (
        "a counter is too high",
        9,
        "UPDATE usage_hour SET requests = requests + 1 WHERE account_key = :acme AND kind = 1",
    ),
    (
        "credits are not counted",
        9,
        "UPDATE usage_hour SET credits = 0 WHERE account_key = :acme AND kind = 1",
    ),
    (
        "a release is not counted",
        9,
        "DELETE FROM usage_hour WHERE account_key = :acme AND kind = 27",
    ),
    (
        "an expiry is not counted",
        9,
        "DELETE FROM usage_hour WHERE account_key = :acme AND kind = 2",
    ),
    (
        "a day is not its hours",
        9,
        "UPDATE usage_day SET credits = credits - 1 WHERE account_key = :acme AND kind = 1",
    ),
    (
        "a quarter has more than its hour",
        9,
        "UPDATE usage_hour SET requests_30 = requests + 1 WHERE account_key = :acme AND kind = 1",
    ),
    (
        "a charge is in another quarter",
        9,
        "UPDATE usage_hour SET requests_45 = 1, credits_45 = 1 WHERE account_key = :acme AND kind = 1",
    ),
    (
        "a release is in another quarter",
        9,
        "UPDATE usage_hour SET requests_45 = requests WHERE account_key = :acme AND kind = 27",
    ),
    ("a day is missing", 9, "DELETE FROM usage_day WHERE account_key = :acme"),
    ("charged is not the sum", 9, "UPDATE account SET charged = charged - 1 WHERE key = :acme"),
    (
        "a counted endpoint is unknown",
        9,
        "UPDATE usage_day SET endpoint_id = 99 WHERE account_key = :acme AND kind = 27",
    ),
    # 10: keys, states and what the sweeper looks at
    ("the sweeper does not see a hold", 10, "DELETE FROM hold WHERE account_key = :acme"),
    (
        "the sweeper sees a hold too late",
        10,
        "UPDATE hold SET expires_us = expires_us + 1 WHERE account_key = :acme",
    ),
    (
        "a committed reservation failed",
        10,
        "UPDATE reservation SET outcome = 6 WHERE account_key = :acme AND state = 2",
    ),
    (
        "a released reservation never ended",
        10,
        "UPDATE reservation SET settled_us = 0 WHERE account_key = :acme AND state = 3",
    ),
    (
        "an admin record has no outcome",
        10,
        "UPDATE admin_request SET result = '[1' WHERE content LIKE '%acme%'",
    ),
    # 13: alert rules and their events
    (
        "alert rules cannot be read",
        13,
        "UPDATE account SET alerts = '[[1' WHERE key = :acme",
    ),
    (
        "how far rules are cannot be read",
        13,
        "UPDATE account SET alert_states = '1:2' WHERE key = :acme",
    ),
    (
        "how far rules are is forgotten",
        13,
        "UPDATE account SET alert_states = '' WHERE key = :acme",
    ),
    (
        "a rule was met and has no event",
        13,
        "DELETE FROM event WHERE account_key = :acme AND rule = 'half'",
    ),
    (
        "a rule without a window has an event too few",
        13,
        "DELETE FROM event WHERE account_key = :acme AND rule = 'low' AND period = 1",
    ),
    (
        "an event is of a period to come",
        13,
        "UPDATE event SET period = period + 1 WHERE account_key = :acme AND rule = 'cap'",
    ),
    (
        "a rule has counted more than was charged",
        13,
        "UPDATE account SET alert_states = replace(alert_states, '320', '321') WHERE key = :acme",
    ),
    (
        "a rule that was not met has an event",
        13,
        (
            r"UPDATE account SET alert_states = replace(alert_states, '320\:1', '320\:0')"
            " WHERE key = :acme"
        ),
    ),
    (
        "an event has a position that was not given",
        13,
        (
            "UPDATE event SET position = 99 WHERE event_id ="
            " (SELECT max(event_id) FROM event WHERE account_key = :acme AND rule = 'half')"
        ),
    ),
    (
        "an event still waits for a position",
        13,
        "UPDATE event SET position = NULL WHERE account_key = :acme AND rule = 'cap'",
    ),
    (
        "the price lists of an account cannot be read",
        10,
        "UPDATE account SET pricing = '[[\"partner\"]]' WHERE key = :acme",
    ),
    (
        "an account is on a price list that does not exist",
        10,
        "UPDATE account SET pricing = replace(pricing, 'partner', 'nobody') WHERE key = :acme",
    ),
    (
        "an account is on a price list before there is one",
        10,
        "UPDATE account SET pricing = '[[\"partner\", 5]]' WHERE key = :acme",
    ),
    (
        "the price lists of an account begin in no order",
        10,
        'UPDATE account SET pricing = \'[["", 0], ["", 9], ["", 8]]\' WHERE key = :acme',
    ),
    (
        "two accounts have one id",
        10,
        "UPDATE account SET account_id = 'acme' WHERE key = :bystander",
    ),
]


def broken_ledgers() -> Iterator[Any]:
    """Yield the cases as parameters; `make test` takes the first two of each invariant."""
    for _, cases in groupby(sorted(BROKEN, key=itemgetter(1)), itemgetter(1)):
        for number, (name, *case) in enumerate(cases):
            yield pytest.param(*case, id=name, marks=[thorough] if number >= 2 else [])


@pytest.mark.parametrize(("invariant", "statement"), [*broken_ledgers()])
def test_what_breaks_an_invariant_is_found_and_named(
    saved: tuple[Engine, LedgerBuilder], invariant: int, statement: str
) -> None:
    findings = findings_after(*saved, statement)

    assert (invariant, "acme") in {(each.invariant, each.account_id) for each in findings}
    assert named(findings) <= {"acme", "bystander" if ":bystander" in statement else ""}


@pytest.mark.parametrize(
    ("invariant", "table"),
    [
        (1, "entry"),
        (2, "reservation"),
        (4, "credit_grant"),
        (8, "limit_window"),
        (9, "usage_hour"),
        (9, "usage_day"),
        (13, "event"),
    ],
)
def test_rows_of_an_unknown_account_are_named_by_its_key(
    saved: tuple[Engine, LedgerBuilder], invariant: int, table: str
) -> None:
    key = 64 * 999

    findings = findings_after(
        *saved,
        f"UPDATE {table} SET shard = 0, account_key = {key} WHERE account_key = :bystander",  # noqa: S608 - our own table
    )

    assert (invariant, f"#{key:x}") in {(each.invariant, each.account_id) for each in findings}


def test_an_account_in_the_wrong_shard_is_found(saved: tuple[Engine, LedgerBuilder]) -> None:
    findings = findings_after(
        *saved, "UPDATE account SET shard = (shard + 1) % 64 WHERE key = :acme"
    )

    assert (10, "acme") in {(each.invariant, each.account_id) for each in findings}


def test_a_debt_beside_free_credits_is_found(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credit_limit=100)
    ledger.charge("acme")
    ledger.grant("acme", 30)

    findings = findings_of(engine, ledger, "UPDATE credit_grant SET remaining = 25, expired = 5")

    assert (4, "acme") in {(each.invariant, each.account_id) for each in findings}


def test_what_a_message_says_is_what_is_wrong(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    ledger.hold("acme")

    findings = findings_of(engine, ledger, "UPDATE account SET held = 11")

    assert findings == [Finding(2, "acme", "held is 11, but its held reservations add up to 10")]


def test_a_lowered_limit_accounts_for_a_balance_below_zero(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    ledger.update("acme", credit_limit=100)
    ledger.charge("acme", times=4)
    ledger.hold("acme", hold_s=600)
    ledger.update("acme", credit_limit=20)

    assert ledger.accounts["acme"].available == -30
    assert findings_of(engine, ledger) == []


def test_a_limit_that_was_never_given_does_not_account_for_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credit_limit=100)
    ledger.charge("acme", times=10)

    findings = findings_of(
        engine,
        ledger,
        "UPDATE account SET credit_limit = 99",
        "UPDATE admin_request SET content = '{}' WHERE method = 'CreateAccount'",
    )

    assert {(each.invariant, each.account_id) for each in findings} == {
        (3, "acme"),
        (10, "acme"),  # what opened it does not say so any more
        (10, ""),
    }


def test_a_late_charge_accounts_for_no_more_than_itself(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    late = ledger.hold("acme", TRACK)
    ledger.expire(late)
    ledger.charge("acme", TRACK)
    ledger.commit(late)

    assert ledger.accounts["acme"].available == -50
    assert findings_of(engine, ledger) == []


def in_debt() -> LedgerBuilder:
    """Build a ledger in which `acme` owes what was taken back after it had been spent."""
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    ledger.charge("acme", TRACK)
    ledger.hold("acme")
    ledger.debit("acme", 90)
    return ledger


def test_debits_may_take_an_account_below_zero(engine: Engine) -> None:
    ledger = in_debt()

    assert ledger.accounts["acme"].available == -75
    assert findings_of(engine, ledger) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE account SET held = held + 91 WHERE key = :acme",
            "late charges of 0, debits of 90 and limits of up to 0 do not account for it",
        ),
        (
            "UPDATE entry SET kind = 5 WHERE account_key = :acme AND kind = 7",
            "was charged 75, debited 0 and given 0 anew, but its grants have 90 consumed and it owes 75",
        ),
    ],
    ids=["more is held than the debit accounts for", "a debit is no debit any more"],
)
def test_what_breaks_the_laws_of_debits_is_found(
    engine: Engine, statement: str, message: str
) -> None:
    found = [each.message for each in findings_of(engine, in_debt(), statement)]

    assert any(message in each for each in found), found


def test_denials_may_be_lost(saved: tuple[Engine, LedgerBuilder]) -> None:
    findings = findings_after(
        *saved,
        "DELETE FROM usage_hour WHERE kind >= 40",
        "DELETE FROM usage_day WHERE kind >= 40",
    )

    assert findings == []


def test_a_hold_is_overdue_once_the_sweepers_tolerance_is_over(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    held = ledger.hold("acme")
    ledger.now_us = held.expires_us + TOLERANCE_US

    in_time = findings_of(engine, ledger)
    ledger.now_us += 1
    too_late = findings_after(engine, ledger)

    assert in_time == []
    assert [(each.invariant, each.account_id) for each in too_late] == [(11, "acme")]


def test_a_live_ledger_is_checked_as_of_one_instant(engine: Engine) -> None:
    write_ahead(engine)
    ledger = busy_ledger()
    reader = SqlReader(engine, clock=lambda: ledger.now_us)
    with engine.begin() as connection:
        ledger.save(connection)
        connection.execute(text("UPDATE account SET held = held + 1"))

    checking = reader.verify(overdue_tolerance_us=TOLERANCE_US)
    first = next(iter(checking))
    with engine.begin() as connection:
        connection.execute(text("UPDATE account SET charged = charged + 1"))
    later = list(checking)
    again = list(reader.verify(overdue_tolerance_us=TOLERANCE_US))

    assert {each.invariant for each in (first, *later)} == {2}
    assert {each.invariant for each in again} == {2, 4, 9}


def findings_of(engine: Engine, ledger: LedgerBuilder, *corruptions: str) -> list[Finding]:
    """Save a ledger, and verify it after it was broken."""
    with engine.begin() as connection:
        ledger.save(connection)
    return findings_after(engine, ledger, *corruptions)


def named(findings: list[Finding]) -> set[str]:
    """The accounts that are named; a price list is, too, where its prices are wrong."""
    return {each.account_id for each in findings if not each.account_id.startswith("price list ")}


def findings_after(engine: Engine, ledger: LedgerBuilder, *corruptions: str) -> list[Finding]:
    """Break a ledger, verify it as it is then, and undo it."""
    keys = {name: account.key for name, account in ledger.accounts.items()}
    overdue_before_us = ledger.now_us - TOLERANCE_US
    with engine.connect() as connection:
        unlock(connection)
        connection.execute(text("DROP INDEX account_by_id"))  # it is unique
        for each in corruptions:
            named = {name: key for name, key in keys.items() if f":{name}" in each}
            connection.execute(text(each), named)
        findings = list(find_broken(connection, overdue_before_us=overdue_before_us))
        connection.rollback()
    return findings
