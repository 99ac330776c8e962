"""Checks the fields of calls about recurring grants, as `fields.py` does those of all others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tollkeeper.core.calendar.zones import local_time, zone_of
from tollkeeper.core.credits import GRANT_MAX
from tollkeeper.core.errors import Refused
from tollkeeper.core.operators.create_recurring import recurring_grant_not_found
from tollkeeper.core.recurring.commands import When
from tollkeeper.core.recurring.periods import RecurringPeriod
from tollkeeper.core.validation.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID = re.compile(r"[1-9][0-9]{0,8}")
_NO_ID = re.compile(r"[ -~]{1,64}")
_PERIODS: Mapping[int, RecurringPeriod] = {each.value: each for each in RecurringPeriod}
_WHENS: Mapping[int, When] = {0: When.NOW, **{each.value: each for each in When}}


class RecurringFields(Fields):
    """The fields of one request about recurring grants."""

    __slots__ = ()

    def number(self, field: str, text: str, account_id: str) -> int:
        """Read the id of a recurring grant; one that none can have is not bad, but not found."""
        if _ID.fullmatch(text):
            return int(text)
        if _NO_ID.fullmatch(text):
            self._not_found = recurring_grant_not_found(account_id, text)
        else:
            self.bad(field, "must be 1 to 64 printable ASCII characters")
        return 0

    def rollover_max(self, field: str, amount: int) -> int:
        """Check how many credits may roll over."""
        return self.between(field, amount, 0, GRANT_MAX)

    def bounds(self, anchor_us: int | None, end_us: int | None, time_zone: str) -> None:
        """Check what the fields `anchor`, `end_time` and `time_zone`, good by themselves, are together."""
        if anchor_us is None:
            return
        try:
            local_time(anchor_us, zone_of(time_zone))
        except OverflowError:
            self.bad("anchor", "is too late for this time_zone")
        except Refused:
            return  # the zone is bad, and named already
        if end_us is not None and end_us <= anchor_us:
            self.bad("end_time", "must be after anchor")

    def period_name(self, field: str, number: int) -> RecurringPeriod:
        """Read how often a recurring grant gives."""
        return self.member(field, number, _PERIODS, RecurringPeriod.MONTH)

    def when(self, field: str, number: int) -> When:
        """Read from when on a recurring grant replaces another; NOW where unspecified."""
        return self.member(field, number, _WHENS, When.NOW)
