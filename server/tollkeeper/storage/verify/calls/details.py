"""What is set for an account against the records of the calls that set it (invariant 10; of limits 8, of alerts 13).

Records of before a column was there say nothing of it, which is as if they had left it as it was.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tollkeeper.core.account import AccountState
from tollkeeper.core.alerts.events import AlertSubject
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.limits import LimitUnit, LimitWindow
from tollkeeper.core.pricing.assignments import NO_ASSIGNMENT
from tollkeeper.storage.rows.pricing import pricing_of
from tollkeeper.storage.rows.recurring import recurring_of
from tollkeeper.storage.verify.calls.last_calls import Set, may_be, of_methods, unlike

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import RowMapping

    from tollkeeper.core.recurring.recurring_grants import RecurringGrant
    from tollkeeper.storage.verify.calls.last_calls import Problem, RecordedCall

_DEFAULT_LIST = "(the default)"
_REPLACE = "ReplaceRecurringGrant"


def problems(account: RowMapping, calls: Sequence[RecordedCall]) -> Iterable[Problem]:
    """Yield what an account has and no call has set."""
    opened = of_methods(calls, "CreateAccount")
    if len(opened) != 1:
        yield 10, f"was opened by {len(opened)} calls that are recorded"
        return
    if account["created_us"] != opened[0].created_us:
        yield (
            10,
            f"is of {account['created_us']}, but the call that opened it of {opened[0].created_us}",
        )
    changes = [*opened, *of_methods(calls, "UpdateAccount")]
    yield from _details(account, changes)
    yield from _texts(account, changes)
    yield from ((10, what) for what in _pricing(account["pricing"], changes))
    yield from ((4, what) for what in _recurring(account["recurring"], calls))


def _sets(calls: Iterable[RecordedCall], field: str) -> list[Set]:
    return [
        Set(call.created_us, value)
        for call in calls
        if (value := call.content.get(field)) is not None
    ]


def _details(account: RowMapping, changes: Sequence[RecordedCall]) -> Iterable[Problem]:
    opened_us = changes[0].created_us
    for field, first in (
        ("display_name", None),
        ("credit_limit", None),
        ("state", int(AccountState.ACTIVE)),
    ):
        sets = _sets(changes, field)
        if first is not None:
            sets.append(Set(opened_us, first))
        yield from _unset(10, field, account[field], may_be(sets))


def _unset(number: int, field: str, now: object, known: list[Any]) -> Iterable[Problem]:
    if now not in known:
        yield number, f"has {field} {now!r}, but the calls that set it last said {known}"


def _texts(account: RowMapping, changes: Sequence[RecordedCall]) -> Iterable[Problem]:
    """Compare limits and alert rules with their text in the records."""
    for number, field, words_of in ((8, "limits", _limit_words), (13, "alerts", _alert_words)):
        try:
            rows: list[Any] = json.loads(account[field]) if account[field] else []
            words = "; ".join(words_of(*each) for each in rows)
            if len({number for number, *_ in rows}) < len(rows):
                words = "two of one number"
        except (ValueError, TypeError):
            yield number, f"its {field} cannot be read: {account[field]}"
            continue
        sets = [Set(changes[0].created_us, ""), *_sets(changes, field)]
        if changes[0].content.get(field) is not None:
            del sets[0]
        known = ["" if each == "none" else each for each in may_be(sets)]
        yield from _unset(number, field, words, known)


def _limit_words(*columns: Any) -> str:  # noqa: ANN401 - what a JSON array holds
    _, name, unit, window, maximum, method, path, time_zone, enforce = columns
    return (
        f"{name}: {maximum} {LimitUnit(unit).name} a {LimitWindow(window).name} in {time_zone}"
        f" of {method} {path}{'' if enforce else ' in shadow'}"
    )


def _alert_words(*columns: Any) -> str:  # noqa: ANN401 - what a JSON array holds
    _, name, subject, threshold, percent, window, time_zone, limit = columns
    return (
        f"{name}: {AlertSubject(subject).name} {threshold}{'%' if percent else ''}"
        f" a {LimitWindow(window).name if window else 'crossing'} in {time_zone} of {limit}"
    )


def _pricing(column: str, changes: Sequence[RecordedCall]) -> Iterable[str]:
    """Each assignment was made by a call, and the last one by the last of those that made any."""
    try:
        pricing = (pricing_of(column) if column else ()) or (NO_ASSIGNMENT,)
    except (ValueError, TypeError):
        return  # `verify_prices` tells
    sets: list[Set] = []
    for call in changes:
        name = call.content.get("price_list")
        given_us = call.content.get("price_list_effective_time")
        if name is None and given_us is not None:
            yield f"was given a time for a price list, {given_us}, and no price list"
        if name is not None:
            name = "" if name == _DEFAULT_LIST else name
            sets.append(
                Set(call.created_us, (name, call.created_us if given_us is None else given_us))
            )
    if changes[0].content.get("price_list") is None:
        sets.append(Set(changes[0].created_us, NO_ASSIGNMENT))
    known = {NO_ASSIGNMENT, *(each.value for each in sets)}
    for each in pricing:
        if each not in known:
            yield f"is on price list {each.name!r} from {each.effective_us} on, which no call said"
    last = [name for name, _ in may_be(sets)]
    if pricing[-1].name not in last:
        yield f"comes to price list {pricing[-1].name!r}, but the last calls said {last}"


def _recurring(column: str, calls: Sequence[RecordedCall]) -> Iterable[str]:
    """Each recurring grant is as it was made, and ends when the last call about it said."""
    try:
        known = recurring_of(column)
    except (ValueError, TypeError):
        return  # `verify_recurring` tells
    for each in known:
        name = f"recurring grant {each.number}"
        creations = [
            call
            for method in ("CreateRecurringGrant", _REPLACE)
            for call in of_methods(calls, method)
            if call.result.get("number") == each.number
        ]
        if len(creations) != 1:
            yield f"{name} was made by {len(creations)} calls that are recorded"
            continue
        by_replacing = creations[0].method == _REPLACE
        fields = _as_replacing(each, creations[0]) if by_replacing else _as_made(each, creations[0])
        yield from unlike(name, fields)
        ends = _ends(each, creations[0], calls)
        if each.end_us not in ends:
            yield f"{name} ends at {each.end_us}, but the calls about it said {sorted(ends)}"


def _as_made(each: RecurringGrant, call: RecordedCall) -> dict[str, tuple[Any, Any]]:
    content, result = call.content, call.result
    anchor_us = content.get("anchor")
    first = {} if each.granted else {"next_nth": (each.next_nth, 0)}
    return {
        **first,
        "credits": (each.credits, content.get("credits")),
        "period": (int(each.period), content.get("period")),
        "anchor": (each.anchor_us, result.get("anchor_us")),
        "anchor as given": (each.anchor_us, each.anchor_us if anchor_us is None else anchor_us),
        "time_zone": (each.time_zone, content.get("time_zone")),
        "rollover_max": (each.rollover_max, content.get("rollover_max")),
        "priority": (each.priority, content.get("priority")),
        "note": (each.note, content.get("note")),
        "created_us": (each.created_us, result.get("created_us")),
        "time": (each.created_us, call.created_us),
    }


def _as_replacing(each: RecurringGrant, call: RecordedCall) -> dict[str, tuple[Any, Any]]:
    """What the call said that put it in the place of another; its record has the zone that it kept."""
    content, result = call.content, call.result
    return {
        "credits": (each.credits, content.get("credits")),
        "period": (int(each.period), result.get("period")),
        "anchor": (each.anchor_us, result.get("anchor_us")),
        "time_zone": (each.time_zone, content.get("time_zone", each.time_zone)),
        "rollover_max": (each.rollover_max, content.get("rollover_max")),
        "priority": (each.priority, content.get("priority")),
        "note": (each.note, content.get("note")),
        "created_us": (each.created_us, result.get("created_us")),
        "time": (each.created_us, call.created_us),
    }


def _ends(each: RecurringGrant, made: RecordedCall, calls: Sequence[RecordedCall]) -> set[int]:
    """Return when it may end: as it was made, as an EndRecurringGrant said, or when its account was closed."""
    end_us = made.content.get("end_time")
    if made.method == _REPLACE:
        end_us = made.result.get("end_us")
    ends = [Set(made.created_us, NEVER_US if end_us is None else end_us)]
    for call in sorted(calls, key=lambda call: call.created_us):
        at_us = call.created_us
        if at_us < made.created_us:
            continue
        near = [each for each in ends if each.created_us == at_us]
        if call.method == "UpdateAccount" and call.content.get("state") == AccountState.CLOSED:
            ends = [*near, *(Set(at_us, min(each.value, at_us)) for each in ends)]
        elif call.method == "EndRecurringGrant" and (
            call.content.get("recurring_grant_id") == str(each.number)
        ):
            ends = [*near, Set(at_us, call.result.get("end_us"))]
        elif call.method == _REPLACE and call.content.get("recurring_grant_id") == str(each.number):
            ends = [*near, Set(at_us, call.result.get("old_end_us"))]
    return {each.value for each in ends}
