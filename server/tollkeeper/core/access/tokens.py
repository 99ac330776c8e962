"""Bearer tokens: `tk_<public id>_<secret>`. The ledger keeps a keyed hash of the secret, never the secret.

The secret has 256 bits of chance, so it cannot be found by trying, and one round of a keyed hash is enough. Without the
key, which is not in the ledger, what is stored can neither be used nor made.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass, field, replace
from enum import Enum, unique
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.access.scope import ALL, Scope
from tollkeeper.core.errors import Reason, Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from tollkeeper.core.access.roles import Role

KEY_BYTES = 32
OVERLAP_US_MAX = 30 * 86_400 * 1_000_000
"""The longest time for which the secret before a rotation is taken."""

ID_BYTES, SECRET_BYTES = 10, 32
"""The chance that an id and a secret are made of."""

_TOKEN = re.compile(r"tk_(?P<id>[a-z2-7]{16})_(?P<secret>[a-z2-7]{52})")


class TokenText(NamedTuple):
    """A token as its caller has it."""

    token_id: str
    secret: str

    def __str__(self) -> str:
        """Write it as it goes over the wire."""
        return f"tk_{self.token_id}_{self.secret}"

    def __repr__(self) -> str:
        """Write it without the secret, which no log may have."""
        return f"tk_{self.token_id}_…"


@unique
class TokenState(Enum):
    """Whether a token is taken."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the ledger keeps it; times are in µs since 1970, None for never.

    `hash_before` is that of the secret before the last rotation, which is taken until `before_until_us`.
    """

    token_id: str
    name: str
    roles: frozenset[Role]
    scope: Scope
    created_us: int
    hash: bytes = field(repr=False)
    expires_us: int | None = None
    rotated_us: int | None = None
    hash_before: bytes | None = field(default=None, repr=False)
    before_until_us: int = 0
    revoked_us: int | None = None
    used_us: int | None = None
    """When it was taken last, to a minute or so."""

    def state(self, now_us: int) -> TokenState:
        """Say whether it is taken at a time."""
        if self.revoked_us is not None:
            return TokenState.REVOKED
        if self.expires_us is not None and self.expires_us <= now_us:
            return TokenState.EXPIRED
        return TokenState.ACTIVE

    def takes(self, hashed: bytes, now_us: int) -> bool:
        """Say whether a secret is this token's now, by its hash; takes as long whether it is or not."""
        is_now = hmac.compare_digest(hashed, self.hash)
        is_before = hmac.compare_digest(hashed, self.hash_before or bytes(len(hashed)))
        if self.state(now_us) is not TokenState.ACTIVE:
            return False
        return is_now or (is_before and now_us < self.before_until_us)


def new_id(drawn: bytes) -> str:
    """Return the id that `ID_BYTES` bytes of chance make."""
    return _letters(drawn)


def new_text(token_id: str, drawn: bytes) -> TokenText:
    """Return a token whose secret `SECRET_BYTES` bytes of chance make."""
    return TokenText(token_id, _letters(drawn))


def read_token(text: str) -> TokenText | None:
    """Read a token; None where it is none."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else TokenText(match["id"], match["secret"])


def hash_of(key: bytes, text: TokenText) -> bytes:
    """Return what stands for a token's secret in the ledger: HMAC-SHA-256 over its id and its secret."""
    return hmac.digest(key, f"{text.token_id}:{text.secret}".encode("ascii"), "sha256")


def create(
    hashed: bytes,
    token_id: str,
    *,
    name: str,
    roles: Collection[Role],
    scope: Scope = ALL,
    expires_us: int | None = None,
    now_us: int,
) -> Token:
    """Return a new token. Raises Refused INVALID_FIELD for an expiry that has passed."""
    if expires_us is not None and expires_us <= now_us:
        raise invalid("expire_time", "must be in the future")
    return Token(token_id, name, frozenset(roles), scope, now_us, hashed, expires_us)


def rotate(token: Token, hashed: bytes, *, overlap_us: int, now_us: int) -> Token:
    """Return a token with another secret; the one so far is taken for `overlap_us` more.

    Raises Refused FAILED_PRECONDITION where the token is no longer taken.
    """
    check_active(token, now_us)
    return replace(
        token,
        hash=hashed,
        rotated_us=now_us,
        hash_before=token.hash if overlap_us else None,
        before_until_us=now_us + overlap_us,
    )


def token_not_found(token_id: str) -> Refused:
    """Return the refusal of a call that names no token."""
    return Refused(
        Reason.TOKEN_NOT_FOUND,
        f"there is no token {token_id}",
        metadata={"token_id": token_id},
    )


def revoke(token: Token, *, now_us: int) -> Token:
    """Return a token that is taken no longer; one that is revoked already stays as it is."""
    if token.revoked_us is not None:
        return token
    return replace(token, revoked_us=now_us)


def check_active(token: Token, now_us: int) -> None:
    """Raise Refused where a token is expired or revoked."""
    state = token.state(now_us)
    if state is not TokenState.ACTIVE:
        raise Refused(
            Reason.TOKEN_NOT_ACTIVE,
            f"token {token.token_id} is {state.value}; create another one",
            metadata={"token_id": token.token_id},
        )


def _letters(drawn: bytes) -> str:
    return b32encode(drawn).decode("ascii").rstrip("=").lower()
