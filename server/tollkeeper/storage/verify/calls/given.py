"""Grants, and the entries that are no charges, against the calls that made them (invariants 1, 4, 7 and 10).

Every grant was made by a GrantCredits call, by a refund, or by a recurring grant; every refund and every debit by a
call of its own. A call that replaces a recurring grant by another voids what is left of the old one, under its note.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.core.errors import Refused
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.journal import EntryKind
from tollkeeper.core.recurring.periods import RecurringCalendar, RecurringPeriod
from tollkeeper.core.recurring.recurring_grants import Origin, id_of, origin_of
from tollkeeper.storage.verify.calls.last_calls import of_methods, unlike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import RowMapping

    from tollkeeper.storage.verify.calls.last_calls import Problem, RecordedCall

_DEBIT = 7
_ZONES_CHANGE_US = 3 * 3_600 * 1_000_000
_MINUTE_US = 60_000_000
"""Where a country has changed its time meanwhile, a period may end by whole minutes elsewhere than it would now."""


class Given(NamedTuple):
    """An account's grants by id, its calls, and its entries that are no charges, in their order."""

    grants: dict[int, RowMapping]
    calls: Sequence[RecordedCall]
    entries: Sequence[RowMapping]

    def call(self, method: str, field: str, value: object) -> RecordedCall | None:
        """Return the call of a method whose result says so."""
        calls = (each for each in self.calls if each.method == method)
        return next((each for each in calls if each.result.get(field) == value), None)


def problems(
    calls: Sequence[RecordedCall],
    grants: Iterable[RowMapping],
    entries: Sequence[RowMapping],
    gave_back: Callable[[int], bool],
) -> Iterable[Problem]:
    """Yield what does not agree. `gave_back` says whether a reservation may have given something back at a time."""
    given = Given(
        {each["grant_id"]: each for each in grants},
        calls,
        entries,
    )
    for grant in given.grants.values():
        yield from ((4, what) for what in _grant(given, grant))
    for call in of_methods(calls, "GrantCredits"):
        if call.result.get("grant_id") not in given.grants:
            yield 4, f"a GrantCredits call made grant {call.result.get('grant_id')}, which is gone"
    yield from ((10, what) for what in _recurring_calls(given))
    yield from ((10, what) for what in _voids(given, gave_back))
    yield from ((1, what) for what in _entries(given))
    yield from _refunds(given)


# -- grants


def _grant(given: Given, grant: RowMapping) -> Iterable[str]:
    grant_id = grant["grant_id"]
    name = f"grant {grant_id:x}"
    if (origin := origin_of(grant_id)) is not None:
        yield from _of_recurring(given, grant, origin)
    elif (call := given.call("GrantCredits", "grant_id", grant_id)) is not None:
        yield from unlike(name, _as_given(grant, call))
    elif (call := given.call("Refund", "grant_id", grant_id)) is not None:
        yield from unlike(name, _as_refunded(given, grant, call))
    else:
        yield f"{name} was made by no call that is recorded"
    is_voided = any(_voids_it(call, grant_id) for call in given.calls)
    if grant["void"] and not is_voided:
        yield f"{name} was voided by no call that is recorded"
    if not grant["void"] and is_voided:
        yield f"{name} is not void, but a call has voided it"


def _as_given(grant: RowMapping, call: RecordedCall) -> dict[str, tuple[object, object]]:
    content, expires_us = call.content, call.content.get("expire_time")
    expires_us = NEVER_US if expires_us is None else expires_us
    return {
        "credits": (grant["credits"], content.get("credits")),
        "priority": (grant["priority"], content.get("priority")),
        "note": (grant["note"], content.get("note")),
        "expires_us": (grant["expires_us"], expires_us),
        "created_us": (grant["created_us"], call.created_us),
        **_as_told(grant, call),
        "remaining as it was given": (
            0 <= call.result.get("remaining", 0) <= grant["credits"],
            True,
        ),
    }


def _as_told(grant: RowMapping, call: RecordedCall) -> dict[str, tuple[object, object]]:
    """What the result of a call said of a grant, as far as it did."""
    return {
        f"{field} in the result": (grant[field], call.result[field])
        for field in ("created_us", "expires_us")
        if field in call.result
    }


def _as_refunded(
    given: Given, grant: RowMapping, call: RecordedCall
) -> dict[str, tuple[object, object]]:
    """What a refund gave as a new grant: with the rank of the first grant that lost it on the way."""
    fields: dict[str, tuple[object, object]] = {
        "note": (grant["note"], call.content.get("note")),
        "created_us": (grant["created_us"], call.created_us),
    }
    expires_us = call.content.get("expire_time")
    if expires_us is not None:
        fields["expires_us"] = (grant["expires_us"], expires_us)
    if any(
        each["kind"] == EntryKind.REFUND and each["grant_id"] == grant["grant_id"]
        for each in given.entries
    ):  # of a charge whose reservation had been moved out
        fields["priority"] = (grant["priority"], 0)
        fields["expires_us"] = (grant["expires_us"], NEVER_US if expires_us is None else expires_us)
        return fields
    lost = _lost_before(given, grant["grant_id"])
    if lost in given.grants:
        fields["priority"] = (grant["priority"], given.grants[lost]["priority"])
    return fields


def _lost_before(given: Given, grant_id: int) -> int:
    """Return the grant of the first of the entries that lie between a refund and the grant that it led to."""
    lost = 0
    for entry in given.entries:
        if entry["kind"] == EntryKind.GRANT and entry["grant_id"] == grant_id:
            return lost
        if entry["kind"] == EntryKind.REFUND:
            lost = 0
        elif not lost:
            lost = entry["grant_id"]
    return 0


def _of_recurring(given: Given, grant: RowMapping, origin: Origin) -> Iterable[str]:
    call = given.call("CreateRecurringGrant", "number", origin.number)
    if call is None:
        call = given.call("ReplaceRecurringGrant", "number", origin.number)
        if call is None:
            yield f"grant {grant['grant_id']:x} is of a recurring grant that no call has made"
        else:
            yield from _of_replacing(grant, origin, call)
        return
    name = f"grant {grant['grant_id']:x}, of a recurring grant,"
    content, credits = call.content, grant["credits"]
    fields: dict[str, tuple[object, object]] = {
        "priority": (grant["priority"], content.get("priority")),
        "note": (grant["note"], content.get("note")),
    }
    if not origin.rolled_over:
        fields["credits"] = (credits, content.get("credits"))
    elif credits > content.get("rollover_max", 0):
        yield f"{name} has more rolled over than {content.get('rollover_max')}"
    if origin.place == 0:
        first_us = max(call.result.get("anchor_us", 0), call.created_us)
        fields["created_us"] = (grant["created_us"], first_us)
    yield from unlike(name, fields)
    if not _ends_a_period(grant["expires_us"], call):
        yield f"{name} expires at {grant['expires_us']}, when no period of it ends"


def _of_replacing(grant: RowMapping, origin: Origin, call: RecordedCall) -> Iterable[str]:
    """Compare a grant of a recurring grant that replaced another; of its first period `verify_recurring` tells."""
    name, content = f"grant {grant['grant_id']:x}, of a recurring grant,", call.content
    fields: dict[str, tuple[object, object]] = {
        "priority": (grant["priority"], content.get("priority")),
        "note": (grant["note"], content.get("note")),
    }
    if not origin.rolled_over and origin.place:
        fields["credits"] = (grant["credits"], content.get("credits"))
    elif origin.rolled_over and grant["credits"] > content.get("rollover_max", 0):
        yield f"{name} has more rolled over than {content.get('rollover_max')}"
    yield from unlike(name, fields)


def _ends_a_period(at_us: int, call: RecordedCall) -> bool:
    try:
        period = RecurringPeriod(call.content.get("period", 0))
        calendar = RecurringCalendar(period, call.result["anchor_us"], call.content["time_zone"])
        if at_us >= NEVER_US - _ZONES_CHANGE_US:
            return at_us == NEVER_US
        nearest = calendar.containing(at_us + _ZONES_CHANGE_US).at_us
    except (KeyError, TypeError, ValueError, OverflowError, Refused):
        return False
    return abs(nearest - at_us) <= _ZONES_CHANGE_US and (nearest - at_us) % _MINUTE_US == 0


def _recurring_calls(given: Given) -> Iterable[str]:
    """The record of a call that made a recurring grant has the first of its periods to come."""
    for call in of_methods(given.calls, "CreateRecurringGrant"):
        result = call.result
        name = f"the record of recurring grant {result.get('number')}"
        anchor_us = call.content.get("anchor")
        made_us = result.get("created_us")
        fields: dict[str, tuple[object, object]] = {
            "created_us": (made_us, call.created_us),
            "granted": (result.get("granted"), int(result.get("anchor_us", 0) <= call.created_us)),
            "anchor_us": (
                result.get("anchor_us"),
                call.created_us if anchor_us is None else anchor_us,
            ),
        }
        yield from unlike(name, fields)
        if not _comes_next(call):
            yield f"{name} has period {result.get('next_nth')} at {result.get('next_us')}"
    for call in of_methods(given.calls, "EndRecurringGrant"):
        end_us = call.result.get("end_us")
        said_us = call.content.get("end_time")
        if end_us != said_us and (end_us or NEVER_US) > call.created_us:
            yield f"the record of an EndRecurringGrant call has {end_us}, which it did not say"
        if said_us is not None and said_us <= call.created_us:
            yield f"an EndRecurringGrant call of {call.created_us} said {said_us}, which was over"


def _comes_next(call: RecordedCall) -> bool:
    try:
        nth, next_us = call.result["next_nth"], call.result["next_us"]
        period = RecurringPeriod(call.content["period"])
        calendar = RecurringCalendar(period, call.result["anchor_us"], call.content["time_zone"])
        begins_us, before_us = calendar.beginning(nth).at_us, calendar.beginning(nth - 1).at_us
    except (KeyError, TypeError, ValueError, OverflowError, Refused):
        return False
    if nth and before_us > call.created_us + _ZONES_CHANGE_US:
        return False
    if next_us == NEVER_US:
        end_us = call.content.get("end_time")
        return begins_us + _ZONES_CHANGE_US >= (NEVER_US if end_us is None else end_us)
    return abs(next_us - begins_us) <= _ZONES_CHANGE_US and (next_us - begins_us) % _MINUTE_US == 0


# -- voids


def _voids_it(call: RecordedCall, grant_id: int) -> bool:
    return call.method == "VoidGrant" and call.content.get("grant_id") == f"{grant_id:x}"


def _voids(given: Given, gave_back: Callable[[int], bool]) -> Iterable[str]:
    voided = [each for each in given.entries if each["kind"] == EntryKind.GRANT_VOIDED]
    notes = {(each["grant_id"], each["created_us"], each["note"]) for each in voided}
    called: set[tuple[int, int, str]] = set()
    for call in of_methods(given.calls, "VoidGrant"):
        said, grant_id = call.content.get("grant_id", ""), call.result.get("grant_id", 0)
        grant = given.grants.get(grant_id)
        if grant is None or f"{grant_id:x}" != said:
            yield f"the record of a VoidGrant call names grant {said}, its result {grant_id:x}"
            continue
        name = f"the record of a VoidGrant call of grant {said}"
        left = {"remaining": (call.result.get("remaining", 0), 0)}
        yield from unlike(name, {**_as_told(grant, call), **left})
        first = (grant_id, call.created_us, call.content.get("note", ""))
        called.add(first)
        bare = any(
            (each["grant_id"], each["created_us"], each["note"]) == (*first[:2], "")
            and not _is_after_refund(given.entries, index)
            for index, each in enumerate(given.entries)
            if each["kind"] == EntryKind.GRANT_VOIDED
        )
        if first not in notes and bare and not gave_back(call.created_us):
            yield f"grant {said} was voided with the note {first[2]!r}, which its entry has not"
    replaced = {
        (call.created_us, call.content.get("note", ""))
        for call in of_methods(given.calls, "ReplaceRecurringGrant")
    }
    yield from _replacements(given, voided)
    for grant_id, at_us, note in sorted(notes - called):
        is_of_plan = origin_of(grant_id) is not None and (at_us, note) in replaced
        if note and not is_of_plan:
            yield f"grant {grant_id:x} was voided at {at_us} with note {note!r}, which no call said"


def _replacements(given: Given, voided: Sequence[RowMapping]) -> Iterable[str]:
    """What a call that replaced a recurring grant has voided, and given at once, has an entry of its time."""
    taken = {(each["created_us"], -each["credits"], each["note"]) for each in voided}
    granted = {
        (each["created_us"], each["grant_id"])
        for each in given.entries
        if each["kind"] == EntryKind.GRANT
    }
    for call in of_methods(given.calls, "ReplaceRecurringGrant"):
        result, number = call.result, call.result.get("number", 0)
        name = f"the call that made recurring grant {number} in the place of another"
        back = (call.created_us, result.get("voided"), call.content.get("note", ""))
        if result.get("voided") and back not in taken:
            yield f"{name} voided {result['voided']} credits at {call.created_us}, and no entry says so"
        first = id_of(Origin(number, 0, rolled_over=False))
        if result.get("granted") and (call.created_us, first) not in granted:
            yield f"{name} gave {result.get('given')} credits at {call.created_us}, and no entry says so"


def _is_after_refund(entries: Sequence[RowMapping], index: int) -> bool:
    """Say whether an entry is of what a refund gave back and was lost at once: it comes right after the refund."""
    sequence = entries[index]["sequence"]
    for each in reversed(entries[:index]):
        sequence -= 1
        if each["sequence"] != sequence or each["kind"] == EntryKind.GRANT:
            return False
        if each["kind"] == EntryKind.REFUND:
            return True
    return False


# -- entries


def _entries(given: Given) -> Iterable[str]:
    debits = Counter(
        (call.created_us, call.content.get("note", ""))
        for call in given.calls
        if call.method.startswith("Debit")
    )
    for entry in given.entries:
        name, at_us = f"entry {entry['sequence']}", entry["created_us"]
        grant = given.grants.get(entry["grant_id"])
        if entry["kind"] == EntryKind.GRANT and grant is not None:
            yield from _unlike_grant(name, entry, grant)
        elif entry["kind"] == EntryKind.GRANT_EXPIRED and grant is not None:
            if at_us < grant["expires_us"]:
                yield f"{name} has a grant expire at {at_us}, which ends at {grant['expires_us']}"
        elif entry["kind"] == _DEBIT:
            debits[at_us, entry["note"]] -= 1
    for (at_us, note), missing in debits.items():
        if missing:
            yield f"has {-missing} debits at {at_us} with note {note!r} more than calls said"


def _unlike_grant(name: str, entry: RowMapping, grant: RowMapping) -> Iterable[str]:
    """An entry of a grant has its note and its time; that of a period that no call met comes later."""
    later = origin_of(grant["grant_id"]) is not None and entry["created_us"] > grant["created_us"]
    at_us = grant["created_us"]
    if entry["note"] != grant["note"]:
        yield f"{name} has the note {entry['note']!r}, its grant {grant['note']!r}"
    if entry["created_us"] != at_us and not later:
        yield f"{name} is of {entry['created_us']}, its grant of {at_us}"


# -- refunds


def _refunds(given: Given) -> Iterable[Problem]:
    """Each refund is an entry, with the time, the credits and the note of its call, and the other way round."""
    missing = Counter(
        (
            call.content.get("reservation_id", "").partition("-")[2],
            call.created_us,
            call.result.get("credits"),
            call.content.get("note", ""),
        )
        for call in of_methods(given.calls, "Refund")
    )
    missing.subtract(
        (f"{each['reservation_id']:x}", each["created_us"], each["credits"], each["note"])
        for each in given.entries
        if each["kind"] == EntryKind.REFUND
    )
    for (reservation, at_us, credits, note), number in missing.items():
        if number:
            what = f"{number} refunds of {credits} at {at_us} with note {note!r}"
            yield 7, f"reservation {reservation} lacks {what}, by the records of calls"
    for call in of_methods(given.calls, "Refund"):
        grant_id = call.result.get("grant_id", 0)
        if grant_id and grant_id not in given.grants:
            yield 7, f"a refund made grant {grant_id:x}, which is gone"
        requested = call.content.get("credits")
        if requested is not None and requested != call.result.get("credits"):
            yield 7, f"a refund of {requested} says that it gave back {call.result.get('credits')}"
        expires_us = call.content.get("expire_time")
        if expires_us is not None and expires_us <= call.created_us:
            yield 7, f"a refund of {call.created_us} was to expire at {expires_us}, which was over"
