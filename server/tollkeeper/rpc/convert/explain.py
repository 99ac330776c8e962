"""Turns ExplainReservation into a query, and the life of a reservation into its answer; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.answers.explanation import ExplainReservation, RequestName
from tollkeeper.core.answers.timeline import timeline
from tollkeeper.core.grants import CREDIT_LINE, NEVER_US
from tollkeeper.core.validation.fields import Fields
from tollkeeper.rpc.convert.admin import entry_message
from tollkeeper.rpc.convert.limits import limit_message
from tollkeeper.rpc.convert.values import grant_name, set_time
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from tollkeeper.core.answers.explanation import CountedIn, Explanation, Payment
    from tollkeeper.core.reservation import Reservation, ReservationName


def explain_query(message: admin_pb2.ExplainReservationRequest) -> ExplainReservation:
    """Read an ExplainReservation; one of its two names is required."""
    fields = Fields()
    name: ReservationName | RequestName = RequestName("", "")
    match message.WhichOneof("which"):
        case "reservation_id":
            name = fields.reservation("reservation_id", message.reservation_id)
        case "request":
            name = RequestName(
                fields.account_id("request.account_id", message.request.account_id),
                fields.request_id("request.request_id", message.request.request_id),
            )
        case None:
            fields.bad("which", "must have reservation_id or request")
    fields.done()
    return ExplainReservation(name)


def explain_response(answer: Explanation) -> admin_pb2.ExplainReservationResponse:
    """Return the whole life of a reservation."""
    price, charge = answer.price, answer.charge
    message = admin_pb2.ExplainReservationResponse(
        reservation_id=str(answer.name),
        account_id=answer.account_id,
        only_journal=answer.reservation is None,
        credits=answer.credits,
        price=admin_pb2.PriceOrigin(
            method=price.method,
            path=price.path,
            version=price.version,
            name=price.list_name,
            note=price.note,
        ),
        payments=map(_payment, answer.payments),
        windows=map(_window, answer.windows),
        refunded_credits=answer.refunded,
        entries=map(entry_message, answer.entries),
    )
    set_time(message.as_of, answer.as_of_us)
    set_time(message.price.effective_time, price.effective_us)
    set_time(message.create_time, answer.created_us)
    for event in timeline(answer):
        set_time(message.timeline.add(text=event.text).time, event.at_us)
    if answer.reservation is not None:
        _set_reservation(message, answer.reservation)
    elif charge is not None:
        message.state = ledger_pb2.RESERVATION_STATE_COMMITTED
        message.outcome = ledger_pb2.OUTCOME_VALID_RESPONSE
        message.late = charge.is_late
        set_time(message.settle_time, charge.entry.created_us)
    return message


def _set_reservation(to: admin_pb2.ExplainReservationResponse, reservation: Reservation) -> None:
    to.request_id = reservation.request_id
    to.method, to.path = reservation.method, reservation.path
    if reservation.hold_us:
        to.hold.FromMicroseconds(reservation.hold_us)
    to.price.charge_on.extend(reservation.charge_on)
    to.state = ledger_pb2.ReservationState.ValueType(reservation.state)
    to.outcome = ledger_pb2.Outcome.ValueType(reservation.outcome or 0)
    to.http_status = reservation.http_status
    to.late = reservation.late
    set_time(to.expire_time, reservation.expires_us)
    if reservation.settled_us:
        set_time(to.settle_time, reservation.settled_us)
    to.authorized_by, to.settled_by = reservation.authorized_by, reservation.settled_by


def _payment(payment: Payment) -> admin_pb2.Payment:
    message = admin_pb2.Payment(
        credits=payment.credits, priority=payment.priority, note=payment.note
    )
    if payment.grant_id != CREDIT_LINE:
        message.grant_id = grant_name(payment.grant_id)
    if payment.expires_us != NEVER_US:
        set_time(message.expire_time, payment.expires_us)
    return message


def _window(window: CountedIn) -> admin_pb2.CountedWindow:
    counted, limit, end_us = window
    message = admin_pb2.CountedWindow(
        limit_id=f"{counted.limit_id:x}",
        limit=None if limit is None else limit_message(limit),
        amount=counted.amount,
        over=counted.over,
    )
    set_time(message.start_time, counted.start_us)
    if limit is not None:
        set_time(message.end_time, end_us)
    return message
