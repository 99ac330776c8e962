"""What can be asked of tokens, and what is answered. Every value is valid by the time it is here."""

from __future__ import annotations

from dataclasses import dataclass, field

from tollkeeper.core.access.roles import Role
from tollkeeper.core.access.scope import ALL, Scope
from tollkeeper.core.access.tokens import Token
from tollkeeper.core.content import Content


@dataclass(frozen=True, slots=True)
class CreateToken:
    """Make a token. `expires_us` is None for never."""

    request_id: str
    name: str
    roles: frozenset[Role]
    scope: Scope = ALL
    expires_us: int | None = None

    def content(self) -> Content:
        """See `core/content.py`."""
        return {
            "name": self.name,
            "roles": ",".join(role.name for role in sorted(self.roles)),
            "accounts": str(self.scope),
            "expire_time": self.expires_us,
        }


@dataclass(frozen=True, slots=True)
class RotateToken:
    """Give a token another secret; the one so far is taken for `overlap_us` more."""

    token_id: str
    request_id: str
    overlap_us: int

    def content(self) -> Content:
        """See `core/content.py`."""
        return {"token_id": self.token_id, "overlap": self.overlap_us}


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Let a token be taken no longer."""

    token_id: str
    request_id: str

    def content(self) -> Content:
        """See `core/content.py`."""
        return {"token_id": self.token_id}


@dataclass(frozen=True, slots=True)
class ListTokens:
    """Read tokens in the order of their ids, beginning after `after`."""

    page_size: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token at a moment."""

    token: Token
    now_us: int


@dataclass(frozen=True, slots=True)
class TokenShown:
    """A token and its text, which nothing keeps; a repeat of the call has none."""

    view: TokenView
    text: str = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class TokenPage:
    """Tokens; `next_after` is empty on the last page."""

    tokens: tuple[TokenView, ...]
    next_after: str
