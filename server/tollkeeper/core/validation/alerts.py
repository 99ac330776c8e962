"""Checks the alert rules of a request; see `fields.py`. The rules: docs/rules.md, "Alert rules"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.alerts.rules import ALERTS_MAX, AlertRule
from tollkeeper.core.credits import GRANT_MAX
from tollkeeper.core.limits import LimitWindow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.core.validation.fields import Fields

PERCENT_MAX = 1_000

_SUBJECTS: Mapping[int, AlertSubject] = {each.value: each for each in AlertSubject}
_WINDOWS: Mapping[int, LimitWindow] = {
    each.value: each for each in (LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.MONTH)
}


class RawAlert(NamedTuple):
    """An alert rule as it came."""

    name: str
    subject: int
    threshold: int
    percent: bool
    window: int
    time_zone: str
    limit: str


def alert_rules(fields: Fields, field: str, rules: Sequence[RawAlert]) -> tuple[AlertRule, ...]:
    """Check all the alert rules of an account; the second of two with one name is the bad one."""
    if len(rules) > ALERTS_MAX:
        fields.bad(field, f"must not be more than {ALERTS_MAX}")
        return ()
    first_of: dict[str, int] = {}
    good: list[AlertRule] = []
    for index, raw in enumerate(rules):
        good.append(_rule(fields, f"{field}[{index}]", raw))
        first = first_of.setdefault(raw.name, index)
        if first != index:
            fields.bad(f"{field}[{index}].name", f"is the name of {field}[{first}]")
    return tuple(good)


def _rule(fields: Fields, name: str, raw: RawAlert) -> AlertRule:
    fields.short_name(f"{name}.name", raw.name)
    subject = fields.member(f"{name}.subject", raw.subject, _SUBJECTS, AlertSubject.CONSUMED)
    is_remaining = subject is AlertSubject.REMAINING
    most = GRANT_MAX
    if raw.percent:
        most = 100 if is_remaining else PERCENT_MAX
    threshold = fields.between(f"{name}.threshold", raw.threshold, int(not is_remaining), most)
    window = _window(fields, name, raw, subject)
    if window is not None:
        zone = fields.time_zone(f"{name}.time_zone", raw.time_zone)
    else:
        zone = ""
        if raw.time_zone:
            fields.bad(f"{name}.time_zone", "must be unset where the rule has no window")
    if subject is AlertSubject.LIMIT_USE:
        fields.short_name(f"{name}.limit", raw.limit)
    elif raw.limit:
        fields.bad(f"{name}.limit", "must be unset but for LIMIT_USE")
    return AlertRule(0, raw.name, subject, threshold, raw.percent, window, zone, raw.limit)


def _window(fields: Fields, name: str, raw: RawAlert, subject: AlertSubject) -> LimitWindow | None:
    if subject is AlertSubject.LIMIT_USE:
        if raw.window:
            fields.bad(f"{name}.window", "must be unset for LIMIT_USE, which has that of its limit")
        return None
    if subject is AlertSubject.REMAINING and not raw.percent and not raw.window:
        return None
    return fields.member(f"{name}.window", raw.window, _WINDOWS, LimitWindow.DAY)
