"""Decides what each request of a load test is. Pure: the same seed and number are the same request.

So nothing of a plan is kept, and any part of it can be computed again. The draws come from a keyed hash and not from
`random`, whose streams depend on how often they were asked.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper_loadtest.settings import (
    EXPIRES,
    AccountDistribution,
    DistributionKind,
    Ending,
    LoadSettings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = Struct("<QQQ")
_UNIT = 2.0**-53
"""What 53 bits, all that a float holds, are counted in."""


class PlannedRequest(NamedTuple):
    """One request: `account` and `endpoint` are numbers, the places in the run's accounts and endpoints."""

    number: int
    account: int
    endpoint: int
    ending: Ending
    request_id: str


class Workload:
    """All requests of a run."""

    def __init__(self, settings: LoadSettings) -> None:
        # The 0 keeps the requests of a seed what they were when each process had a plan of its own.
        self._seeded = b"%d/0/%%d" % settings.seed
        self._expired = settings.expired
        self._accounts = settings.accounts
        self._endpoints = len(settings.endpoints)
        self._distribution = settings.distribution
        self._endings = [ending for ending, _ in settings.mix]
        self._weights = _shares([weight for _, weight in settings.mix])
        self._ranks = (
            _shares(
                [(rank + 1) ** -settings.distribution.figure for rank in range(settings.accounts)]
            )
            if settings.distribution.spread is DistributionKind.ZIPF
            else []
        )

    def request(self, number: int) -> PlannedRequest:
        """Return one request; its request_id is its own among all of the run."""
        digest = blake2b(self._seeded % number, digest_size=_WORDS.size)
        account, endpoint, ending = _WORDS.unpack(digest.digest())
        return PlannedRequest(
            number,
            self._account((account >> 11) * _UNIT),
            int((endpoint >> 11) * _UNIT * self._endpoints),
            self._ending((ending >> 11) * _UNIT),
            f"0-{number}",
        )

    def _account(self, draw: float) -> int:
        if self._ranks:
            return bisect_right(self._ranks, draw)
        if self._distribution.spread is DistributionKind.HOT and self._accounts > 1:
            return _hot(self._distribution, draw, self._accounts)
        return int(draw * self._accounts)

    def _ending(self, draw: float) -> Ending:
        if draw < self._expired:
            return EXPIRES
        left = (draw - self._expired) / (1 - self._expired)
        return self._endings[bisect_right(self._weights, left)]


def _hot(distribution: AccountDistribution, draw: float, accounts: int) -> int:
    """Give the first account its share, and the others the rest alike."""
    if draw < distribution.figure:
        return 0
    return min(
        accounts - 1,
        1 + int((draw - distribution.figure) / (1 - distribution.figure) * (accounts - 1)),
    )


def _shares(weights: Sequence[float]) -> list[float]:
    """Return where the share of each but the last ends, of 1; what is drawn above is the last one's."""
    total = sum(weights)
    return [end / total for end in accumulate(weights)][:-1]
