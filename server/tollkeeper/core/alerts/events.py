"""An event: the record that a rule of an account was met, once in each of the rule's periods.

Events are written in the database transaction of the change that met the rule, and get their *position*
afterwards. Positions rise by one in the order in which events can be seen, so a reader who has read up to a
position has missed none before it.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple


@unique
class AlertSubject(IntEnum):
    """What a rule looks at; the numbers are the proto's."""

    CONSUMED = 1
    REMAINING = 2
    LIMIT_USE = 3


class Event(NamedTuple):
    """An event as it is delivered. `rule` and `limit` are names; `limit` is empty but for LIMIT_USE.

    `value` is what was met at `occurred_us`; where the rule is in per cent, `threshold` is that of `base`. Zero stands
    for "none" in `base` and in the window's times.
    """

    position: int
    event_id: int
    account_id: str
    rule: str
    subject: AlertSubject
    limit: str
    threshold: int
    percent: bool
    value: int
    base: int
    window_start_us: int
    window_end_us: int
    occurred_us: int


class Crossing(NamedTuple):
    """An event as it is written, without a position, in the order of its columns.

    `period` tells the rule's periods apart: the beginning of its window or, for a rule without one
    (`window_end_us` is 0), how many times it has been met.
    """

    account_key: int
    rule_id: int
    period: int
    event_id: int
    rule: str
    subject: AlertSubject
    limit: str
    threshold: int
    percent: bool
    value: int
    base: int
    window_end_us: int
    occurred_us: int
