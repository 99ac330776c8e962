"""Decides whether a request may hold its price.

The caller reads the account under its lock, passes the time in, and writes what a hold changes before it lets
the lock go. The refusals are a ladder in the order of rules 3.1; the first that applies is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core import limits as limits_
from tollkeeper.core.account import Account, AccountState, do_what_is_due
from tollkeeper.core.change import Authorized, Change, Denied
from tollkeeper.core.errors import Refused, key_reused
from tollkeeper.core.fast_tuples import new_tuple, replacer
from tollkeeper.core.grants import Grants, take
from tollkeeper.core.limits import Exceeded, LimitWindow, Windows
from tollkeeper.core.pricing.price_lists import Price, PriceList, Unlisted
from tollkeeper.core.reservation import Reservation, ReservationName, ReservationState
from tollkeeper.core.usage import DenialReason

if TYPE_CHECKING:
    from tollkeeper.core.commands import Authorize
    from tollkeeper.core.credits import Balance

NO_WINDOWS: Windows = ()


def authorize(
    account: Account | None,
    command: Authorize,
    prices: PriceList | None,
    *,
    now_us: int,
    hold_us: int,
    new_id: int,
    request_digest: bytes,
) -> tuple[Authorized | Denied, Change | None]:
    """Hold the whole price or nothing. `hold_us` is the hold to give, `new_id` the reservation's id if it is made.

    A change is returned only for a hold: a denial, a dry run and a free endpoint change nothing.
    """
    price = prices.match(command.method, command.path) if prices else None
    if account is None:
        return _account_not_found(command, price), None
    due, due_entries = do_what_is_due(account, now_us)
    if account.state is not AccountState.ACTIVE:
        return _blocked(command, due, price), None
    if prices is None or price is None:
        return _unlisted(command, due, prices), None
    limits, windows = due.limits, NO_WINDOWS
    if limits:
        counted = limits_.count(limits, price, now_us)
        if isinstance(counted, Exceeded):
            return _exceeded(command, due, price, counted, now_us), None
        limits, windows = counted
    if price.credits > due.settled + due.credit_limit - due.held:
        return _insufficient(command, due, price), None

    # No refusal is left: from here on the answer is yes.
    if command.dry_run:
        answer = _held(None, price, prices.version, now_us, now_us + hold_us, due.balance)
        return answer, None
    reservation, grants = _reserved(
        due,
        command,
        price,
        prices.version,
        (new_id, request_digest, now_us, now_us + hold_us),
        windows,
    )
    after = _holding(due, held=due.held + price.credits, grants=grants, limits=limits)
    name = new_tuple(ReservationName, (due.key, new_id))
    answer = _held(name, price, prices.version, now_us, now_us + hold_us, after.balance)
    if not windows:
        return answer, new_tuple(Change, (after, due_entries, reservation, (), ()))
    counts = limits_.counts(due.key, windows, used=0, held=1, first=True)
    return answer, Change(after, due_entries, reservation, windows=counts)


def _reserved(
    account: Account,
    command: Authorize,
    price: Price,
    version: int,
    stamp: tuple[int, bytes, int, int],
    windows: Windows,
) -> tuple[Reservation, Grants]:
    """Return the reservation, and the account's grants that hold it. Hot: built by position.

    `stamp` is its id, its request's digest, now and its deadline.
    """
    new_id, request_digest, now_us, expires_us = stamp
    slices, grants = take(account.grants, price.credits)
    _, method, path, request_id, held_for_us, _, caller = command
    reservation = new_tuple(
        Reservation,
        (
            new_id,
            account.key,
            request_digest,
            price.endpoint_id,
            method,
            path.text,
            price.credits,
            version,
            price.charge_on,
            slices,
            ReservationState.HELD,
            None,  # outcome
            False,  # late
            now_us,
            expires_us,
            held_for_us or 0,
            0,  # settled_us
            0,  # refunded
            windows,
            0,  # http_status
            "",  # settled_by
            0,  # charge_sequence
            request_id,
            caller,
        ),
    )
    return reservation, grants


_holding = replacer(Account, "held", "grants", "limits")


def _held(
    name: ReservationName | None,
    price: Price,
    version: int,
    now_us: int,
    expires_us: int,
    balance: Balance,
) -> Authorized:
    held = ReservationState.HELD
    return new_tuple(
        Authorized, (name, price.credits, version, held, now_us, expires_us, balance, False)
    )


def may_be_freed(account: Account, denied: Denied, now_us: int) -> bool:
    """Say whether to end overdue holds could turn a refusal into a hold (rules 4.3)."""
    if denied.reason is DenialReason.INSUFFICIENT_CREDITS:
        return account.held > 0
    if denied.reason is DenialReason.LIMIT_EXCEEDED:
        return any(state.at(now_us).held > 0 for state in account.limits)
    return False


def repeat(reservation: Reservation, command: Authorize, balance: Balance) -> Authorized:
    """Answer an Authorize whose request_id has a reservation. Raises Refused where its content differs."""
    before = f"{reservation.method} {reservation.path}"
    now = f"{command.method} {command.path.text}"
    if reservation.method != command.method:
        raise key_reused("request_id", command.request_id, "method", before=before, now=now)
    if reservation.path != command.path.text:
        raise key_reused("request_id", command.request_id, "path", before=before, now=now)
    if reservation.hold_us != (command.hold_us or 0):
        raise _hold_differs(reservation, command)
    return Authorized(
        ReservationName(reservation.account_key, reservation.reservation_id),
        reservation.credits,
        reservation.price_version,
        reservation.state,
        reservation.created_us,
        reservation.expires_us,
        balance,
        replayed=True,
    )


def _hold_differs(reservation: Reservation, command: Authorize) -> Refused:
    def words(hold_us: int) -> str:
        return f"a hold of {hold_us / 1_000_000:g} s" if hold_us else "the default hold"

    return key_reused(
        "request_id",
        command.request_id,
        "hold",
        before=words(reservation.hold_us),
        now=words(command.hold_us or 0),
    )


def _account_not_found(command: Authorize, price: Price | None) -> Denied:
    message = f"there is no account {command.account_id}"
    return _denied(DenialReason.ACCOUNT_NOT_FOUND, message, price, None)


def _blocked(command: Authorize, account: Account, price: Price | None) -> Denied:
    word = "closed" if account.state is AccountState.CLOSED else "blocked"
    message = f"account {command.account_id} is {word}"
    return _denied(DenialReason.ACCOUNT_BLOCKED, message, price, account.balance)


def _unlisted(
    command: Authorize, account: Account, prices: PriceList | None
) -> Authorized | Denied:
    if prices is None or prices.unlisted is Unlisted.FREE:
        return Authorized(None, 0, 0, None, 0, 0, account.balance)
    which = f"price list {prices.name}" if prices.name else "the price list"
    message = f"{which} does not name {command.method} {command.path.text}"
    return _denied(DenialReason.ENDPOINT_NOT_LISTED, message, None, account.balance)


def _exceeded(
    command: Authorize, account: Account, price: Price, exceeded: Exceeded, now_us: int
) -> Denied:
    limit, amount, used, retry_us = exceeded
    unit, window = limit.unit.name.lower(), limit.window.name.lower()
    a_window = f"an {window}" if limit.window is LimitWindow.HOUR else f"a {window}"
    message = (
        f"limit {limit.name} of account {command.account_id} is {limit.maximum} {unit} {a_window}, "
        f"of which {used} are used or held; {command.method} {command.path.text} counts {amount}"
    )
    denied = _denied(DenialReason.LIMIT_EXCEEDED, message, price, account.balance)
    retry_after_us = None if retry_us is None else retry_us - now_us
    return denied._replace(limit=limit.name, retry_after_us=retry_after_us)


def _insufficient(command: Authorize, account: Account, price: Price) -> Denied:
    message = (
        f"account {command.account_id} has {account.available} credits available; "
        f"{command.method} {command.path.text} costs {price.credits}"
    )
    return _denied(DenialReason.INSUFFICIENT_CREDITS, message, price, account.balance)


def _denied(
    reason: DenialReason, message: str, price: Price | None, balance: Balance | None
) -> Denied:
    if price is None:
        return Denied(reason, message, 0, balance)
    return Denied(reason, message, price.credits, balance, price.endpoint_id)
