"""Reads show accounts as if everything due had been done, in pages that neither miss nor repeat."""

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import (
    DAY_US,
    LEADS,
    NEW_YEAR_US,
    SECOND_US,
    TRACK,
    LedgerBuilder,
    busy_ledger,
    said_by,
    statements_of,
)
from tollkeeper.core.account import AccountState
from tollkeeper.core.commands import ListAccounts, ListEntries, ListPrices
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.pricing.price_lists import Price, Unlisted
from tollkeeper.storage.read.prices import load_price_book, load_price_list
from tollkeeper.storage.reader import SqlReader

IDS = ["a", "a%b", "a_b", "a-b", "a/b", "ab", "abc", "abd", "B", "z@example.com", "Z"]


def reader_of(engine: Engine, ledger: LedgerBuilder) -> SqlReader:
    """Save a ledger and read it at its own time."""
    with engine.begin() as connection:
        ledger.save(connection)
    return SqlReader(engine, clock=lambda: ledger.now_us)


def test_an_account_is_read_as_it_is(engine: Engine) -> None:
    ledger = busy_ledger()
    reader = reader_of(engine, ledger)
    expected = ledger.accounts["acme"]

    view = reader.account("acme")

    assert view.balance == expected.balance
    assert (view.account_id, view.display_name) == ("acme", "acme!")
    assert (view.state, view.credit_limit) == (AccountState.BLOCKED, 500)
    assert view.created_us == NEW_YEAR_US


def test_an_account_that_is_not_there_is_not_found(engine: Engine) -> None:
    reader = reader_of(engine, LedgerBuilder())

    with pytest.raises(Refused, match="there is no account nobody") as refused:
        reader.account("nobody")
    with pytest.raises(Refused, match="there is no account nobody") as refused_too:
        reader.entries(ListEntries("nobody", 10))

    assert refused.value.reason is refused_too.value.reason is Reason.ACCOUNT_NOT_FOUND


def test_a_hold_counts_until_its_deadline_and_not_at_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    held = ledger.hold("acme", TRACK)
    reader = reader_of(engine, ledger)

    ledger.now_us = held.expires_us - 1
    before = reader.account("acme").balance
    ledger.now_us = held.expires_us
    after = reader.account("acme").balance

    assert before == Balance(25, 100, 75, 0)
    assert after == Balance(100, 100, 0, 0)


def test_a_grant_counts_until_its_expiry_and_not_at_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    expires_us = ledger.now_us + DAY_US
    ledger.account("acme", credit_limit=5, credits=10)
    ledger.grant("acme", 100, expires_us=expires_us)
    reader = reader_of(engine, ledger)

    ledger.now_us = expires_us - 1
    before = reader.account("acme").balance
    ledger.now_us = expires_us
    after = reader.account("acme").balance

    assert before == Balance(115, 110, 0, 5)
    assert after == Balance(15, 10, 0, 5)


def test_what_an_overdue_hold_gives_back_to_an_expired_grant_expires(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme")
    ledger.grant("acme", 100, expires_us=ledger.now_us + 30 * SECOND_US)
    ledger.hold("acme", TRACK, hold_s=60)
    reader = reader_of(engine, ledger)

    ledger.now_us += 30 * SECOND_US
    expired = reader.account("acme").balance
    ledger.now_us += 30 * SECOND_US
    overdue = reader.account("acme").balance

    assert expired == Balance(0, 75, 75, 0)
    assert overdue == Balance(0, 0, 0, 0)


def test_a_page_shows_what_each_account_shows_alone(engine: Engine) -> None:
    ledger = busy_ledger()
    ledger.account("zebra", credits=100)
    ledger.hold("zebra", LEADS, hold_s=1)
    ledger.now_us += DAY_US
    reader = reader_of(engine, ledger)

    page = reader.accounts(ListAccounts(page_size=10))

    assert [each.account_id for each in page.accounts] == ["acme", "bystander", "planned", "zebra"]
    assert page.accounts == tuple(map(reader.account, ["acme", "bystander", "planned", "zebra"]))
    assert page.accounts[0].balance.held == 0
    assert page.next_after == ""


@pytest.mark.parametrize("page_size", [1, 3, 11, 100])
@pytest.mark.parametrize("prefix", ["", "a", "a%", "a_", "ab", "abd", "Z", "nothing", "~"])
def test_pages_of_accounts_neither_miss_nor_repeat(
    many_accounts: SqlReader, page_size: int, prefix: str
) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = many_accounts.accounts(ListAccounts(page_size, after, prefix))
        seen += [each.account_id for each in page.accounts]
        after = page.next_after
        if not after:
            break
        assert len(page.accounts) == page_size

    assert seen == sorted(each for each in IDS if each.startswith(prefix))


def test_a_page_costs_the_same_number_of_statements_however_long_it_is(
    many_accounts: SqlReader, module_engine: Engine
) -> None:
    with statements_of(module_engine) as short:
        many_accounts.accounts(ListAccounts(page_size=1))
    with statements_of(module_engine) as long:
        many_accounts.accounts(ListAccounts(page_size=100))

    assert len(short) == len(long) <= 5


@pytest.mark.parametrize("page_size", [1, 2, 5, 100])
def test_pages_of_entries_neither_miss_nor_repeat(engine: Engine, page_size: int) -> None:
    ledger = busy_ledger()
    reader = reader_of(engine, ledger)
    seen: list[int] = []
    after = 0
    while True:
        page = reader.entries(ListEntries("acme", page_size, after))
        seen += [each.entry.sequence for each in page.entries]
        after = page.next_after
        if not after:
            break

    assert seen == [*range(1, ledger.accounts["acme"].sequence + 1)]


def test_an_entry_names_its_endpoint_as_the_price_list_wrote_it(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    ledger.charge("acme", TRACK)

    grant, charge = reader_of(engine, ledger).entries(ListEntries("acme", 10)).entries

    assert (grant.entry.kind, grant.method, grant.path) == (EntryKind.GRANT, "", "")
    assert grant.entry.note == "a gift"
    assert (charge.entry.kind, charge.method, charge.path) == (
        EntryKind.CHARGE,
        "POST",
        "/v1/track",
    )
    assert (charge.entry.credits, charge.entry.settled, charge.entry.note) == (-75, 25, "")


def test_entries_are_those_of_the_time_asked_for(engine: Engine) -> None:
    ledger = LedgerBuilder()
    ledger.account("acme", credits=100)
    for _ in range(4):
        ledger.now_us += SECOND_US
        ledger.charge("acme")
    reader = reader_of(engine, ledger)
    start_us, end_us = NEW_YEAR_US + 2 * SECOND_US, NEW_YEAR_US + 4 * SECOND_US

    def sequences(start_us: int | None, end_us: int | None) -> list[int]:
        query = ListEntries("acme", 10, start_us=start_us, end_us=end_us)
        return [each.entry.sequence for each in reader.entries(query).entries]

    assert sequences(start_us, end_us) == [3, 4]
    assert sequences(start_us, None) == [3, 4, 5]
    assert sequences(None, end_us) == [1, 2, 3, 4]


@pytest.fixture
def priced(engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """Four lists: in force at first, for later, in force now, and for later still."""
    ledger = LedgerBuilder()
    ledger.publish(LEADS._replace(note="per call", charge_on=("2xx", "404")), TRACK)
    ledger.publish(LEADS, effective_us=NEW_YEAR_US + 9 * DAY_US, unlisted=Unlisted.DENIED)
    ledger.publish(LEADS._replace(credits=11), effective_us=NEW_YEAR_US + DAY_US)
    ledger.publish(TRACK, LEADS, effective_us=NEW_YEAR_US + 10 * DAY_US)
    with engine.begin() as connection:
        ledger.save(connection)
    return engine, ledger


def test_a_published_list_comes_back_as_it_was(priced: tuple[Engine, LedgerBuilder]) -> None:
    engine, ledger = priced

    with engine.connect() as connection:
        for expected in ledger.lists:
            found = load_price_list(connection, expected.version)
            assert found is not None
            assert said_by(found) == said_by(expected)
        assert load_price_list(connection, 5) is None


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5])
def test_pages_of_price_lists_go_back_from_the_newest(
    priced: tuple[Engine, LedgerBuilder], page_size: int
) -> None:
    reader = SqlReader(priced[0])
    seen: list[int] = []
    before = None
    while True:
        page = reader.prices(ListPrices(page_size, before))
        seen += [each.version for each in page.lists]
        before = page.next_before
        if not before:
            break

    assert seen == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("days", "in_force", "upcoming"),
    [
        (-1, None, [1, 3, 2, 4]),
        (0, 1, [3, 2, 4]),
        (1, 3, [2, 4]),
        (9, 2, [4]),
        (10, 4, []),
        (99, 4, []),
    ],
)
def test_the_book_has_the_lists_in_force_now_and_later(
    priced: tuple[Engine, LedgerBuilder], days: int, in_force: int | None, upcoming: list[int]
) -> None:
    now_us = NEW_YEAR_US + days * DAY_US

    with priced[0].connect() as connection:
        book = load_price_book(connection, now_us)

    found = book.in_force(now_us)
    assert (found and found.version) == in_force
    assert [each.version for each in book.upcoming(now_us)] == upcoming


def test_the_book_knows_the_newest_version_also_where_it_was_never_in_force(
    engine: Engine,
) -> None:
    ledger = LedgerBuilder()
    ledger.publish(effective_us=NEW_YEAR_US + 9)
    ledger.publish(effective_us=NEW_YEAR_US + 5)
    with engine.begin() as connection:
        ledger.save(connection)
        book = load_price_book(connection, NEW_YEAR_US + 100)

    assert book.version == 2
    assert [each.version for each in book.lists] == [1]


def test_of_two_lists_of_one_moment_the_later_version_is_in_force(engine: Engine) -> None:
    ledger = LedgerBuilder()
    for credits in (1, 2, 3):
        ledger.publish(Price("GET", "/", credits, endpoint_id=2))
    with engine.begin() as connection:
        ledger.save(connection)
        found = load_price_book(connection, NEW_YEAR_US).in_force(NEW_YEAR_US)

    assert found is not None
    assert found.version == 3


@pytest.fixture
def named(engine: Engine) -> tuple[Engine, LedgerBuilder]:
    """Lists of three names: in force, replaced, past, and to come."""
    ledger = LedgerBuilder()
    for days in (0, 1, 1, 9):
        ledger.publish(effective_us=NEW_YEAR_US + days * DAY_US)
        for name in ("gold", "partner"):
            ledger.publish(effective_us=NEW_YEAR_US + days * DAY_US, name=name)
    with engine.begin() as connection:
        ledger.save(connection)
    return engine, ledger


def test_the_book_has_the_lists_of_every_name_in_a_few_statements(
    named: tuple[Engine, LedgerBuilder],
) -> None:
    engine, now_us = named[0], NEW_YEAR_US + 2 * DAY_US

    with engine.connect() as connection, statements_of(engine) as statements:
        book = load_price_book(connection, now_us)
        first = len(statements)
        again = load_price_book(connection, now_us + 8 * DAY_US, book)

    assert first in {4, 5}  # on SQLite BEGIN is one
    assert len(statements) == first + 2
    for name, in_force, upcoming in (("", 7, 10), ("gold", 8, 11), ("partner", 9, 12)):
        found = book.in_force(now_us, name)
        assert found is not None
        assert (found.version, found.name) == (in_force, name)
        assert [each.version for each in book.upcoming(now_us, name)] == [upcoming]
        # A list that is known is the same object: it is not compiled again.
        assert again.in_force(now_us + 8 * DAY_US, name) is book.upcoming(now_us, name)[0]
    assert {each.version for each in book.lists} == {4, 5, 6, 7, 8, 9, 10, 11, 12}
    assert {each.version for each in again.lists} == {10, 11, 12}


def test_a_server_of_the_version_before_finds_the_default_list(
    named: tuple[Engine, LedgerBuilder],
) -> None:
    # What it asks, word for word: it knows no names.
    asked = text(
        "SELECT version FROM price_list WHERE effective_us >= coalesce((SELECT "
        "max(effective_us) FROM price_list WHERE effective_us <= :now_us), 0) "
        "AND effective_us <= :now_us ORDER BY effective_us, version"
    )

    with named[0].connect() as connection:
        found = connection.scalars(asked, {"now_us": NEW_YEAR_US + 2 * DAY_US}).all()

    assert found == [4, 7]


@pytest.fixture(scope="module")
def many_accounts(module_engine: Engine) -> SqlReader:
    """Accounts whose ids are hard to sort and to search for."""
    ledger = LedgerBuilder()
    for name in IDS:
        ledger.account(name, credits=10)
        ledger.hold(name, hold_s=1)
    ledger.now_us += DAY_US
    return reader_of(module_engine, ledger)
