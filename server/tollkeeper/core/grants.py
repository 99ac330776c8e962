"""Grants: which of them pays, and what becomes of their credits.

Every credit of a grant is in one of five places: remaining, held, consumed, expired or voided. The functions here move
credits between those places and never make or lose one. An account's open grants are a tuple in burn order.
"""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.core.fast_tuples import made

CREDIT_LINE = 0
"""The grant id of a slice that no grant pays for: it is drawn on the account's credit limit."""

NEVER_US = 2**63 - 1
"""The expiry of a grant that never expires; sorts last."""


class Grant(NamedTuple):
    """Credits given to an account. credits = remaining + held + consumed + expired + voided.

    `void`: it was taken back, and what comes back to it is too.
    """

    grant_id: int
    credits: int
    remaining: int
    held: int
    consumed: int
    expired: int
    voided: int
    priority: int
    created_us: int
    expires_us: int
    note: str
    void: bool = False

    @property
    def burn_order(self) -> tuple[int, int, int, int]:
        """Lowest first: priority, expiry (never last), creation, id."""
        return (self.priority, self.expires_us, self.created_us, self.grant_id)

    def moved(
        self,
        *,
        remaining: int = 0,
        held: int = 0,
        consumed: int = 0,
        expired: int = 0,
        voided: int = 0,
    ) -> Grant:
        """Return this grant with credits moved between its places; the arguments add up to zero."""
        return made(
            Grant,
            (
                *self[:2],
                self.remaining + remaining,
                self.held + held,
                self.consumed + consumed,
                self.expired + expired,
                self.voided + voided,
                *self[7:],  # from `priority`
            ),
        )


class Slice(NamedTuple):
    """What one grant (or the credit line) pays of one reservation."""

    grant_id: int
    credits: int


Grants = tuple[Grant, ...]
Slices = tuple[Slice, ...]


def take(grants: Grants, credits: int, *, consumed: bool = False) -> tuple[Slices, Grants]:
    """Take credits in burn order, the rest from the credit line; return who pays, and the grants after it.

    What is taken is held, or consumed at once where `consumed` is set (a late charge).
    """
    slices: list[Slice] = []
    after: list[Grant] = []
    left = credits
    for grant in grants:
        part = min(left, grant.remaining)
        if part > 0:
            slices.append(made(Slice, (grant.grant_id, part)))
            moved_grant = (
                grant.moved(remaining=-part, consumed=part)
                if consumed
                else grant.moved(remaining=-part, held=part)
            )
            after.append(moved_grant)
            left -= part
        else:
            after.append(grant)
    if left or not slices:
        slices.append(Slice(CREDIT_LINE, left))
    return tuple(slices), tuple(after)


def consume(grants: Grants, slices: Slices) -> Grants:
    """Turn held slices into consumed ones."""
    parts = dict(slices)
    return tuple(
        [
            grant.moved(held=-part, consumed=part)
            if (part := parts.get(grant.grant_id, 0))
            else grant
            for grant in grants
        ]
    )


def give_back(grants: Grants, slices: Slices) -> Grants:
    """Turn held slices into remaining ones again. What has expired meanwhile is for `take_due`."""
    parts = dict(slices)
    return tuple(
        grant.moved(held=-part, remaining=part) if (part := parts.get(grant.grant_id, 0)) else grant
        for grant in grants
    )


def repay(grants: Grants, owed: int) -> Grants:
    """Consume what is owed from what remains, in burn order, as far as it goes."""
    if owed <= 0:
        return grants
    _, after = take(grants, min(owed, remaining(grants)), consumed=True)
    return after


def remaining(grants: Grants) -> int:
    """Return the credits that no one holds."""
    return sum(grant.remaining for grant in grants)


def is_due(grants: Grants, now_us: int) -> bool:
    """Say whether a grant with anything remaining has expired, or was voided."""
    for grant in grants:  # noqa: SIM110 - runs for every operation, and any() takes twice as long
        if (grant.expires_us <= now_us or grant.void) and grant.remaining:
            return True
    return False


def take_due(grants: Grants, now_us: int) -> tuple[Grants, Grants]:
    """Take what remains of grants that have expired or were voided; return those as they were, and all after it."""
    due = tuple(
        grant for grant in grants if (grant.expires_us <= now_us or grant.void) and grant.remaining
    )
    taken = {grant.grant_id for grant in due}
    after = tuple(_without_rest(grant) if grant.grant_id in taken else grant for grant in grants)
    return due, after


def _without_rest(grant: Grant) -> Grant:
    if grant.void:
        return grant.moved(remaining=-grant.remaining, voided=grant.remaining)
    return grant.moved(remaining=-grant.remaining, expired=grant.remaining)


def inserted(grants: Grants, grant: Grant) -> Grants:
    """Add a grant at its place in the burn order."""
    return tuple(sorted((*grants, grant), key=lambda each: each.burn_order))
