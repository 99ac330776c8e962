"""The alert rules of an account as they stand, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollkeeper_client.answers import read_time
from tollkeeper_client.v1.enums import Number

if TYPE_CHECKING:
    from datetime import datetime

    from tollkeeper_client.v1 import events_pb2 as pb


class Subject(Number):
    """What an alert rule looks at."""

    UNSPECIFIED = 0
    CONSUMED = 1
    REMAINING = 2
    LIMIT_USE = 3


class AlertWindow(Number):
    """The span of an alert rule."""

    UNSPECIFIED = 0
    """That of its limit; of REMAINING, until the balance is above the threshold again."""
    DAY = 4
    WEEK = 5
    MONTH = 6


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Tells by an event, once in its period, that an account has consumed so much, or has so little left."""

    name: str
    subject: Subject
    threshold: int
    percent: bool
    """Whether `threshold` is in per cent."""
    window: AlertWindow
    time_zone: str
    limit: str
    """The name of the limit that LIMIT_USE watches; else empty."""


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """A rule as it stands: `value` is compared with the threshold, in per cent of `base` where the rule says so."""

    rule: AlertRule
    value: int
    base: int
    met: bool
    """Whether it was met in the present period."""
    window_start: datetime | None
    """None, as `window_end`, for a rule without a window, or without its limit."""
    window_end: datetime | None


def read_alert_status(status: pb.AlertStatus) -> AlertStatus:
    """Read how a rule stands."""
    rule = status.rule
    has_window = status.HasField("window_end")
    return AlertStatus(
        rule=AlertRule(
            name=rule.name,
            subject=Subject(rule.subject),
            threshold=rule.threshold,
            percent=rule.percent,
            window=AlertWindow(rule.window),
            time_zone=rule.time_zone,
            limit=rule.limit,
        ),
        value=status.value,
        base=status.base,
        met=status.met,
        window_start=read_time(status.window_start) if has_window else None,
        window_end=read_time(status.window_end) if has_window else None,
    )
