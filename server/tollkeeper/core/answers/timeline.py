"""Tells the life of a reservation in sentences, in the order of time: what support pastes into a mail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.grants import CREDIT_LINE
from tollkeeper.core.journal import CHARGES, EntryKind
from tollkeeper.core.reservation import ReservationState

if TYPE_CHECKING:
    from tollkeeper.core.answers.explanation import Explanation, Payment
    from tollkeeper.core.answers.views import EntryView
    from tollkeeper.core.reservation import Reservation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAYERS_NAMED = 3


class Event(NamedTuple):
    """Something that happened, and when."""

    at_us: int
    text: str


def timeline(explanation: Explanation) -> tuple[Event, ...]:
    """Return what happened, the earliest first."""
    events = [_authorized(explanation)]
    reservation = explanation.reservation
    if reservation is not None:
        events += _ended(explanation, reservation)
    for view in explanation.entries:
        if view.entry.kind is EntryKind.REFUND:
            events.append(_refunded(view))
        elif reservation is None:
            events.append(_charged_by_the_journal(view))
    return tuple(sorted(events, key=itemgetter(0)))


def _authorized(explanation: Explanation) -> Event:
    reservation = explanation.reservation
    if reservation is None:
        return Event(
            explanation.created_us,
            "authorized: the reservation is no longer kept, only what the journal says of it",
        )
    price = explanation.price
    request = f"{reservation.method} {reservation.path}"
    named = f"{price.method} {price.path}"
    list_name = f' "{price.list_name}"' if price.list_name else ""
    listed = f", which names it {named}" if named != request else ""
    return Event(
        reservation.created_us,
        f"authorized{_by(reservation.authorized_by)}: {_credits(reservation.credits)} held for {request}"
        f" by price list {price.version}{list_name}{listed}",
    )


def _ended(explanation: Explanation, reservation: Reservation) -> list[Event]:
    by = _by(reservation.settled_by)
    match reservation.state:
        case ReservationState.HELD:
            until = f"until {_moment(reservation.expires_us)}, unless it is settled before"
            return [Event(explanation.as_of_us, f"still held: {until}")]
        case ReservationState.RELEASED:
            text = f"released{by}: nothing was charged, because {_result(reservation)}"
            return [Event(reservation.settled_us, text)]
        case ReservationState.EXPIRED:
            text = "expired: it was not settled before its deadline, so nothing was charged"
            return [Event(reservation.expires_us, text)]
        case ReservationState.COMMITTED:
            late = " late" if reservation.late else ""
            text = (
                f"charged{late}{by}: {_credits(reservation.credits)}{_paid(explanation)},"
                f" because {_result(reservation)}{_in_the_journal(explanation.charge)}"
            )
            charged = Event(reservation.settled_us, text)
            return [_overdue(reservation), charged] if reservation.late else [charged]


def _overdue(reservation: Reservation) -> Event:
    return Event(
        reservation.expires_us,
        "expired: it was not settled before its deadline, and its credits were given back",
    )


def _result(reservation: Reservation) -> str:
    outcome = reservation.outcome.name if reservation.outcome else "no outcome"
    if not reservation.http_status:
        return f"its outcome was {outcome}"
    rule = f" under the charge rule {', '.join(reservation.charge_on)}"
    return f"status {reservation.http_status} counts as {outcome}{rule if reservation.charge_on else ''}"


def _paid(explanation: Explanation) -> str:
    payments = explanation.payments
    if not payments:
        return ""
    named = [_payer(each) for each in payments[:_PAYERS_NAMED]]
    if more := payments[_PAYERS_NAMED:]:
        named.append(f"{sum(each.credits for each in more)} of {len(more)} more")
    return f" ({', '.join(named)})"


def _payer(payment: Payment) -> str:
    if payment.grant_id == CREDIT_LINE:
        return f"{payment.credits} of the credit line"
    note = f' "{payment.note}"' if payment.note else ""
    return f"{payment.credits} of grant {payment.grant_id:x}{note}"


def _in_the_journal(view: EntryView | None) -> str:
    if view is None:
        return ""
    return f"; entry {view.entry.sequence} of the journal, settled {view.entry.settled} after it"


def _charged_by_the_journal(view: EntryView) -> Event:
    """Tell a charge by its entry alone; what else is known of it has been told."""
    entry = view.entry
    assert entry.kind in CHARGES  # noqa: S101 - a reservation has no entries but charge and refunds
    late = " late" if view.is_late else ""
    return Event(
        entry.created_us,
        f"charged{late}: {_credits(-entry.credits)} for {view.method} {view.path} by price list"
        f" {entry.price_version}{_in_the_journal(view)}",
    )


def _refunded(view: EntryView) -> Event:
    note = f" ({view.entry.note})" if view.entry.note else ""
    text = f"refunded: {_credits(view.entry.credits)} given back{note}{_in_the_journal(view)}"
    return Event(view.entry.created_us, text)


def _by(caller: str) -> str:
    return f" by {caller}" if caller else ""


def _credits(number: int) -> str:
    return "1 credit" if number == 1 else f"{number} credits"


def _moment(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%d %H:%M:%S UTC")
