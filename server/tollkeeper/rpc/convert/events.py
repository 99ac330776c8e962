"""Turns alert rules and events into the core's values, and back.

A cursor is the page token of a position. It belongs to no filter: a place in the order of all events.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.core.commands import ListEvents, WatchEvents
from tollkeeper.core.validation.alerts import RawAlert, alert_rules
from tollkeeper.core.validation.fields import Fields
from tollkeeper.rpc.convert import page_token
from tollkeeper.rpc.convert.values import set_time
from tollkeeper.v1 import events_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.core.alerts.events import Event
    from tollkeeper.core.alerts.rules import AlertReading, AlertRule
    from tollkeeper.core.answers.views import EventPage

_EVENTS = ("events",)
_POSITION = re.compile(r"0|[1-9][0-9]{0,17}")


# Rules


def alerts_of(fields: Fields, field: str, message: events_pb2.AlertSet) -> tuple[AlertRule, ...]:
    """Read all the alert rules of an account."""
    return alert_rules(
        fields,
        f"{field}.rules",
        [
            RawAlert(
                each.name,
                each.subject,
                each.threshold,
                each.percent,
                each.window,
                each.time_zone,
                each.limit,
            )
            for each in message.rules
        ],
    )


def alert_message(rule: AlertRule) -> events_pb2.AlertRule:
    """Return a rule."""
    return events_pb2.AlertRule(
        name=rule.name,
        subject=events_pb2.AlertRule.Subject.ValueType(rule.subject),
        threshold=rule.threshold,
        percent=rule.percent,
        window=events_pb2.AlertRule.Window.ValueType(rule.window or 0),
        time_zone=rule.time_zone,
        limit=rule.limit,
    )


def alert_status_message(reading: AlertReading) -> events_pb2.AlertStatus:
    """Return a rule as it stands."""
    message = events_pb2.AlertStatus(
        rule=alert_message(reading.rule), value=reading.value, base=reading.base, met=reading.fired
    )
    if reading.window_end_us:
        set_time(message.window_start, reading.window_start_us)
        set_time(message.window_end, reading.window_end_us)
    return message


# Events


def events_query(message: events_pb2.ListEventsRequest) -> ListEvents:
    """Read a ListEvents."""
    fields = Fields()
    query = ListEvents(
        page_size=fields.page_size("page_size", message.page_size),
        after=_position(fields, "page_token", message.page_token),
        account_id=_account_id(fields, message.account_id),
        prefix=fields.account_id_prefix("prefix", message.prefix),
    )
    fields.done()
    return query


def events_response(answer: EventPage) -> events_pb2.ListEventsResponse:
    """Return a page of events, and the token of the next."""
    return events_pb2.ListEventsResponse(
        events=map(_event, answer.events),
        next_page_token=_cursor(answer.next_after) if answer.next_after else "",
    )


def watch_query(message: events_pb2.WatchEventsRequest) -> WatchEvents:
    """Read a WatchEvents; without a cursor it begins at the oldest event, or now."""
    fields = Fields()
    after = _position(fields, "cursor", message.cursor)
    query = WatchEvents(
        after=None if message.only_new and not message.cursor else after,
        account_id=_account_id(fields, message.account_id),
        prefix=fields.account_id_prefix("prefix", message.prefix),
    )
    fields.done()
    return query


def watch_responses(page: EventPage) -> Iterator[events_pb2.WatchEventsResponse]:
    """Yield an answer for each event of a page; for an empty one where it ends."""
    for event in page.events:
        message = _event(event)
        yield events_pb2.WatchEventsResponse(event=message, cursor=message.cursor)
    if not page.events:
        yield events_pb2.WatchEventsResponse(cursor=_cursor(page.through))


def _account_id(fields: Fields, account_id: str) -> str:
    return fields.account_id("account_id", account_id) if account_id else ""


def _position(fields: Fields, field: str, cursor: str) -> int:
    if not cursor:
        return 0
    place = page_token.decode(_EVENTS, cursor)
    if place is None or not _POSITION.fullmatch(place):
        fields.bad(field, "must be the cursor of an event or of an answer")
        return 0
    return int(place)


def _cursor(position: int) -> str:
    return page_token.encode(_EVENTS, str(position))


def _event(event: Event) -> events_pb2.Event:
    message = events_pb2.Event(
        event_id=f"{event.event_id:x}",
        cursor=_cursor(event.position),
        account_id=event.account_id,
        rule=event.rule,
        subject=events_pb2.AlertRule.Subject.ValueType(event.subject),
        limit=event.limit,
        threshold=event.threshold,
        percent=event.percent,
        value=event.value,
        base=event.base,
    )
    if event.window_end_us:
        set_time(message.window_start, event.window_start_us)
        set_time(message.window_end, event.window_end_us)
    set_time(message.occur_time, event.occurred_us)
    return message
