"""The tokens of the ledger, kept in memory: a call is checked without a question to the database.

The book is read again every `REFRESH_S`, only what has changed. So a revocation holds on every server within that time,
and the time of the read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tollkeeper.core.access import tokens as core
from tollkeeper.core.errors import Reason, Refused
from tollkeeper.engine.ports import StoreError
from tollkeeper.engine.unavailable import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollkeeper.core.access.tokens import Token
    from tollkeeper.engine.token_ports import TokenStore

log = logging.getLogger(__name__)

REFRESH_S = 1.0
"""How often the book is read again."""
STALE_AFTER_S = 4.0
"""A book so old takes no token: a revocation might be missing in it."""
USED_EVERY_S = 60.0
"""How often it is written when tokens were used last."""

_KNOWN_MAX = 10_000
"""Texts that were checked and need no hash again, until the book changes."""


class TokenBook:
    """Knows which tokens are taken. Belongs to one event loop; `clock` counts seconds."""

    def __init__(
        self,
        store: TokenStore,
        key: bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._known: dict[str, Token] = {}
        """Tokens by their texts, of those whose secret was right since the book changed last."""
        self._read_us = 0
        self._read_s = float("-inf")
        self._used: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the book, and read it again from now on. Raises StoreError where it cannot be read."""
        await self._refresh()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Read no more; write when tokens were used."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write_used()

    def check(self, text: str) -> Token:
        """Return the token of a text. Hot.

        Raises Refused TOKEN_INVALID where it is not taken, whatever the reason; STORE_UNAVAILABLE where the book could
        not be read for too long.
        """
        age_s = self._clock() - self._read_s
        if age_s > STALE_AFTER_S:
            raise unavailable()
        now_us = self._read_us + int(age_s * 1_000_000)
        token = self._known.get(text)
        if token is None or not _holds(token, now_us):
            token = self._look_up(text, now_us)
        self._used[token.token_id] = now_us
        return token

    def _look_up(self, text: str, now_us: int) -> Token:
        read = core.read_token(text)
        token = None if read is None else self._tokens.get(read.token_id)
        if read is None or token is None or not token.takes(core.hash_of(self._key, read), now_us):
            raise Refused(
                Reason.TOKEN_INVALID,
                "the token is not known, or has expired or was revoked; use another one",
            )
        if token.hash_before is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[text] = token
        return token

    async def _keep(self) -> None:
        written_s = self._clock()
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._refresh()
                if self._clock() - written_s >= USED_EVERY_S:
                    written_s = self._clock()
                    await self._write_used()
            except StoreError as error:
                log.warning("tokens cannot be read: %s", error)

    async def _refresh(self) -> None:
        begun_s = self._clock()
        changed = await asyncio.to_thread(self._store.changed, self._read_us)
        fresh = {each.token_id: each for each in changed.tokens}
        if any(_differ(self._tokens.get(token_id), each) for token_id, each in fresh.items()):
            self._tokens |= fresh
            self._known.clear()
        self._read_us, self._read_s = changed.now_us, begun_s

    async def _write_used(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await asyncio.to_thread(self._store.used, used)
        except StoreError as error:
            self._used = used | self._used
            log.warning("the last use of tokens cannot be written: %s", error)


def _holds(token: Token, now_us: int) -> bool:
    return token.expires_us is None or now_us < token.expires_us


def _differ(known: Token | None, fresh: Token) -> bool:
    """Say whether a token has changed in what decides whether it is taken."""
    return known is None or replace(known, used_us=None) != replace(fresh, used_us=None)
