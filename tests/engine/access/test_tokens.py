"""Tokens on both databases: made, rotated, revoked, listed; and the book that each server keeps of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.ledgers import Ledger
from tests.support.waiting import until
from tollkeeper.core.access import tokens as core
from tollkeeper.core.access.commands import CreateToken, ListTokens, RevokeToken, RotateToken
from tollkeeper.core.access.roles import Role
from tollkeeper.core.access.scope import read_scope
from tollkeeper.core.access.tokens import TokenState
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.access import token_book
from tollkeeper.engine.access.operations import Tokens
from tollkeeper.engine.access.token_book import STALE_AFTER_S, TokenBook
from tollkeeper.engine.ports import StoreError
from tollkeeper.storage.store import SqlStore, open_store

KEY = b"k" * core.KEY_BYTES
SECOND_US = 1_000_000
CREATE = CreateToken(
    "r-1", "billing", frozenset({Role.BILLER, Role.VIEWER}), read_scope("accounts", ["team-*"])
)
NO_TOKEN = "a" * 16


@dataclass
class Clock:
    """The store's time and the server's, moved by hand."""

    now_us: int = 1_790_000_000_000_000

    def us(self) -> int:
        return self.now_us

    def s(self) -> float:
        return self.now_us / SECOND_US

    def go_on(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND_US)


@dataclass
class Office:
    """The tokens of a ledger, as one server has them."""

    store: SqlStore
    tokens: Tokens
    clock: Clock = field(default_factory=Clock)

    def book(self, key: bytes = KEY) -> TokenBook:
        return TokenBook(self.store.tokens, key, clock=self.clock.s)


@asynccontextmanager
async def office(ledger: Ledger) -> AsyncGenerator[Office]:
    clock = Clock()
    store = open_store(ledger.url, clock=clock.us)
    tokens = Tokens(store.tokens, KEY)
    try:
        yield Office(store, tokens, clock)
    finally:
        await tokens.stop()
        store.close()


async def read(book: TokenBook) -> TokenBook:
    """Read a book once, as it would be by itself every second."""
    await book._refresh()  # pyright: ignore[reportPrivateUsage]
    return book


def refused(book: TokenBook, text: str) -> Reason:
    with pytest.raises(Refused) as refusal:
        book.check(text)
    return refusal.value.reason


async def test_a_token_is_made_once_and_its_secret_is_nowhere(ledger: Ledger) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        again = await here.tokens.create(CREATE)
        with pytest.raises(Refused) as other:
            await here.tokens.create(CreateToken("r-1", "other", CREATE.roles))
        book = await read(here.book())
        token = book.check(made.text)

    assert (again.text, again.replayed, again.view) == ("", True, made.view)
    assert other.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert (token.name, token.roles, token.scope) == ("billing", CREATE.roles, CREATE.scope)
    secret = made.text.rpartition("_")[2]
    assert secret not in repr(made)
    for table in ("access_token", "admin_request"):
        assert secret not in repr(ledger.rows(f"SELECT * FROM {table}"))  # noqa: S608 - our tables
    assert ledger.number("SELECT count(*) FROM access_token") == 1


async def test_a_rotation_keeps_the_secret_before_it_for_the_overlap(ledger: Ledger) -> None:
    async with office(ledger) as here:
        first = await here.tokens.create(CREATE)
        token_id = first.view.token.token_id
        rotate = RotateToken(token_id, "r-2", overlap_us=10 * SECOND_US)
        second = await here.tokens.rotate(rotate)
        again = await here.tokens.rotate(rotate)
        book = await read(here.book())
        both = [book.check(each.text).token_id for each in (first, second)]
        here.clock.go_on(10)
        await read(book)
        before = refused(book, first.text)
        assert book.check(second.text).token_id == token_id

    assert both == [token_id, token_id]
    assert before is Reason.TOKEN_INVALID
    assert (again.text, again.replayed) == ("", True)
    assert first.text != second.text


async def test_a_revocation_holds_on_every_server_when_its_book_is_read_again(
    ledger: Ledger,
) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        books = [await read(here.book()) for _ in range(2)]
        for book in books:
            book.check(made.text)
        here.clock.go_on(1)
        revoke = RevokeToken(made.view.token.token_id, "r-2")
        revoked = await here.tokens.revoke(revoke)
        assert await here.tokens.revoke(revoke) == revoked
        reasons = [refused(await read(book), made.text) for book in books]
        with pytest.raises(Refused) as rotated:
            await here.tokens.rotate(RotateToken(made.view.token.token_id, "r-3", 0))

    assert revoked.token.state(revoked.now_us) is TokenState.REVOKED
    assert reasons == [Reason.TOKEN_INVALID] * 2
    assert rotated.value.reason is Reason.TOKEN_NOT_ACTIVE


async def test_a_change_that_is_committed_late_is_not_missed(ledger: Ledger) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        token_id = made.view.token.token_id
        with here.store.tokens.transaction() as books:  # it is dated now
            here.clock.go_on(0.5)
            if ledger.on_postgres:  # SQLite has one writer, and readers see what was before
                book = await read(here.book())
            else:
                book = here.book()
            token = books.lock(token_id)
            assert token is not None
            books.update(core.revoke(token, now_us=books.now_us))
            here.clock.go_on(5)
            await read(book)
            book.check(made.text)
        await read(book)
        assert refused(book, made.text) is Reason.TOKEN_INVALID


async def test_a_token_expires_by_itself_between_two_readings(ledger: Ledger) -> None:
    async with office(ledger) as here:
        expires_us = here.clock.now_us + 2 * SECOND_US
        made = await here.tokens.create(
            CreateToken("r-1", "short", frozenset({Role.VIEWER}), expires_us=expires_us)
        )
        book = await read(here.book())
        here.clock.go_on(1)
        book.check(made.text)
        here.clock.go_on(1)
        assert refused(book, made.text) is Reason.TOKEN_INVALID


async def test_another_key_takes_no_token(ledger: Ledger) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        book = await read(here.book(b"x" * core.KEY_BYTES))
        assert refused(book, made.text) is Reason.TOKEN_INVALID


@pytest.mark.parametrize("text", ["", "tk_", f"tk_{NO_TOKEN}_{'b' * 52}", "Bearer x", "tk_\0"])
async def test_what_is_no_token_is_refused_in_the_same_words(ledger: Ledger, text: str) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        book = await read(here.book())
        told: set[str] = set()
        for each in (text, made.text[:-1] + ("a" if made.text[-1] != "a" else "b")):
            with pytest.raises(Refused) as refusal:
                book.check(each)
            told.add(refusal.value.message)
    assert len(told) == 1


async def test_a_book_that_cannot_be_read_takes_no_token_after_a_while(
    ledger: Ledger,
) -> None:
    async with office(ledger) as here:
        made = await here.tokens.create(CREATE)
        book = await read(here.book())
        here.clock.go_on(STALE_AFTER_S)
        book.check(made.text)
        here.clock.go_on(0.001)
        assert refused(book, made.text) is Reason.STORE_UNAVAILABLE


async def test_the_book_is_read_by_itself_and_tells_when_tokens_were_used(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_book, "REFRESH_S", 0.01)
    async with office(ledger) as here:
        book = here.book()
        await book.start()
        try:
            made = await here.tokens.create(CREATE)
            await until(lambda: is_taken(book, made.text))
        finally:
            await book.stop()
        (view,) = (await here.tokens.tokens(ListTokens(10))).tokens
    assert view.token.used_us == here.clock.now_us


def is_taken(book: TokenBook, text: str) -> bool:
    try:
        book.check(text)
    except Refused:
        return False
    return True


async def test_a_book_that_cannot_be_read_at_first_does_not_start(ledger: Ledger) -> None:
    async with office(ledger) as here:
        here.store.close()
        ledger.execute("DROP TABLE access_token")
        with pytest.raises(StoreError):
            await here.book().start()


async def test_tokens_are_listed_in_pages(ledger: Ledger) -> None:
    async with office(ledger) as here:
        made = [
            await here.tokens.create(CreateToken(f"r-{number}", f"t-{number}", CREATE.roles))
            for number in range(5)
        ]
        pages = [await here.tokens.tokens(ListTokens(2))]
        while pages[-1].next_after:
            pages.append(await here.tokens.tokens(ListTokens(2, pages[-1].next_after)))

    assert [len(page.tokens) for page in pages] == [2, 2, 1]
    found = [view.token for page in pages for view in page.tokens]
    assert found == sorted((each.view.token for each in made), key=lambda each: each.token_id)


async def test_a_token_that_is_not_there_is_named(ledger: Ledger) -> None:
    async with office(ledger) as here:
        for call in (
            here.tokens.rotate(RotateToken(NO_TOKEN, "r-1", 0)),
            here.tokens.revoke(RevokeToken(NO_TOKEN, "r-2")),
        ):
            with pytest.raises(Refused, match=f"there is no token {NO_TOKEN}") as refusal:
                await call
            assert refusal.value.reason is Reason.TOKEN_NOT_FOUND
