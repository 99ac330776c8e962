"""Turns the messages of LedgerService into commands, and answers into messages; decides nothing.

Authorize, Commit and Release are hot: messages are filled field by field, which takes half the time
of their constructors.
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, NoReturn

from tollkeeper.core.change import HTTP_STATUSES, DenialReason, Denied
from tollkeeper.core.commands import Authorize, Commit, Extend, GetOverview, Release
from tollkeeper.core.errors import invalid
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.reservation import ReservationState
from tollkeeper.core.validation.fields import Fields
from tollkeeper.rpc.convert.events import alert_status_message
from tollkeeper.rpc.convert.limits import limit_status_message
from tollkeeper.rpc.convert.recurring import recurring_grant_message
from tollkeeper.rpc.convert.usage import add_buckets, usage_message
from tollkeeper.rpc.convert.values import (
    grant_message,
    period_us,
    price_list_message,
    price_list_messages,
    set_balance,
    set_time,
)
from tollkeeper.v1 import ledger_pb2

if TYPE_CHECKING:
    from tollkeeper.core.answers.views import Overview
    from tollkeeper.core.change import Authorized, Extended, Settled

# The core's members as plain numbers: those are set twice as fast, and have the protos' types.
_STATES = {each: ledger_pb2.ReservationState.ValueType(each) for each in ReservationState}
_OUTCOMES = {each: ledger_pb2.Outcome.ValueType(each) for each in Outcome}
_DENIALS = {each: ledger_pb2.DenialReason.ValueType(each) for each in DenialReason}


def authorize_command(
    message: ledger_pb2.AuthorizeRequest, caller: str, *, hold_max_us: int
) -> Authorize:
    """Read an Authorize; a hold that is unset is left to the engine."""
    fields = Fields()
    hold_us = _hold_us(fields, message, hold_max_us) if message.HasField("hold") else None
    command = Authorize(
        fields.account_id("account_id", message.account_id),
        fields.method("method", message.method),
        fields.path("path", message.path),
        fields.request_id("request_id", message.request_id),
        hold_us,
        message.dry_run,
        caller,
    )
    fields.done()
    return command


def _hold_us(
    fields: Fields, message: ledger_pb2.AuthorizeRequest | ledger_pb2.ExtendRequest, most_us: int
) -> int:
    hold = message.hold
    return fields.hold_us("hold", hold.seconds, hold.nanos, most_us=most_us)


def authorize_response(answer: Authorized | Denied) -> ledger_pb2.AuthorizeResponse:
    """Return the decision: a reservation or a denial, and the balance of an account that there is."""
    message = ledger_pb2.AuthorizeResponse()
    set_authorized(message, answer)
    return message


def set_authorized(message: ledger_pb2.AuthorizeResponse, answer: Authorized | Denied) -> None:
    """Set the answer to an Authorize."""
    if isinstance(answer, Denied):
        _set_denial(message.denial, answer)
        if answer.balance is not None:
            set_balance(message.balance, answer.balance)
        return
    _set_reservation(message.reservation, answer)
    set_balance(message.balance, answer.balance)
    if answer.replayed:
        message.replayed = True


def _set_reservation(to: ledger_pb2.Reservation, answer: Authorized) -> None:
    """Set a reservation; without an id where nothing is held, without times where nothing is due."""
    to.credits = answer.credits
    to.price_version = answer.price_version
    if answer.reservation is not None:
        to.reservation_id = str(answer.reservation)
    if answer.state is not None:
        to.state = _STATES[answer.state]
        set_time(to.create_time, answer.created_us)
        set_time(to.expire_time, answer.expires_us)


def _set_denial(to: ledger_pb2.Denial, answer: Denied) -> None:
    to.reason = _DENIALS[answer.reason]
    to.message = answer.message
    to.credits = answer.credits
    to.http_status = HTTP_STATUSES[answer.reason]
    to.limit = answer.limit
    if answer.retry_after_us is not None:
        to.retry_after.FromMicroseconds(answer.retry_after_us)


def commit_command(message: ledger_pb2.CommitRequest, caller: str) -> Commit:
    """Read a Commit; one of its two results is required."""
    fields = Fields()
    http_status = outcome = None
    result = message.WhichOneof("result")
    if result == "http_status":
        http_status = fields.http_status("http_status", message.http_status)
    elif result == "outcome":
        outcome = fields.outcome("outcome", message.outcome)
    else:
        fields.bad("result", "must have http_status or outcome")
    name = fields.reservation("reservation_id", message.reservation_id)
    fields.done()
    return Commit(name, http_status, outcome, caller)


def commit_response(answer: Settled) -> ledger_pb2.CommitResponse:
    """Return how a hold was settled."""
    message = ledger_pb2.CommitResponse()
    set_committed(message, answer)
    return message


def set_committed(message: ledger_pb2.CommitResponse, answer: Settled) -> None:
    """Set the answer to a Commit."""
    message.state = _STATES[answer.state]
    message.outcome = _OUTCOMES[answer.outcome]
    message.credits = answer.credits
    set_balance(message.balance, answer.balance)
    if answer.late:
        message.late = True
    if answer.replayed:
        message.replayed = True


def release_command(message: ledger_pb2.ReleaseRequest, caller: str) -> Release:
    """Read a Release."""
    fields = Fields()
    command = Release(
        fields.reservation("reservation_id", message.reservation_id),
        fields.release_outcome("outcome", message.outcome),
        caller,
    )
    fields.done()
    return command


def release_response(answer: Settled) -> ledger_pb2.ReleaseResponse:
    """Return the state of a hold that was given back."""
    message = ledger_pb2.ReleaseResponse()
    set_released(message, answer)
    return message


def set_released(message: ledger_pb2.ReleaseResponse, answer: Settled) -> None:
    """Set the answer to a Release."""
    message.state = _STATES[answer.state]
    set_balance(message.balance, answer.balance)
    message.replayed = answer.replayed


def extend_command(message: ledger_pb2.ExtendRequest, *, hold_max_us: int) -> Extend:
    """Read an Extend; a hold that is unset is left to the engine."""
    fields = Fields()
    command = Extend(
        fields.reservation("reservation_id", message.reservation_id),
        _hold_us(fields, message, hold_max_us) if message.HasField("hold") else None,
    )
    fields.done()
    return command


def extend_response(answer: Extended) -> ledger_pb2.ExtendResponse:
    """Return the deadline of a hold that was prolonged."""
    message = ledger_pb2.ExtendResponse()
    set_extended(message, answer)
    return message


def set_extended(message: ledger_pb2.ExtendResponse, answer: Extended) -> None:
    """Set the answer to an Extend."""
    set_time(message.expire_time, answer.expires_us)
    set_balance(message.balance, answer.balance)


def no_operation() -> NoReturn:
    """Refuse an operation that is none of the four."""
    raise invalid("operation", "must have authorize, commit, release or extend")


def overview_query(message: ledger_pb2.GetOverviewRequest) -> GetOverview:
    """Read a GetOverview; a bound of the period that is unset is left to the ledger."""
    fields = Fields()
    start_us, end_us = period_us(fields, message)
    query = GetOverview(
        account_id=fields.account_id("account_id", message.account_id),
        start_us=start_us,
        end_us=end_us,
        granularity=fields.granularity("granularity", message.granularity),
        time_zone=fields.time_zone("time_zone", message.time_zone),
    )
    fields.done()
    return query


def overview_response(answer: Overview) -> ledger_pb2.GetOverviewResponse:
    """Return the Credit Cost Overview."""
    message = ledger_pb2.GetOverviewResponse(
        account_id=answer.account_id,
        lifetime_credits=answer.lifetime_credits,
        total=usage_message(answer.total),
        endpoints=(
            ledger_pb2.EndpointUsage(
                method=each.method, path=each.path, usage=usage_message(each.usage)
            )
            for each in answer.endpoints
        ),
        grants=map(grant_message, answer.grants),
        upcoming_prices=price_list_messages(answer.upcoming_prices),
    )
    set_time(message.as_of, answer.as_of_us)
    set_time(message.start_time, answer.start_us)
    set_time(message.end_time, answer.end_us)
    set_balance(message.balance, answer.balance)
    add_buckets(message.series, answer.series)
    message.limits.extend(starmap(limit_status_message, answer.limits))
    message.recurring_grants.extend(map(recurring_grant_message, answer.recurring))
    message.alerts.extend(map(alert_status_message, answer.alerts))
    if answer.prices is not None:
        message.prices.CopyFrom(price_list_message(answer.prices))
    return message
