"""Turns the calls about recurring grants into commands, and answers into messages; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.recurring.commands import (
    CreateRecurringGrant,
    EndRecurringGrant,
    ReplaceRecurringGrant,
)
from tollkeeper.core.validation.recurring import RecurringFields
from tollkeeper.rpc.convert.values import set_balance, set_time, time_us
from tollkeeper.v1 import admin_pb2, ledger_pb2

if TYPE_CHECKING:
    from tollkeeper.core.answers.views import RecurringEnded, RecurringReplaced, RecurringView
    from tollkeeper.core.recurring.recurring_grants import RecurringGrant


def create_recurring_grant_command(
    message: admin_pb2.CreateRecurringGrantRequest,
) -> CreateRecurringGrant:
    """Read a CreateRecurringGrant; without anchor it begins now, without end_time it never ends."""
    fields = RecurringFields()
    command = CreateRecurringGrant(
        account_id=fields.account_id("account_id", message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        credits=fields.granted_credits("credits", message.credits),
        period=fields.period_name("period", message.period),
        anchor_us=time_us(fields, "anchor", message.anchor) if message.HasField("anchor") else None,
        time_zone=fields.time_zone("time_zone", message.time_zone),
        rollover_max=fields.rollover_max("rollover_max", message.rollover_max),
        priority=fields.priority("priority", message.priority),
        note=fields.text("note", message.note),
        end_us=time_us(fields, "end_time", message.end_time)
        if message.HasField("end_time")
        else None,
    )
    fields.bounds(command.anchor_us, command.end_us, command.time_zone)
    fields.done()
    return command


def create_recurring_grant_response(
    answer: RecurringView,
) -> admin_pb2.CreateRecurringGrantResponse:
    """Return the recurring grant as it was made, and the balance now."""
    message = admin_pb2.CreateRecurringGrantResponse(
        recurring_grant=recurring_grant_message(answer.recurring), replayed=answer.replayed
    )
    set_balance(message.balance, answer.balance)
    return message


def end_recurring_grant_command(message: admin_pb2.EndRecurringGrantRequest) -> EndRecurringGrant:
    """Read an EndRecurringGrant; without end_time it ends now."""
    fields = RecurringFields()
    command = EndRecurringGrant(
        account_id=fields.account_id("account_id", message.account_id),
        number=fields.number("recurring_grant_id", message.recurring_grant_id, message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        end_us=time_us(fields, "end_time", message.end_time)
        if message.HasField("end_time")
        else None,
    )
    fields.done()
    return command


def end_recurring_grant_response(answer: RecurringEnded) -> admin_pb2.EndRecurringGrantResponse:
    """Return when it ends, and the balance now."""
    message = admin_pb2.EndRecurringGrantResponse(
        recurring_grant_id=str(answer.number), replayed=answer.replayed
    )
    set_time(message.end_time, answer.end_us)
    set_balance(message.balance, answer.balance)
    return message


def replace_recurring_grant_command(
    message: admin_pb2.ReplaceRecurringGrantRequest,
) -> ReplaceRecurringGrant:
    """Read a ReplaceRecurringGrant; without `when` now, without period the old one's."""
    fields = RecurringFields()
    command = ReplaceRecurringGrant(
        account_id=fields.account_id("account_id", message.account_id),
        number=fields.number("recurring_grant_id", message.recurring_grant_id, message.account_id),
        request_id=fields.request_id("request_id", message.request_id),
        credits=fields.granted_credits("credits", message.credits),
        period=fields.period_name("period", message.period) if message.period else None,
        rollover_max=fields.rollover_max("rollover_max", message.rollover_max),
        priority=fields.priority("priority", message.priority),
        note=fields.text("note", message.note),
        when=fields.when("when", message.when),
    )
    fields.done()
    return command


def replace_recurring_grant_response(
    answer: RecurringReplaced,
) -> admin_pb2.ReplaceRecurringGrantResponse:
    """Return the new one as it was made, when the old one ends, what was exchanged, and the balance now."""
    message = admin_pb2.ReplaceRecurringGrantResponse(
        recurring_grant=recurring_grant_message(answer.recurring),
        voided_credits=answer.voided,
        granted_credits=answer.given,
        replayed=answer.replayed,
    )
    set_time(message.end_time, answer.end_us)
    set_balance(message.balance, answer.balance)
    return message


def recurring_grant_message(recurring: RecurringGrant) -> ledger_pb2.RecurringGrant:
    """Return a recurring grant, and when its next period begins."""
    message = ledger_pb2.RecurringGrant(
        recurring_grant_id=str(recurring.number),
        credits=recurring.credits,
        period=ledger_pb2.RecurringGrant.Period.ValueType(recurring.period),
        time_zone=recurring.time_zone,
        rollover_max=recurring.rollover_max,
        priority=recurring.priority,
        note=recurring.note,
    )
    set_time(message.anchor, recurring.anchor_us)
    set_time(message.create_time, recurring.created_us)
    if recurring.end_us != NEVER_US:
        set_time(message.end_time, recurring.end_us)
    if recurring.next_us != NEVER_US:
        set_time(message.next_time, recurring.next_us)
    return message
