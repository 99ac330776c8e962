"""Tokens in SQLite or PostgreSQL, on connections of their own: no lane waits for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from tollkeeper.core.access.commands import ListTokens, TokenPage, TokenView
from tollkeeper.core.access.roles import Role
from tollkeeper.core.access.scope import Scope
from tollkeeper.core.access.tokens import Token
from tollkeeper.engine.token_ports import Changed
from tollkeeper.storage.connections.engines import (
    begin_past_lanes,
    create_cold_engine,
    dated_snapshot,
)
from tollkeeper.storage.rows.admin_books import SqlBooks
from tollkeeper.storage.schema.access_tables import access_token

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from sqlalchemy import Row

    from tollkeeper.engine.ports import Clock
    from tollkeeper.storage.connections.answer_watch import AnswerWatch
    from tollkeeper.storage.connections.ledger_files import LedgerFiles

_COMMIT_WITHIN_US = 60_000_000
"""A change is dated when its transaction begins, and may be seen so much later: what is read again reaches back."""


class SqlTokens:
    """See `engine/token_ports.TokenStore`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        watch: AnswerWatch | None = None,
        files: LedgerFiles | None = None,
    ) -> None:
        self._engine = create_cold_engine(url, watch=watch, files=files)
        self._clock = clock

    @contextmanager
    def transaction(self) -> Generator[SqlTokenTransaction]:
        """Open a transaction."""
        with begin_past_lanes(self._engine, self._clock) as (connection, now):
            yield SqlTokenTransaction(connection, now)

    def tokens(self, query: ListTokens) -> TokenPage:
        """Return a page of tokens."""
        column = access_token.c
        with dated_snapshot(self._engine, self._clock) as (connection, now):
            rows = connection.execute(
                select(access_token)
                .where(column.token_id > query.after)
                .order_by(column.token_id)
                .limit(query.page_size + 1)
            ).all()
        found = [TokenView(token_of(row), now) for row in rows[: query.page_size]]
        is_last = len(rows) <= query.page_size
        return TokenPage(tuple(found), "" if is_last else found[-1].token.token_id)

    def changed(self, since_us: int) -> Changed:
        """Return the tokens that were changed since, and some that were changed shortly before."""
        with dated_snapshot(self._engine, self._clock) as (connection, now):
            rows = connection.execute(
                select(access_token).where(
                    access_token.c.changed_us >= since_us - _COMMIT_WITHIN_US
                )
            ).all()
        return Changed(tuple(map(token_of, rows)), now)

    def used(self, times: Mapping[str, int]) -> None:
        """Write when tokens were used last, by their ids; what is known to be later stays."""
        if not times:
            return
        column = access_token.c
        with begin_past_lanes(self._engine, self._clock) as (connection, _):
            connection.execute(
                update(access_token)
                .where(column.token_id == bindparam("of"), column.used_us < bindparam("at"))
                .values(used_us=bindparam("at")),
                [{"of": token_id, "at": at} for token_id, at in sorted(times.items())],
            )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


class SqlTokenTransaction(SqlBooks):
    """See `engine/token_ports.TokenTransaction`."""

    def insert(self, token: Token) -> None:
        """Write a new token."""
        self._connection.execute(insert(access_token).values(self._row(token)))

    def lock(self, token_id: str) -> Token | None:
        """Lock a token, and return it where it is there."""
        row = self._connection.execute(
            select(access_token)
            .where(access_token.c.token_id == token_id)
            .with_for_update(key_share=True)
        ).one_or_none()
        return None if row is None else token_of(row)

    def update(self, token: Token) -> None:
        """Write a token that has changed, and is locked."""
        row = self._row(token)
        del row["token_id"], row["used_us"]
        self._connection.execute(
            update(access_token).where(access_token.c.token_id == token.token_id).values(row)
        )

    def _row(self, token: Token) -> dict[str, Any]:
        return {
            "token_id": token.token_id,
            "name": token.name,
            "roles": sum(1 << role for role in token.roles),
            "accounts": str(token.scope),
            "hash": token.hash,
            "hash_before": token.hash_before,
            "before_until_us": token.before_until_us,
            "created_us": token.created_us,
            "expires_us": token.expires_us or 0,
            "rotated_us": token.rotated_us or 0,
            "revoked_us": token.revoked_us or 0,
            "used_us": token.used_us or 0,
            "changed_us": self.now_us,
        }


def token_of(row: Row[Any]) -> Token:
    """Read a token."""
    return Token(
        token_id=row.token_id,
        name=row.name,
        roles=frozenset(role for role in Role if row.roles >> role & 1),
        scope=Scope(tuple(row.accounts.split(",")) if row.accounts else ()),
        created_us=row.created_us,
        hash=bytes(row.hash),
        expires_us=row.expires_us or None,
        rotated_us=row.rotated_us or None,
        hash_before=None if row.hash_before is None else bytes(row.hash_before),
        before_until_us=row.before_until_us,
        revoked_us=row.revoked_us or None,
        used_us=row.used_us or None,
    )
