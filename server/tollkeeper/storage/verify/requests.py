"""What a reservation keeps of its request: each fact that it holds twice is compared, one reservation after the other.

Its digest is that of its request_id, its path one that its endpoint's pattern matches, and its id was made when it
was. The path is text that was decoded: an encoded slash is a slash there, and other readings of a doubtful path are
lost. So a placeholder may match slashes here, and of a path with `;`, `?`, `#` or a backslash only the literal
segments are looked for, in their order. What differs from a pattern only by its Unicode normal form, or by blanks at
an end of a segment, is no finding.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from sqlalchemy import text

from tollkeeper.core.answers.views import Finding
from tollkeeper.engine.ids import least_id, made_us
from tollkeeper.storage.read.entries import CLOCK_SLACK_US
from tollkeeper.storage.verify.reading import ROWS_AT_ONCE, account_id_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from sqlalchemy import Connection

_REQUESTS = text("""
    SELECT reservation.shard, reservation.account_key, reservation.reservation_id,
           reservation.created_us, reservation.request_digest, reservation.request_id,
           reservation.method, reservation.path, endpoint.method, endpoint.path
    FROM reservation JOIN endpoint ON endpoint.endpoint_id = reservation.endpoint_id
""")
_DOUBTFUL = re.compile(r"[;?#\\]")
_BLANK_ENDS = re.compile(r"^[\s\ufeff]+|[\s\ufeff]+$")
_ONE_MS_US = 1_000
_FIRST_ID = least_id(0) + (1 << 22)
"""The ids below were made by no server: they have no time in them."""


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the reservations that are not of the request that they tell of."""
    rows = connection.execute(_REQUESTS, execution_options={"yield_per": ROWS_AT_ONCE})
    try:
        for row in rows:
            for what in _wrong(row):
                account_id = account_id_of(connection, row[0], row[1])
                yield Finding(10, account_id, f"reservation {row[2]:x} {what}")
    finally:  # also where the reader has seen enough
        rows.close()


def _wrong(row: Sequence[Any]) -> Iterable[str]:
    """Runs for every reservation, so nothing is looked up by name."""
    _, _, reservation_id, created_us, digest, request_id, method, path, of_method, of_path = row
    # Older versions have kept no request_id.
    if request_id and blake2b(request_id.encode(), digest_size=16).digest() != digest:
        yield f"has request_id {request_id} and the digest of another"
    if not is_of(method, path, of_method, of_path):
        yield f"is of {method} {path}, which is not the endpoint {of_method} {of_path}"
    if reservation_id >= _FIRST_ID:
        early_us = made_us(reservation_id) - created_us
        if not -_ONE_MS_US < early_us <= CLOCK_SLACK_US:
            yield f"was made at {created_us}, its id {early_us} us after that"


@lru_cache(maxsize=16_384)
def is_of(method: str, path: str, of_method: str, of_path: str) -> bool:
    """Say whether a request may have been priced by an endpoint's pattern."""
    if of_method not in ("*", method) and (method, of_method) != ("HEAD", "GET"):
        return False
    pattern = [segment for segment in of_path.split("/") if segment]
    if _DOUBTFUL.search(path):
        return _in_order([_plain(each) for each in pattern if not _matches_more(each)], path)
    segments = [segment for segment in path.split("/") if segment]
    # A segment of blanks alone is one to some routers, and none to others.
    return _matches(pattern, segments) or _matches(
        pattern, [segment for segment in segments if _plain(segment)]
    )


def _plain(segment: str) -> str:
    return _BLANK_ENDS.sub("", normalize("NFC", segment))


def _matches_more(segment: str) -> bool:
    return segment == "**" or segment.startswith("{")


def _in_order(literals: Iterable[str], path: str) -> bool:
    at, whole = 0, normalize("NFC", path)
    for literal in literals:
        position = whole.find(literal, at)
        if position < 0:
            return False
        at = position + len(literal)
    return True


def _matches(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    """Go through the pattern with all places that may have been reached; a placeholder takes one segment or more."""
    places = {0}
    for expected in pattern:
        first = min(places)
        later = range(first + 1, len(segments) + 1)
        if expected == "**":
            places = {first, *later}
        elif expected.startswith("{"):
            ending = expected.partition("}")[2]  # that of `{name}:verb`, empty for `{name}`
            places = {
                place for place in later if _plain(segments[place - 1]).endswith(_plain(ending))
            }
        else:
            places = {
                place + 1
                for place in places
                if place < len(segments) and _plain(segments[place]) == _plain(expected)
            }
        if not places:
            return False
    return len(segments) in places
