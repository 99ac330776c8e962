"""The whole life of one reservation is read in one snapshot, by a few keys, whatever has become of it."""

import re

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import (
    DAILY,
    DAY_US,
    LEADS,
    NEW_YEAR_US,
    SECOND_US,
    TRACK,
    LedgerBuilder,
    statements_of,
)
from tollkeeper.core.answers.explanation import ExplainReservation, Explanation, RequestName
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.limits import LimitWindow
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.storage.reader import SqlReader

EPOCH_US = 1_704_067_200_000_000  # 2024, when ids begin


def name_of(held: Reservation) -> ReservationName:
    return ReservationName(held.account_key, held.reservation_id)


def save(engine: Engine, ledger: LedgerBuilder) -> SqlReader:
    with engine.begin() as connection:
        ledger.save(connection)
    return SqlReader(engine, clock=lambda: ledger.now_us)


def explained(engine: Engine, ledger: LedgerBuilder, held: Reservation) -> Explanation:
    return save(engine, ledger).explanation(ExplainReservation(name_of(held)))


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def refused(reader: SqlReader, name: ReservationName | RequestName) -> Refused:
    with pytest.raises(Refused) as found:
        reader.explanation(ExplainReservation(name))
    return found.value


def test_a_charge_is_told_with_all_that_it_is_made_of(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish()
    ledger.account(credit_limit=50)
    gift = ledger.grant("acme", 70, expires_us=NEW_YEAR_US + DAY_US, priority=3)
    ledger.update("acme", limits=(DAILY,))
    held = ledger.hold("acme", TRACK, hold_s=30)
    ledger.now_us += SECOND_US
    charged = ledger.commit(held, http_status=204)
    ledger.charge("acme")  # is not told
    ledger.refund(charged, 4)

    told = explained(engine, ledger, held)

    assert told.account_id == "acme"
    assert told.reservation == ledger.reservations[held.reservation_id]
    assert (told.credits, told.refunded) == (75, 4)
    assert told.price == ("POST", "/v1/track", 1, "", NEW_YEAR_US, "list 1")
    assert told.payments == (
        (70, gift, 3, NEW_YEAR_US + DAY_US, "a gift"),
        (5, 0, 0, 2**63 - 1, ""),
    )
    window = told.windows[0]
    assert window.limit is not None
    assert (window.limit.name, window.counted.amount, window.counted.over) == ("daily", 75, False)
    assert (window.counted.start_us, window.end_us) == (NEW_YEAR_US, NEW_YEAR_US + DAY_US)
    assert told.charge is not None
    assert [each.entry.kind for each in told.entries] == [EntryKind.CHARGE, EntryKind.REFUND]
    assert (told.charge.method, told.charge.path) == ("POST", "/v1/track")
    assert told.charge.entry.sequence == charged.charge_sequence == 2


def test_a_request_is_found_by_what_its_gateway_called_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10))
    reader = save(engine, ledger)

    told = reader.explanation(ExplainReservation(RequestName("acme", held.request_id)))

    assert told.name == name_of(held)
    assert told.reservation == held


def test_a_hold_of_an_older_server_has_the_request_it_was_asked_by(engine: Engine) -> None:
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10))
    reader = save(engine, ledger)
    run(engine, "UPDATE reservation SET request_id = '', authorized_by = ''")

    told = reader.explanation(ExplainReservation(RequestName("acme", held.request_id)))
    by_name = reader.explanation(ExplainReservation(name_of(held)))

    assert told.reservation == held._replace(authorized_by="")
    assert by_name.reservation == held._replace(authorized_by="", request_id="")


def test_a_hold_past_its_deadline_has_ended(engine: Engine) -> None:
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10), hold_s=60)
    reader = save(engine, ledger)

    ledger.now_us = held.expires_us - 1
    before = reader.explanation(ExplainReservation(name_of(held))).reservation
    ledger.now_us = held.expires_us
    at_it = reader.explanation(ExplainReservation(name_of(held))).reservation

    assert before == held
    assert at_it == held._replace(state=ReservationState.EXPIRED, settled_us=held.expires_us)


def test_a_limit_that_is_gone_is_told_by_its_number(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account(credits=100)
    ledger.update("acme", limits=(DAILY,))
    held = ledger.hold("acme")
    ledger.update("acme", limits=(DAILY._replace(window=LimitWindow.MONTH),))

    told = explained(engine, ledger, held)

    assert told.windows == ((held.windows[0], None, 0),)


def test_what_costs_nothing_is_paid_by_nobody(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.publish(LEADS._replace(credits=0))
    charged = ledger.commit(ledger.hold(ledger.account(), LEADS))

    told = explained(engine, ledger, charged)

    assert told.payments == ()
    assert [each.entry.credits for each in told.entries] == [0]


def test_a_late_charge_is_told_with_who_paid_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    held = ledger.expire(ledger.hold(ledger.account(credits=10), hold_s=1))
    ledger.charge("acme")
    ledger.commit(held, http_status=200)

    told = explained(engine, ledger, held)

    assert told.reservation is not None
    assert told.reservation.late
    assert told.payments == ((10, 0, 0, 2**63 - 1, ""),)
    assert [each.entry.kind for each in told.entries] == [EntryKind.LATE_CHARGE]


def test_a_charge_of_an_older_server_is_found_by_its_time(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account(credits=10_000)
    charged: list[Reservation] = []
    for _ in range(40):
        ledger.now_us += 60 * SECOND_US
        charged.append(ledger.commit(ledger.hold("acme")))
    reader = save(engine, ledger)
    run(engine, "UPDATE reservation SET charge_sequence = 0")

    for each in charged:
        told = reader.explanation(ExplainReservation(name_of(each)))
        assert [found.entry.sequence for found in told.entries] == [each.charge_sequence]


def test_after_the_retention_time_the_journal_knows_a_charge(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account(credits=10_000)
    ledger.numbers = (NEW_YEAR_US - EPOCH_US) // 1000 << 22
    ledger.charge("acme", times=30)
    charged = ledger.commit(ledger.hold("acme", TRACK))
    ledger.charge("acme", times=30)
    ledger.refund(charged, 5)
    reader = save(engine, ledger)
    run(engine, "DELETE FROM reservation WHERE refunded > 0")

    told = reader.explanation(ExplainReservation(name_of(charged)))

    assert told.reservation is None
    assert (told.account_id, told.credits, told.refunded) == ("acme", 75, 5)
    assert told.created_us == NEW_YEAR_US
    assert told.price == ("POST", "/v1/track", 1, "", NEW_YEAR_US, "list 1")
    assert [each.entry.kind for each in told.entries] == [EntryKind.CHARGE, EntryKind.REFUND]
    by_request = refused(reader, RequestName("acme", charged.request_id))
    assert by_request.reason is Reason.RESERVATION_NOT_FOUND


def test_what_charged_nothing_is_forgotten_with_its_reservation(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account(credits=100)
    ledger.charge("acme")
    released = ledger.commit(ledger.hold("acme"), Outcome.SERVER_ERROR)
    reader = save(engine, ledger)
    run(engine, "DELETE FROM reservation")

    refusal = refused(reader, name_of(released))

    assert refusal.reason is Reason.RESERVATION_NOT_FOUND
    assert "the journal has no charge of it" in refusal.message


def test_nothing_is_known_of_what_there_never_was(engine: Engine) -> None:
    ledger = LedgerBuilder()
    held = ledger.hold(ledger.account(credits=10))
    ledger.account("other")
    reader = save(engine, ledger)
    others = ReservationName(ledger.accounts["other"].key, held.reservation_id)

    unknown = refused(reader, ReservationName(64, 1))
    not_theirs = refused(reader, others)
    denied = refused(reader, RequestName("acme", "never held"))
    nobody = refused(reader, RequestName("nobody", "r-1"))

    assert unknown.reason is not_theirs.reason is Reason.RESERVATION_NOT_FOUND
    assert unknown.metadata == {"reservation_id": "40-1"}
    assert denied.reason is Reason.RESERVATION_NOT_FOUND
    assert "that was denied, or is free, is not stored" in denied.message
    assert denied.metadata == {"account_id": "acme", "request_id": "never held"}
    assert nobody.reason is Reason.ACCOUNT_NOT_FOUND


def test_the_number_of_statements_does_not_depend_on_the_journal(engine: Engine) -> None:
    counts: list[int] = []
    ledger = LedgerBuilder()
    ledger.account(credits=10_000)
    charged = ledger.commit(ledger.hold("acme", TRACK))
    for _ in range(3):
        ledger.refund(charged, 1)
    ledger.charge("acme", times=50)
    reader = save(engine, ledger)

    for name in (name_of(charged), RequestName("acme", charged.request_id)):
        with statements_of(engine) as seen:
            reader.explanation(ExplainReservation(name))
        counts.append(sum("FROM" in statement for statement, _ in seen))

    assert counts[0] == counts[1] <= 6


def test_refunds_are_found_by_their_index(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account(credits=10_000)
    ledger.charge("acme", times=200)
    charged = ledger.commit(ledger.hold("acme"))
    ledger.refund(charged, 1)
    reader = save(engine, ledger)
    with statements_of(engine) as seen:
        reader.explanation(ExplainReservation(name_of(charged)))
    question, parameters = next(each for each in seen if "entry.kind = 4" in each[0])

    with engine.connect() as connection:
        explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = connection.exec_driver_sql(f"{explain} {question}", parameters).all()

    found = "\n".join(str(row[-1]) for row in plan)
    if (
        engine.dialect.name == "postgresql"
    ):  # each partition has an index of its own, by its own name
        assert "Seq Scan on entry" not in found
        assert re.search(r"Index Cond: .*shard = .*reservation_id = ", found)
    else:
        assert "entry_refunds" in found
