"""Turns what is asked across accounts into queries, and answers into messages; decides nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.core.commands import ConsumptionCursor, GetPlatformOverview, ListConsumption
from tollkeeper.core.usage import QUARTER_US
from tollkeeper.core.validation.fields import TIME_MAX_US, TIME_MIN_US, Fields
from tollkeeper.rpc.convert.usage import add_buckets, usage_message
from tollkeeper.rpc.convert.values import Query, next_page, page_place, period_us, set_time
from tollkeeper.v1 import admin_pb2

if TYPE_CHECKING:
    from tollkeeper.core.answers.views import ConsumptionPage, PlatformOverview

_HOUR = r"(0|[1-9][0-9]{0,7})"
_PLACE = re.compile(rf"{_HOUR} {_HOUR} (0|[1-9][0-9]{{0,17}}) ([A-Za-z0-9._:@/-]{{1,128}})")
"""The period in hours since 1970, and the credits and the id of the last account shown."""


def consumption_query(message: admin_pb2.ListConsumptionRequest) -> ListConsumption:
    """Read a ListConsumption."""
    fields = Fields()
    start_us, end_us = period_us(fields, message)
    query = ListConsumption(
        page_size=fields.page_size("page_size", message.page_size),
        start_us=start_us,
        end_us=end_us,
        time_zone=fields.time_zone("time_zone", message.time_zone),
        prefix=fields.account_id_prefix("prefix", message.prefix),
        after=_place(fields, message),
    )
    fields.done()
    return query


def consumption_response(
    message: admin_pb2.ListConsumptionRequest, answer: ConsumptionPage
) -> admin_pb2.ListConsumptionResponse:
    """Return a page of accounts, and the token of the next."""
    response = admin_pb2.ListConsumptionResponse(
        accounts=(
            admin_pb2.AccountConsumption(
                account_id=each.account_id, usage=usage_message(each.usage)
            )
            for each in answer.accounts
        ),
        next_page_token=next_page(_consumption(message), _place_text(answer.next_after)),
    )
    set_time(response.start_time, answer.start_us)
    set_time(response.end_time, answer.end_us)
    set_time(response.as_of, answer.as_of_us)
    return response


def platform_overview_query(message: admin_pb2.GetPlatformOverviewRequest) -> GetPlatformOverview:
    """Read a GetPlatformOverview; a bound of the period that is unset is left to the ledger."""
    fields = Fields()
    start_us, end_us = period_us(fields, message)
    query = GetPlatformOverview(
        start_us=start_us,
        end_us=end_us,
        granularity=fields.granularity("granularity", message.granularity),
        time_zone=fields.time_zone("time_zone", message.time_zone),
        endpoint_series=message.endpoint_series,
    )
    fields.done()
    return query


def platform_overview_response(answer: PlatformOverview) -> admin_pb2.GetPlatformOverviewResponse:
    """Return the overview of all accounts together."""
    response = admin_pb2.GetPlatformOverviewResponse(total=usage_message(answer.total))
    set_time(response.as_of, answer.as_of_us)
    set_time(response.start_time, answer.start_us)
    set_time(response.end_time, answer.end_us)
    add_buckets(response.series, answer.series)
    for each in answer.endpoints:
        added = response.endpoints.add(
            method=each.method, path=each.path, usage=usage_message(each.usage)
        )
        add_buckets(added.series, each.series)
    return response


def _consumption(message: admin_pb2.ListConsumptionRequest) -> Query:
    start, end = message.start_time, message.end_time
    return (
        "consumption by the quarter",
        message.prefix,
        message.time_zone,
        *(start.seconds, start.nanos, message.HasField("start_time")),
        *(end.seconds, end.nanos, message.HasField("end_time")),
    )


def _place(fields: Fields, message: admin_pb2.ListConsumptionRequest) -> ConsumptionCursor | None:
    """Read where the list goes on; None at its beginning."""
    place = _PLACE.fullmatch(page_place(fields, _consumption(message), message.page_token, _PLACE))
    if place is None:
        return None
    start_us, end_us = int(place[1]) * QUARTER_US, int(place[2]) * QUARTER_US
    if not TIME_MIN_US <= start_us < end_us <= TIME_MAX_US + 1:
        fields.bad("page_token", "must be the next_page_token of a call with the same filters")
    return ConsumptionCursor(start_us, end_us, int(place[3]), place[4])


def _place_text(place: ConsumptionCursor | None) -> str:
    if place is None:
        return ""
    quarters = f"{place.start_us // QUARTER_US} {place.end_us // QUARTER_US}"
    return f"{quarters} {place.credits} {place.account_id}"
