"""The reference model's part for plans: recurring grants are made, ended, and replaced by others.

In every call: the fields, the key, the account, the rest.
"""

import copy
from fractions import Fraction
from math import floor

from tests.support.model.account import Account, Grant, Row
from tests.support.model.admin import AdminModel
from tests.support.model.fields import GOOD, SETTLED_MAX, refuse
from tests.support.model.recurring import MOST, TO_COME, Recurring, first


class PlanModel(AdminModel):
    """What operators ask for about recurring grants."""

    def create_recurring(
        self,
        now_us: int,
        account_id: str,
        *,
        credits: int,
        period: str,
        request_id: str,
        anchor_us: int | None = None,
        time_zone: str = "UTC",
        rollover_max: int = 0,
        priority: int = 0,
        note: str = "",
        end_us: int | None = None,
    ) -> Row:
        """Give credits at the beginning of every period, the one that contains now included."""
        given: Row = {
            "account_id": account_id,
            "credits": credits,
            "period": period,
            "anchor": anchor_us,
            "time_zone": time_zone,
            "rollover_max": rollover_max,
            "priority": priority,
            "note": note,
            "end_time": end_us,
        }
        both = anchor_us is not None and end_us is not None
        both = both and GOOD["anchor"](anchor_us) and GOOD["end_time"](end_us)
        also_bad = ["end_time"] if both and (end_us or 0) <= (anchor_us or 0) else []
        made = self._made_before("create_recurring", request_id, given, also_bad=also_bad)
        if made is not None:
            balance = self._touched(account_id, now_us).balance()
            return {"recurring": self._recurring[made], "balance": balance, "replayed": True}
        if end_us is not None and end_us <= now_us:
            refuse("INVALID_FIELD", "end_time")
        account = self._touched(account_id, now_us)
        if account.state == "CLOSED":
            refuse("ACCOUNT_CLOSED")
        begin_us = now_us if anchor_us is None else anchor_us
        if begin_us <= now_us and account.balance()["settled"] + credits > SETTLED_MAX:
            refuse("INVALID_FIELD", "credits")
        number = _room_for_one(account, now_us)

        words = (number, credits, period, begin_us, time_zone, rollover_max, priority, note)
        new = Recurring(*words, end_us, now_us, begin_us)
        account.recurring.append(first(new, now_us))
        account.do_due(now_us)
        self._keep(account, now_us)
        self._recurring.append(new.row())
        self._keys[request_id] = ("create_recurring", given, len(self._recurring) - 1)
        answer: Row = {"recurring": self._recurring[-1], "balance": account.balance()}
        return answer | {"replayed": False}

    def end_recurring(
        self,
        now_us: int,
        account_id: str,
        *,
        number: int,
        request_id: str,
        end_us: int | None = None,
    ) -> Row:
        """Let no more periods begin, from now or from a moment on; what has ended stays as it is."""
        given: Row = {"account_id": account_id, "recurring_grant_id": number, "end_time": end_us}
        made = self._made_before("end_recurring", request_id, given)
        if made is None and end_us is not None and end_us <= now_us:
            refuse("INVALID_FIELD", "end_time")
        account = self._touched(account_id, now_us)
        answer: Row = {"number": number, "balance": account.balance(), "replayed": made is not None}
        if made is not None:
            return answer | {"end_us": made}
        found = [each for each in account.recurring if each.number == number]
        if not found:
            refuse("RECURRING_GRANT_NOT_FOUND")
        if not found[0].has_ended(now_us):
            found[0].end_us = now_us if end_us is None else end_us
        self._keep(account, now_us)
        self._keys[request_id] = ("end_recurring", given, found[0].end_us or 0)
        return answer | {"end_us": found[0].end_us}

    def replace_recurring(
        self,
        now_us: int,
        account_id: str,
        *,
        number: int,
        credits: int,
        request_id: str,
        period: str | None = None,
        rollover_max: int = 0,
        priority: int = 0,
        note: str = "",
        when: str = "NOW",
    ) -> Row:
        """Let another take the place of a recurring grant, now or where its next period would begin."""
        given: Row = {
            "account_id": account_id,
            "recurring_grant_id": number,
            "credits": credits,
            "period": period,
            "rollover_max": rollover_max,
            "priority": priority,
            "note": note,
            "when": when,
        }
        made = self._made_before("replace_recurring", request_id, given)
        account = self._touched(account_id, now_us)
        if made is not None:
            answer = self._replacements[made]
            return answer | {"balance": account.balance(), "replayed": True}
        old = _replaceable(account, number, when, now_us)
        at_once = when == "NOW" and old.granted > 0
        same = period in {None, old.period}
        part = left_part(old, now_us) if at_once else Fraction(0)
        share = floor(old.credits * part)
        taken = min(share, account.remaining_of(old.latest_id()))
        gives = max(0, (floor(credits * part) if same else credits) - (share - taken))
        if at_once and account.balance()["settled"] - taken + gives > SETTLED_MAX:
            refuse("INVALID_FIELD", "credits")
        was_until = old.end_us
        begin_us = now_us if at_once else old.next_us
        old.end_us = now_us if when == "NOW" else old.next_us
        new_number = _room_for_one(account, now_us)

        words = (rollover_max, priority, note, was_until, now_us)
        if same:
            calendar = (old.period, old.anchor_us, old.time_zone)
            new = Recurring(new_number, credits, *calendar, *words, old.next_us, old.periods)
        else:
            calendar = (period or "", begin_us, old.time_zone)
            new = Recurring(new_number, credits, *calendar, *words, begin_us)
        account.recurring.append(new)
        if at_once:
            account.take_back(old.latest_id(), taken, note, now_us)
            if not same:
                new.step()
            new.granted = 1
            row = (new.latest_id(), gives, priority, new.next_us, now_us, note, "")
            account.give(Grant(*row, remaining=gives, of=new_number), now_us)
        self._keep(account, now_us)
        answer: Row = {"recurring": copy.copy(new.row()), "end_us": old.end_us}
        answer |= {"voided": taken if at_once else 0, "given": gives if at_once else 0}
        self._replacements.append(answer)
        self._keys[request_id] = ("replace_recurring", given, len(self._replacements) - 1)
        return answer | {"balance": account.balance(), "replayed": False}


def left_part(recurring: Recurring, now_us: int) -> Fraction:
    """Say which part of the present period is still to come."""
    periods = recurring.periods - 1
    while (begin_us := recurring.begins(periods)) is None:
        periods -= 1
    return Fraction(recurring.next_us - now_us, recurring.next_us - begin_us)


def _replaceable(account: Account, number: int, when: str, now_us: int) -> Recurring:
    found = [each for each in account.recurring if each.number == number]
    if not found:
        refuse("RECURRING_GRANT_NOT_FOUND")
    if account.state == "CLOSED":
        refuse("ACCOUNT_CLOSED")
    (old,) = found
    comes = old.to_come() != TO_COME
    if old.has_ended(now_us) or not (old.granted or comes):
        refuse("INVALID_FIELD", "recurring_grant_id")
    if when == "NEXT_PERIOD" and not comes:
        refuse("INVALID_FIELD", "when")
    return old


def _room_for_one(account: Account, now_us: int) -> int:
    """Make room for one more where all places are taken, and give it its number."""
    number = max((each.number for each in account.recurring), default=0) + 1
    if len(account.recurring) == MOST:
        over = [each for each in account.recurring if each.has_ended(now_us)]
        if not over:
            refuse("TOO_MANY_RECURRING_GRANTS")
        account.recurring.remove(min(over, key=lambda each: (each.end_us, each.number)))
    return number
