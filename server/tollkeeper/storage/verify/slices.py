"""Who pays for reservations: their slices against their price (invariant 5), and against their grants (4).

What a grant has held is what reservations hold of it. What it has consumed is at least what committed reservations
drew on it: what was owed and repaid, and reservations that were moved out, can only make it more. Only a refund of
what was drawn on the credit line, and was repaid by a grant meanwhile, is taken from grants that did not pay for it,
so it may lead to less, by no more than itself.

All tables are read side by side in the order of their accounts, one account at a time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.answers.views import Finding
from tollkeeper.core.grants import CREDIT_LINE
from tollkeeper.core.reservation import ReservationState
from tollkeeper.storage.rows.hot import slices_of
from tollkeeper.storage.verify.reading import account_id_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from sqlalchemy import Connection, RowMapping

    from tollkeeper.core.grants import Slices

_GRANTS = """
    SELECT shard, account_key, grant_id, held, consumed, priority, expires_us, created_us
    FROM credit_grant ORDER BY shard, account_key, grant_id
"""
_SLICED = """
    SELECT shard, account_key, reservation_id, state, credits, grant_id, slices, refunded
    FROM reservation WHERE state = :held OR slices IS NOT NULL
    ORDER BY shard, account_key
"""
_PAID_BY_ONE = """
    SELECT shard, account_key, grant_id, sum(credits - refunded) AS paid,
           sum(refunded) AS refunded
    FROM reservation WHERE state = :committed AND slices IS NULL
    GROUP BY shard, account_key, grant_id ORDER BY shard, account_key
"""
_REFUNDED = """
    SELECT shard, account_key, sum(credits) AS given
    FROM entry WHERE kind = :refund GROUP BY shard, account_key ORDER BY shard, account_key
"""
_GRANT, _RESERVATION, _TOTAL, _REFUNDS = range(4)

_Problem = tuple[int, str]
"""The number of an invariant, and what is wrong."""


class _Payers(NamedTuple):
    """The grants of an account, what they paid, and what refunds may have taken from grants that did not pay for it."""

    grants: dict[int, RowMapping]
    paid: Counter[int]
    elsewhere: list[int]


def find_broken(connection: Connection) -> Generator[Finding]:
    """Yield the reservations and grants that do not agree on who pays."""
    for (shard, key), each in side_by_side(connection, _GRANTS, _SLICED, _PAID_BY_ONE, _REFUNDED):
        payers = _Payers({}, Counter(), [])
        reservations: list[RowMapping] = []
        for _, table, row in each:
            if table == _GRANT:
                payers.grants[row["grant_id"]] = row
            elif table == _RESERVATION:
                reservations.append(row)
            elif table == _TOTAL:
                payers.paid[row["grant_id"]] += row["paid"]
                # Of a refund that is known to have gone to a grant, nothing went elsewhere.
                payers.elsewhere.append(-row["refunded"] if row["grant_id"] else 0)
            else:
                payers.elsewhere.append(row["given"])
        problems = list(_problems(payers, reservations))
        if problems:
            account_id = account_id_of(connection, shard, key)
            yield from (Finding(number, account_id, message) for number, message in problems)


def _problems(payers: _Payers, reservations: list[RowMapping]) -> Iterable[_Problem]:
    held: Counter[int] = Counter()
    for row in reservations:
        name = f"reservation {row['reservation_id']:x}"
        try:
            slices = slices_of(row["grant_id"], row["credits"], row["slices"])
        except ValueError:
            yield 5, f"{name} has slices that cannot be read: {row['slices']}"
            continue
        yield from ((5, f"{name} {what}") for what in _wrong(slices, row, payers.grants))
        if row["state"] == ReservationState.HELD:
            held.update(dict(slices))
        elif row["state"] == ReservationState.COMMITTED:
            left = _left(slices, row["refunded"])
            payers.paid.update(left)
            to_grants = sum(part for payer, part in slices if payer != CREDIT_LINE)
            payers.elsewhere.append(sum(left.values()) - to_grants)
    yield from _unlike(payers, held)


def _unlike(payers: _Payers, held: Counter[int]) -> Iterable[_Problem]:
    """Compare the grants with what reservations hold of them, and have drawn on them."""
    missing: dict[int, int] = {}
    for grant_id, row in payers.grants.items():
        if row["held"] != held[grant_id]:
            yield (
                4,
                f"grant {grant_id:x} has {row['held']} held, but reservations hold {held[grant_id]}",
            )
        if payers.paid[grant_id] > row["consumed"]:
            missing[grant_id] = payers.paid[grant_id] - row["consumed"]
    if sum(missing.values()) > sum(payers.elsewhere):
        for grant_id in missing:
            consumed, paid = payers.grants[grant_id]["consumed"], payers.paid[grant_id]
            yield (
                4,
                f"grant {grant_id:x} has {consumed} consumed, but reservations drew {paid} on it",
            )


def _left(slices: Slices, refunded: int) -> dict[int, int]:
    """Return what each grant has paid after refunds, which begin at the last slice."""
    left: dict[int, int] = {}
    for grant_id, paid in reversed(slices):
        back = min(paid, refunded)
        refunded -= back
        if grant_id != CREDIT_LINE:
            left[grant_id] = paid - back
    return left


def _wrong(slices: Slices, row: RowMapping, grants: dict[int, RowMapping]) -> Iterable[str]:
    credits = row["credits"]
    paid = [part for _, part in slices]
    words = ",".join(f"{grant_id:x}:{part}" for grant_id, part in slices)
    if sum(paid) != credits or min(paid) < 0:
        yield f"costs {credits}, but its slices are {words}"
    if len(dict(slices)) < len(slices):
        yield f"has two slices of one grant: {words}"
    if len(slices) == 1:  # of its grant a law of its own tells
        return
    payers = [grant_id for grant_id, _ in slices if grant_id != CREDIT_LINE]
    strangers = [grant_id for grant_id in payers if grant_id not in grants]
    yield from (
        f"is paid by grant {grant_id:x}, which the account does not have" for grant_id in strangers
    )
    if strangers or row["grant_id"] != CREDIT_LINE:
        if not strangers:
            yield f"has slices, and grant {row['grant_id']:x} beside them"
        return
    ranks = [_rank(grants[grant_id]) for grant_id in payers]
    if ranks != sorted(ranks) or any(each == CREDIT_LINE for each, _ in slices[:-1]):
        yield f"has slices that are not in the burn order of their grants: {words}"


def _rank(grant: RowMapping) -> tuple[int, int, int, int]:
    return (grant["priority"], grant["expires_us"], grant["created_us"], grant["grant_id"])
