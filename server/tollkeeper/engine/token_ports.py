"""What tokens need of a store. It raises only the errors of `engine/ports.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tollkeeper.engine.books import Books

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tollkeeper.core.access.commands import ListTokens, TokenPage
    from tollkeeper.core.access.tokens import Token


class Changed(NamedTuple):
    """Tokens that were made or changed, and the store's time when they were read."""

    tokens: tuple[Token, ...]
    now_us: int


class TokenTransaction(Books, Protocol):
    """One database transaction on tokens."""

    def insert(self, token: Token) -> None:
        """Write a new token."""
        ...

    def lock(self, token_id: str) -> Token | None:
        """Lock a token, and return it where it is there."""
        ...

    def update(self, token: Token) -> None:
        """Write a token that has changed, and is locked."""
        ...


class TokenStore(Protocol):
    """A store's side of tokens, on connections of its own. Safe to call from several threads."""

    def transaction(self) -> AbstractContextManager[TokenTransaction]:
        """Open a transaction."""
        ...

    def tokens(self, query: ListTokens) -> TokenPage:
        """Return a page of tokens."""
        ...

    def changed(self, since_us: int) -> Changed:
        """Return the tokens that were changed since, and some that were changed shortly before."""
        ...

    def used(self, times: Mapping[str, int]) -> None:
        """Write when tokens were used last, by their ids; what is known to be later stays."""
        ...
