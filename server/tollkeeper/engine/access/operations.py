"""What administrators do with tokens: one method for each thing that can be asked."""

from __future__ import annotations

import base64
import secrets
from functools import partial
from typing import TYPE_CHECKING

from tollkeeper.core.access import tokens as core
from tollkeeper.core.access.commands import TokenPage, TokenShown, TokenView
from tollkeeper.core.administer import record_of
from tollkeeper.engine.transactions import Transactions, record_before

if TYPE_CHECKING:
    from tollkeeper.core.access.commands import CreateToken, ListTokens, RevokeToken, RotateToken
    from tollkeeper.core.access.tokens import Token
    from tollkeeper.engine.token_ports import TokenStore, TokenTransaction


class Tokens:
    """The tokens of a ledger; `key` is what their secrets are hashed with."""

    def __init__(self, store: TokenStore, key: bytes) -> None:
        self._store = store
        self._key = key
        self._transactions = Transactions(store.transaction, "tokens")

    async def stop(self) -> None:
        """Finish what was begun, and refuse what comes."""
        await self._transactions.stop()

    async def create(self, command: CreateToken) -> TokenShown:
        """Make a token. Its text is in this answer and nowhere else; a repeat has none."""
        text = _draw(core.new_id(secrets.token_bytes(core.ID_BYTES)))

        def work(books: TokenTransaction) -> TokenShown:
            record = record_before(books, command)
            if record is not None:
                made = _locked(books, _name_of(record.result["token"]))
                return TokenShown(TokenView(made, books.now_us), "", replayed=True)
            token = core.create(
                core.hash_of(self._key, text),
                text.token_id,
                name=command.name,
                roles=command.roles,
                scope=command.scope,
                expires_us=command.expires_us,
                now_us=books.now_us,
            )
            books.insert(token)
            books.keep_record(record_of(command, token=_number_of(token.token_id)))
            return TokenShown(TokenView(token, books.now_us), str(text))

        return await self._transactions.change(work)

    async def rotate(self, command: RotateToken) -> TokenShown:
        """Give a token another secret. Its text is in this answer and nowhere else; a repeat has none."""
        text = _draw(command.token_id)

        def work(books: TokenTransaction) -> TokenShown:
            record = record_before(books, command)
            token = _locked(books, command.token_id)
            if record is not None:
                return TokenShown(TokenView(token, books.now_us), "", replayed=True)
            rotated = core.rotate(
                token,
                core.hash_of(self._key, text),
                overlap_us=command.overlap_us,
                now_us=books.now_us,
            )
            books.update(rotated)
            books.keep_record(record_of(command))
            return TokenShown(TokenView(rotated, books.now_us), str(text))

        return await self._transactions.change(work)

    async def revoke(self, command: RevokeToken) -> TokenView:
        """Let a token be taken no longer: on each server within the time in which its book is read again."""

        def work(books: TokenTransaction) -> TokenView:
            record = record_before(books, command)
            token = _locked(books, command.token_id)
            if record is None:
                token = core.revoke(token, now_us=books.now_us)
                books.update(token)
                books.keep_record(record_of(command))
            return TokenView(token, books.now_us)

        return await self._transactions.change(work)

    async def tokens(self, query: ListTokens) -> TokenPage:
        """Return a page of tokens."""
        return await self._transactions.read(partial(self._store.tokens, query))


def _draw(token_id: str) -> core.TokenText:
    return core.new_text(token_id, secrets.token_bytes(core.SECRET_BYTES))


def _locked(books: TokenTransaction, token_id: str) -> Token:
    token = books.lock(token_id)
    if token is None:
        raise core.token_not_found(token_id)
    return token


def _number_of(token_id: str) -> int:
    """Return an id as a number, which the record of a call can keep."""
    return int.from_bytes(base64.b32decode(token_id.upper()), "big")


def _name_of(number: int) -> str:
    return core.new_id(number.to_bytes(core.ID_BYTES, "big"))
