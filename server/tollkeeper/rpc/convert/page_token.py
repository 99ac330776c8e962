"""Page tokens: where a list goes on, bound to the query that it belongs to.

A token is `version, checksum of query and place, place`, in base64url. It opens nothing that its
query does not, so it is no secret: the checksum is there to refuse what was changed, cut short, or
taken from a query with other filters. The size of the pages may change from page to page.
"""

from __future__ import annotations

import base64
import re
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = b"1"
_CHECKSUM_BYTES = 8
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,512}")


def encode(query: Sequence[str | int | None], place: str) -> str:
    """Return the token of `place` in the list that `query`, its name and its filters, describes."""
    payload = _VERSION + _checksum(query, place) + place.encode()
    return base64.urlsafe_b64encode(payload).rstrip(b"=").decode("ascii")


def decode(query: Sequence[str | int | None], token: str) -> str | None:
    """Return the place that a token of this query names; None for any other token."""
    if not _TOKEN.fullmatch(token) or len(token) % 4 == 1:
        return None
    payload = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        place = payload[len(_VERSION) + _CHECKSUM_BYTES :].decode()
    except UnicodeError:
        return None
    # One place has one token: what encodes to another is not ours.
    return place if encode(query, place) == token else None


def _checksum(query: Sequence[str | int | None], place: str) -> bytes:
    return blake2b(repr((*query, place)).encode(), digest_size=_CHECKSUM_BYTES).digest()
