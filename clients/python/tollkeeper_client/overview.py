"""The Credit Cost Overview of an account, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper_client.alerts import AlertStatus, read_alert_status
from tollkeeper_client.answers import (
    Balance,
    DenialReason,
    Outcome,
    read_balance,
    read_time,
)
from tollkeeper_client.operations import Operation
from tollkeeper_client.v1 import ledger_pb2 as pb
from tollkeeper_client.v1.enums import Number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tollkeeper_client.v1 import prices_pb2


class Granularity(Number):
    """The width of a bucket of the series."""

    UNSPECIFIED = 0
    HOUR = 1
    DAY = 2
    MONTH = 3


class Unit(Number):
    """What a limit counts."""

    UNSPECIFIED = 0
    CREDITS = 1
    REQUESTS = 2


class Window(Number):
    """The span in which a limit counts."""

    UNSPECIFIED = 0
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6


class Period(Number):
    """How often a recurring grant gives credits."""

    UNSPECIFIED = 0
    DAY = 1
    WEEK = 2
    MONTH = 3
    YEAR = 4


class Unlisted(Number):
    """What becomes of endpoints that a price list does not name."""

    UNSPECIFIED = 0
    FREE = 1
    DENIED = 2


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests by how they ended, and what they consumed.

    What was released is told by outcome and what was denied by reason too, as far as there was any. `free_requests` are
    those that no price list names.
    """

    requests: int
    credits: int
    released: int
    expired: int
    denied: int
    refunded_credits: int
    released_by_outcome: Mapping[Outcome, int]
    denied_by_reason: Mapping[DenialReason, int]
    free_requests: int


@dataclass(frozen=True, slots=True)
class EndpointUsage:
    """Usage of one endpoint, as the price list writes it."""

    method: str
    path: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class UsageBucket:
    """Usage of one span of the series."""

    start_time: datetime
    usage: Usage


@dataclass(frozen=True, slots=True)
class Limit:
    """A cap on the account; one that is not enforced counts and refuses nothing."""

    name: str
    unit: Unit
    window: Window
    maximum: int
    method: str
    path: str
    time_zone: str
    enforce: bool


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit in its present window. `held` is a part of `used`."""

    limit: Limit
    used: int
    held: int
    remaining: int
    over: int
    reset_time: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits given to the account."""

    grant_id: str
    credits: int
    remaining: int
    priority: int
    create_time: datetime
    expire_time: datetime | None
    """None: never."""
    note: str
    recurring_grant_id: str
    """The recurring grant that made it; else empty."""
    rolled_over: bool
    """Whether it is what was left of that one's period before."""


@dataclass(frozen=True, slots=True)
class RecurringGrant:
    """Credits given to the account at the beginning of every period."""

    recurring_grant_id: str
    credits: int
    period: Period
    anchor: datetime
    time_zone: str
    rollover_max: int
    priority: int
    note: str
    create_time: datetime
    end_time: datetime | None
    """None: never ends."""
    next_time: datetime | None
    """When the next period begins; None where none is to come."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a request to an endpoint costs, and which HTTP statuses are charged (empty: 2xx and 304)."""

    method: str
    path: str
    credits: int
    note: str
    charge_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceList:
    """The prices that the account pays from `effective_time` on.

    `name`: empty for the list of all accounts that are on no other. One of version 0 says that none is in force.
    """

    name: str
    version: int
    effective_time: datetime
    prices: tuple[Price, ...]
    unlisted: Unlisted
    note: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What was consumed in [start_time, end_time), what remains, limits, alerts and prices, all as of one instant."""

    account_id: str
    as_of: datetime
    balance: Balance
    lifetime_credits: int
    start_time: datetime
    end_time: datetime
    total: Usage
    endpoints: tuple[EndpointUsage, ...]
    series: tuple[UsageBucket, ...]
    limits: tuple[LimitStatus, ...]
    grants: tuple[Grant, ...]
    recurring_grants: tuple[RecurringGrant, ...]
    prices: PriceList | None
    """None where none is in force."""
    upcoming_prices: tuple[PriceList, ...]
    alerts: tuple[AlertStatus, ...]


def overview(
    account_id: str,
    *,
    start_time: datetime | None,
    end_time: datetime | None,
    granularity: Granularity,
    time_zone: str,
) -> Operation[Overview]:
    """Ask for an account's overview. Raises ValueError for a time without a zone."""
    request = pb.GetOverviewRequest(
        account_id=account_id,
        granularity=granularity.value,  # pyright: ignore[reportArgumentType] -- the same numbers
        time_zone=time_zone,
    )
    for time, field in ((start_time, request.start_time), (end_time, request.end_time)):
        if time is not None:
            if time.tzinfo is None:
                raise ValueError("a period's times have a time zone")
            field.FromDatetime(time)
    return Operation(request.SerializeToString(), account_id, read_overview, batched=False)


def read_overview(response: pb.GetOverviewResponse, _key: str) -> Overview:
    """Read the answer to a GetOverview."""
    return Overview(
        account_id=response.account_id,
        as_of=read_time(response.as_of),
        balance=read_balance(response.balance),
        lifetime_credits=response.lifetime_credits,
        start_time=read_time(response.start_time),
        end_time=read_time(response.end_time),
        total=_usage(response.total),
        endpoints=tuple(
            EndpointUsage(each.method, each.path, _usage(each.usage)) for each in response.endpoints
        ),
        series=tuple(
            UsageBucket(read_time(each.start_time), _usage(each.usage)) for each in response.series
        ),
        limits=tuple(map(_limit_status, response.limits)),
        grants=tuple(map(_grant, response.grants)),
        recurring_grants=tuple(map(_recurring_grant, response.recurring_grants)),
        prices=_price_list(response.prices) if response.HasField("prices") else None,
        upcoming_prices=tuple(map(_price_list, response.upcoming_prices)),
        alerts=tuple(map(read_alert_status, response.alerts)),
    )


def _usage(usage: pb.Usage) -> Usage:
    return Usage(
        requests=usage.requests,
        credits=usage.credits,
        released=usage.released,
        expired=usage.expired,
        denied=usage.denied,
        refunded_credits=usage.refunded_credits,
        released_by_outcome={
            Outcome(each.outcome): each.requests for each in usage.released_by_outcome
        },
        denied_by_reason={
            DenialReason(each.reason): each.requests for each in usage.denied_by_reason
        },
        free_requests=usage.free_requests,
    )


def _limit_status(status: pb.LimitStatus) -> LimitStatus:
    limit = status.limit
    return LimitStatus(
        limit=Limit(
            name=limit.name,
            unit=Unit(limit.unit),
            window=Window(limit.window),
            maximum=limit.maximum,
            method=limit.method,
            path=limit.path,
            time_zone=limit.time_zone,
            enforce=limit.enforce or not limit.HasField("enforce"),
        ),
        used=status.used,
        held=status.held,
        remaining=status.remaining,
        over=status.over,
        reset_time=read_time(status.reset_time),
    )


def _grant(grant: pb.Grant) -> Grant:
    return Grant(
        grant_id=grant.grant_id,
        credits=grant.credits,
        remaining=grant.remaining,
        priority=grant.priority,
        create_time=read_time(grant.create_time),
        expire_time=read_time(grant.expire_time) if grant.HasField("expire_time") else None,
        note=grant.note,
        recurring_grant_id=grant.recurring_grant_id,
        rolled_over=grant.rolled_over,
    )


def _recurring_grant(grant: pb.RecurringGrant) -> RecurringGrant:
    return RecurringGrant(
        recurring_grant_id=grant.recurring_grant_id,
        credits=grant.credits,
        period=Period(grant.period),
        anchor=read_time(grant.anchor),
        time_zone=grant.time_zone,
        rollover_max=grant.rollover_max,
        priority=grant.priority,
        note=grant.note,
        create_time=read_time(grant.create_time),
        end_time=read_time(grant.end_time) if grant.HasField("end_time") else None,
        next_time=read_time(grant.next_time) if grant.HasField("next_time") else None,
    )


def _price_list(prices: prices_pb2.PriceList) -> PriceList:
    return PriceList(
        name=prices.name,
        version=prices.version,
        effective_time=read_time(prices.effective_time),
        prices=tuple(
            Price(each.method, each.path, each.credits, each.note, tuple(each.charge_on))
            for each in prices.prices
        ),
        unlisted=Unlisted(prices.unlisted),
        note=prices.note,
    )
