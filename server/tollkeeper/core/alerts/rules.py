"""Alert rules: tell, once in each of a rule's periods, that an account has consumed so much, or has so little left.

Level and not edge: a rule is met by the first change in its period after which its condition holds. How far each
rule is (`AlertState`) is part of the account and moves under its lock, so of any number of concurrent changes one
meets the rule. Nothing resets by a job: the period that contains now is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tollkeeper.core.alerts.events import AlertSubject, Crossing
from tollkeeper.core.journal import CHARGES
from tollkeeper.core.limits import LimitWindow, window_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tollkeeper.core.journal import Entry
    from tollkeeper.core.limits import Limits, LimitState

ALERTS_MAX = 100
"""The most alert rules of one account."""

_CONSUMED = AlertSubject.CONSUMED
_REMAINING = AlertSubject.REMAINING
_LIMIT_USE = AlertSubject.LIMIT_USE


class AlertRule(NamedTuple):
    """A rule. `rule_id` is new whenever anything but `threshold` and `percent` changes: it then begins anew.

    `window` is a day, week or month of `time_zone`; None for LIMIT_USE, which has that of the limit it names, and for
    an absolute REMAINING whose period lasts until the balance is above the threshold again.
    """

    rule_id: int
    name: str
    subject: AlertSubject
    threshold: int
    percent: bool
    window: LimitWindow | None
    time_zone: str
    limit: str

    @property
    def kind(self) -> tuple[object, ...]:
        """What must stay the same for the rule to go on."""
        return (self.name, self.subject, self.window, self.time_zone, self.limit)


class AlertState(NamedTuple):
    """A rule, and how far it is in its latest period.

    The period is [start_us, end_us); for a rule without a window `start_us` counts how often it was met, and
    `end_us` is 0. `consumed` is what the entries after sequence `since` charged, which is all of the period's; 0 for
    a rule that needs none.
    """

    rule: AlertRule
    start_us: int = 0
    end_us: int = 0
    since: int = 0
    consumed: int = 0
    fired: bool = False


class AlertReading(NamedTuple):
    """A rule as it stands: what its threshold is compared with, and in which period.

    `base` is what it is a per cent of, 0 where the rule is absolute. Without a window, or without the limit that it
    watches, both times are 0.
    """

    rule: AlertRule
    value: int
    base: int
    window_start_us: int
    window_end_us: int
    fired: bool


Alerts = tuple[AlertState, ...]


class Watched(Protocol):
    """What rules look at of an account."""

    @property
    def key(self) -> int:
        """The ledger's own number for it."""
        ...

    @property
    def settled(self) -> int:
        """Its settled balance, in credits."""
        ...

    @property
    def sequence(self) -> int:
        """The number of its last journal entry."""
        ...

    @property
    def limits(self) -> Limits:
        """Its limits, for the rules that watch one."""
        ...

    @property
    def alerts(self) -> Alerts:
        """Its rules, and how far each of them is."""
        ...


def followed(
    before: Watched,
    after: Watched,
    entries: Iterable[Entry],
    *,
    now_us: int,
    new_ids: Iterator[int],
) -> tuple[Alerts, tuple[Crossing, ...]]:
    """Return how far the rules of `after` are, and which of them the change from `before` to it has met, in order.

    `entries` are those of the change. A rule that both have goes on from where it is in `before`. Where no rule has
    moved, the very tuple of `before` is returned.
    """
    charged = -sum([entry.credits for entry in entries if entry.kind in CHARGES])
    alerts: list[AlertState] = []
    crossings: list[Crossing] = []
    for known in _continued(before.alerts, after.alerts):
        state = _present(known, before.sequence, after.limits, now_us)
        if charged and state.rule.window is not None:
            state = state._replace(consumed=state.consumed + charged)
        rule = state.rule
        figures = _figures(state, after)
        is_met = figures is not None and _is_met(rule, *figures)
        if figures is not None and is_met and not state.fired:
            state = state._replace(start_us=state.start_us + (not _has_window(rule)), fired=True)
            crossings.append(_crossing(after.key, state, figures, next(new_ids), now_us))
        elif state.fired and not is_met and not _has_window(rule):
            state = state._replace(fired=False)
        alerts.append(state)
    moved = tuple(alerts)
    return before.alerts if moved == before.alerts else moved, tuple(crossings)


def readings(account: Watched, now_us: int) -> tuple[AlertReading, ...]:
    """Return each rule of an account as it stands; the limits that rules watch must have their windows."""
    found: list[AlertReading] = []
    for known in account.alerts:
        state = _present(known, account.sequence, account.limits, now_us)
        figures = _figures(state, account)
        value, base = figures or (0, 0)
        times = (0, 0) if figures is None or not state.end_us else (state.start_us, state.end_us)
        is_met = state.fired and figures is not None
        found.append(AlertReading(state.rule, value, base, *times, is_met))
    return tuple(found)


def replaced(
    account: Watched, wanted: Iterable[AlertRule] | None, limits: Limits, new_ids: Iterable[int]
) -> Alerts:
    """Return the rules as they are wanted, None for as they are; `limits` are those that the account will have.

    Those of a kind that is there already go on, unless they watch another limit than before under the same name.
    """
    if wanted is None:
        if limits is account.limits or not account.alerts:
            return account.alerts
        wanted = [state.rule for state in account.alerts]
    ids = iter(new_ids)
    known = {state.rule.kind: state for state in account.alerts}
    ids_before = {state.limit.name: state.limit.limit_id for state in account.limits}
    ids_after = {state.limit.name: state.limit.limit_id for state in limits}
    after: list[AlertState] = []
    for rule in wanted:
        state = known.get(rule.kind)
        watched = ids_after.get(rule.limit)
        if state is None or watched not in (None, ids_before.get(rule.limit)):
            after.append(AlertState(rule._replace(rule_id=next(ids))))
        else:
            after.append(state._replace(rule=rule._replace(rule_id=state.rule.rule_id)))
    return tuple(after)


def _continued(before: Alerts, after: Alerts) -> Alerts:
    if after is before:
        return before
    known = {state.rule.rule_id: state for state in before}
    return tuple(
        [known.get(state.rule.rule_id, state)._replace(rule=state.rule) for state in after]
    )


def _present(state: AlertState, sequence: int, limits: Limits, now_us: int) -> AlertState:
    """Return the state in the period that contains now. One that begins later is kept: then the clock was set back."""
    rule = state.rule
    if rule.subject is _LIMIT_USE:
        watched = _watched(limits, rule.limit)
        window = watched.at(now_us) if watched else None
        if window is None or window.start_us <= state.start_us:
            return state
        return AlertState(rule, window.start_us, window.end_us)
    if rule.window is None or now_us < state.end_us:
        return state
    return AlertState(rule, *window_at(rule.window, rule.time_zone, now_us), since=sequence)


def _figures(state: AlertState, account: Watched) -> tuple[int, int] | None:
    """Return the value and, in per cent, what it is a part of; None where the limit is not there."""
    rule = state.rule
    if rule.subject is _LIMIT_USE:
        watched = _watched(account.limits, rule.limit)
        if watched is None:
            return None
        window = watched.latest
        used = window.used + window.held if window and window.start_us == state.start_us else 0
        return used, watched.limit.maximum if rule.percent else 0
    value = state.consumed if rule.subject is _CONSUMED else account.settled
    return value, max(0, state.consumed + account.settled) if rule.percent else 0


def _is_met(rule: AlertRule, value: int, base: int) -> bool:
    """Say whether the condition holds. Of nothing there is no per cent."""
    threshold = rule.threshold
    if rule.percent:
        if base == 0:
            return False
        value, threshold = value * 100, threshold * base
    return value <= threshold if rule.subject is _REMAINING else value >= threshold


def _has_window(rule: AlertRule) -> bool:
    return rule.window is not None or rule.subject is _LIMIT_USE


def _watched(limits: Limits, name: str) -> LimitState | None:
    return next((state for state in limits if state.limit.name == name), None)


def _crossing(
    account_key: int, state: AlertState, figures: tuple[int, int], event_id: int, now_us: int
) -> Crossing:
    rule = state.rule
    return Crossing(
        account_key,
        rule.rule_id,
        state.start_us,
        event_id,
        rule.name,
        rule.subject,
        rule.limit,
        rule.threshold,
        rule.percent,
        *figures,
        state.end_us,
        now_us,
    )
